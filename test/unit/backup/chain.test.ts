// Chains of backups and archived binary logs, and up to which moment one can come back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unknown, type Known } from '../../../exporter/runtime/known.ts';
import type { BackupFile } from '../../../exporter/systems/backup/client.ts';
import type { BackupEvidence } from '../../../exporter/systems/backup/facts-backup.ts';
import { archiveChainOf, archiveOf, chainOf, linkOfCheckpoints, linkOfStatus, type Link } from '../../../exporter/systems/backup/facts-chain.ts'; // prettier-ignore
import type { BackupCoordinates } from '../../../exporter/systems/backup/facts-coordinates.ts';
import { fullPointOf, pitrOf, recoveryPointOf, type PitrInput } from '../../../exporter/systems/backup/facts-pitr.ts';
import type { BinlogAges } from '../../../exporter/systems/mysql/facts-binlog-history.ts';
import type { Binlogs } from '../../../exporter/systems/mysql/facts-binlogs.ts';

function file(name: string, rest: Partial<BackupFile> = {}): BackupFile {
  return { path: `/b/${name}`, name, type: 'full', isFolder: true, sizeBytes: 10, modifiedAtMs: 0, createdAtMs: undefined, inode: name, ...rest }; // prettier-ignore
}

/** `full 0-100 @1`: type, LSNs, and when. */
function links(...texts: readonly string[]): readonly Link[] {
  return texts
    .map((text) => {
      const [, kind = '', from = '', to = '', at = ''] = /^(\w+) (\d+)-(\d+) @(\d+)$/.exec(text) ?? [];
      const type = kind === 'full' ? ('full' as const) : ('incremental' as const);
      const checkpoints = `backup_type = ${kind}\nfrom_lsn = ${from}\nto_lsn = ${to}\nlast_lsn = ${to}\n`;
      return linkOfCheckpoints(file(text, { type, modifiedAtMs: Number(at) }), checkpoints);
    })
    .sort((a, b) => b.modifiedAtMs - a.modifiedAtMs);
}

const chains: readonly [string, readonly Link[], string, string, number | undefined, number][] = [
  ['full and two on top of it', links('full 0-100 @1', 'inc 100-150 @2', 'inc 150-200 @3'), 'valid', 'none', 2, 0],
  ['each on top of the full one', links('full 0-100 @1', 'inc 100-150 @2', 'inc 100-200 @3'), 'valid', 'none', 1, 0],
  ['a newer full one', links('full 0-100 @1', 'inc 100-150 @2', 'full 0-200 @3'), 'valid', 'none', 0, 0],
  ['the full one is deleted', links('inc 100-150 @2', 'inc 150-200 @3'), 'orphaned', 'full_deleted', undefined, 2],
  ['it is deleted, a later one is there', links('full 0-300 @1', 'inc 100-350 @2'), 'orphaned', 'full_deleted', undefined, 1], // prettier-ignore
  ['one in the middle is missing', links('full 0-100 @1', 'inc 150-200 @3'), 'broken', 'parent_missing', undefined, 1],
  ['old orphans, a sound chain', links('inc 5-9 @1', 'full 0-100 @2', 'inc 100-120 @3'), 'valid', 'none', 1, 1],
  ['nothing was written in between', links('full 0-100 @1', 'inc 100-100 @2', 'inc 100-100 @3'), 'valid', 'none', 1, 0],
  ['nothing at all', [], 'unknown', 'no_backup', undefined, 0],
];
for (const [what, given, state, reason, length, orphans] of chains) {
  test(`chain: ${what}: ${state}`, () => {
    const chain = chainOf(given);
    assert.deepEqual(
      [chain.state, chain.reason, chain.length, chain.orphans?.length],
      [state, reason, length, orphans],
    );
  });
}

test('chain: when it is broken, the newest that can be restored is that of before', () => {
  const chain = chainOf(links('full 0-100 @1', 'inc 100-150 @2', 'inc 170-200 @3'));
  assert.equal(chain.newest?.to, 150);
});

