import { z } from 'zod';
import { collectorOf, type CollectorCall } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { durationMs } from '../../fields.ts';
import { unknown, type Known } from '../../runtime/known.ts';
import { transactionsFact, type Transactions } from '../mysql/facts-activity.ts';
import { lookInBackground, type ReadinessMemory } from './background-readiness.ts';
import { mainTypeOf } from './address.ts';
import type { BackupClient } from './client.ts';
import { growingOf, GrowthMemory } from './facts-growth.ts';
import {
  accountUnknown,
  finding,
  inodesFinding,
  lockWaitsFinding,
  lookAsAccount,
  neededBytes,
  readRoom,
  spaceFinding,
  transactionsFinding,
  type AccountLook,
  type ReadyFinding,
} from './facts-readiness.ts';
import { readinessFamilies, readyChecks, readyStates } from './families-readiness.ts';

export const readinessConfig = z.strictObject({
  /** The largest of the last full backups times this must be free. */
  space_factor: z.number().min(1).default(1.5),
  /** A transaction that is open for longer would hold up the lock of a backup. */
  long_transaction: durationMs.default(60_000),
  /** Databases that are backed up: the account's grants are looked at for each; without them, any will do. */
  databases: z.array(z.string().min(1)).default([]),
  /** How often the account's login and grants are looked at. */
  every: durationMs.default(600_000),
});

interface State extends ReadinessMemory {
  readonly growth: GrowthMemory;
}

const peerWaitMs = 1_000;
/** A look that is put off by so much beyond its time is none any more. */
const staleMs = 60_000;

export const backupReady = collectorOf<BackupClient>()({
  name: 'backup_ready',
  help: 'Whether the next backup has what it needs: room, grants of its account, no long transaction and no lock wait on the source.',
  keeps: 'how files grew, and what the last look beside the scrapes found',
  config: readinessConfig,
  families: readinessFamilies,
  state: (): State => ({ growth: new GrowthMemory(), account: undefined }),
  async collect({ client, config, emit, call, state }) {
    const files = await client.list(call);
    const growing = growingOf(files, state.growth, call);
    const room = await readRoom(client, call);
    const needed = neededBytes(
      files.filter((f) => !growing.has(f.inode)),
      config.space_factor,
      mainTypeOf(client.address),
    );
    emit.free(room.freeBytes);
    if (needed !== undefined) emit.needed(needed);
    if (room.inodes > 0) emit.inodes(room.freeInodes);
    for (const its of [
      spaceFinding(room, needed),
      inodesFinding(room),
      ...(await accountOf(client, config, state, call)),
      ...(await activityOf(client, config.long_transaction / 1000, call)),
    ]) {
      emitFinding(emit, its);
    }
  },
  background: ({ config: { every, databases }, state, work }) => lookInBackground({ everyMs: every, databases }, state, work), // prettier-ignore
  unknown({ emit, why }) {
    for (const check of readyChecks) emitFinding(emit, finding(check, 'unknown', why));
  },
});

/** Nothing runs beside an examination: it looks itself. */
async function accountOf(
  client: BackupClient,
  { databases, every }: z.output<typeof readinessConfig>,
  { account }: State,
  call: CollectorCall,
): Promise<AccountLook> {
  if (client.openSource === undefined || call.isExamination === true)
    return await lookAsAccount(client, databases, call);
  if (account === undefined) return accountUnknown('unknown', 'the account was not looked at yet');
  const ageMs = call.clock.monoMs() - account.atMonoMs;
  if (ageMs > 2 * every + staleMs)
    return accountUnknown('unknown', `the last look at the account is ${Math.floor(ageMs / 1000)} s old`);
  return account.look;
}

async function activityOf(
  { address: { source } }: BackupClient,
  longSeconds: number,
  { peers }: CollectorCall,
): Promise<readonly ReadyFinding[]> {
  if (source === undefined) {
    const why = 'the inventory names no source';
    return [finding('transactions', 'not_configured', why), finding('lock_waits', 'not_configured', why)];
  }
  const transactions: Known<Transactions> =
    (await peers?.fact(source, transactionsFact, peerWaitMs)) ?? unknown(`${source} is not looked at here`);
  return [transactionsFinding(transactions, longSeconds), lockWaitsFinding(transactions)];
}

function emitFinding(emit: Emit<typeof readinessFamilies>, { check, state: its }: ReadyFinding): void {
  emitState((value, state) => { emit.state(value, { check, state }); }, readyStates, its); // prettier-ignore
  if (its === 'ready' || its === 'not_ready') emit.ready(its === 'ready' ? 1 : 0, { check });
}
