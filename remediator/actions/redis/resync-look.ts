import type { Look } from '../../action.ts';
import { resyncAdvice } from './advice.ts';
import { beforeOf, type Before } from './before.ts';
import type { RedisWorld } from './connection.ts';
import { readPair } from './facts.ts';
import { goodMarkOf, markIfGood } from './marks.ts';
import { evidenceOf, pairOf, seenOf } from './reconnect-look.ts';
import { divergence, resyncPreconditions, type ResyncParams } from './resync-verdicts.ts';
import { sentinelVerdict } from './verdicts.ts';

export async function lookAtData(
  target: string,
  params: ResyncParams,
  world: RedisWorld,
  signal: AbortSignal,
): Promise<Look<Before>> {
  const facts = await readPair(target, world, signal);
  const pair = pairOf(facts);
  // before the mark is set anew: a primary that was started since is to be seen
  const good = goodMarkOf(world, target);
  if (pair !== undefined) markIfGood(world, target, pair, params.silentSeconds, world.clock.wallMs());
  const alreadyFixed = divergence(facts, params);
  const sentinel = sentinelVerdict(facts.sentinel, 'full-resync');
  return {
    alreadyFixed,
    preconditions: { ...resyncPreconditions(facts, params, good), sentinel },
    owner: sentinel,
    ...(facts.replica.known ? { progressMark: facts.replica.value.replId } : {}),
    evidence: evidenceOf(facts, alreadyFixed.code),
    seen: seenOf(facts),
    before: pair === undefined ? undefined : beforeOf(facts, pair, world.clock.wallMs()),
    advice: resyncAdvice(target, facts),
  };
}
