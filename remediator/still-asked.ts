// Is what a person answers still the question? Looked at when they answer: the facts may have changed since they were asked.
import { within } from '../exporter/runtime/deadline.ts';
import { messageOf } from '../exporter/runtime/errors.ts';
import { limited } from './limited.ts';
import type { Approval, Episode, Json } from './model.ts';
import { chosenFor, isFor, plannedOf, type PlannedDeps } from './planned.ts';
import { changesIn } from './shown-plan.ts';

export type StillAsked =
  | { readonly is: 'same' }
  | { readonly is: 'other'; readonly changes: readonly string[] }
  | { readonly is: 'unknown'; readonly why: string };

/** Below what the command line waits for an answer (client.ts). */
const answerMs = 7_000;

/** Reads only, and judges by nothing but the plan: whether it begins is for the guards. Does not throw. */
export async function stillAsked<W>(
  deps: PlannedDeps<W>,
  approval: Approval,
  episode: Episode,
  timeoutMs = answerMs,
): Promise<StillAsked> {
  try {
    return await limited(compare(deps, approval, episode, within(timeoutMs)), timeoutMs, 'the facts');
  } catch (error) {
    return { is: 'unknown', why: messageOf(error) };
  }
}

async function compare<W>(
  deps: PlannedDeps<W>,
  approval: Approval,
  episode: Episode,
  signal: AbortSignal,
): Promise<StillAsked> {
  const chosen = await chosenFor(deps, episode);
  const { policy, link, target } = chosen;
  if (policy === undefined) return { is: 'other', changes: ['no policy answers this alert any more'] };
  if (link === undefined) return { is: 'other', changes: [`policy ${policy.name} names no action that is known`] };
  if (target === undefined) return { is: 'other', changes: ['the alert no longer names one target of the inventory'] };
  const { hashes, plan } = await plannedOf(deps, chosen, signal);
  if (hashes === undefined) return { is: 'other', changes: [`${link.action} no longer fits ${target}`] };
  return isFor(approval, chosen, hashes) ? { is: 'same' } : { is: 'other', changes: changesOf(approval, plan) };
}

/** In what the plan of now is another one than that of a question. */
export function changesOf(former: Approval, plan: Json): readonly string[] {
  if (former.planHash === '') return ['what it was asked for was not kept'];
  return changesIn(former.plan, plan);
}
