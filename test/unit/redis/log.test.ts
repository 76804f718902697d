import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FactBoard } from '../../../exporter/facts.ts';
import type { Sample } from '../../../exporter/families.ts';
import type { LogTail } from '../../../exporter/runtime/log-tail.ts';
import type { RedisClient } from '../../../exporter/systems/redis/client.ts';
import { logCollector } from '../../../exporter/systems/redis/collector-log.ts';
import { logClassOf, LogCounts, type LogClass } from '../../../exporter/systems/redis/facts-log.ts';

/** As the servers wrote it while their link was cut, held, and outrun, the primary restarted, and its password changed. */
function counted(name: string): Partial<Record<LogClass, number>> {
  const counts = new LogCounts();
  const text = readFileSync(join(import.meta.dirname, 'fixtures', `log-${name}.txt`), 'utf8');
  for (const line of text.split('\n')) counts.onLine(line);
  return Object.fromEntries(Object.entries(counts.events).filter(([, n]) => n > 0));
}

const primaries = { partial_resync: 2, full_resync: 1, id_mismatch: 1, timeout: 1, output_buffer: 1 };
const replicas = { partial_resync: 2, connection_refused: 4, auth: 1 };
const logs: readonly (readonly [string, Partial<Record<LogClass, number>>])[] = [
  ['redis-7.0.15-primary', { ...primaries, backlog_too_small: 2, connection_lost: 5 }],
  ['redis-8.0.6-primary', { ...primaries, backlog_too_small: 1, connection_lost: 4 }],
  ['valkey-9.1.2-primary', { ...primaries, backlog_too_small: 2, connection_lost: 5 }],
  ['redis-7.0.15-replica', { ...replicas, partial_resync_asked: 6, full_resync: 4, connection_lost: 6, timeout: 1, sync_failed: 2 }], // prettier-ignore
  ['redis-8.0.6-replica', { ...replicas, partial_resync_asked: 5, full_resync: 3, connection_lost: 5, timeout: 2, sync_failed: 2 }], // prettier-ignore
  ['valkey-9.1.2-replica', { ...replicas, partial_resync_asked: 6, full_resync: 4, connection_lost: 6, timeout: 1 }],
];
for (const [name, wanted] of logs) {
  test(`the log of ${name}`, () => {
    assert.deepEqual(counted(name), wanted);
  });
}

const lines: readonly (readonly [string, LogClass | undefined])[] = [
  ['MASTER aborted replication with an error: WRONGPASS invalid username-password pair', 'auth'],
  ['MASTER aborted replication with an error: LOADING Redis is loading', 'sync_failed'],
  ['Unable to AUTH to MASTER: -WRONGPASS invalid username-password pair', 'auth'],
  ["Error reply to PING from master: '-NOAUTH Authentication required.'", 'auth'],
  ['Unable to connect to MASTER: Invalid argument', 'connection_refused'],
  ['Timeout receiving bulk data from MASTER... If the problem persists try to set', 'timeout'],
  ['Disconnecting timedout replica (full sync): 10.0.0.1:6380', 'timeout'],
  ['I/O error trying to sync with MASTER: connection lost', 'sync_failed'],
  ['Failed trying to load the MASTER synchronization DB from disk', 'sync_failed'],
  ['SYNC failed. BGSAVE child returned an error', 'sync_failed'],
  ['Client id=3 addr=10.0.0.1:1 closed for overcoming of output buffer limits.', 'output_buffer'],
  ['Partial resynchronization not accepted: Replication ID mismatch (Replica asked for', 'id_mismatch'],
  ['PSYNC is not possible, initialize RDB channel.', 'full_resync'],
  ['Full resync requested by replica 10.0.0.1:6380 (rdb-channel)', 'full_resync'],
  ['Connection with replica (rdbchannel) 10.0.0.1:6380 lost.', undefined],
  ['DB saved on disk', undefined],
  ['MASTER <-> REPLICA sync: Finished with success', undefined],
];
test('lines that were not seen, and lines that say nothing', () => {
  for (const [text, wanted] of lines) assert.equal(logClassOf(`1:S 21 Nov 2026 18:22:26.133 # ${text}`), wanted, text);
});

test('what a client has written does not count: only the text of a line of the server', () => {
  assert.equal(logClassOf('Unable to partial resync with replica 10.0.0.1:6380'), undefined);
  assert.equal(logClassOf('1:M 21 Nov 2026 18:22:26.133 * user said: Full resync requested by x'), undefined);
});

test('the collector counts what is added, keeps it over connections, and says how the log is read', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'redis-log-'));
  t.after(() => {
    rmSync(dir, { recursive: true });
  });
  const file = join(dir, 'redis.log');
  const line = '1:S 21 Nov 2026 18:22:26.133 # Connection with master lost.\n';
  const prepared = logCollector.prepare({});
  let tail: LogTail | undefined;
  const look = async (logFile: string | undefined): Promise<Map<string, number>> => {
    const samples: Sample[] = [];
    const call = {
      target: 'r',
      board: new FactBoard(),
      signal: AbortSignal.timeout(20_000),
      clock: { wallMs: () => 0, monoMs: () => 0 },
    };
    const client = { logFile, logTail: (open: () => LogTail) => (tail ??= open()) } as unknown as RedisClient;
    await prepared.collect(client, (sample) => samples.push(sample), call);
    return new Map(
      samples.filter((s) => s.value > 0).map((s) => [Object.values(s.labels)[0] ?? s.family.name, s.value]),
    );
  };
  const reconnect = async (): Promise<void> => {
    await tail?.close();
    tail = undefined;
  };
  assert.deepEqual([...(await look(undefined)).keys()], ['not_configured']);
  writeFileSync(file, line);
  assert.equal((await look(file)).get('connection_lost'), undefined, 'what was there before is left out');
  appendFileSync(file, line);
  appendFileSync(file, line);
  const found = await look(file);
  assert.equal(found.get('connection_lost'), 2);
  assert.equal(found.get('reading_from_end'), 1);
  await reconnect();
  appendFileSync(file, line);
  assert.equal((await look(file)).get('connection_lost'), 3);
  rmSync(file);
  await reconnect();
  assert.equal((await look(file)).get('absent'), 1);
  await reconnect();
});
