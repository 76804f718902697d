// Runs: begun after a claim, taken up again after a crash, each conducted to its end under its own lease.
import { z } from 'zod';
import { until } from '../exporter/runtime/deadline.ts';
import { messageOf } from '../exporter/runtime/errors.ts';
import type { Log } from '../exporter/runtime/log.ts';
import type { Action, Step } from './action.ts';
import { hashOf } from './canonical.ts';
import type { LedgerClock } from './clock.ts';
import type { EvidencePlace } from './evidence.ts';
import { alertIsActive } from './guards/alert.ts';
import { close } from './limited.ts';
import type { Json, Run } from './model.ts';
import { conduct, frozenFacts } from './runner/conduct.ts';
import { Abandoned, type Ending, type RunContext } from './runner/context.ts';
import { takeLock } from './runner/fence.ts';
import { entryOf, mutated, phaseOf } from './runner/journal.ts';
import { keepLease, leaseTiming, type LeaseTiming } from './runner/lease.ts';
import { obstacleOf, type Restraints } from './runner/obstacle.ts';
import { allSteps } from './runner/looks.ts';
import { StoreError, type Hold, type Store } from './store/store.ts';

export interface RunnerDeps<W> extends Restraints {
  readonly store: Store;
  readonly clock: LedgerClock;
  readonly log: Log;
  readonly holder: string;
  readonly actions: readonly Action<W>[];
  readonly world: W;
  readonly evidenceDir: string;
  /** For tests: where the files go. */
  readonly evidencePlace?: EvidencePlace;
  readonly alertFreshMs: number;
  /** Told of every end; must not throw. */
  readonly ended: (run: Run, end: Ending, durationSeconds: number) => Promise<void>;
  readonly lease?: LeaseTiming;
  /** How long one reading of the facts may take. */
  readonly lookMs?: number;
}

export interface Runner {
  /** Conducts a claimed run in the background. */
  readonly begin: (run: Run, hold: Hold, evidenceHash: string | undefined) => void;
  /** Takes up every active run that nobody conducts. Never repeats a call blindly. */
  readonly resume: () => Promise<void>;
  /** Something is being changed: no other run may begin. A run in its soak is not counted. */
  readonly busy: () => boolean;
  /** Waits until every run has come to a point where it may be left, or the signal aborts. */
  readonly drain: (signal: AbortSignal) => Promise<void>;
  /** Resolves when no run is conducted here. */
  readonly idle: () => Promise<void>;
}

const longestLookMs = 20_000;
const resumePauseMs = 5_000;
/** After a run that changed nothing: long enough not to spin. */
const nothingDoneCooldownMs = 15_000;

/** What a run is bound to: the same steps in the same order with the same limits, and the same parameters. */
export function planHash(action: string, steps: readonly Step<unknown>[], params: Json): string {
  return hashOf({
    action,
    params,
    steps: allSteps(steps).map(({ name, fencing, deadlineMs, settleMs, maxAttempts, safePointAfter }) => ({
      name,
      fencing,
      deadlineMs,
      settleMs,
      maxAttempts,
      safePointAfter,
    })),
  });
}