test('chain: streams tell no LSN: unknown, and orphans are known only without any full one', () => {
  const stream = (name: string, type: 'full' | 'incremental', modifiedAtMs: number): Link =>
    linkOfCheckpoints(file(name, { type, modifiedAtMs }), undefined);
  const chain = chainOf([stream('inc', 'incremental', 2), stream('full', 'full', 1)]);
  assert.deepEqual([chain.state, chain.reason, chain.orphans], ['unknown', 'no_lsn', undefined]);
  assert.deepEqual(chainOf([stream('inc', 'incremental', 2)]).orphans, ['inc']);
});

test('chain: status files name id and parent', () => {
  const status = (fields: object): string =>
    JSON.stringify({ started: 1, finished: 2, exit_code: 0, bytes: 5, ...fields });
  const full = linkOfStatus(file('f', { modifiedAtMs: 1 }), status({ id: 'a' }));
  const inc = linkOfStatus(file('i', { modifiedAtMs: 2, type: 'incremental' }), status({ id: 'b', parent: 'a' }));
  const other = linkOfStatus(file('j', { modifiedAtMs: 3, type: 'incremental' }), status({ parent: 'z' }));
  assert.equal(chainOf([inc, full]).state, 'valid');
  assert.equal(chainOf([other, inc, full]).state, 'broken');
  assert.equal(
    chainOf([linkOfStatus(file('k', { modifiedAtMs: 4, type: 'incremental' }), '{'), full]).reason,
    'no_lsn',
  );
});

function logs(...names: readonly string[]): readonly BackupFile[] {
  return names
    .map((name, i) => file(name, { type: 'binlog', isFolder: false, modifiedAtMs: i * 1000, sizeBytes: 500 }))
    .reverse();
}

function stands(position: BackupCoordinates['position'], gtid?: string): BackupCoordinates {
  return { name: 'dump', type: 'full', position, gtid, atMs: 0, from: 'header' };
}
const at = (name: string, position = 100): BackupCoordinates => stands({ file: name, position });

test('archive: numbers, compressed or not; 999999 is followed by 1000000; the newest name decides', () => {
  const archive = archiveOf(logs('old.000001', 'bin.999998.gz', 'bin.999999.zst', 'bin.1000000'));
  assert.deepEqual([archive?.base, archive?.oldest, archive?.newest, archive?.missing], ['bin', 999998, 1000000, 0]);
  assert.equal(archiveOf(logs('bin.000001', 'bin.000004'))?.missing, 2);
  assert.equal(archiveOf(logs('notes.txt')), undefined);
});

const archives: readonly [string, readonly string[], BackupCoordinates | undefined | null, string, string][] = [
  ['by itself', ['b.000001', 'b.000002'], null, 'valid', 'none'],
  ['by itself with a hole', ['b.000001', 'b.000003'], null, 'broken', 'gap'],
  ['goes on from the backup', ['b.000001', 'b.000002', 'b.000003'], at('b.000002'), 'valid', 'none'],
  ['a hole before the backup does not matter', ['b.000001', 'b.000003', 'b.000004'], at('b.000003'), 'valid', 'none'],
  ['a hole after it does', ['b.000001', 'b.000002', 'b.000004'], at('b.000002'), 'broken', 'gap'],
  ['the backup’s own log is the hole', ['b.000001', 'b.000003'], at('b.000002'), 'broken', 'gap'],
  ['begins after the backup', ['b.000005', 'b.000006'], at('b.000004'), 'broken', 'starts_later'],
  ['nothing archived since', ['b.000001', 'b.000002'], at('b.000003'), 'valid', 'none'],
  ['logs of another server', ['c.000001'], at('b.000001'), 'unknown', 'other_series'],
  ['no position', ['b.000001'], stands(undefined, '0-1-5'), 'unknown', 'no_position'],
  ['no backup', ['b.000001'], undefined, 'unknown', 'no_position'],
  ['empty', [], at('b.000001'), 'unknown', 'no_backup'],
];
for (const [what, names, full, state, reason] of archives) {
  test(`archive: ${what}: ${state}`, () => {
    const chain = archiveChainOf(archiveOf(logs(...names)), full);
    assert.deepEqual([chain.state, chain.reason], [state, reason]);
  });
}

