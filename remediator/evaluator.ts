// Open episodes, one at a time: look at the facts, ask the guards, keep the decision, tell people, or begin a run.
import { randomUUID } from 'node:crypto';
import { messageOf } from '../exporter/runtime/errors.ts';
import type { Log } from '../exporter/runtime/log.ts';
import { asJson, hashOf } from './canonical.ts';
import { writable, type Sweeping } from './fitness.ts';
import type { Guard } from './guard.ts';
import { modeOf } from './guards/mode.ts';
import { inLanes } from './lanes.ts';
import type { Approval, Decision, Episode, GuardResult } from './model.ts';
import { plan, type Plan } from './planner.ts';
import { pipelinesOf, whyHeldBack } from './restraint.ts';
import { createRunner, planHash, type Runner } from './runner.ts';
import { leaseTtlMs } from './runner/lease.ts';
import type { Settings } from './settings.ts';
import { stillAsked, type StillAsked } from './still-asked.ts';
import type { Store } from './store/store.ts';
import {
  alertFreshMs,
  budgetsOf,
  situationOf,
  type Situation,
  type SituationDeps,
  type Surroundings,
} from './situation.ts';
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
  /** Evaluates what is due; a call while one is under way does nothing. */
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
/** Targets that are looked at side by side: one that does not answer takes its time of some 15 s. */
const lanes = 4;

export function createEvaluator<W extends Surroundings>(deps: EvaluatorDeps<W>): Evaluator {
  const { store, clock, log, actions, world } = deps;
  const symptoms = new Symptoms(deps.symptomMs ?? 3_000, clock.monoMs);
  const telling = new Telling(deps);
  const startedMs = clock.nowMs();
  let sweeps = 0;
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
    const takenMs = clock.nowMs() + undecidedMs;
    if (!(await store.scheduleEval(episode.id, episode.nextEvalMs, takenMs))) return;
    const own = (await store.activeRuns()).find((r) => r.episodeId === episode.id);
    if (own !== undefined) return; // its run speaks for it
    let nextMs: number;
    try {
      await tellFailure(deps, episode);
      const situation = await situationOf(deps, episode, symptoms, sweeping);
      await keepDemotion(situation);
      nextMs = await decide(episode, situation);
    } catch (error) {
      log.error({ episode: episode.id, error: messageOf(error) }, 'evaluation failed');
      await recordFault(episode, error);
      nextMs = undecidedMs;
    }
    await store.scheduleEval(episode.id, takenMs, clock.nowMs() + nextMs);
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
    return isDebounced ? Math.max(200, minimumMs - heldMs) : undecidedMs;
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
    const { policy, link, target, params, look, hashes, input } = situation;
    const { episode } = input;
    const action = actions.find((a) => a.name === link?.action);
    if (draining || policy === undefined || link === undefined || target === undefined) return;
    if (action === undefined || look === undefined || hashes === undefined) return;
    const needsNobody = modeOf(input) === 'auto' && input.window.inside.known && input.window.inside.value;
    const approval = needsNobody ? undefined : input.approval.latest;
    if (!needsNobody && approval?.state !== 'approved') return; // the guard has seen to it
    const limits = deps.limits();
    const claimed = await store.claim(
      {
        runId: randomUUID(),
        episodeId: episode.id,
        episodeVersion: episode.version,
        attempt: episode.attempts + 1,
        decisionId: decision.id,
        action: action.name,
        planHash: planHash(action.name, action.steps(target, params, world), params),
        // with the link that is conducted, and what later decisions ask of this run
        policy: asJson({ ...policy, ...link, mode: modeOf(input), progressMark: look.progressMark }),
        params,
        target,
        actor: approval === undefined ? 'auto' : `human:${approval.decidedBy ?? 'unknown'}`,
        holder: deps.holder,
        ttlMs: leaseTtlMs,
        budgets: budgetsOf(policy, target, limits),
        pipelines: pipelinesOf(deps.inventory, target),
        maxConcurrent: limits.global.maxConcurrent,
        ...(approval === undefined ? {} : { approval: { id: approval.id, ...hashes } }),
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

  return {
    tick: async () => {
      if (ticking || draining) return;
      ticking = true;
      try {
        await runner.resume();
        const storm = await judgeStorm(deps);
        const due = await store.dueEpisodes(clock.nowMs());
        // One that finds nothing due counts too: all that was left open before the start has been looked at then.
        sweeps += 1;
        if (due.length > 0) {
          const sweeping = { sweeps, startedMs, storm, store: await writable(store, clock.nowMs()) };
          // Of one target one after the other: their looks share what was seen of it before.
          const targetOf = ({ id, labels }: Episode): string => labels['target'] ?? id;
          await inLanes(due, targetOf, lanes, async (episode) => {
            if (!isDraining()) await evaluate(episode, sweeping);
          });
          if (isDraining()) return;
        }
        const open = new Set((await store.openEpisodes()).map((e) => e.id));
        symptoms.keep(open);
        telling.keep(open);
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
    stillAsked: (approval, episode) => stillAsked(deps, approval, episode),
    idle: () => runner.idle(),
  };

  function isDraining(): boolean {
    return draining;
  }
}