export function createRunner<W>(deps: RunnerDeps<W>): Runner {
  const { store, clock, log, holder } = deps;
  const timing = deps.lease ?? leaseTiming(clock);
  const lookMs = deps.lookMs ?? longestLookMs;
  const conducted = new Map<string, { readonly done: Promise<void>; soaking: () => boolean }>();
  const notBefore = new Map<string, number>();
  const draining = new AbortController();

  const begin = (run: Run, hold: Hold, evidenceHash: string | undefined): void => {
    const state: { ctx?: RunContext<W> } = {};
    const done = life(run, hold, evidenceHash, state)
      .catch((error: unknown) => {
        // left open; taken up again by `resume`
        notBefore.set(run.id, clock.monoMs() + resumePauseMs);
        log[error instanceof Abandoned ? 'info' : 'error']({ run: run.id, error: messageOf(error) }, 'run left open');
      })
      .finally(() => conducted.delete(run.id));
    conducted.set(run.id, {
      done,
      soaking: () => state.ctx !== undefined && entryOf(state.ctx.entries, 'soak') !== undefined,
    });
  };

  const life = async (
    run: Run,
    hold: Hold,
    evidenceHash: string | undefined,
    state: { ctx?: RunContext<W> },
  ): Promise<void> => {
    const read = policyOf(run.policy);
    const policy = 'fault' in read ? unreadablePolicy : read;
    const lease = keepLease(store, hold, timing, log);
    try {
      const action = deps.actions.find((a) => a.name === run.action);
      const entries = [...(await store.journalOf(run.id))];
      if ('fault' in read) {
        const changed = mutated(entries);
        await finish(run, hold, policy, changed, unconductable(read.fault, changed));
        return;
      }
      if (action === undefined) {
        const changed = mutated(entries);
        await finish(run, hold, policy, changed, unconductable(`there is no action ${run.action} any more`, changed));
        return;
      }
      const steps = stepsOf(action, run);
      if ('fault' in steps) {
        const changed = mutated(entries);
        await finish(run, hold, policy, changed, unconductable(steps.fault, changed));
        return;
      }
      const ctx: RunContext<W> = {
        run,
        hold,
        action,
        steps,
        world: deps.world,
        store,
        clock,
        lease,
        log,
        entries,
        draining: draining.signal,
        samePlan: planHash(action.name, steps, run.params) === run.planHash,
        byItself: !run.actor.startsWith('human:'),
        obstacle: () => obstacleOf(ctx, policy.name, deps),
        withdrawn: () => withdrawn(run),
        lock: undefined,
      };
      state.ctx = ctx;
      try {
        const end = await conductOrJudge(ctx, policy, evidenceHash);
        await finish(run, hold, policy, mutated(ctx.entries), end);
      } finally {
        await close(ctx.lock, 'the lock', log);
      }
    } finally {
      lease.end();
    }
  };

  /** A fault of our own must not leave the run to be tried again and again: what the journal says decides how it ends. */
  const conductOrJudge = async (
    ctx: RunContext<W>,
    policy: FrozenPolicy,
    evidenceHash: string | undefined,
  ): Promise<Ending> => {
    try {
      const tooLong = allSteps(ctx.steps).find(
        (s) => s.apply !== undefined && s.deadlineMs + timing.marginMs >= timing.ttlMs,
      );
      if (tooLong !== undefined) throw new Error(`step ${tooLong.name} takes longer than a lease lasts`);
      if (frozenFacts(ctx) !== undefined) await takeLock(ctx, lookMs); // without it: see obstacle.ts
      const { evidenceDir, evidencePlace } = deps;
      return await conduct(ctx, { soakMs: policy.soakMs, evidenceDir, evidencePlace, lookMs, evidenceHash });
    } catch (error) {
      if (error instanceof Abandoned || error instanceof StoreError || ctx.lease.lost.aborted) throw error;
      const because = `a fault of this program: ${messageOf(error)}`;
      log.error({ run: ctx.run.id, error }, 'run failed by a fault of this program');
      const open = allSteps(ctx.steps).find((s) => phaseOf(ctx.entries, s.name).is === 'open');
      if (open !== undefined) return { outcome: 'outcome_unknown', because, latch: `${open.name}: ${because}` };
      return mutated(ctx.entries) ? { outcome: 'failed', because, latch: because } : { outcome: 'refused', because };
    }
  };

  const withdrawn = async (run: Run): Promise<string | undefined> => {
    const episode = await store.episode(run.episodeId);
    if (episode?.state !== 'open') return 'the episode is closed';
    const verdict = alertIsActive(episode, clock.nowMs(), deps.alertFreshMs);
    return verdict.is === 'allow' ? undefined : verdict.because;
  };

  const finish = async (run: Run, hold: Hold, policy: FrozenPolicy, changed: boolean, end: Ending): Promise<void> => {
    const { cooldownMs } = policy.pace;
    const before = await store.runsOf({ episodeId: run.episodeId, limit: 100 });
    // Nothing was done, so soon again; but what is refused again and again does not pass by itself.
    const isFirst = !before.some((r) => r.id !== run.id && r.outcome === 'refused');
    await store.endRun(
      hold,
      { ...end, cooldownMs: changed || !isFirst ? cooldownMs : Math.min(cooldownMs, nothingDoneCooldownMs) },
      clock.nowMs,
    );
    log.info({ run: run.id, target: run.target, outcome: end.outcome, because: end.because }, 'run ended');
    await deps.ended((await store.run(run.id)) ?? run, end, (clock.nowMs() - run.claimedMs) / 1000);
  };

  const resume = async (): Promise<void> => {
    if (draining.signal.aborted) return;
    for (const run of await store.activeRuns()) {
      if (conducted.has(run.id) || clock.monoMs() < (notBefore.get(run.id) ?? -Infinity)) continue;
      const hold = await store.adopt(run.id, holder, timing.ttlMs, clock.nowMs, longestCallMs(run));
      if (hold === undefined) {
        notBefore.set(run.id, clock.monoMs() + 1_000);
        continue;
      }
      log.warn({ run: run.id, target: run.target, fence: hold.fence }, 'run taken up again');
      const decided = (await store.decisionsOf(run.episodeId)).find((d) => d.id === run.decisionId);
      begin(run, hold, decided?.evidenceHash);
    }
  };

  /** A holder that hung may still be within a call that it began with its last lease. */
  const longestCallMs = (run: Run): number => {
    const action = deps.actions.find((a) => a.name === run.action);
    if (action === undefined) return 0;
    const steps = stepsOf(action, run);
    if ('fault' in steps) return timing.ttlMs; // no call is longer than a lease lasts, see conductOrJudge
    return Math.max(0, ...allSteps(steps).flatMap((s) => (s.apply === undefined ? [] : [s.deadlineMs])));
  };

  /** They throw for parameters that an earlier version of the action has taken. */
  const stepsOf = (action: Action<W>, run: Run): readonly Step<unknown>[] | { readonly fault: string } => {
    try {
      return action.steps(run.target, run.params, deps.world);
    } catch (error) {
      return { fault: `the steps of ${action.name} cannot be told: ${messageOf(error)}` };
    }
  };

  const idle = async (): Promise<void> => {
    while (conducted.size > 0) await Promise.all([...conducted.values()].map((c) => c.done));
  };

  return {
    begin,
    resume,
    idle,
    busy: () => [...conducted.values()].some((c) => !c.soaking()),
    drain: async (signal) => {
      draining.abort(new Error('the program ends'));
      await until(signal, 'runs', idle()).catch(() => undefined); // what is left is taken up after the next start
    },
  };
}

function unconductable(because: string, changed: boolean): Ending {
  return changed ? { outcome: 'outcome_unknown', because, latch: because } : { outcome: 'refused', because };
}

const frozenPolicy = z.object({
  name: z.string(),
  soakMs: z.number(),
  pace: z.object({ cooldownMs: z.number() }),
});
type FrozenPolicy = z.output<typeof frozenPolicy>;

/** Of a run whose own policy cannot be read: nothing of it is done again soon. */
const unreadablePolicy: FrozenPolicy = { name: '', soakMs: 0, pace: { cooldownMs: 3_600_000 } };

/** As it was at the claim. Later edits stop a run, they do not change how it is conducted. */
function policyOf(stored: Json): FrozenPolicy | { readonly fault: string } {
  const read = frozenPolicy.safeParse(stored);
  if (read.success) return read.data;
  return { fault: `the policy that it was claimed by cannot be read: ${z.prettifyError(read.error)}` };
}

export type { Ending } from './runner/context.ts';
