import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../../deploy/lab/ready.ts';
import { redisStreams } from '../../../exporter/systems/redis/collector-streams.ts';
import { searchStreams, type StreamSearch } from '../../../exporter/systems/redis/background-streams.ts';
import type { RedisClient } from '../../../exporter/systems/redis/client.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { createLog } from '../../../exporter/runtime/log.ts';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { play, player, repliesOf, type Replies } from '../../support/redis-replies.ts';

const replies = repliesOf('replies-redis-7.0.15.json');

async function streams(config: object, changes: Replies = {}): Promise<Awaited<ReturnType<typeof play>>> {
  return await play(redisStreams, { config, replies: { ...replies, ...changes } });
}

function of(series: ReadonlyMap<string, number>, prefix: string): Readonly<Record<string, number>> {
  return Object.fromEntries([...series].filter(([key]) => key.startsWith(prefix)));
}

test('a stream, its groups and consumers, under the names of redis_exporter', async () => {
  const { series, sent } = await streams({ streams: ['orders'] });
  assert.deepEqual(sent, [
    'XINFO STREAM orders',
    'XINFO GROUPS orders',
    'XINFO CONSUMERS orders billing',
    'XINFO CONSUMERS orders late',
  ]);
  const stream = '{db="db0",stream="orders"}';
  assert.equal(series.get(`redis_stream_length${stream}`), 4);
  assert.equal(series.get(`redis_stream_radix_tree_keys${stream}`), 1);
  assert.equal(series.get(`redis_stream_radix_tree_nodes${stream}`), 2);
  assert.equal(series.get(`redis_stream_groups${stream}`), 2);
  assert.equal(series.get(`redis_stream_last_generated_id${stream}`), 5);
  assert.equal(series.get(`redis_stream_max_deleted_entry_id${stream}`), 4);
  assert.equal(series.get(`redis_stream_first_entry_id${stream}`), 1);
  assert.equal(series.get(`redis_stream_last_entry_id${stream}`), 5);
  const billing = '{db="db0",group="billing",stream="orders"}';
  assert.equal(series.get(`redis_stream_group_consumers${billing}`), 1);
  assert.equal(series.get(`redis_stream_group_messages_pending${billing}`), 2);
  assert.equal(series.get(`redis_stream_group_last_delivered_id${billing}`), 3);
  assert.equal(series.get(`redis_stream_group_entries_read${billing}`), 3);
  const worker = '{consumer="worker-1",db="db0",group="billing",stream="orders"}';
  assert.equal(series.get(`redis_stream_group_consumer_messages_pending${worker}`), 2);
  assert.ok((series.get(`redis_stream_group_consumer_idle_seconds${worker}`) ?? -1) < 10);
  assert.equal(series.get('redis_stream_state{db="db0",state="read",stream="orders"}'), 1);
  assert.equal(series.get('redis_stream_search_state{state="off"}'), 1);
});

test('a lag that the server does not know is no 0; the state says unknown', async () => {
  const { series } = await streams({ streams: ['orders', 'empty'] });
  assert.deepEqual(of(series, 'redis_stream_group_lag{'), { 'redis_stream_group_lag{db="db0",group="g",stream="empty"}': 0 }); // prettier-ignore
  assert.deepEqual(of(series, 'redis_stream_group_entries_read{'), {
    'redis_stream_group_entries_read{db="db0",group="billing",stream="orders"}': 3,
  });
  assert.equal(series.get('redis_stream_group_lag_state{db="db0",group="late",state="unknown",stream="orders"}'), 1);
  assert.equal(series.get('redis_stream_group_lag_state{db="db0",group="g",state="known",stream="empty"}'), 1);
});

test('an empty stream has no first and no last entry', async () => {
  const { series } = await streams({ streams: ['empty'] });
  assert.equal(series.get('redis_stream_length{db="db0",stream="empty"}'), 0);
  assert.deepEqual([of(series, 'redis_stream_first'), of(series, 'redis_stream_last_entry')], [{}, {}]);
});

test('keys that are none, or no stream, or elsewhere, or not allowed: each has its state, the others their values', async () => {
  const error = (text: string): object => ({ error: text });
  const { series } = await streams(
    { streams: ['none', 'k1', 'orders', 'moved', 'secret'] },
    {
      'primary XINFO STREAM moved': error('MOVED 1234 127.0.0.1:7001'),
      'primary XINFO GROUPS moved': error('MOVED 1234 127.0.0.1:7001'),
      'primary XINFO STREAM secret': error('NOPERM this user has no permissions to access one of the keys used as arguments'), // prettier-ignore
      'primary XINFO GROUPS secret': error('NOPERM this user has no permissions to access one of the keys used as arguments'), // prettier-ignore
    },
  );
  for (const [key, state] of [
    ['none', 'missing'],
    ['k1', 'not_a_stream'],
    ['orders', 'read'],
    ['moved', 'elsewhere'],
    ['secret', 'refused'],
  ] as const) {
    assert.equal(series.get(`redis_stream_state{db="db0",state="${state}",stream="${key}"}`), 1, key);
  }
  assert.deepEqual(Object.keys(of(series, 'redis_stream_length')), ['redis_stream_length{db="db0",stream="orders"}']);
});

