// Contract with redis_exporter: both look at the same servers, and what both serve is the same.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { waitFor } from '../../deploy/lab/ready.ts';
import { inventoryOf } from '../../exporter/config/inventory.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { createLog } from '../../exporter/runtime/log.ts';
import { serve, type Serving } from '../../exporter/serve.ts';
import { systems } from '../../exporter/systems/index.ts';
import { redis } from '../../exporter/systems/redis/index.ts';
import { parseExposition, valueOf, type ParsedFamily, type ParsedSample } from '../support/exposition-parser.ts';
import { WatchedTarget } from '../support/watched-target.ts';
import { startRedisExporter, type RedisExporter } from '../support/redis-exporter.ts';
import {
  redisServerPorts,
  startRedisServers,
  type RedisServerName,
  type RedisServers,
} from '../support/redis-servers.ts';
import { portOf } from '../support/serving-port.ts';

type Page = ReadonlyMap<string, ParsedFamily>;

const names = Object.keys(redisServerPorts) as RedisServerName[];

/** Families of the peer that are not served for a server, with the reason. */
const notServed: Readonly<Record<RedisServerName, Readonly<Record<string, string>>>> = {
  primary: {},
  replica: {},
  sentinel: {
    redis_db_keys: 'a Sentinel has no databases: the peer serves sixteen empty ones',
    redis_db_keys_expiring: 'as above',
    redis_replica_resyncs_full: 'a Sentinel copies to nobody: it has no replication to tell of',
    redis_replica_partial_resync_accepted: 'as above',
    redis_replica_partial_resync_denied: 'as above',
  },
  cluster: {},
};

/** Types of 1.45 that were put right later. */
const otherType: Readonly<Record<string, string>> = {
  redis_expired_time_cap_reached_total: 'a gauge in 1.45, a counter in newer ones',
};

/** Series of the peer without a sample of ours, and why. */
const unknownToUs: Readonly<Record<string, string>> = {
  'redis_stream_group_lag{db="db0",group="late",stream="orders"}': 'the server does not know it: the peer says 0',
  'redis_stream_group_entries_read{db="db0",group="late",stream="orders"}': 'as above',
};

/** Labels that 1.45 does not have. */
const newLabels = new Set(['redis_instance_info master_replid']);

/** Values that depend on who looks, or when: how far they may be apart, and why. */
const near: Readonly<Record<string, readonly [within: number, why: string]>> = {
  redis_connected_clients: [4, 'our connection stays open, theirs is there while they look'],
  redis_start_time_seconds: [1, 'now minus whole seconds of uptime'],
  redis_memory_used_bytes: [2 ** 16, 'the buffers of the peer while it looks'],
  redis_memory_used_dataset_bytes: [2 ** 16, 'as above'],
  redis_allocator_allocated_bytes: [2 ** 18, 'as above'],
  redis_allocator_active_bytes: [2 ** 18, 'as above'],
  redis_allocator_frag_bytes: [2 ** 18, 'as above'],
  redis_mem_fragmentation_bytes: [2 ** 20, 'as above'],
  redis_mem_fragmentation_ratio: [1, 'as above'],
  redis_allocator_frag_ratio: [0.5, 'as above'],
  redis_allocator_rss_ratio: [0.5, 'as above'],
  redis_client_recent_max_input_buffer_bytes: [2 ** 16, 'of the clients of the last seconds'],
  redis_client_recent_max_output_buffer_bytes: [2 ** 16, 'as above'],
};

const streams = 'db0=orders,db3=audit';

let servers: RedisServers;
let peer: RedisExporter;
let serving: Serving;
let ourUrl: string;

before(async () => {
  servers = await startRedisServers();
  await fill();
  peer = await startRedisExporter(`${servers.address}:19121`);
  const targets = names.map((name) => ({
    name,
    kind: 'redis',
    address: { host: servers.address, port: redisServerPorts[name] },
    collectors: name === 'primary' ? { redis_streams: { streams: ['orders', { db: 3, key: 'audit' }] } } : {},
  }));
  serving = await serve({
    load: () => Promise.resolve(inventoryOf({ targets }, 'test', systems)),
    listen: [{ host: servers.address, port: 0 }],
    version: '0.0.0',
    clock: systemClock,
    log: createLog('test', 'silent'),
    pipelines: () => undefined,
  });
  ourUrl = `http://${servers.address}:${String(portOf(serving))}/metrics`;
});

after(async () => {
  await serving.stop();
  await peer.stop();
  await servers.stop();
});

