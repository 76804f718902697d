// Who sees that a replica needs a full copy: the replica by its own numbers, its primary by its own. Pure.
import type { RedisReplicaSeen } from '../../../exporter/systems/redis/facts-replication-replicas.ts';
import type { Look } from '../../action.ts';
import { isServed, ownEntries } from './entries.ts';
import type { PairFacts } from './facts.ts';
import { observersOf } from './reconnect-verdicts.ts';
import type { Pair } from './verdicts.ts';

type Observers = NonNullable<Look<unknown>['observers']>;

/**
 * @param state code of divergence()
 * @returns none where the alert is believed: what it has compared is not to be seen from here, and a person decides
 */
export function resyncObservers(
  facts: PairFacts,
  state: string,
  { silentSeconds }: { readonly silentSeconds: number },
): { readonly observers?: Observers } {
  const { replica, primary } = facts;
  if (state === 'by_alert') return {};
  if (!replica.known || !primary.known) return { observers: [] };
  const pair: Pair = { replica: replica.value, primary: primary.value };
  const { entries } = ownEntries(pair, facts.link);
  switch (state) {
    case 'full_only':
      return { observers: observersOf(facts, { silentSeconds }) };
    case 'not_a_replica':
      return {
        observers: [
          { by: 'replica', says: 'broken' },
          { by: 'primary', says: entries.some((r) => isServed(r, silentSeconds)) ? 'healthy' : 'broken' },
        ],
      };
    case 'keys_differ':
      return {
        observers: [
          { by: 'replica', says: 'broken' },
          // What is still on its way would make a difference too: it must have said lately how far it is, and be there.
          // Where it may be any of several, all of them.
          { by: 'primary', says: areCaughtUp(entries, pair, silentSeconds) ? 'broken' : 'unknown' },
        ],
      };
    default:
      return { observers: [] };
  }
}

/** Of each address: one that hangs stays listed for a while, and says nothing. */
function areCaughtUp(entries: readonly RedisReplicaSeen[], { primary }: Pair, silentSeconds: number): boolean {
  const served = entries.filter((r) => isServed(r, silentSeconds));
  const addresses = new Set(entries.map((r) => r.ip));
  return (
    served.length > 0 &&
    new Set(served.map((r) => r.ip)).size === addresses.size &&
    served.every((r) => primary.offset - r.offset <= onTheWayBytes)
  );
}

/** Replicas acknowledge once a second: what a busy primary writes meanwhile is no backlog. */
const onTheWayBytes = 1024 * 1024;
