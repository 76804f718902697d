// One open episode: look at the facts, ask the guards, keep the decision, tell people, or begin a run. When: rounds.ts.
import { until } from '../exporter/runtime/deadline.ts';
import { messageOf } from '../exporter/runtime/errors.ts';
import type { Log } from '../exporter/runtime/log.ts';
import { asJson, hashOf } from './canonical.ts';
import { claimRun } from './claim-run.ts';
import type { Sweeping } from './fitness.ts';
import type { Guard } from './guard.ts';
import type { Approval, Decision, Episode, GuardResult } from './model.ts';
import { plan, type Plan } from './planner.ts';
import { lookMs } from './planned.ts';
import { whyHeldBack } from './restraint.ts';
import { createRounds, takenMs } from './rounds.ts';
import { createRunner, type Runner } from './runner.ts';
import type { Settings } from './settings.ts';
import { stillAsked, type StillAsked } from './still-asked.ts';
import type { Store } from './store/store.ts';
import { alertFreshMs, situationOf, type Situation, type SituationDeps, type Surroundings } from './situation.ts';
import { judgeStorm } from './storm-watch.ts';
import { Symptoms } from './symptoms.ts';
import { Telling, tellFailure } from './telling.ts';

export interface EvaluatorDeps<W extends Surroundings> extends SituationDeps<W> {
  readonly settings: SituationDeps<W>['settings'] & Pick<Settings, 'evidenceDir'>;
  readonly log: Log;
  readonly metrics: {
    readonly decision: (guard: string, result: GuardResult['result']) => void;
    readonly run: (action: string, outcome: string, durationSeconds: number) => void;
  };
  readonly holder: string;
  /** For tests: others in the place of the guards. */
  readonly guards?: readonly Guard[];
  /** For tests: how long the facts must have said the same. */
  readonly symptomMs?: number;
}

export interface Evaluator {
  /** Begins to evaluate what is due, each target apart from the others; a call while one is under way does nothing. */
  readonly begin: () => Promise<void>;
  /** The same, and waits until what it has begun is done. */
  readonly tick: () => Promise<void>;
  /** At start: takes up the runs that were left open, and makes every open episode due. */
  readonly resume: () => Promise<void>;
  readonly drain: (signal: AbortSignal) => Promise<void>;
  readonly stillAsked: (approval: Approval, episode: Episode) => Promise<StillAsked>;
  /** For tests: resolves when no run is conducted here. */
  readonly idle: () => Promise<void>;
}

const undecidedMs = 15_000;
const refusedMs = 60_000;
/** Model 4: what was seen before the program was held up for long is no ground to decide on. */
const tooOldMs = 2 * lookMs;

