// What is told from several looks, and from what stands around the position.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unknown } from '../../../exporter/runtime/known.ts';
import { watchBootstraps, type BootstrapWork } from '../../../exporter/systems/maxwell/facts-bootstrap.ts';
import { isBehind } from '../../../exporter/systems/maxwell/facts-evidence.ts';
import type { MaxwellHealth } from '../../../exporter/systems/maxwell/facts-health.ts';
import { layersOf } from '../../../exporter/systems/maxwell/facts-layers.ts';
import type { MaxwellPosition } from '../../../exporter/systems/maxwell/facts-position.ts';
import { purgeSeconds, retentionOf } from '../../../exporter/systems/maxwell/facts-retention.ts';
import { rowsOf } from '../../../exporter/systems/maxwell/facts-rows.ts';
import { watchWriters, type StartsSeen, type WritersMark } from '../../../exporter/systems/maxwell/facts-writers.ts';
import type { Binlogs } from '../../../exporter/systems/mysql/facts-binlogs.ts';

const now = 1_800_000_000_000;
const position = (of: Partial<MaxwellPosition> = {}): MaxwellPosition => ({
  found: true,
  serverId: 1,
  binlogFile: 'bin.000005',
  binlogPosition: 500,
  gtidSet: undefined,
  lastHeartbeatReadMs: known(now - 3_600_000, now),
  heartbeatMs: known(now - 1000, now),
  databaseNowMs: now,
  ...of,
});
const logs = (current: number): Binlogs => ({
  files: [4, 5, 6].map((number) => ({ name: `bin.00000${number}`, number, sizeBytes: 1000 })),
  current: { file: `bin.00000${current}`, position: 900 },
});
const kept = (lost = false): Pick<MaxwellHealth, 'purge'> => ({
  purge: known({ lost, reason: undefined, why: 'w', bytes: 1, files: 1 }, now),
});
const variables = (of: Record<string, string>) =>
  Object.entries(of).map(([Variable_name, Value]) => ({ Variable_name, Value }));

test('retention: seconds, days, both names of one setting, never, and what cannot be known', () => {
  const of = (values: Record<string, string>): unknown => {
    const found = retentionOf(variables(values), now);
    return found.known ? found.value : found.why;
  };
  assert.equal(of({ binlog_expire_logs_seconds: '2592000', expire_logs_days: '0', basedir: '/usr/' }), 2_592_000);
  assert.equal(of({ binlog_expire_logs_seconds: '86400', expire_logs_days: '1.000000' }), 86_400);
  assert.equal(of({ expire_logs_days: '7' }), 604_800, 'MySQL 5.7, MariaDB 10.5');
  assert.equal(of({ binlog_expire_logs_seconds: '0', expire_logs_days: '0.000000' }), 'unlimited');
  assert.equal(of({ binlog_expire_logs_seconds: '60', binlog_expire_logs_auto_purge: 'OFF' }), 'unlimited');
  assert.match(String(of({ binlog_expire_logs_seconds: '60', basedir: '/rdsdbbin/mysql/' })), /provider/);
  assert.match(String(of({ binlog_expire_logs_seconds: '60', max_binlog_total_size: '1000' })), /size/);
});

test('headroom in seconds is a lower bound, and no number where there is none', () => {
  const week = known(604_800, now);
  const at = (of: Partial<MaxwellPosition> = {}) => known(position(of), now);
  const seconds = (...args: Parameters<typeof purgeSeconds>): unknown => {
    const { state, seconds: found } = purgeSeconds(...args);
    return found.known ? [state, found.value] : state;
  };
  assert.deepEqual(seconds(at(), kept(), known(logs(6), now), week), ['by_time', 604_800 - 3600]);
  assert.deepEqual(seconds(at(), kept(), known(logs(5), now), week), ['by_time', 604_800], 'still being written');
  assert.deepEqual(seconds(at({ serverId: 0 }), kept(), known(logs(5), now), week), ['by_time', 604_800 - 3600]);
  assert.deepEqual(seconds(at(), kept(), unknown('denied'), week), ['by_time', 604_800 - 3600]);
  assert.deepEqual(seconds(at(), kept(), known(logs(6), now), known(60, now)), ['by_time', 0]);
  assert.equal(seconds(at(), kept(true), known(logs(6), now), week), 'lost');
  assert.equal(seconds(at(), kept(), known(logs(6), now), known('unlimited', now)), 'unlimited');
  assert.equal(seconds(at(), kept(), known(logs(6), now), unknown('size')), 'unknown');
  assert.equal(seconds(at({ lastHeartbeatReadMs: unknown('never') }), kept(), known(logs(6), now), week), 'unknown');
  assert.equal(seconds(known(undefined, now), kept(), known(logs(6), now), week), 'unknown');
});

test('MariaDB: a position is behind what was purged in a domain; a domain without a position says nothing', () => {
  assert.equal(isBehind('0-1-20', '0-1-22'), true);
  assert.equal(isBehind('0-0-22', '0-1-22'), false);
  assert.equal(isBehind('0-1-22,1-1-5', '0-1-9'), false);
  assert.equal(isBehind('0-1-22', '0-1-9,7-1-1'), undefined);
  assert.equal(isBehind('0-1-5', '0-1-9,7-1-1'), true);
  assert.equal(isBehind('0-1-5', ''), false, 'nothing was purged');
});

