// A person answers a question: yes or no, to exactly the plan that they were shown.
import type { Approval, Episode, Json } from './model.ts';
import { Refusal, type Actor, type PeopleContext } from './people-context.ts';
import type { StillAsked } from './still-asked.ts';
import type { StoreOfPeople } from './store/store-of-people.ts';

/**
 * A yes is taken only for a plan that is still the one in force; where that cannot be seen just now it is taken, and the
 * answer says so: the claim binds it to the plan in any case.
 * @throws Refusal, StoreError
 */
export async function decide(
  context: PeopleContext,
  actor: Actor,
  verdict: 'approved' | 'rejected',
  body: { readonly id: string; readonly comment: string },
): Promise<Json> {
  const { store, clock } = context;
  const asked = await findApproval(store, body.id, clock.nowMs());
  if (!actor.may(asked.role)) {
    throw new Refusal(403, `${actor.name} has not the role ${asked.role}, which this approval asks for`);
  }
  const episode = await store.episode(asked.episodeId);
  const isYes = verdict === 'approved' && asked.state === 'requested';
  if (isYes && episode?.state === 'closed') {
    throw new Refusal(409, `the trouble that ${asked.id} was asked for is over: nothing would begin`);
  }
  const seen = isYes && episode !== undefined ? await seenNow(context, asked, episode) : undefined;
  const done = await store.decideApproval(asked.id, verdict, actor.name, body.comment, clock.nowMs());
  if (!done.decided) {
    // An alert that people still read may name a question that another has taken the place of.
    const open = await store.approvals({ episodeId: asked.episodeId, open: true, nowMs: clock.nowMs(), limit: 10 });
    const asks = open.find((a) => a.state === 'requested' && a.id !== asked.id);
    const now = asks === undefined ? '' : `: the plan has changed since. What is asked now is ${asks.id}`;
    throw new Refusal(409, `${done.because}${now}`);
  }
  await lookNow(context, episode);
  const { id: approval, episodeId, action, target } = done.approval;
  const plan = seen === undefined ? {} : { plan: seen.is === 'same' ? 'unchanged' : `unknown: ${seen.why}` };
  return { approval, episode: episodeId, action, target, state: verdict, ...plan };
}

/** @throws Refusal when the yes would be for a plan that is none any more */
async function seenNow(
  context: PeopleContext,
  asked: Approval,
  episode: Episode,
): Promise<Exclude<StillAsked, { is: 'other' }> | undefined> {
  const seen = await context.stillAsked?.(asked, episode);
  if (seen?.is !== 'other') return seen;
  await lookNow(context, episode); // what is asked in its place is told at once
  throw new Refusal(
    409,
    `not approved: the plan has changed since ${asked.id} was asked for: ${seen.changes.join('; ')}. If the repair is still wanted, it is asked for anew. See: pipemedic-remediator why ${asked.episodeId}`,
  );
}

/** Decided things are looked at now, not at the next turn. */
async function lookNow({ store, clock, changed }: PeopleContext, episode: Episode | undefined): Promise<void> {
  if (episode?.state === 'open') await store.scheduleEval(episode.id, episode.nextEvalMs, clock.nowMs());
  changed();
}

/** By its id, by its episode, or by the beginning of either: the one that waits. @throws Refusal */
export async function findApproval(
  store: Pick<StoreOfPeople, 'approval' | 'approvals'>,
  what: string,
  nowMs: number,
): Promise<Approval> {
  const exact = await store.approval(what);
  if (exact !== undefined) return exact;
  const fits = (one: string): boolean => one === what || (what.length >= 8 && one.startsWith(what));
  // Those that are over count too: ids of one minute begin alike, and the beginning of one that is over must not be taken
  // for another that waits.
  const all = await store.approvals({ nowMs, limit: 1000 });
  const byId = all.filter((a) => fits(a.id));
  const ofEpisode = all.filter((a) => fits(a.episodeId));
  const several = new Set(ofEpisode.map((a) => a.episodeId)).size > 1;
  const found = byId.length > 0 || several ? [...byId, ...ofEpisode] : ofEpisode.filter((a) => a.state === 'requested');
  const [first, ...others] = found;
  if (first === undefined) throw new Refusal(404, `no approval ${what} is waited for`);
  if (others.length === 0) return first;
  const named = found.slice(0, 5).map((a) => `${a.id} (${a.state}, ${a.action} of ${a.target})`);
  const more = found.length > named.length ? ` and ${found.length - named.length} more` : '';
  throw new Refusal(409, `${what} fits ${named.join(', ')}${more}. Write the whole id of the one that is meant`);
}
