// How a policy has done so far, and whether more may be left to it: numbers and thresholds; a person changes the file.
import type { Policy } from './guard.ts';
import type { Demotion, Json, PolicyCounts } from './model.ts';
import type { StoreOfPeople } from './store/store-of-people.ts';
import type { Store } from './store/store.ts';

/** One threshold on the way to the next mode. */
export interface Criterion {
  readonly what: string;
  readonly wanted: string;
  readonly found: string;
  readonly met: boolean;
}

export interface PolicyView {
  readonly name: string;
  /** As the file says it. */
  readonly mode: Policy['mode'];
  readonly action: string;
  readonly counts: PolicyCounts;
  /** Part of what would have been done that was not needed; undefined while nothing was decided. */
  readonly needlessRate: number | undefined;
  readonly demotions: readonly Demotion[];
  /** Guards that could not tell, in the newest decisions of this policy. */
  readonly unknownGuards: readonly string[];
  /** undefined: nothing is above its mode. */
  readonly next: { readonly mode: 'approve' | 'auto'; readonly criteria: readonly Criterion[] } | undefined;
}

export interface ViewedPolicy {
  readonly policy: Policy;
  /** What its action may be given at most. */
  readonly highestMode: 'approve' | 'auto';
}

type ReadStore = Pick<Store, 'findEpisodes' | 'decisionsOf'> &
  Pick<StoreOfPeople, 'policyCounts' | 'demotions' | 'auditOf'>;

const dayMs = 86_400_000;
const lookedAt = 30;
/** A drill longer ago than this shows nothing of what runs now. */
export const drillMs = 90 * dayMs;
/** In the audit, of the policy: what a person has recorded as a drill that passed. */
export const drillVerb = 'drill';

/** @param target counts of this one only */
export async function policyViews(
  store: ReadStore,
  policies: readonly ViewedPolicy[],
  nowMs: number,
  target?: string,
): Promise<readonly PolicyView[]> {
  const [demotions, unknown] = [await store.demotions(), await unknownGuards(store, target)];
  return Promise.all(
    policies.map(async ({ policy, highestMode }): Promise<PolicyView> => {
      // What it did while it named another action is no reason to trust it with this one.
      const actions = [policy.action, ...policy.chain.map((link) => link.action)];
      const counts = await store.policyCounts(policy.name, target, actions);
      const guards = unknown.get(policy.name) ?? [];
      const own = demotions.filter((d) => d.policy === policy.name && (target === undefined || d.target === target));
      return {
        ...{ name: policy.name, mode: policy.mode, action: policy.action, counts },
        needlessRate: counts.wouldAct === 0 ? undefined : counts.needless / counts.wouldAct,
        demotions: own,
        unknownGuards: guards,
        next: nextOf(policy, highestMode, {
          ...{ counts, guards, nowMs, demotions: own },
          drilledMs: await drilledMs(store, policy.name, actions, target),
        }),
      };
    }),
  );
}

interface Seen {
  readonly counts: PolicyCounts;
  readonly guards: readonly string[];
  readonly nowMs: number;
  readonly demotions: readonly Demotion[];
  /** When the newest drill was recorded. */
  readonly drilledMs: number | undefined;
}

function nextOf(policy: Policy, highestMode: 'approve' | 'auto', seen: Seen): PolicyView['next'] {
  const trusted = [everyGuard(seen.guards), notDemoted(seen.demotions)];
  if (policy.mode === 'observe') return { mode: 'approve', criteria: [...toApprove(seen), ...trusted] };
  if (policy.mode === 'approve' && highestMode === 'auto')
    return { mode: 'auto', criteria: [...toAuto(seen), ...trusted] };
  return undefined;
}

async function drilledMs(
  store: Pick<StoreOfPeople, 'auditOf'>,
  policy: string,
  actions: readonly string[],
  target: string | undefined,
): Promise<number | undefined> {
  const drills = (await store.auditOf({ object: policy, limit: 100 })).filter(({ verb, detail }) => {
    const of = (key: string): Json | undefined => field(detail, key);
    const action = of('action');
    // one that was recorded by an older version names none
    const isOfThese = typeof action !== 'string' || actions.includes(action);
    return verb === drillVerb && isOfThese && (target === undefined || of('target') === target);
  });
  return drills.length === 0 ? undefined : Math.max(...drills.map((d) => d.atMs));
}

function field(detail: Json, key: string): Json | undefined {
  if (typeof detail !== 'object' || detail === null || Array.isArray(detail)) return undefined;
  return (detail as Readonly<Record<string, Json>>)[key];
}

function everyGuard(guards: readonly string[]): Criterion {
  return {
    what: 'every guard can tell',
    wanted: 'none unknown in the newest decisions; `doctor` looks now',
    found: guards.length === 0 ? 'none unknown' : guards.join(', '),
    met: guards.length === 0,
  };
}

