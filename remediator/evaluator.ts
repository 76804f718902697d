// Open episodes, one at a time: look at the facts, ask the guards, keep the decision, tell people, or begin a run.
import { randomUUID } from 'node:crypto';
import type { Inventory } from '../exporter/config/inventory.ts';
import { within } from '../exporter/runtime/deadline.ts';
import { messageOf } from '../exporter/runtime/errors.ts';
import type { Log } from '../exporter/runtime/log.ts';
import type { Action, Look } from './action.ts';
import { asJson, hashOf } from './canonical.ts';
import type { LedgerClock } from './clock.ts';
import type { PlanInput, Policy } from './guard.ts';
import { failed, needsApproval, refused } from './escalate.ts';
import type { Decision, Episode, GuardResult } from './model.ts';
import { needsApprovalKey, plan, type Plan } from './planner.ts';
import { createRunner, planHash, type Runner } from './runner.ts';
import { leaseTtlMs } from './runner/lease.ts';
import type { Settings } from './settings.ts';
import type { Store } from './store/store.ts';
import { readSwitchFile, readSwitchStore } from './switch.ts';

/** What the evaluator itself asks of the world; each action asks for more. */
export interface Surroundings {
  /** Transitive upstreams of the target, each asked for a sign of life. Never throws for a target's fault. */
  readonly upstreams: (target: string, signal: AbortSignal) => Promise<PlanInput['upstreams']>;
}

export interface EvaluatorDeps<W extends Surroundings> {
  readonly store: Store;
  readonly inventory: Inventory;
  readonly policies: () => readonly Policy[];
  readonly settings: Pick<Settings, 'switchFile' | 'evidenceDir' | 'require'>;
  readonly actions: readonly Action<W>[];
  readonly world: W;
  readonly clock: LedgerClock;
  readonly log: Log;
  readonly metrics: {
    readonly decision: (guard: string, result: GuardResult['result']) => void;
    readonly run: (action: string, outcome: string, durationSeconds: number) => void;
  };
  readonly holder: string;
  /** For tests: how long the facts must have said the same. */
  readonly symptomMs?: number;
}

export interface Evaluator {
  /** Evaluates what is due; a call while one is under way does nothing. */
  readonly tick: () => Promise<void>;
  /** At start: takes up the runs that were left open, and makes every open episode due. */
  readonly resume: () => Promise<void>;
  readonly drain: (signal: AbortSignal) => Promise<void>;
  /** For tests: resolves when no run is conducted here. */
  readonly idle: () => Promise<void>;
}

/** Model 5: permission is an alert seen active this lately. */
export const alertFreshMs = 90_000;
const lookMs = 15_000;
const undecidedMs = 15_000;
const refusedMs = 60_000;
/** An unknown that lasts this long is told to people. */
const lastingMs = 60_000;

interface Symptom {
  readonly key: string;
  readonly sinceMonoMs: number;
  readonly looks: number;
}

interface Considered {
  readonly policy: Policy | undefined;
  readonly target: string | undefined;
  readonly look: Look<unknown> | undefined;
  readonly evidenceHash: string | undefined;
  readonly input: PlanInput;
}