function source(oldest: number, newest: number, position = 700): Binlogs {
  const files = Array.from({ length: newest - oldest + 1 }, (_, i) => {
    const number = oldest + i;
    return { name: `b.${String(number).padStart(6, '0')}`, number, sizeBytes: number === newest ? position : 1000 };
  });
  return { files, current: { file: files.at(-1)?.name ?? '', position } };
}

const pitrs: readonly [string, Partial<PitrInput>, string, string, number | undefined][] = [
  ['the source reaches back', { source: known(source(3, 9), 0) }, 'ok', 'none', 0],
  ['just so', { source: known(source(5, 9), 0) }, 'ok', 'none', 0],
  ['purged past the coordinates', { source: known(source(8, 9), 0) }, 'lost', 'purged', 3],
  ['purged, the archive has the rest', { source: known(source(8, 9), 0), archive: known(archiveOf(logs('b.000005', 'b.000006', 'b.000007')), 0) }, 'ok', 'none', 0], // prettier-ignore
  ['purged, the archive has a hole', { source: known(source(8, 9), 0), archive: known(archiveOf(logs('b.000005', 'b.000007')), 0) }, 'lost', 'archive_broken', 1], // prettier-ignore
  ['purged, an empty archive', { source: known(source(8, 9), 0), archive: known(undefined, 0) }, 'lost', 'purged', 3],
  ['purged, the archive cannot be seen', { source: known(source(8, 9), 0), archive: unknown('no') }, 'unknown', 'unknown', undefined], // prettier-ignore
  ['the source was reset', { source: known(source(1, 2), 0) }, 'lost', 'source_behind', undefined],
  ['the log of the backup ends before it: another server', { source: known(source(5, 5, 50), 0) }, 'lost', 'source_behind', undefined], // prettier-ignore
  ['no binary logs', { source: known({ files: [], current: undefined }, 0) }, 'unknown', 'no_binlog', undefined],
  ['the source is away', { source: unknown('down') }, 'unknown', 'unknown', undefined],
  ['no backup', { full: unknown('none'), source: known(source(3, 9), 0) }, 'unknown', 'no_backup', undefined],
  ['GTID only', { full: known(stands(undefined, 'x:1-5'), 0), source: known(source(3, 9), 0) }, 'unknown', 'no_position', undefined], // prettier-ignore
  ['nothing is configured', {}, 'not_configured', 'none', undefined],
  ['an archive alone', { archive: known(archiveOf(logs('b.000005', 'b.000006')), 0) }, 'ok', 'none', 0],
  ['an archive alone, with a hole', { archive: known(archiveOf(logs('b.000005', 'b.000007')), 0) }, 'lost', 'archive_broken', 1], // prettier-ignore
];
for (const [what, given, state, reason, gap] of pitrs) {
  test(`point in time: ${what}: ${state}`, () => {
    const input = { full: known(at('b.000005'), 0), source: undefined, archive: undefined, ...given };
    const pitr = pitrOf(input);
    assert.deepEqual([pitr.state, pitr.reason, pitr.gapFiles], [state, reason, gap]);
  });
}

test('point in time: how many logs the source may still purge', () => {
  const pitr = pitrOf({ full: known(at('b.000005'), 0), source: known(source(3, 9), 0), archive: undefined });
  assert.equal(pitr.headroomFiles, 2);
});

const noAges = unknown('none');
const nowMs = 1_000_000;
const base = { full: known(at('b.000005'), 0), source: undefined, archive: undefined, fullAtMs: known(100_000, 0), incrementalAtMs: undefined, ages: noAges, nowMs }; // prettier-ignore

test('what would be lost: since the full backup, the incremental one, the archive', () => {
  assert.deepEqual(pick(recoveryPointOf(base)), ['full', 900]);
  assert.deepEqual(pick(recoveryPointOf({ ...base, incrementalAtMs: 400_000 })), ['incremental', 600]);
  const newest = file('b.000006', { type: 'binlog', modifiedAtMs: 700_000, sizeBytes: 500 });
  const archive = known(archiveOf([newest, ...logs('b.000005')]), 0);
  assert.deepEqual(pick(recoveryPointOf({ ...base, incrementalAtMs: 400_000, archive })), ['archive', 300]);
  const holed = known(archiveOf([{ ...newest, name: 'b.000007' }, ...logs('b.000005')]), 0);
  assert.deepEqual(pick(recoveryPointOf({ ...base, archive: holed })), ['full', 900]);
});