function notDemoted(demotions: readonly Demotion[]): Criterion {
  return {
    what: 'trusted as far as its file says',
    wanted: 'no demotion',
    found: demotions.length === 0 ? 'none' : `demoted on ${demotions.map((d) => d.target).join(', ')}`,
    met: demotions.length === 0,
  };
}

function toApprove({ counts, nowMs }: Seen): readonly Criterion[] {
  const days = counts.firstSeenMs === undefined ? 0 : Math.floor((nowMs - counts.firstSeenMs) / dayMs);
  const { wouldAct, needless } = counts;
  return [
    {
      what: 'watched long enough',
      wanted: '5 times would have acted, or 14 days',
      found: `${wouldAct} times, ${days} days`,
      met: wouldAct >= 5 || days >= 14,
    },
    {
      what: 'seldom needless (healed by itself within 10 minutes)',
      wanted: 'under 20 %',
      found:
        wouldAct === 0
          ? 'nothing to judge by'
          : `${Math.round((100 * needless) / wouldAct)} % (${needless} of ${wouldAct})`,
      met: wouldAct > 0 && needless / wouldAct < 0.2,
    },
  ];
}

function toAuto({ counts, nowMs, drilledMs: atMs }: Seen): readonly Criterion[] {
  const { approved, approvedVerified, verified, failed, unknownOutcome, relapses } = counts;
  return [
    {
      what: 'approved runs that were verified',
      wanted: '3',
      found: `${approvedVerified} (${approved} approved)`,
      met: approvedVerified >= 3,
    },
    {
      what: 'no outcome unknown, no repair undone by the next alert',
      wanted: '0 unknown, fewer relapses than verified runs',
      found: `${unknownOutcome} unknown, ${failed} failed, ${relapses} relapses`,
      met: unknownOutcome === 0 && relapses < Math.max(1, verified),
    },
    {
      what: 'a drill that has passed',
      wanted: 'one within 90 days; record it with `policy drilled RUN`',
      found: atMs === undefined ? 'none recorded' : `the last one ${Math.floor((nowMs - atMs) / dayMs)} days ago`,
      met: atMs !== undefined && nowMs - atMs <= drillMs,
    },
  ];
}

/** By policy. What was unknown and is known since does not count: only the newest decision of each episode does. */
async function unknownGuards(
  store: Pick<Store, 'findEpisodes' | 'decisionsOf'>,
  target: string | undefined,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, Set<string>>();
  for (const episode of await store.findEpisodes({ limit: lookedAt })) {
    const newest = (await store.decisionsOf(episode.id)).toSorted((a, b) => b.lastMs - a.lastMs)[0];
    if (newest?.policy === undefined || (target !== undefined && newest.target !== target)) continue;
    const guards = found.get(newest.policy) ?? new Set<string>();
    for (const { guard, result } of newest.trace) if (result === 'unknown') guards.add(guard);
    found.set(newest.policy, guards);
  }
  return new Map([...found].map(([policy, guards]) => [policy, [...guards].sort()]));
}

/** Where the file says the mode of a policy: a line and what is to stand there. */
export interface PolicyLine {
  readonly line: number;
  readonly is: string;
  readonly shouldBe: string;
}

/** @param text of policies.yml. undefined: its layout is not the usual one, and a person looks for it */
export function lineOfMode(text: string, name: string, mode: string): PolicyLine | undefined {
  const lines = text.split('\n');
  const isName = new RegExp(`^\\s*(?:-\\s+)?name:\\s*(['"]?)${name}\\1\\s*(?:#.*)?$`);
  const at = lines.findIndex((line) => isName.test(line));
  if (at < 0) return undefined;
  let start = at;
  while (start > 0 && !isItem(lines[start])) start -= 1;
  const indent = /^\s*/.exec(lines[start] ?? '')?.[0].length ?? 0;
  let end = at + 1;
  while (end < lines.length && !endsItem(lines[end] ?? '', indent)) end += 1;
  const keys = indent + 2;
  const modeAt = lines
    .slice(start, end)
    .findIndex((line) => new RegExp(`^( {${keys}}| {${indent}}- )mode:`).test(line));
  if (modeAt < 0) return { line: at + 2, is: '', shouldBe: `${' '.repeat(keys)}mode: ${mode}` };
  const is = lines[start + modeAt] ?? '';
  return { line: start + modeAt + 1, is, shouldBe: is.replace(/mode:.*$/, `mode: ${mode}`) };
}

function isItem(line: string | undefined): boolean {
  return /^\s*-\s/.test(line ?? '');
}

/** The next item of the list, or a key further out. */
function endsItem(line: string, indent: number): boolean {
  if (line.trim() === '' || line.trimStart().startsWith('#')) return false;
  const own = /^\s*/.exec(line)?.[0].length ?? 0;
  return own <= indent;
}
