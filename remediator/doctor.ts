// `doctor`: looks at every target of every policy as a decision would, and says which guards could not tell today.
// Read-only: an alert is made up, nothing of it is stored, and nothing is begun.
import { randomUUID } from 'node:crypto';
import { pause, within } from '../exporter/runtime/deadline.ts';
import { messageOf } from '../exporter/runtime/errors.ts';
import type { Inventory } from '../exporter/config/inventory.ts';
import type { Finding } from '../exporter/findings.ts';
import { known } from '../exporter/runtime/known.ts';
import { examineRights } from './doctor-rights.ts';
import { onlyLooking } from './fitness.ts';
import type { Policy } from './guard.ts';
import type { Episode, GuardResult } from './model.ts';
import { plan } from './planner.ts';
import { situationOf, type SituationDeps } from './situation.ts';
import { Symptoms } from './symptoms.ts';
import { plain } from './terminal.ts';
import type { World } from './world.ts';

export interface Examined {
  readonly policy: string;
  readonly mode: Policy['mode'];
  readonly action: string;
  readonly target: string;
  /** What a decision would be now if its alert fired. */
  readonly verdict: string;
  readonly because: string;
  /** Guards that could not tell: until they can, nothing is begun. */
  readonly unknown: readonly GuardResult[];
  readonly rights: readonly Finding[];
  /** Why it was not looked at: nothing is ever to be repaired there. */
  readonly aside?: string;
}

const examineMs = 30_000;

/** Never rejects for what a target does. */
export async function examineAll(deps: SituationDeps<World>): Promise<readonly Examined[]> {
  const found: Examined[] = [];
  // One policy after the other: the doctor is no storm of logins.
  for (const policy of deps.policies()) {
    const examined = targetsOf(deps, policy).map(async (target): Promise<Examined> => {
      const role = otherRole(deps.inventory, policy.action, target);
      return role === undefined ? await examine(deps, policy, target) : leftAside(policy, target, role);
    });
    found.push(...(await Promise.all(examined)));
  }
  return found;
}

/** Whose replication is repaired is a replica of the inventory: a source needs no account that may repair. */
function otherRole({ pipelines }: Pick<Inventory, 'pipelines'>, action: string, target: string): string | undefined {
  if (!/^(mysql|redis)\.replica\./.test(action)) return undefined;
  const feeds = pipelines.filter((p) => p.source === target || p.cache?.primary === target);
  const follows = pipelines.some((p) => p.replicas.includes(target) || p.cache?.replicas.includes(target) === true);
  if (feeds.length === 0 || follows) return undefined;
  const names = feeds.map((p) => p.name).join(', ');
  return `${target} is what others replicate from in ${names}, and no replica in the inventory: nothing to repair there`;
}

function leftAside({ name, mode, action }: Policy, target: string, aside: string): Examined {
  const verdict = 'refuse role:no_replica';
  return { policy: name, mode, action, target, verdict, because: aside, unknown: [], rights: [], aside };
}

function targetsOf({ inventory, actions }: SituationDeps<World>, policy: Policy): readonly string[] {
  const kinds = actions.find((a) => a.name === policy.action)?.kinds ?? [];
  const named = policy.match['target'];
  return [...inventory.targets.values()]
    .filter((t) => kinds.includes(t.kind) && (named === undefined || t.name === named))
    .map((t) => t.name);
}

async function examine(deps: SituationDeps<World>, policy: Policy, target: string): Promise<Examined> {
  const { clock } = deps;
  const head = { policy: policy.name, mode: policy.mode, action: policy.action, target };
  const call = { signal: within(examineMs), clock };
  const rights = examineRights(deps.world, policy.action, target, call);
  rights.catch(() => undefined); // it is awaited after the guards, and may fail before them
  try {
    // The clock is judged by the server, which has watched it; a file of policies is matched as if it were alone.
    const alone = {
      ...deps,
      policies: () => [policy],
      clock: { ...clock, steady: () => known('steady' as const, clock.nowMs()) },
    };
    const symptoms = new Symptoms(0, clock.monoMs);
    const episode = madeUp(policy, target, deps.settings.require, clock);
    // Two looks: what moves is known from the second one on.
    const sweeping = onlyLooking(clock, await deps.store.storm());
    await situationOf(alone, episode, symptoms, sweeping);
    await pause(1000, call.signal);
    const { input } = await situationOf(alone, episode, symptoms, sweeping);
    const decided = plan(input);
    return {
      ...head,
      verdict: `${decided.verdict} ${decided.reasonKey}`,
      because: decided.because,
      unknown: decided.trace.filter((g) => g.result === 'unknown'),
      rights: await rights,
    };
  } catch (error) {
    const because = `the examination failed: ${messageOf(error)}`;
    const fault: GuardResult = { guard: 'evaluation', result: 'unknown', code: 'fault', because, inputs: {} };
    return { ...head, verdict: 'hold evaluation:fault', because, unknown: [fault], rights: await rights };
  }
}

function madeUp(
  policy: Policy,
  target: string,
  require: Readonly<Record<string, string>>,
  clock: { readonly nowMs: () => number; readonly wallMs: () => number },
): Episode {
  const nowMs = clock.nowMs();
  return {
    id: `doctor-${randomUUID()}`,
    source: 'doctor',
    ident: 'doctor',
    labels: { ...require, ...policy.match, target },
    annotations: {},
    version: 1,
    startsWallMs: clock.wallMs(),
    firstSeenMs: nowMs,
    lastFiringMs: nowMs,
    resolvedHintMs: undefined,
    truncated: false,
    alertState: 'active',
    alertDetail: '',
    alertSeenMs: nowMs,
    state: 'open',
    attempts: 0,
    relapseOf: undefined,
    nextEvalMs: undefined,
    closedMs: undefined,
    outcome: undefined,
  };
}

const marks = { true: 'ok', false: 'NO', unknown: '??' } as const;

export function doctorText(all: readonly Examined[]): string {
  if (all.length === 0) return 'no policy has a target in the inventory\n';
  const lines = all.flatMap((one) => [
    `${one.policy} (${one.mode}): ${one.action} of ${one.target}`,
    ...(one.aside === undefined ? linesOf(one) : [`  not looked at: ${plain(one.aside)}`]),
    '',
  ]);
  return `${lines.join('\n')}\n`;
}

function linesOf(one: Examined): readonly string[] {
  return [
    `  if its alert fired now: ${plain(one.verdict)}: ${plain(one.because)}`,
    ...one.unknown.map((g) => `  ??  ${g.guard} ${g.code}: ${plain(g.because)}`),
    ...(one.unknown.length === 0 ? ['  ok  every guard can tell'] : []),
    ...one.rights.flatMap((f) => [
      `  ${marks[`${f.ok}`]}  ${plain(f.text)}`,
      ...(f.fix === undefined || f.ok === true ? [] : [`      ${plain(f.fix)}`]),
    ]),
  ];
}

/** Something that a person has to mend before this policy can act. */
export function isIll(one: Examined): boolean {
  return one.unknown.length > 0 || one.rights.some((f) => f.ok === false);
}
