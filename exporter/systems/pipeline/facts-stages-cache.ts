// The stage between a Redis primary and its replica. Pure.
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { RedisReplicaSeen, RedisReplication, RedisStream } from '../redis/facts-replication.ts';
import { boundOf, moving, notKnown, type StageFound } from './facts-stages.ts';
import type { StageState } from './families.ts';

/**
 * The primary knows best how far the replica is; of its replicas the right one is found by address and port. When it
 * cannot be found or the primary cannot be asked, the replica's own link says at least whether it is broken.
 */
export function cacheStage(
  primary: Known<RedisReplication>,
  replica: Known<RedisReplication>,
  objectiveSeconds: number,
  stream: Known<RedisStream> = unknown('the stream of the primary was not read'),
): StageFound {
  const own = replica.known ? ownStage(replica.value) : undefined;
  if (own !== undefined) return { ...own, ...(replica.known ? brokenOff(replica.value, stream) : {}) };
  if (!primary.known) return notKnown(`the primary: ${primary.why}`);
  if (primary.value.role !== 'primary') return notKnown('the primary is a replica now');
  if (!replica.known) return notKnown(replica.why);
  if (replica.value.replId !== primary.value.replId) {
    return { ...notKnown('it follows another stream'), state: 'down', why: 'it replicates from another primary' };
  }
  const seen = seenBy(primary.value, replica.value);
  if (seen === undefined) return notKnown('the primary does not show the replica under an address that is known here');
  if (seen.behindBytes.known && seen.behindBytes.value <= pingBytes) {
    const none = known(0, seen.behindBytes.observedAtMs);
    return moving({ lagSeconds: none, atLeastSeconds: none }, objectiveSeconds);
  }
  if (!seen.lag.known) return notKnown(seen.lag.why);
  return moving(boundOf(seen.lag.value, seen.lag.observedAtMs), objectiveSeconds);
}

/**
 * A replica without its link knows how far it came, and the primary when that was. Not so of the stream of another primary,
 * of which the offsets are others; and of one that is copied anew the offset is that from before.
 */
function brokenOff(
  { replId, link }: RedisReplication,
  stream: Known<RedisStream>,
): Pick<StageFound, 'lagSeconds' | 'atLeastSeconds'> | undefined {
  if (!stream.known || link === undefined || stream.value.replId !== replId) return undefined;
  const age = stream.value.ageOf(link.offset);
  return age === undefined ? undefined : boundOf(age, stream.observedAtMs, undefined, 'it broke off before the stream was watched'); // prettier-ignore
}

/**
 * A primary at rest writes `*1\r\n$4\r\nPING\r\n` into its stream every repl-ping-replica-period, 10 s by default. Every
 * command that changes something has a key, and is longer.
 */
const pingBytes = 14;

/** What the replica says about its link, when it is not up; undefined when it is. */
function ownStage(replica: RedisReplication): StageFound | undefined {
  const down = (state: StageState, why: string): StageFound => ({ ...notKnown(why), state });
  switch (replica.state) {
    case 'replica_up':
      return undefined;
    case 'replica_syncing':
      return down('stalled', 'it is being copied anew');
    case 'replica_down':
      return down('down', 'its link to the primary is down');
    case 'primary':
      return down('down', 'it is a primary itself');
    case 'sentinel':
      return down('down', 'it is a Sentinel and holds no data');
    case 'unknown':
      return notKnown(replica.why ?? 'its state is not known');
  }
}

function seenBy(primary: RedisReplication, replica: RedisReplication): RedisReplicaSeen | undefined {
  const samePort = primary.replicas.filter((r) => r.port === String(replica.server.port));
  const exact = samePort.filter((r) => r.ip === replica.server.host);
  if (exact.length === 1) return exact[0];
  // The inventory may have a name where the primary sees an address
  return samePort.length === 1 ? samePort[0] : undefined;
}