export function createEvaluator<W extends Surroundings>(deps: EvaluatorDeps<W>): Evaluator {
  const { store, clock, log, inventory, actions, world } = deps;
  const minimumMs = deps.symptomMs ?? 3_000;
  const symptoms = new Map<string, Symptom>();
  let ticking = false;
  let draining = false;

  const runner: Runner = createRunner({
    store,
    clock,
    log,
    actions,
    world,
    alertFreshMs,
    holder: deps.holder,
    evidenceDir: deps.settings.evidenceDir,
    policies: deps.policies,
    paused: whyPaused,
    ended: async (run, end, durationSeconds) => {
      try {
        deps.metrics.run(run.action, end.outcome, durationSeconds);
        symptoms.delete(run.episodeId);
        const episode = await store.episode(run.episodeId);
        if (episode === undefined) return;
        await tellFailures(episode);
        await store.scheduleEval(episode.id, episode.nextEvalMs, clock.nowMs());
      } catch (error) {
        log.error({ run: run.id, error: messageOf(error) }, 'end of a run not told');
      }
    },
  });

  const readSwitches = async (): Promise<PlanInput['switches']> => ({
    ...(await readSwitchFile(deps.settings.switchFile)),
    ...readSwitchStore(await store.pauses(), clock.nowMs()),
  });

  /**
   * Of every run that people must hear of, told or not: the end of a run and its telling are two transactions, so a crash
   * or a full store may lie between. The outbox takes each only once. A run that was refused under its claim is told
   * from the second one on: the first may have met a passing trouble.
   */
  async function tellFailures(episode: Episode): Promise<void> {
    const runs = await store.runsOf({ episodeId: episode.id, limit: 100 });
    const refused = runs.filter((r) => r.outcome === 'refused');
    const bad = runs.filter(
      (r) => r.outcome === 'failed' || r.outcome === 'outcome_unknown' || r.outcome === 'overtaken',
    );
    const [newestRefused] = refused.toSorted((a, b) => b.claimedMs - a.claimedMs);
    for (const run of bad) await store.enqueue(failed(episode, run), clock.nowMs());
    if (refused.length === 2 && newestRefused !== undefined) {
      await store.enqueue(failed(episode, newestRefused), clock.nowMs());
    }
  }

  async function whyPaused(): Promise<string | undefined> {
    try {
      const { file, fileDetail, store: row, storeDetail } = await readSwitches();
      if (file !== 'clear') return `paused: ${fileDetail}`;
      return row === 'clear' ? undefined : `paused: ${storeDetail}`;
    } catch (error) {
      return `the switch cannot be read: ${messageOf(error)}`;
    }
  }

  const evaluate = async (episode: Episode): Promise<void> => {
    // taken by this evaluation: should it die, the episode is due again then
    const takenMs = clock.nowMs() + undecidedMs;
    if (!(await store.scheduleEval(episode.id, episode.nextEvalMs, takenMs))) return;
    const own = (await store.activeRuns()).find((r) => r.episodeId === episode.id);
    if (own !== undefined) return; // its run speaks for it
    let nextMs: number;
    try {
      await tellFailures(episode);
      const considered = await consider(episode);
      nextMs = await decide(episode, considered);
    } catch (error) {
      log.error({ episode: episode.id, error: messageOf(error) }, 'evaluation failed');
      await recordFault(episode, error);
      nextMs = undecidedMs;
    }
    await store.scheduleEval(episode.id, takenMs, clock.nowMs() + nextMs);
  };

  const consider = async (episode: Episode): Promise<Considered> => {
    const nowMs = clock.nowMs();
    const policies = deps.policies().filter((p) => Object.entries(p.match).every(([k, v]) => episode.labels[k] === v));
    const [policy] = policies;
    const candidates = candidatesOf(inventory, episode.labels);
    const [only] = candidates;
    const target = candidates.length === 1 && only?.by === 'target' ? only.name : undefined;
    const action = actions.find((a) => a.name === policy?.action);
    const fits = action !== undefined && only !== undefined && action.kinds.includes(only.kind);
    const signal = within(lookMs);
    const [look, upstreams] = await Promise.all([
      fits && policy !== undefined && target !== undefined
        ? action.look(target, policy.params, world, signal)
        : undefined,
      target === undefined ? [] : world.upstreams(target, signal),
    ]);
    const evidenceHash = look === undefined ? undefined : hashOf(look.evidence);
    const runs = target === undefined ? [] : await store.runsOf({ target, limit: 20 });
    const latest = runs.toSorted((a, b) => (b.cooldownUntilMs ?? 0) - (a.cooldownUntilMs ?? 0))[0];
    const active =
      (target === undefined ? undefined : await store.activeRunOf(target)) ??
      (await store.activeRuns()).find((r) => r.state === 'running');
    const pace = policy?.pace;
    const input: PlanInput = {
      nowMs,
      episode: (await store.episode(episode.id)) ?? episode,
      clock: clock.steady(),
      switches: await readSwitches(),
      policies,
      candidates,
      require: deps.settings.require,
      kinds: action?.kinds ?? [],
      latches: [
        ...(await store.latches('global')),
        ...(target === undefined ? [] : await store.latches(scopeOf(target))),
      ],
      upstreams,
      action:
        look === undefined || action === undefined
          ? undefined
          : { name: action.name, alreadyFixed: look.alreadyFixed, preconditions: look.preconditions },
      symptom: { ...held(episode.id, look, evidenceHash), minimumMs },
      activeRun: active && { id: active.id, action: active.action, state: active.state, target: active.target },
      cooldown:
        latest?.cooldownUntilMs === undefined ? undefined : { untilMs: latest.cooldownUntilMs, runId: latest.id },
      budget: {
        used:
          target === undefined || pace === undefined
            ? 0
            : await store.budgetUsed(scopeOf(target), nowMs - pace.windowMs),
        max: pace?.maxRuns ?? 0,
        windowMs: pace?.windowMs ?? 0,
      },
      alertFreshMs,
    };
    return { policy, target, look, evidenceHash, input };
  };

  /** Two looks, one after the other, that say the same: a symptom that only flickers is not acted upon. */
  const held = (
    episodeId: string,
    look: Look<unknown> | undefined,
    key: string | undefined,
  ): { looks: number; heldMs: number } => {
    const nowMono = clock.monoMs();
    if (look === undefined || key === undefined || look.alreadyFixed.is !== 'allow') {
      symptoms.delete(episodeId);
      return { looks: 0, heldMs: 0 };
    }
    const before = symptoms.get(episodeId);
    const symptom: Symptom =
      before?.key === key ? { ...before, looks: before.looks + 1 } : { key, sinceMonoMs: nowMono, looks: 1 };
    symptoms.set(episodeId, symptom);
    return { looks: symptom.looks, heldMs: nowMono - symptom.sinceMonoMs };
  };

  const decide = async (episode: Episode, considered: Considered): Promise<number> => {
    const { policy, target, look, input } = considered;
    const decided = plan(input);
    for (const { guard, result } of decided.trace) deps.metrics.decision(guard, result);
    const { decision, changed } = await record(input.episode, considered, decided);
    if (changed) {
      log.info(
        {
          episode: episode.id,
          target,
          verdict: decision.verdict,
          reason: decision.reasonKey,
          because: decision.because,
        },
        'decision',
      );
    }
    await tell(input.episode, decided, decision);
    if (decided.verdict === 'act' && policy !== undefined && target !== undefined && look !== undefined) {
      await act(input.episode, policy, target, decision);
      return undecidedMs;
    }
    if (decided.verdict === 'refuse' || decided.verdict === 'would_act') return refusedMs;
    const { looks, heldMs } = input.symptom;
    const isDebounced = decided.reasonKey === 'evidence:not_held_yet' && looks > 0;
    return isDebounced ? Math.max(200, minimumMs - heldMs) : undecidedMs;
  };

  const record = (
    episode: Episode,
    { policy, target, look, evidenceHash }: Omit<Considered, 'input'>,
    decided: Plan,
  ): ReturnType<Store['recordDecision']> =>
    store.recordDecision(
      {
        episodeId: episode.id,
        episodeVersion: episode.version,
        policy: policy?.name,
        policyHash: policy === undefined ? '' : hashOf(asJson(policy)),
        action: policy?.action,
        target,
        params: policy?.params ?? {},
        verdict: decided.verdict,
        reasonKey: decided.reasonKey,
        because: decided.because,
        trace: decided.trace,
        evidenceHash,
        advice: look?.advice ?? [],
      },
      clock.nowMs(),
    );

  /** One notification per reason: the outbox keeps the key. */
  const tell = async (episode: Episode, { tell: when }: Plan, decision: Decision): Promise<void> => {
    const lasts = decision.lastMs - decision.firstMs >= lastingMs;
    if (when === 'no' || (when === 'if_it_lasts' && !lasts)) return;
    const escalation = decision.reasonKey === needsApprovalKey ? needsApproval : refused;
    await store.enqueue(escalation(episode, decision), clock.nowMs());
  };

  const act = async (episode: Episode, policy: Policy, target: string, decision: Decision): Promise<void> => {
    if (draining || runner.busy()) return;
    const action = actions.find((a) => a.name === policy.action);
    if (action === undefined) return;
    const claimed = await store.claim(
      {
        runId: randomUUID(),
        episodeId: episode.id,
        episodeVersion: episode.version,
        attempt: episode.attempts + 1,
        decisionId: decision.id,
        action: action.name,
        planHash: planHash(action.name, action.steps(target, policy.params, world), policy.params),
        policy: asJson(policy),
        params: policy.params,
        target,
        actor: 'auto',
        holder: deps.holder,
        ttlMs: leaseTtlMs,
        budgets: [{ scope: scopeOf(target), max: policy.pace.maxRuns, windowMs: policy.pace.windowMs }],
      },
      clock.nowMs,
    );
    if (!claimed.won) {
      log.info({ episode: episode.id, target, code: claimed.code, because: claimed.because }, 'claim not won');
      return;
    }
    log.info({ episode: episode.id, target, run: claimed.run.id, action: action.name }, 'run begun');
    runner.begin(claimed.run, claimed.hold, decision.evidenceHash);
  };

  const forget = async (): Promise<void> => {
    if (symptoms.size === 0) return;
    const open = new Set((await store.openEpisodes()).map((e) => e.id));
    for (const id of symptoms.keys()) if (!open.has(id)) symptoms.delete(id);
  };

  /** A fault of our own: kept as what it is, unknown, and never acted upon. */
  const recordFault = async (episode: Episode, error: unknown): Promise<void> => {
    const because = `the evaluation failed: ${messageOf(error)}`;
    symptoms.delete(episode.id);
    await record(
      episode,
      { policy: undefined, target: undefined, look: undefined, evidenceHash: undefined },
      {
        verdict: 'hold',
        reasonKey: 'evaluation:fault',
        because,
        trace: [{ guard: 'evaluation', result: 'unknown', code: 'fault', because, inputs: {} }],
        tell: 'if_it_lasts',
      },
    ).catch((cause: unknown) => {
      log.error({ episode: episode.id, error: messageOf(cause) }, 'decision not stored');
    });
  };

  return {
    tick: async () => {
      if (ticking || draining) return;
      ticking = true;
      try {
        await runner.resume();
        for (const episode of await store.dueEpisodes(clock.nowMs())) {
          if (isDraining()) return;
          await evaluate(episode);
        }
        await forget();
      } finally {
        ticking = false;
      }
    },
    resume: async () => {
      await runner.resume();
      // what was put off by the process before, or was under way in it, is looked at now
      for (const { id, nextEvalMs } of await store.openEpisodes())
        await store.scheduleEval(id, nextEvalMs, clock.nowMs());
    },
    drain: async (signal) => {
      draining = true;
      await runner.drain(signal);
    },
    idle: () => runner.idle(),
  };

  function isDraining(): boolean {
    return draining;
  }
}

export function scopeOf(target: string): string {
  return `target:${target}`;
}

/** Exact names only; a label `instance` is shown to people as a hint, and is never enough to act. */
export function candidatesOf(
  inventory: Pick<Inventory, 'targets'>,
  labels: Readonly<Record<string, string>>,
): PlanInput['candidates'] {
  const named = labels['target'];
  if (named !== undefined && named !== '') {
    const target = inventory.targets.get(named);
    return target === undefined ? [] : [{ name: target.name, kind: target.kind, by: 'target' }];
  }
  const { instance } = labels;
  if (instance === undefined || instance === '') return [];
  return [...inventory.targets.values()]
    .filter((t) => t.instance === instance || t.name === instance)
    .map(({ name, kind }) => ({ name, kind, by: 'instance' }));
}