/** Keys, errors, a slow command, a spike of latency, streams. */
async function fill(): Promise<void> {
  const call = (command: string, ...args: (string | number)[]): Promise<unknown> =>
    servers.call('primary', command, ...args);
  for (let i = 0; i < 20; i++) await call('SET', `key-${String(i)}`, i);
  await call('SET', 'short', 'x', 'EX', 3_600);
  await assert.rejects(call('LPUSH', 'key-1', 'x'), /WRONGTYPE/);
  await assert.rejects(call('NOSUCH'), /unknown command/);
  for (let i = 1; i <= 5; i++) await call('XADD', 'orders', `${String(i)}-0`, 'id', i);
  for (const group of ['billing', 'late']) await call('XGROUP', 'CREATE', 'orders', group, '0');
  await call('XREADGROUP', 'GROUP', 'billing', 'worker-1', 'COUNT', 3, 'STREAMS', 'orders', '>');
  await call('XACK', 'orders', 'billing', '1-0');
  // the group created in the middle cannot be counted any more once an entry behind it is deleted
  await call('XGROUP', 'SETID', 'orders', 'late', '2-0');
  await call('XDEL', 'orders', '4-0');
  await call('CONFIG', 'SET', 'slowlog-log-slower-than', 0);
  await call('GET', 'key-1');
  await call('CONFIG', 'SET', 'slowlog-log-slower-than', 100_000_000);
  await call('CONFIG', 'SET', 'latency-monitor-threshold', 1);
  await call('EVAL', 'local n = 0 for i = 1, 3e6 do n = n + i end return n', 0);
  await call('CONFIG', 'SET', 'latency-monitor-threshold', 1_000_000);
  await call('SELECT', 3);
  await call('XADD', 'audit', '7-0', 'id', 7);
  await call('SELECT', 0);
}

/** Families of the peer about itself. */
const aboutItself = /^redis_(exporter_|target_scrape_|last_key_groups_)/;

async function theirs(name: RedisServerName): Promise<Page> {
  const page = parseExposition(await peer.scrape(servers.at(name), name === 'primary' ? streams : ''));
  return new Map([...page].filter(([family]) => !aboutItself.test(family)));
}

/** What is served for one target, without the label that says which, and without empty ones, which are none. */
async function ours(name: RedisServerName): Promise<Page> {
  const answer = await fetch(ourUrl, { signal: AbortSignal.timeout(10_000) });
  assert.equal(answer.status, 200);
  const page = new Map<string, ParsedFamily>();
  for (const [family, { type, help, samples }] of parseExposition(await answer.text())) {
    const own = samples.flatMap(({ labels: { target, ...labels }, ...sample }): ParsedSample[] =>
      target === name
        ? [{ ...sample, labels: Object.fromEntries(Object.entries(labels).filter(([, v]) => v !== '')) }]
        : [],
    );
    if (own.length > 0) page.set(family, { type, help, samples: own });
  }
  return page;
}

function known(family: string, label: string): boolean {
  return !newLabels.has(`${family} ${label}`);
}

/** name{labels} -> value */
function seriesOf(page: Page): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const [family, { samples }] of page) {
    for (const { name, labels, value } of samples) {
      const text = Object.entries(labels).flatMap(([label, v]) =>
        known(family, label) && v !== '' ? [`${label}="${v}"`] : [],
      );
      found.set(`${name}{${text.sort().join(',')}}`, value);
    }
  }
  return found;
}

function familyOf(series: string): string {
  return series.slice(0, series.indexOf('{')).replace(/(?<=_usec)_(count|sum)$/, '');
}

for (const name of names) {
  test(`${name}: every family of the peer is served, but for those with a reason`, async () => {
    const [theirPage, ourPage] = [await theirs(name), await ours(name)];
    assert.ok(theirPage.size > (name === 'sentinel' ? 40 : 120), `the peer has ${String(theirPage.size)} families`);
    const missing = [...theirPage.keys()].filter((family) => !ourPage.has(family));
    assert.deepEqual(missing.sort(), Object.keys(notServed[name]).sort());
  });

  test(`${name}: same type and same label names`, async () => {
    const [theirPage, ourPage] = [await theirs(name), await ours(name)];
    const outline = (page: Page, of: Page): readonly string[] =>
      [...page].flatMap(([family, { type, samples }]) => {
        const labels = Object.entries(samples[0]?.labels ?? {}).flatMap(([label, value]) =>
          known(family, label) && value !== '' ? [label] : [],
        );
        return of.has(family) ? [`${family} ${family in otherType ? '' : type} {${labels.sort().join()}}`] : [];
      });
    assert.deepEqual(outline(ourPage, theirPage).toSorted(), outline(theirPage, ourPage).toSorted());
  });

  test(`${name}: same series and same values`, async () => {
    let wrong = await differences(name);
    // What goes up and down may fall outside by chance: seen right once is right
    for (let round = 0; wrong.size > 0 && round < 8; round++) {
      const again = await differences(name);
      wrong = new Map([...wrong].filter(([series]) => again.has(series)));
    }
    assert.deepEqual(Object.fromEntries(wrong), {});
  });
}

/**
 * What differs when ours is read between two of theirs: a value that stands still, or goes one way, must lie between the
 * two; and neither has a series of a shared family that the other lacks.
 */
