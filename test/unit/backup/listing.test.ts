// What names, sizes and times of a folder of backups tell: band, interval, what is being written, links, clocks.
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemClock, type Clock } from '../../../exporter/runtime/clock.ts';
import { backupAddress, maxAgeMsOf } from '../../../exporter/systems/backup/address.ts';
import { openBackup, type BackupSurvey } from '../../../exporter/systems/backup/client.ts';
import { median } from '../../../exporter/systems/backup/facts-listing.ts';
import { backup } from '../../../exporter/systems/backup/index.ts';
import { WatchedTarget } from '../../support/watched-target.ts';

const full = { type: 'full' };
const hourMs = 3_600_000;

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-listing-'));
  t.after(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  return dir;
}

function put(path: string, bytes: number, hoursAgo: number): void {
  writeFileSync(path, Buffer.alloc(bytes, 1));
  aged(path, hoursAgo);
}

function aged(path: string, hoursAgo: number): void {
  const at = (Date.now() - hoursAgo * hourMs) / 1000;
  utimesSync(path, at, at);
}

/** Backups of these sizes, the last one an hour ago, an hour between them. */
function series(dir: string, sizes: readonly number[]): void {
  sizes.forEach((size, i) => {
    put(join(dir, `b-${i}.sql.gz`), size, sizes.length - i);
  });
}

function watch(
  t: TestContext,
  directory: string,
  { clock = systemClock, options = {}, ...address }: { clock?: Clock; options?: object; tool?: string; [key: string]: unknown } = {}, // prettier-ignore
): WatchedTarget {
  const target = new WatchedTarget(
    backup,
    {
      address: { directory, pattern: 'b-*', ...address },
      collectors: { backup_files: false, backup_listing: options },
    },
    clock,
  );
  t.after(async () => {
    await target[Symbol.asyncDispose]();
  });
  return target;
}

async function survey(directory: string, rest: object): Promise<BackupSurvey> {
  const address = backupAddress.parse({ directory, pattern: 'b-*', ...rest });
  const client = openBackup({
    target: 't',
    address,
    auth: undefined,
    tls: undefined,
    resolve: () => {
      throw new Error('none');
    },
  });
  return await client.survey({ signal: AbortSignal.timeout(5000), clock: systemClock });
}

const bands: readonly [string, readonly number[], string, number | undefined][] = [
  ['like the ones before', [100, 110, 90, 105], 'ok', 1.05],
  ['half of the median is an alarm', [100, 100, 100, 50], 'small', 0.5],
  ['just over half is not', [100, 100, 100, 51], 'ok', 0.51],
  ['twice the median', [100, 100, 100, 200], 'large', 2],
  ['one broken one before does not bend the band', [100, 1, 100, 100, 100, 100], 'ok', 1],
  ['empty ones before are no band', [0, 0, 100, 100, 40], 'unknown', undefined],
  ['too few', [100, 100, 10], 'unknown', undefined],
  ['empty is small, whatever was before', [0], 'small', undefined],
];
for (const [what, sizes, state, ratio] of bands) {
  test(`size: ${what}: ${state}`, async (t) => {
    const dir = folder(t);
    series(dir, sizes);
    const m = await watch(t, dir).measure();
    assert.equal(m.failure, undefined);
    assert.equal(m.state('backup_size_state', full), state);
    const found = m.value('backup_size_ratio', full);
    assert.equal(found === undefined ? undefined : Math.round(found * 100) / 100, ratio);
  });
}

test('size: a floor, and a band of one’s own', async (t) => {
  const dir = folder(t);
  series(dir, [100, 100, 100, 100]);
  assert.equal((await watch(t, dir, { options: { size_floor_bytes: 101 } }).measure()).state('backup_size_state', full), 'small'); // prettier-ignore
  series(dir, [100, 100, 100, 80]);
  assert.equal((await watch(t, dir, { options: { size_band: { below: 0.8 } } }).measure()).state('backup_size_state', full), 'small'); // prettier-ignore
});

test('an empty folder: nothing kept, nothing expected, and the states say that it is not known', async (t) => {
  const m = await watch(t, folder(t)).measure();
  assert.equal(m.value('backup_kept', full), 0);
  assert.equal(m.value('backup_oldest_timestamp_seconds', full), undefined);
  assert.equal(m.state('backup_size_state', full), 'unknown');
  assert.equal(m.state('backup_schedule_state', full), 'unknown');
  assert.equal(m.state('backup_writing_state', full), 'idle');
  assert.equal(m.state('backup_latest_link_state'), 'none');
  assert.equal(m.value('backup_max_age_seconds', full), 26 * 3600);
});

