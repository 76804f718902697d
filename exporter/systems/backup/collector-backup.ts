import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { known, unknown } from '../../runtime/known.ts';
import type { BackupClient } from './client.ts';
import { backupFact, BackupMemory, readBackup } from './facts-backup.ts';
import { backupFamilies } from './families.ts';
import { backupStates, type BackupState } from './state.ts';

/** A dump by mysqldump has everything; incremental tools will have others. */
const type = 'full';

export const backupFiles = collectorOf<BackupClient>()({
  name: 'backup_files',
  help: 'Whether the newest backup is complete, and when the last complete one was made.',
  config: z.strictObject({}),
  families: backupFamilies,
  state: () => new BackupMemory(),
  async collect({ client, emit, call, state }) {
    const evidence = await readBackup(client, call, state);
    call.board.publish(call.target, backupFact, known(evidence, call.clock.wallMs()));
    emitBackupState(emit, evidence.state);
    emit.files(evidence.files, { type });
    if (evidence.newest !== undefined) emit.newestFile(evidence.newest.modifiedAtMs / 1000, { type });
    const { newestFinished, lastSuccess } = evidence;
    if (newestFinished !== undefined) {
      emit.lastSize(newestFinished.file.sizeBytes, { type });
      const { verdict } = newestFinished;
      if (verdict.known) emit.lastComplete(verdict.value.class === 'complete' ? 1 : 0, { type });
    }
    if (lastSuccess === undefined) return;
    emit.lastSuccess(lastSuccess.completedAtMs / 1000, { type });
    if (lastSuccess.durationSeconds.known) emit.lastDuration(lastSuccess.durationSeconds.value, { type });
  },
  unknown({ emit, call, why }) {
    call.board.publish(call.target, backupFact, unknown(why));
    emitBackupState(emit, 'unknown');
  },
});

function emitBackupState(emit: Emit<typeof backupFamilies>, state: BackupState): void {
  emitState(
    (value, of) => {
      emit.backupState(value, { type, state: of });
    },
    backupStates,
    state,
  );
}
