// Asks people for their leave through Alertmanager, and ends the question when it is none any more.
import type { Log } from '../exporter/runtime/log.ts';
import { needsApproval } from './escalate.ts';
import type { Decision, Episode } from './model.ts';
import type { Situation } from './situation.ts';
import type { Store } from './store/store.ts';

interface QuestionDeps {
  readonly store: Pick<Store, 'requestApproval' | 'enqueue' | 'escalationsOf' | 'markEscalation'>;
  readonly clock: { readonly nowMs: () => number };
  readonly log: Log;
}

/** The same question while nothing that matters changes; another one when something has, or when it has expired. */
export async function askForApproval(
  { store, clock, log }: QuestionDeps,
  episode: Episode,
  decision: Decision,
  { policy, link, target, hashes, plan }: Pick<Situation, 'policy' | 'link' | 'target' | 'hashes' | 'plan'>,
): Promise<void> {
  if (policy === undefined || link === undefined || target === undefined || hashes === undefined) return;
  const nowMs = clock.nowMs();
  const { role, expiresMs: lastsMs } = policy.approval;
  const { approval, isNew } = await store.requestApproval(
    {
      ...{ episodeId: episode.id, decisionId: decision.id, policy: policy.name, action: link.action, target },
      ...{ ...hashes, plan, role, expiresMs: nowMs + lastsMs },
    },
    nowMs,
  );
  if (isNew) log.info({ episode: episode.id, target, approval: approval.id, role }, 'approval requested');
  await endQuestions({ store, clock }, episode, approval.id);
  if (approval.state !== 'requested') return;
  await store.enqueue(needsApproval(episode, decision, approval, approval.expiresMs - nowMs), nowMs);
}

/** What was asked is decided, or is no longer the question. @param but the approval that is asked for now */
export async function endQuestions(
  { store, clock }: Pick<QuestionDeps, 'store' | 'clock'>,
  episode: Episode,
  but?: string,
): Promise<void> {
  const nowMs = clock.nowMs();
  for (const { dedupeKey, labels, state } of await store.escalationsOf(episode.id)) {
    if (state !== 'open' || labels['alertname'] !== 'RemediationNeedsApproval') continue;
    if (but !== undefined && labels['approval'] === but) continue;
    await store.markEscalation(dedupeKey, { nextMs: nowMs, state: 'ending' });
  }
}