test('rows: the one in use, those of former servers, of the other mode and of other clients', () => {
  const row = (client_id: string, server_id: number, heartbeat: number | null) => ({
    client_id,
    server_id,
    heartbeat,
    last_heartbeat_read: '1',
    own_server_id: 1,
  });
  const rows = [
    row('m', 1, 100),
    row('m', 0, 900),
    row('m', 99, 50),
    row('m', 98, null),
    row('x', 1, 5),
    row('x', 0, 6),
  ];
  const tables = { schema: 'maxwell', clientId: 'm' };
  assert.deepEqual(rowsOf(rows, tables), {
    kinds: { current: 1, other_mode: 1, former_server: 2 },
    otherClients: 1,
  });
  assert.deepEqual(rowsOf(rows, { ...tables, sourceServerId: 98 }).kinds, {
    current: 1,
    other_mode: 1,
    former_server: 2,
  });
  assert.deepEqual(rowsOf([], tables), { kinds: { current: 0, other_mode: 0, former_server: 0 }, otherClients: 0 });
});

test('a bootstrap without a new row for a while has stalled; time in which nobody looked does not count', () => {
  const work = (insertedRows: number, queued = 0): BootstrapWork => ({
    running: [{ id: 7, database: 'd', table: 't', insertedRows, totalRows: 0 }],
    queued,
  });
  assert.equal(watchBootstraps({ running: [], queued: 0 }, undefined, 0, 60_000).state, 'idle');
  assert.equal(watchBootstraps({ running: [], queued: 2 }, undefined, 0, 60_000).state, 'queued');
  const first = watchBootstraps(work(10), undefined, 0, 60_000);
  assert.equal(first.state, 'running');
  const same = watchBootstraps(work(10), first.mark, 45_000, 60_000);
  assert.equal(same.state, 'running');
  assert.equal(watchBootstraps(work(10), same.mark, 60_000, 60_000).state, 'stalled');
  assert.equal(watchBootstraps(work(11), same.mark, 60_000, 60_000).state, 'running');
  assert.equal(watchBootstraps(work(10), same.mark, 400_000, 60_000).state, 'running');
});

const starts = (before: number | undefined, after = before): StartsSeen => ({ before, after });

test('a Maxwell that fails again and again is no other writer, though it is gone whenever it is looked at', () => {
  const look = (seen: StartsSeen, before: WritersMark | undefined, beatMs: number) =>
    watchWriters(
      { position: known(position({ heartbeatMs: known(now + beatMs, now) }), now), process: known('gone', now) },
      seen,
      before,
      beatMs,
    );
  const first = look(starts(4), undefined, 0);
  const second = look(starts(5), first.mark, 15_000);
  assert.equal(second.duplicate, 'not_seen', 'its supervisor has started it meanwhile');
  const racing = look(starts(5, 6), second.mark, 30_000);
  assert.equal(racing.duplicate, 'not_seen', 'started while its tables were read');
  assert.equal(look(starts(5), second.mark, 30_000).duplicate, 'seen');
  // where nobody counts its starts it may have been either
  const unseen = look(starts(undefined), look(starts(undefined), undefined, 0).mark, 15_000);
  assert.equal(unseen.duplicate, 'unknown');
  assert.equal(look(starts(undefined), unseen.mark, 15_000).duplicate, 'not_seen', 'nothing was written since');
});

test('another writer: heartbeats while the process is gone, at two looks in a row; a position that goes back', () => {
  const look = (
    of: Partial<MaxwellPosition>,
    process: 'alive' | 'gone',
    before: WritersMark | undefined,
    atMs: number,
  ) => watchWriters({ position: known(position(of), now), process: known(process, now) }, starts(1), before, atMs);
  const beat = (ms: number): Partial<MaxwellPosition> => ({ heartbeatMs: known(now + ms, now) });
  const alive = look(beat(0), 'alive', undefined, 0);
  assert.deepEqual([alive.duplicate, alive.wentBack], ['not_seen', false]);
  const died = look(beat(10_000), 'gone', alive.mark, 15_000);
  assert.equal(died.duplicate, 'not_seen', 'it may have written that itself');
  const quiet = look(beat(10_000), 'gone', died.mark, 30_000);
  assert.equal(quiet.duplicate, 'not_seen');
  const foreign = look(beat(30_000), 'gone', quiet.mark, 45_000);
  assert.equal(foreign.duplicate, 'seen');
  const back = look({ ...beat(31_000), binlogPosition: 400 }, 'alive', foreign.mark, 60_000);
  assert.deepEqual([back.duplicate, back.wentBack], ['seen', true], 'remembered for a while');
  const later = look({ ...beat(99_000), binlogPosition: 700 }, 'alive', back.mark, 200_000);
  assert.deepEqual([later.duplicate, later.wentBack], ['not_seen', false]);
  const reset = look({ binlogFile: 'other.000001', binlogPosition: 4 }, 'alive', later.mark, 210_000);
  assert.equal(reset.wentBack, false, 'another series of files');
  const blind = watchWriters({ position: unknown('denied'), process: unknown('dark') }, starts(1), reset.mark, 220_000);
  assert.deepEqual([blind.duplicate, blind.mark], ['unknown', reset.mark]);
});

test('layers: what cannot be seen is unknown, and an answer of its HTTP is no data', () => {
  const healthy = known('healthy' as const, now);
  const failed = known('failed' as const, now);
  const none = unknown('http is not configured');
  const of = layersOf(known('alive', now), { port: healthy, function: failed }, { state: 'stalled' });
  assert.deepEqual(of, { process: 'healthy', port: 'healthy', function: 'failed', data_flow: 'failed' });
  const dark = layersOf(unknown('dark'), { port: none, function: none }, { state: 'unknown' });
  assert.deepEqual(dark, { process: 'unknown', port: 'unknown', function: 'unknown', data_flow: 'unknown' });
  const gone = layersOf(known('gone', now), { port: failed, function: failed }, { state: 'position_lost' });
  assert.deepEqual(gone, { process: 'failed', port: 'failed', function: 'failed', data_flow: 'failed' });
  assert.equal(layersOf(none, { port: none, function: none }, { state: 'running' }).data_flow, 'healthy');
});
