import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { absolutePath, durationMs } from '../../fields.ts';
import { loadRecord, restoreInBackground, type RestoreMemory } from './background-restore.ts';
import type { BackupClient } from './client.ts';
import type { RestoreRecord } from './facts-restore.ts';
import { restoreFamilies, restoreReasons, restoreStates, type RestoreReason, type RestoreState } from './families-restore.ts'; // prettier-ignore

const config = z.strictObject({
  every: durationMs.default(7 * 86_400_000),
  /** After one that did not end well. */
  retry_after: durationMs.default(6 * 3_600_000),
  /** A restore that takes longer has failed. */
  deadline: durationMs.default(12 * 3_600_000),
  /** The scratch server's data is put in a new folder in here, which is removed afterwards. */
  scratch_directory: absolutePath,
  /** Never taken by the scratch server. */
  keep_free_bytes: z.int().min(0).default(2_147_483_648),
  /** Of the release that would be restored to. */
  server: absolutePath.default('/usr/sbin/mariadbd'),
  client: absolutePath.default('/usr/bin/mariadb'),
  /** MySQL does without. */
  install: absolutePath.default('/usr/bin/mariadb-install-db'),
  /** `database.table`: what must be there, whatever the dump says. */
  expect_tables: z.array(z.string().regex(/^[^.]+\..+$/, 'database.table')).default([]),
  /** Fewer rows than this share of those of the restore before are an alarm. */
  rows_at_least: z.number().min(0).max(1).default(0.5),
  /** Where the results are kept over a restart; without them each restart would begin a restore. */
  state_file: absolutePath,
});

export const restoreTest = collectorOf<BackupClient>()({
  name: 'restore_test',
  help: 'Restores the newest complete dump into a server of its own, on schedule, and counts what came back.',
  keeps: 'the outcome of the last test restore; over a restart in its state_file',
  defaultOn: false,
  config,
  families: restoreFamilies,
  state: (): RestoreMemory => ({ record: undefined, isRunning: false, isUnsupported: false }),
  async collect({ config: { state_file: path }, client, emit, call, state }) {
    // Nothing runs beside an examination: what the exporter has kept is looked at.
    const kept = state.record ?? (call.isExamination === true ? await loadRecord(path, () => undefined) : undefined);
    emitRecord(emit, kept, state.isUnsupported || client.address.tool !== 'mysqldump');
    emit.running(state.isRunning ? 1 : 0);
  },
  background: ({ config: its, state, work }) =>
    restoreInBackground(
      {
        everyMs: its.every,
        retryAfterMs: its.retry_after,
        deadlineMs: its.deadline,
        programs: { server: its.server, client: its.client, install: its.install },
        scratchDirectory: its.scratch_directory,
        keepFreeBytes: its.keep_free_bytes,
        expectTables: its.expect_tables,
        rowsAtLeast: its.rows_at_least,
        stateFile: its.state_file,
        lookEveryMs: 1_000,
      },
      state,
      work,
    ),
  unknown({ emit, state }) {
    // What was found does not depend on whether the folder can be listed now.
    emitRecord(emit, state.record, state.isUnsupported);
  },
});

type EmitRestore = Emit<typeof restoreFamilies>;

function emitRecord(emit: EmitRestore, record: RestoreRecord | undefined, isUnsupported: boolean): void {
  emitStates(emit, ...stateOf(record, isUnsupported));
  const { last, good } = record ?? {};
  if (last !== undefined) emit.lastAttempt(last.beganAtMs / 1000);
  if (good === undefined) return;
  emit.lastSuccess(good.beganAtMs / 1000);
  emit.duration(good.durationSeconds);
  emit.backupAt(good.backupAtMs / 1000);
  emit.tables(good.tables);
  emit.rows(good.rows);
  if (good.rowsRatio !== undefined) emit.rowsRatio(good.rowsRatio);
}

function stateOf(record: RestoreRecord | undefined, isUnsupported: boolean): [RestoreState, RestoreReason] {
  if (isUnsupported) return ['unsupported', 'none'];
  if (record === undefined) return ['unknown', 'unknown'];
  if (record.last === undefined) return ['never', 'no_backup'];
  return [record.last.state, record.last.reason];
}

function emitStates(emit: EmitRestore, its: RestoreState, why: RestoreReason): void {
  emitState((value, state) => { emit.state(value, { state }); }, restoreStates, its); // prettier-ignore
  emitState((value, reason) => { emit.reason(value, { reason }); }, restoreReasons, why); // prettier-ignore
}
