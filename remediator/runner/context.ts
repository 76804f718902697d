import type { LedgerClock } from '../clock.ts';
import type { Log } from '../../exporter/runtime/log.ts';
import type { Action, Step, StepRun, VisibleLock } from '../action.ts';
import type { JournalEntry, Json, Run, RunOutcome } from '../model.ts';
import type { Hold, NewJournalEntry, Store } from '../store/store.ts';
import { memoOf } from './journal.ts';
import type { Lease } from './lease.ts';

/** What a run is conducted with. `entries` is the journal, as read and as written since. */
export interface RunContext<W> {
  readonly run: Run;
  readonly hold: Hold;
  readonly action: Action<W>;
  readonly steps: readonly Step<unknown>[];
  readonly world: W;
  readonly store: Store;
  readonly clock: LedgerClock;
  readonly lease: Lease;
  readonly log: Log;
  readonly entries: JournalEntry[];
  /** Aborts when the program is to end: the run stops where it can be gone on with later. */
  readonly draining: AbortSignal;
  /** Why nothing may be begun now: paused, mode lowered, out of time. Asked before every intent. */
  readonly obstacle: () => Promise<string | undefined>;
  /** Asked once, before the first intent: why the alert no longer permits to begin. */
  readonly withdrawn: () => Promise<string | undefined>;
  /** False when code or parameters are not those that the run was claimed with: then it is only looked at. */
  readonly samePlan: boolean;
  /** No person has allowed this run. */
  readonly byItself: boolean;
  lock: VisibleLock | undefined;
}

/** How a run ends. */
export interface Ending {
  readonly outcome: RunOutcome;
  readonly because: string;
  readonly latch?: string;
}

export type StepResult =
  | { readonly is: 'ok' }
  | { readonly is: 'failed'; readonly because: string; readonly never?: string }
  | { readonly is: 'over'; readonly end: Ending };

/** The run is left as it is: the journal says where, and whoever holds the lease next goes on from there. */
export class Abandoned extends Error {
  override name = 'Abandoned';
}

export function leaveIfLost(ctx: { readonly lease: Lease }): void {
  if (ctx.lease.lost.aborted) throw new Abandoned('the lease is lost', { cause: ctx.lease.lost.reason });
}

export async function append<W>(ctx: RunContext<W>, entry: NewJournalEntry): Promise<JournalEntry> {
  leaveIfLost(ctx);
  const written = await ctx.store.appendJournal(ctx.hold, entry, ctx.clock.nowMs);
  ctx.entries.push(written);
  return written;
}

export function stepRun<W>(
  ctx: RunContext<W>,
  step: string,
  before: unknown,
  attempt: number,
  signal: AbortSignal,
): StepRun<unknown> {
  return {
    before,
    memo: memoOf(ctx.entries),
    fence: ctx.hold.fence,
    runId: ctx.run.id,
    attempt,
    signal: AbortSignal.any([signal, ctx.lease.lost]),
    note: (message, data) => {
      ctx.log.info({ run: ctx.run.id, step, note: message, data }, 'run note');
    },
    lock: ctx.lock,
  };
}

/** What a probe, a result or a verification leaves in the journal. */
export function entryData(because: string, memo: Json | undefined, code?: string): Json {
  return { because, ...(code === undefined ? {} : { code }), ...(memo === undefined ? {} : { memo }) };
}