test('a folder that cannot be looked at: every state is unknown, and there is no number', async (t) => {
  const dir = join(folder(t), 'none');
  const m = await watch(t, dir).measure();
  assert.notEqual(m.failure, undefined);
  for (const name of ['size', 'schedule', 'writing']) assert.equal(m.state(`backup_${name}_state`, full), 'unknown');
  assert.equal(m.state('backup_latest_link_state'), 'unknown');
  assert.equal(m.value('backup_kept', full), undefined);
});

test('the next one is expected after the usual interval, and late half an interval after that', async (t) => {
  const dir = folder(t);
  series(dir, [1, 1, 1, 1, 1]);
  let laterMs = 0;
  const clock = { ...systemClock, wallMs: () => Date.now() + laterMs };
  const target = watch(t, dir, { clock });
  const m = await target.measure();
  assert.equal(m.state('backup_schedule_state', full), 'on_time');
  assert.ok(Math.abs((m.value('backup_interval_seconds', full) ?? 0) - 3600) < 5);
  assert.ok(Math.abs((m.value('backup_next_expected_timestamp_seconds', full) ?? 0) - Date.now() / 1000) < 5);
  laterMs = 0.6 * hourMs;
  assert.equal((await target.measure()).state('backup_schedule_state', full), 'late');
});

test('copies that all have one time tell no interval', async (t) => {
  const dir = folder(t);
  for (let i = 0; i < 5; i++) put(join(dir, `b-${i}`), 10, 3);
  const m = await watch(t, dir).measure();
  assert.equal(m.state('backup_schedule_state', full), 'unknown');
  assert.equal(m.value('backup_interval_seconds', full), undefined);
});

test('a growing file is not judged, and for how long it grows is told', async (t) => {
  const dir = folder(t);
  series(dir, [100, 100, 100, 100]);
  let laterMs = 0;
  const clock: Clock = { wallMs: () => Date.now() + laterMs, monoMs: () => performance.now() + laterMs };
  const target = watch(t, dir, { clock });
  const path = join(dir, 'b-9');
  writeFileSync(path, 'x');
  const before = Date.now() / 1000;
  for (let i = 0; i < 3; i++) {
    appendFileSync(path, 'x');
    const m = await target.measure();
    assert.equal(m.value('backup_growing_files', full), 1);
    assert.equal(m.state('backup_writing_state', full), 'writing');
    assert.equal(m.value('backup_kept', full), 4);
    assert.equal(m.state('backup_size_state', full), 'ok', 'of the newest finished one');
    assert.ok(Math.abs((m.value('backup_growing_since_timestamp_seconds', full) ?? 0) - before) < 5);
    laterMs += 60_000;
  }
  const m = await target.measure();
  assert.equal(m.value('backup_growing_files', full), 0);
  assert.equal(m.value('backup_kept', full), 5);
  assert.equal(m.state('backup_size_state', full), 'small');
});

test('temporary files: counted with age; one that is not written to any more is a dump that hangs', async (t) => {
  const dir = folder(t);
  for (const name of ['b-1.part', '.b-2', '.b-3.Xy12Ab', 'b-4.tmp']) put(join(dir, name), 5, 0);
  put(join(dir, 'other.part'), 5, 5);
  put(join(dir, '.b-9.swp'), 5, 0); // matches b-* without its dot
  const target = watch(t, dir);
  const busy = await target.measure();
  assert.equal(busy.value('backup_temporary_files', full), 5);
  assert.equal(busy.value('backup_kept', full), 0);
  assert.equal(busy.state('backup_writing_state', full), 'writing');
  aged(join(dir, 'b-1.part'), 2);
  const m = await target.measure();
  assert.equal(m.state('backup_writing_state', full), 'stalled');
  const idle = m.value('backup_temporary_idle_seconds', full) ?? 0;
  assert.ok(idle > 7190 && idle < 7300, String(idle));
  assert.ok((m.value('backup_temporary_age_seconds', full) ?? 0) >= idle - 1);
});

