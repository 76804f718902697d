import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState } from '../../families.ts';
import { durationMs } from '../../fields.ts';
import { known, unknown } from '../../runtime/known.ts';
import type { MysqlClient } from './client.ts';
import {
  readMetadataLockWaits,
  readSemiSync,
  readTransactions,
  semiSyncRoles,
  semiSyncStates,
  transactionsFact,
} from './facts-activity.ts';
import { activityFamilies, semiSyncFamilies } from './families-activity.ts';

const states = ['known', 'unknown'] as const;

export const activityCollector = collectorOf<MysqlClient>()({
  name: 'activity',
  help: 'Long transactions, waits for row locks and metadata locks.',
  config: z.strictObject({
    /** A transaction that is open for longer is counted as a long one. */
    long_after: durationMs.prefault('60s'),
  }),
  families: activityFamilies,
  state: () => undefined,
  async collect({ client, config, emit, call }) {
    const longSeconds = config.long_after / 1000;
    const transactions = await readTransactions(client, longSeconds, call);
    call.board.publish(call.target, transactionsFact, known(transactions, call.clock.wallMs()));
    const metadata = await readMetadataLockWaits(client, call);
    emit.limit(longSeconds);
    emit.open(transactions.open);
    emit.long(transactions.long);
    emit.oldest(transactions.oldestSeconds);
    emit.lockWaits(transactions.waiting);
    emit.longestWait(transactions.longestWaitSeconds);
    emit.metadataLockWaits(metadata.applier, { thread: 'applier' });
    emit.metadataLockWaits(metadata.client, { thread: 'client' });
    emitState(
      (value, state) => {
        emit.state(value, { state });
      },
      states,
      'known',
    );
  },
  unknown({ config, emit, call, why }) {
    call.board.publish(call.target, transactionsFact, unknown(why));
    emit.limit(config.long_after / 1000);
    emitState(
      (value, state) => {
        emit.state(value, { state });
      },
      states,
      'unknown',
    );
  },
});

export const semiSyncCollector = collectorOf<MysqlClient>()({
  name: 'semi_sync',
  help: 'Whether semi-synchronous replication does what it is set to do.',
  config: z.strictObject({}),
  families: semiSyncFamilies,
  state: () => undefined,
  async collect({ client, emit, call }) {
    const found = await readSemiSync(client, call);
    for (const role of semiSyncRoles) {
      emitState(
        (value, state) => {
          emit.state(value, { role, state });
        },
        semiSyncStates,
        found[role],
      );
    }
  },
  unknown({ emit }) {
    for (const role of semiSyncRoles) {
      emitState(
        (value, state) => {
          emit.state(value, { role, state });
        },
        semiSyncStates,
        'unknown',
      );
    }
  },
});
