import type { Look } from '../../action.ts';
import { asJson } from '../../canonical.ts';
import type { Advice, Json } from '../../model.ts';
import { reconnectAdvice } from './advice.ts';
import { beforeOf, type Before } from './before.ts';
import type { RedisWorld } from './connection.ts';
import { readPair, type PairFacts } from './facts.ts';
import { goodMarkOf, markIfGood } from './marks.ts';
import { observersOf, reconnectPreconditions, symptom, type ReconnectParams } from './reconnect-verdicts.ts';
import { sentinelVerdict, type Pair } from './verdicts.ts';

export async function lookAtLink(
  target: string,
  params: ReconnectParams,
  world: RedisWorld,
  signal: AbortSignal,
): Promise<Look<Before>> {
  const facts = await readPair(target, world, signal);
  const pair = pairOf(facts);
  if (pair !== undefined) markIfGood(world, target, pair, params.silentSeconds, world.clock.wallMs());
  const alreadyFixed = symptom(facts, params);
  const advice: readonly Advice[] = reconnectAdvice(facts, params);
  return {
    alreadyFixed,
    preconditions: {
      ...reconnectPreconditions(facts, params, goodMarkOf(world, target)),
      sentinel: sentinelVerdict(facts.sentinel, 'reconnect'),
    },
    owner: sentinelVerdict(facts.sentinel, 'reconnect'),
    observers: observersOf(facts, params),
    ...progressOf(facts),
    evidence: evidenceOf(facts, alreadyFixed.code),
    seen: seenOf(facts),
    before: pair === undefined ? undefined : beforeOf(facts, pair, world.clock.wallMs()),
    advice,
  };
}

export function pairOf({ replica, primary }: PairFacts): Pair | undefined {
  return replica.known && primary.known ? { replica: replica.value, primary: primary.value } : undefined;
}

/** What decides, and nothing that moves by itself. */
export function evidenceOf({ replica, primary, link }: PairFacts, state: string): Json {
  return {
    state,
    replica: replica.known ? replica.value.server.runId : 'unknown',
    primary: primary.known ? primary.value.server.runId : 'unknown',
    replId: replica.known ? replica.value.replId : 'unknown',
    primaryReplId: primary.known ? primary.value.replId : 'unknown',
    laddr: link.known ? (link.value?.laddr ?? null) : 'unknown',
  };
}

/** Without the fields of INFO as written: they are long, and those that count stand beside them. */
export function seenOf(facts: PairFacts): Json {
  const plain = ({ replica, primary, ...rest }: PairFacts) => ({
    ...rest,
    replica: replica.known ? { ...replica, value: { ...replica.value, fields: undefined } } : replica,
    primary: primary.known ? { ...primary, value: { ...primary.value, fields: undefined } } : primary,
  });
  return asJson(plain(facts));
}

function progressOf({ replica }: PairFacts): { readonly progressMark?: string } {
  const offset = replica.known ? replica.value.link?.offset : undefined;
  return offset === undefined ? {} : { progressMark: String(offset) };
}