test('links: latest points to the newest, to an older one, to nothing', async (t) => {
  const dir = folder(t);
  series(dir, [100, 100]);
  const target = watch(t, dir);
  symlinkSync('b-1.sql.gz', join(dir, 'b-latest'));
  const m = await target.measure();
  assert.equal(m.state('backup_latest_link_state'), 'ok');
  assert.equal(m.value('backup_kept', full), 2, 'the link is no backup of its own');
  put(join(dir, 'b-2.sql.gz'), 100, 0.5);
  assert.equal((await target.measure()).state('backup_latest_link_state'), 'stale');
  rmSync(join(dir, 'b-1.sql.gz'));
  assert.equal((await target.measure()).state('backup_latest_link_state'), 'dangling');
});

test('a name that is a link: the file keeps its own name', async (t) => {
  const dir = folder(t);
  put(join(dir, 'b-1'), 10, 1);
  symlinkSync('b-1', join(dir, 'b-0-link'));
  symlinkSync('b-1', join(dir, 'b-9-link'));
  const { files } = await survey(dir, {});
  assert.deepEqual(files.map((f) => f.name), ['b-1']); // prettier-ignore
});

test('a clock that is ahead: the file counts as one of the future', async (t) => {
  const dir = folder(t);
  put(join(dir, 'b-1'), 10, -3);
  put(join(dir, 'b-2'), 10, 3);
  const m = await watch(t, dir).measure();
  assert.equal(m.value('backup_future_files', full), 1);
});

test('folders: size and time of what is in them; only for tools that make folders', async (t) => {
  const dir = folder(t);
  mkdirSync(join(dir, 'b-1', 'shop'), { recursive: true });
  put(join(dir, 'b-1', 'metadata'), 100, 2);
  put(join(dir, 'b-1', 'shop', 'orders.ibd'), 900, 3);
  aged(join(dir, 'b-1'), 5);
  const m = await watch(t, dir, { tool: 'mydumper' }).measure();
  assert.equal(m.value('backup_kept_bytes', full), 1000);
  const newest = m.value('backup_oldest_timestamp_seconds', full) ?? 0;
  assert.ok(Math.abs(Date.now() / 1000 - newest - 2 * 3600) < 60, 'the last write inside');
  assert.equal((await watch(t, dir).measure()).value('backup_kept', full), 0);
});

test('xtrabackup: folders say themselves that they are incremental, streams by their name', async (t) => {
  const dir = folder(t);
  for (const [name, type] of [
    ['b-1', 'full-backuped'],
    ['b-2', 'incremental'],
  ] as const) {
    // prettier-ignore
    mkdirSync(join(dir, name));
    put(join(dir, name, 'ibdata1'), 50, 1);
    writeFileSync(join(dir, name, 'xtrabackup_checkpoints'), `backup_type = ${type}\nfrom_lsn = 0\nto_lsn = 9\nlast_lsn = 9\n`); // prettier-ignore
    aged(join(dir, name, 'xtrabackup_checkpoints'), 1);
    aged(join(dir, name), 1);
  }
  put(join(dir, 'b-3-inc.xbstream'), 5, 0.5);
  const rest = { tool: 'xtrabackup', incremental: { pattern: 'b-*-inc.xbstream' } };
  const { files } = await survey(dir, rest);
  assert.deepEqual(
    files.map((f) => [f.name, f.type, f.isFolder]),
    [
      ['b-3-inc.xbstream', 'incremental', false],
      ['b-2', 'incremental', true],
      ['b-1', 'full', true],
    ],
  );
  const m = await watch(t, dir, rest).measure();
  assert.equal(m.value('backup_kept', { type: 'incremental' }), 2);
  assert.equal(m.value('backup_kept', full), 1);
  assert.equal(m.state('backup_size_state', { type: 'incremental' }), 'unknown', 'they have no usual size');
});

test('limits of age: one for every type, or one for each, or the usual ones', () => {
  const of = (max_age?: unknown): readonly number[] => {
    const address = backupAddress.parse({
      directory: '/b',
      pattern: '*',
      ...(max_age === undefined ? {} : { max_age }),
    });
    return (['full', 'incremental', 'binlog'] as const).map((type) => maxAgeMsOf(address, type) / 60_000);
  };
  assert.deepEqual(of(), [26 * 60, 120, 60]);
  assert.deepEqual(of('30m'), [30, 30, 30]);
  assert.deepEqual(of({ binlog: '15m' }), [26 * 60, 120, 15]);
});

test('median', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
});