export function createEvaluator<W extends Surroundings>(deps: EvaluatorDeps<W>): Evaluator {
  const { store, clock, log, actions, world } = deps;
  const symptoms = new Symptoms(deps.symptomMs ?? 3_000, clock.monoMs);
  const telling = new Telling(deps);
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
    paused: (run) => whyHeldBack(deps, run),
    ended: async (run, end, durationSeconds) => {
      try {
        deps.metrics.run(run.action, end.outcome, durationSeconds);
        symptoms.forget(run.episodeId);
        const episode = await store.episode(run.episodeId);
        if (episode === undefined) return;
        await tellFailure(deps, episode);
        await store.scheduleEval(episode.id, episode.nextEvalMs, clock.nowMs());
      } catch (error) {
        log.error({ run: run.id, error: messageOf(error) }, 'end of a run not told');
      }
    },
  });

  const evaluate = async (episode: Episode, sweeping: Sweeping): Promise<void> => {
    // taken by this evaluation: should it die, the episode is due again then
    const takenUntilMs = clock.nowMs() + takenMs;
    if (!(await store.scheduleEval(episode.id, episode.nextEvalMs, takenUntilMs))) return;
    const own = (await store.activeRuns()).find((r) => r.episodeId === episode.id);
    if (own !== undefined) {
      telling.underWay(episode.id);
      return; // its run speaks for it
    }
    let nextMs: number;
    try {
      await tellFailure(deps, episode);
      const situation = await lookAt(episode, sweeping);
      await keepDemotion(situation);
      nextMs = await decide(episode, situation);
    } catch (error) {
      log.error({ episode: episode.id, error: messageOf(error) }, 'evaluation failed');
      await recordFault(episode, error);
      nextMs = undecidedMs;
    }
    await store.scheduleEval(episode.id, takenUntilMs, clock.nowMs() + nextMs);
  };

  const lookAt = async (episode: Episode, sweeping: Sweeping): Promise<Situation> => {
    const beganMs = clock.monoMs();
    const situation = await situationOf(deps, episode, symptoms, sweeping);
    const tookMs = clock.monoMs() - beganMs;
    if (tookMs > tooOldMs) throw new Error(`the look took ${Math.round(tookMs / 1000)} s: too old to decide on`);
    return situation;
  };

  const decide = async (episode: Episode, situation: Situation): Promise<number> => {
    const { target, input } = situation;
    const decided = plan(input, deps.guards);
    for (const { guard, result } of decided.trace) deps.metrics.decision(guard, result);
    const { decision, changed } = await record(input.episode, situation, decided);
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
    await telling.decision(input.episode, decided, decision, situation);
    if (decided.verdict === 'act') {
      await act(situation, decision);
      return undecidedMs;
    }
    if (decided.verdict === 'refuse' || decided.verdict === 'would_act') return refusedMs;
    const { looks, heldMs, minimumMs } = input.symptom;
    const isDebounced = ['evidence:not_held_yet', 'self:starting'].includes(decided.reasonKey) && looks > 0;
    if (!isDebounced) return undecidedMs;
    // The end of the first round may be far: another target may hang.
    const leastMs = decided.reasonKey === 'self:starting' ? 1_000 : 200;
    return Math.max(leastMs, minimumMs - heldMs);
  };

  const record = (
    episode: Episode,
    {
      policy,
      link,
      target,
      params,
      look,
      hashes,
    }: Pick<Situation, 'policy' | 'link' | 'target' | 'params' | 'look' | 'hashes'>,
    decided: Plan,
  ): ReturnType<Store['recordDecision']> =>
    store.recordDecision(
      {
        episodeId: episode.id,
        episodeVersion: episode.version,
        policy: policy?.name,
        policyHash: policy === undefined ? '' : hashOf(asJson(policy)),
        action: link?.action ?? policy?.action,
        target,
        params,
        verdict: decided.verdict,
        reasonKey: decided.reasonKey,
        because: decided.because,
        trace: decided.trace,
        evidenceHash: hashes?.evidenceHash,
        advice: look?.advice ?? [],
      },
      clock.nowMs(),
    );

  const keepDemotion = async ({ dueDemotion: due }: Situation): Promise<void> => {
    if (due === undefined) return;
    await store.demote(due);
    log.warn({ policy: due.policy, target: due.target, mode: due.mode, because: due.reason }, 'policy demoted');
  };

  const act = async (situation: Situation, decision: Decision): Promise<void> => {
    if (draining) return;
    const claimed = await claimRun(deps, situation, decision);
    if (claimed === undefined) return;
    if (claimed.won) runner.begin(claimed.run, claimed.hold, decision.evidenceHash);
    deps.metrics.decision('claim', claimed.won ? 'allow' : 'deny');
    await telling.claim(situation.input.episode, decision, claimed);
  };

  /** A fault of our own: kept as what it is, unknown, never acted upon, and told when it lasts. */
  const recordFault = async (episode: Episode, error: unknown): Promise<void> => {
    const because = `the evaluation failed: ${messageOf(error)}`;
    symptoms.forget(episode.id);
    const blind = { policy: undefined, link: undefined, target: undefined, params: {}, look: undefined };
    const fault: Plan = {
      verdict: 'hold',
      reasonKey: 'evaluation:fault',
      because,
      trace: [{ guard: 'evaluation', result: 'unknown', code: 'fault', because, inputs: {} }],
      tell: 'if_it_lasts',
    };
    try {
      const { decision } = await record(episode, { ...blind, hashes: undefined }, fault);
      await telling.decision(episode, fault, decision, undefined);
    } catch (cause) {
      log.error({ episode: episode.id, error: messageOf(cause) }, 'decision not stored or told');
    }
  };

  const rounds = createRounds({
    store,
    clock,
    judgeStorm: () => judgeStorm(deps),
    evaluate,
    keep: (openIds) => {
      symptoms.keep(openIds);
      telling.keep(openIds);
    },
    isDraining: () => draining,
  });

  return {
    begin: async () => {
      if (!draining) await runner.resume();
      await rounds.begin();
    },
    tick: async () => {
      if (!draining) await runner.resume();
      await rounds.finish();
    },
    resume: async () => {
      await runner.resume();
      // what was put off by the process before, or was under way in it, is looked at now
      for (const { id, nextEvalMs } of await store.openEpisodes())
        await store.scheduleEval(id, nextEvalMs, clock.nowMs());
    },
    drain: async (signal) => {
      draining = true;
      await Promise.all([
        runner.drain(signal),
        until(signal, 'evaluations', rounds.ended()).catch(() => undefined), // what is left is due again after the next start
      ]);
      await runner.drain(signal); // with a run that was claimed just before
    },
    stillAsked: (approval, episode) => stillAsked(deps, approval, episode),
    idle: () => runner.idle(),
  };
}
