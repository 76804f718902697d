// Who sees that a replica needs a full copy: the replica by its own numbers, its primary by its own. Pure.
import type { Look } from '../../action.ts';
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
  switch (state) {
    case 'full_only':
      return { observers: observersOf(facts, { silentSeconds }) };
    case 'not_a_replica':
      return {
        observers: [
          { by: 'replica', says: 'broken' },
          { by: 'primary', says: servedBy(pair, silentSeconds) ? 'healthy' : 'broken' },
        ],
      };
    case 'keys_differ':
      return {
        observers: [
          { by: 'replica', says: 'broken' },
          // What is still on its way would make a difference too: it must have said lately how far it is, and be there.
          { by: 'primary', says: servedBy(pair, silentSeconds) && isCaughtUp(pair) ? 'broken' : 'unknown' },
        ],
      };
    default:
      return { observers: [] };
  }
}

function entryOf({ replica, primary }: Pair) {
  return primary.replicas.find((r) => r.port === String(replica.server.port) && r.state === 'online');
}

function servedBy(pair: Pair, silentSeconds: number): boolean {
  return (entryOf(pair)?.ackAgeSeconds ?? Infinity) < silentSeconds;
}

/** Replicas acknowledge once a second: what a busy primary writes meanwhile is no backlog. */
const onTheWayBytes = 1024 * 1024;
function isCaughtUp(pair: Pair): boolean {
  return pair.primary.offset - (entryOf(pair)?.offset ?? 0) <= onTheWayBytes;
}