test('what would be lost: nothing has been written on the source since', () => {
  const archive = known(archiveOf(logs('b.000005')), 0);
  const ages = (place: { file: string; position: number }, most: number | undefined): BinlogAges => ({
    serverId: 1,
    serverUuid: undefined,
    ageOf: (asked) => {
      assert.deepEqual(asked, place);
      return known({ least: 0, most, estimate: 5 }, 0);
    },
  });
  const plain = { ...base, full: known(stands(undefined), 0), archive: undefined };
  assert.deepEqual(pick(recoveryPointOf({ ...plain, ages: known(ages({ file: '', position: 0 }, 1), 0) })), [
    'full',
    900,
  ]);
  const full = { ...base, archive: undefined };
  assert.deepEqual(pick(recoveryPointOf({ ...full, ages: known(ages({ file: 'b.000005', position: 100 }, 15), 0) })), ['full', 5]); // prettier-ignore
  assert.deepEqual(pick(recoveryPointOf({ ...full, ages: known(ages({ file: 'b.000005', position: 100 }, undefined), 0) })), ['full', 900], 'older than what was seen'); // prettier-ignore
  const asked: unknown[] = [];
  const any = { serverId: 1, serverUuid: undefined, ageOf: (place: unknown) => (asked.push(place), unknown('no')) };
  recoveryPointOf({ ...base, archive, ages: known(any, 0) });
  assert.deepEqual(asked[1], { file: 'b.000005', position: 500 }, 'the end of the archive');
});

test('what would be lost: a time in the future does not say that nothing would', () => {
  const ahead = file('b.000006', { type: 'binlog', modifiedAtMs: nowMs + 3_600_000, sizeBytes: 500 });
  const archive = known(archiveOf([ahead, ...logs('b.000005')]), 0);
  assert.deepEqual(pick(recoveryPointOf({ ...base, archive })), ['full', 900]);
  assert.deepEqual(pick(recoveryPointOf({ ...base, incrementalAtMs: nowMs + 3_600_000 })), ['full', 900]);
  assert.deepEqual(pick(recoveryPointOf({ ...base, fullAtMs: known(nowMs + 3_600_000, 0) })), ['unknown', undefined]);
});

test('what would be lost: everything without a backup; unknown when the backups are', () => {
  assert.deepEqual(pick(recoveryPointOf({ ...base, fullAtMs: known(undefined, 0) })), ['none', undefined]);
  assert.deepEqual(pick(recoveryPointOf({ ...base, fullAtMs: unknown('no') })), ['unknown', undefined]);
});

test('a backup that was not read yet, or cannot be, is not the same as none', () => {
  const complete = file('new');
  const of = (lastSuccess: object | undefined, ...verdicts: readonly Known<object>[]): Known<number | undefined> => {
    const finished = verdicts.map((verdict) => ({ file: complete, verdict }));
    return fullPointOf(known({ lastSuccess, finished } as unknown as BackupEvidence, 0));
  };
  const bad = known({ class: 'truncated' }, 0);
  assert.deepEqual(of(undefined), known(undefined, 0));
  assert.deepEqual(of(undefined, bad), known(undefined, 0));
  assert.deepEqual(of(undefined, bad, unknown('it waits to be read')), unknown('new: it waits to be read'));
  const older = { completedAtMs: 9_000, durationSeconds: known(2, 0) };
  assert.deepEqual(of(older, unknown('it waits to be read')), known(7_000, 0), 'an older one that is known to be good');
  assert.deepEqual(fullPointOf(unknown('no')), unknown('no'));
});

function pick({ state, ageSeconds }: { state: string; ageSeconds: number | undefined }): [string, number | undefined] {
  return [state, ageSeconds];
}