test('a failure that is not about the key is one of the collector', async () => {
  const loading = { error: 'LOADING Redis is loading the dataset in memory' };
  const all = { 'primary XINFO STREAM orders': loading, 'primary XINFO GROUPS orders': loading };
  await assert.rejects(streams({ streams: ['orders'] }, all), /LOADING/);
  const { series } = player(redisStreams, { config: { streams: ['orders'] } }).unknown();
  assert.equal(series.get('redis_stream_state{db="db0",state="unknown",stream="orders"}'), 1);
});

test('another database is chosen in the same breath as what is asked of it, and left at once', async () => {
  const { series, sent } = await streams(
    { streams: ['orders', { db: 3, key: 'orders' }] },
    { 'primary XINFO GROUPS orders': [] },
  );
  assert.deepEqual(sent, [
    'SELECT 0',
    'XINFO STREAM orders',
    'XINFO GROUPS orders',
    'SELECT 3',
    'XINFO STREAM orders',
    'XINFO GROUPS orders',
    'SELECT 0',
  ]);
  assert.equal(series.get('redis_stream_length{db="db3",stream="orders"}'), 4);
});

test('consumers beyond the limit: those with the most pending messages stay', async () => {
  const consumers = [1, 7, 3].map((pending) => ['name', `c${String(pending)}`, 'pending', pending, 'idle', 5]);
  const { series } = await streams(
    { streams: ['orders'], max_consumers: 1 },
    { 'primary XINFO CONSUMERS orders billing': consumers },
  );
  const key = 'redis_stream_group_consumer_messages_pending{consumer="c7",db="db0",group="billing",stream="orders"}';
  assert.deepEqual(of(series, 'redis_stream_group_consumer_messages_pending'), { [key]: 7 });
});

test('streams or patterns must be named', () => {
  assert.throws(() => redisStreams.prepare({}), /streams or patterns, with at least one/);
});

/** A server with these keys; two replies to each SCAN, with a key that is told twice. */
function searched(
  keys: readonly string[],
  fails = { next: false },
): { sent: string[]; open: () => Promise<RedisClient> } {
  const sent: string[] = [];
  const client = {
    send: (_: unknown, command: string, ...args: readonly string[]) => {
      sent.push([command, ...args].join(' '));
      if (fails.next) return Promise.reject(new TargetError('denied', 'SCAN: NOPERM'));
      if (command !== 'SCAN') return Promise.resolve('OK');
      const half = Math.ceil(keys.length / 2);
      return Promise.resolve(args[0] === '0' ? ['17', keys.slice(0, half + 1)] : ['0', keys.slice(half)]);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  } as unknown as RedisClient;
  return { sent, open: () => Promise.resolve(client) };
}

async function search(
  server: ReturnType<typeof searched>,
  maxStreams: number,
  until: (search: StreamSearch) => boolean,
): Promise<StreamSearch> {
  const end = new AbortController();
  const found: StreamSearch = { found: undefined, isCut: false };
  const work = {
    target: 't',
    clock: systemClock,
    log: createLog('test', 'silent'),
    signal: end.signal,
    open: server.open,
  };
  const running = searchStreams({ patterns: [{ db: 0, pattern: 'cdc:*' }], everyMs: 20, maxStreams }, found, work);
  try {
    return await waitFor(() => (until(found) ? found : undefined), { what: 'the search' });
  } finally {
    end.abort();
    await running;
  }
}

test('a search goes through all keys, of streams only, and tells of each once', async () => {
  const server = searched(['cdc:a', 'cdc:b', 'cdc:c']);
  const { found, isCut } = await search(server, 10, (s) => s.found !== undefined);
  assert.deepEqual(
    found?.map((f) => f.key),
    ['cdc:a', 'cdc:b', 'cdc:c'],
  );
  assert.equal(isCut, false);
  assert.equal(server.sent[0], 'SCAN 0 MATCH cdc:* COUNT 500 TYPE stream');
  assert.equal(server.sent[1], 'SCAN 17 MATCH cdc:* COUNT 500 TYPE stream');
});

test('a search ends when there are too many, and says so', async () => {
  const server = searched(['a', 'b', 'c', 'd']);
  const { found, isCut } = await search(server, 2, (s) => s.found !== undefined);
  assert.equal(found?.length, 2);
  assert.equal(isCut, true);
});

test('a search that is refused is tried again, and does not end the work', async () => {
  const fails = { next: true };
  const server = searched(['a'], fails);
  const { found } = await search(server, 2, (s) => {
    if (server.sent.length > 2) fails.next = false;
    return s.found !== undefined;
  });
  assert.deepEqual(
    found?.map((f) => f.key),
    ['a'],
  );
});

test('the series of what was found; before the first pass the state says unknown', async () => {
  const config = { patterns: ['ord*'] };
  const { series } = await streams(config);
  assert.equal(series.get('redis_stream_search_state{state="unknown"}'), 1);
  assert.deepEqual(of(series, 'redis_stream_length'), {});
});