async function differences(name: RedisServerName): Promise<ReadonlyMap<string, string>> {
  const first = seriesOf(await theirs(name));
  const our = seriesOf(await ours(name));
  const last = seriesOf(await theirs(name));
  const families = new Set([...first.keys()].map(familyOf).filter((family) => !(family in notServed[name])));
  const found = new Map<string, string>();
  for (const series of new Set([...first.keys(), ...last.keys(), ...our.keys()])) {
    if (!families.has(familyOf(series)) || series in unknownToUs) continue;
    const [a, value, b] = [first.get(series), our.get(series), last.get(series)];
    const [within] = near[familyOf(series)] ?? [0];
    const right =
      a === undefined || b === undefined
        ? value === undefined || a !== b // a command or an error that one of them was the first to cause
        : value !== undefined && value >= Math.min(a, b) - within && value <= Math.max(a, b) + within;
    if (!right) found.set(series, `the peer ${String(a)}, ours ${String(value)}, the peer again ${String(b)}`);
  }
  return found;
}

test('what the peer says wrongly as 0 has no sample, and a state says so', async () => {
  const page = await ours('primary');
  assert.equal(valueOf(page, 'redis_stream_group_lag', { group: 'billing' }), undefined);
  assert.equal(valueOf(page, 'redis_stream_group_lag', { group: 'late' }), undefined);
  assert.equal(valueOf(page, 'redis_stream_group_lag_state', { group: 'late', state: 'unknown' }), 1);
  for (const series of Object.keys(unknownToUs)) assert.equal(seriesOf(page).has(series), false, series);
});

test('states: what a kind of server does not have is not an error', async () => {
  const state = (page: Page, family: string): string | undefined =>
    page.get(family)?.samples.find((s) => s.value === 1)?.labels['state'];
  const [primary, sentinel, cluster] = [await ours('primary'), await ours('sentinel'), await ours('cluster')];
  assert.equal(state(primary, 'redis_config_state'), 'read');
  assert.equal(state(primary, 'redis_sentinel_state'), 'no_sentinel');
  assert.equal(state(primary, 'redis_cluster_info_state'), 'no_cluster');
  assert.equal(state(cluster, 'redis_cluster_info_state'), 'read');
  assert.equal(valueOf(cluster, 'redis_cluster_state'), 1);
  assert.equal(state(sentinel, 'redis_sentinel_state'), 'read');
  assert.equal(state(sentinel, 'redis_config_state'), 'refused');
  assert.equal(valueOf(sentinel, 'redis_sentinel_master_status', { master_name: 'shop' }), 1);
  assert.equal(valueOf(sentinel, 'redis_sentinel_master_ckquorum_status', { master_name: 'gone' }), 0);
  for (const page of [primary, sentinel, cluster]) {
    const failed = page.get('pipemedic_collector_success')?.samples.filter((s) => s.value !== 1) ?? [];
    assert.deepEqual(
      failed.map((s) => s.labels['collector']),
      [],
    );
  }
});

test('streams are looked for by pattern beside the scrapes', async () => {
  const targets = [
    {
      name: 'primary',
      kind: 'redis',
      address: { host: servers.address, port: redisServerPorts.primary },
      collectors: { redis_streams: { patterns: ['ord*', { db: 3, pattern: '*' }], search_every: '1s' } },
    },
  ];
  const own = await serve({
    load: () => Promise.resolve(inventoryOf({ targets }, 'test', systems)),
    listen: [{ host: servers.address, port: 0 }],
    version: '0.0.0',
    clock: systemClock,
    log: createLog('test', 'silent'),
    pipelines: () => undefined,
  });
  try {
    const page = await waitFor(
      async () => {
        const url = `http://${servers.address}:${String(portOf(own))}/metrics`;
        const text = await (await fetch(url, { signal: AbortSignal.timeout(10_000) })).text();
        const found = parseExposition(text);
        return valueOf(found, 'redis_stream_search_state', { state: 'complete' }) === 1 ? found : undefined;
      },
      { what: 'the streams to be found' },
    );
    assert.equal(valueOf(page, 'redis_stream_length', { db: 'db0', stream: 'orders' }), 4);
    assert.equal(valueOf(page, 'redis_stream_length', { db: 'db3', stream: 'audit' }), 1);
  } finally {
    await own.stop();
  }
});

test('a user with few rights: what is not allowed has its state, and the collectors succeed', async () => {
  const rights = ['+ping', '+info', '+xinfo', '~orders'];
  await servers.call('primary', 'ACL', 'SETUSER', 'watcher', 'on', 'nopass', '-@all', 'resetkeys', ...rights);
  await using target = new WatchedTarget(redis, {
    address: { host: servers.address, port: redisServerPorts.primary },
    auth: { user: 'watcher', password_file: servers.file('password', 'any') },
    collectors: { redis_streams: { streams: ['orders', 'key-1'] } },
  });
  for (let sweep = 0; sweep < 2; sweep++) {
    const measured = await target.measure();
    assert.equal(measured.failure, undefined);
    assert.equal(measured.state('redis_config_state'), 'refused');
    assert.equal(measured.state('redis_slowlog_state'), 'refused');
    assert.equal(measured.state('redis_stream_state', { stream: 'orders' }), 'read');
    assert.equal(measured.state('redis_stream_state', { stream: 'key-1' }), 'refused');
    assert.equal(measured.value('redis_db_keys', { db: 'db15' }), 0);
  }
});
