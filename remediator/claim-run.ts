// From a decision to act to the right to do so: what is claimed, and what is said when it is not won.
import { randomUUID } from 'node:crypto';
import type { Log } from '../exporter/runtime/log.ts';
import { asJson } from './canonical.ts';
import { modeOf } from './guards/mode.ts';
import type { Decision } from './model.ts';
import { pipelinesOf } from './restraint.ts';
import { planHash } from './runner.ts';
import { leaseTtlMs } from './runner/lease.ts';
import { budgetsOf, type Situation, type SituationDeps, type Surroundings } from './situation.ts';
import type { ClaimResult } from './store/store.ts';

interface ClaimDeps<W extends Surroundings> extends Pick<
  SituationDeps<W>,
  'store' | 'inventory' | 'limits' | 'actions' | 'world' | 'clock'
> {
  readonly log: Log;
  readonly holder: string;
}

/** undefined: there is nothing to claim. @throws StoreError */
export async function claimRun<W extends Surroundings>(
  deps: ClaimDeps<W>,
  situation: Situation,
  decision: Decision,
): Promise<ClaimResult | undefined> {
  const { store, clock, log, actions, world } = deps;
  const { policy, link, target, params, look, hashes, input } = situation;
  const { episode } = input;
  const action = actions.find((a) => a.name === link?.action);
  if (policy === undefined || link === undefined || target === undefined) return undefined;
  if (action === undefined || look === undefined || hashes === undefined) return undefined;
  const needsNobody = modeOf(input) === 'auto' && input.window.inside.known && input.window.inside.value;
  const approval = needsNobody ? undefined : input.approval.latest;
  if (!needsNobody && approval?.state !== 'approved') return undefined; // the guard has seen to it
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
      policy: asJson({
        ...policy,
        ...link,
        mode: modeOf(input),
        progressMark: look.progressMark,
        once: look.once?.what,
      }),
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
  if (claimed.won) log.info({ episode: episode.id, target, run: claimed.run.id, action: action.name }, 'run begun');
  else log.info({ episode: episode.id, target, code: claimed.code, because: claimed.because }, 'claim not won');
  return claimed;
}
