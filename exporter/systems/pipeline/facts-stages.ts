// Each stage of a pipeline from its owner's facts: what it adds to the lag, and its state. Pure.
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { GroupLag, KafkaLag, LagAge, PartitionLag } from '../kafka/facts-lag.ts';
import type { MaxwellHealth } from '../maxwell/facts-health.ts';
import type { ReplicaChannel } from '../mysql/facts-replication.ts';
import type { RedisReplicaSeen, RedisReplication } from '../redis/facts-replication.ts';
import type { StageState } from './families.ts';

export interface StageFound {
  readonly state: StageState;
  readonly why: string | undefined;
  readonly lagSeconds: Known<number>;
}

export function cdcStage(health: Known<Pick<MaxwellHealth, 'state' | 'why' | 'lagSeconds'>>): StageFound {
  if (!health.known) return notKnown(health.why);
  const { state, why, lagSeconds } = health.value;
  switch (state) {
    case 'running':
      return lagSeconds.known ? { state: 'ok', why: undefined, lagSeconds } : notKnown(lagSeconds.why);
    case 'stalled':
      return { state: 'stalled', why, lagSeconds };
    case 'down':
    case 'position_lost':
      return { state: 'down', why, lagSeconds };
    case 'unknown':
      return { state: 'unknown', why, lagSeconds };
  }
}

/** Of a replica with several channels the worst counts. */
export function replicaStage(channels: Known<readonly ReplicaChannel[]>): StageFound {
  if (!channels.known) return notKnown(channels.why);
  const [first, ...rest] = channels.value.map(channelStage);
  if (first === undefined) {
    return { state: 'down', why: 'it does not replicate from anywhere', lagSeconds: unknown('it is no replica') };
  }
  return rest.reduce(worse, first);
}

function channelStage({ state, why, lagSeconds }: ReplicaChannel): StageFound {
  if (state === 'stopped') return { state: 'down', why, lagSeconds };
  if (state === 'stalled' || state === 'connecting') return { state: 'stalled', why, lagSeconds };
  return lagSeconds.known ? { state: 'ok', why: undefined, lagSeconds } : notKnown(lagSeconds.why);
}

const order: readonly StageState[] = ['ok', 'unknown', 'stalled', 'down'];

/** Worse state; the larger lag, and none when one of them is not known. */
function worse(a: StageFound, b: StageFound): StageFound {
  const { state, why } = order.indexOf(b.state) > order.indexOf(a.state) ? b : a;
  if (!a.lagSeconds.known) return { state, why, lagSeconds: a.lagSeconds };
  if (!b.lagSeconds.known) return { state, why, lagSeconds: b.lagSeconds };
  return { state, why, lagSeconds: a.lagSeconds.value >= b.lagSeconds.value ? a.lagSeconds : b.lagSeconds };
}

/** A commit that has not moved for this long while records wait is a stall (or for the objective, when that is longer). */
export const stallAfterSeconds = 60;

/**
 * The oldest record that waits in any partition of the topics. It is unknown as soon as one partition is: a record that
 * was written there could be the oldest. A partition without a commit counts as nothing only when it is empty.
 */
export function consumeStage(
  lag: Known<KafkaLag>,
  group: string,
  topics: readonly string[],
  objectiveSeconds: number,
): StageFound {
  if (!lag.known) return notKnown(lag.why);
  const found = lag.value.groups.get(group);
  if (found === undefined) return notKnown(`the cluster does not know the group ${group}`);
  const age = oldestOf(found, lag.value, topics, lag.observedAtMs);
  const lagSeconds = proven(age, objectiveSeconds);
  if (found.state === 'dead') return { state: 'down', why: 'the group is dead', lagSeconds };
  if (!age.known) return notKnown(age.why);
  const { partitions, age: oldest } = age.value;
  if (oldest.seconds === 0 && !oldest.atLeast) return { state: 'ok', why: undefined, lagSeconds };
  if (found.state === 'empty' && found.managed) {
    return { state: 'down', why: 'records wait and the group has no members', lagSeconds };
  }
  const stuck = partitions.some(
    (p) => p.unmovedSeconds.known && p.unmovedSeconds.value >= Math.max(stallAfterSeconds, objectiveSeconds),
  );
  if (stuck) return { state: 'stalled', why: 'records wait and a commit does not move', lagSeconds };
  return lagSeconds.known ? { state: 'ok', why: undefined, lagSeconds } : notKnown(lagSeconds.why);
}

function oldestOf(
  group: GroupLag,
  lag: KafkaLag,
  topics: readonly string[],
  observedAtMs: number,
): Known<{ readonly partitions: readonly PartitionLag[]; readonly age: LagAge }> {
  if (!group.topics.known) return group.topics;
  const partitions: PartitionLag[] = [];
  let age: LagAge = { seconds: 0, atLeast: false };
  for (const topic of topics) {
    const offsets = lag.offsets.get(topic);
    if (offsets === undefined) return unknown(`the cluster does not show the topic ${topic}`);
    for (const [number, { begin, end }] of offsets) {
      const empty = begin.known && end.known && begin.value === end.value;
      const partition = group.topics.value.get(topic)?.partitions.get(number);
      const uncommitted =
        partition === undefined || (partition.committed.known && partition.committed.value === 'none');
      if (uncommitted && empty) continue;
      if (partition === undefined) return unknown(`partition ${number} of ${topic}: nothing is committed`);
      if (!partition.lagAge.known) return unknown(`partition ${number} of ${topic}: ${partition.lagAge.why}`);
      partitions.push(partition);
      const { seconds, atLeast } = partition.lagAge.value;
      age = { seconds: Math.max(age.seconds, seconds), atLeast: age.atLeast || atLeast };
    }
  }
  return known({ partitions, age }, observedAtMs);
}

/**
 * "At least 20 s" is no lag of 20 s. It says something only once it is above the objective: then the objective is missed
 * for certain, whatever the true number.
 */
function proven(age: Known<{ readonly age: LagAge }>, objectiveSeconds: number): Known<number> {
  if (!age.known) return age;
  const { seconds, atLeast } = age.value.age;
  if (atLeast && seconds <= objectiveSeconds) {
    return unknown(`it is at least ${Math.floor(seconds)} s: the oldest record is older than the history of the log`);
  }
  return known(seconds, age.observedAtMs);
}

/**
 * The primary knows best how far the replica is; of its replicas the right one is found by address and port. When it
 * cannot be found or the primary cannot be asked, the replica's own link says at least whether it is broken.
 */
export function cacheStage(
  primary: Known<RedisReplication>,
  replica: Known<RedisReplication>,
  objectiveSeconds: number,
): StageFound {
  const own = replica.known ? ownStage(replica.value) : undefined;
  if (own !== undefined) return own;
  if (!primary.known) return notKnown(`the primary: ${primary.why}`);
  if (primary.value.role !== 'primary') return notKnown('the primary is a replica now');
  if (!replica.known) return notKnown(replica.why);
  if (replica.value.replId !== primary.value.replId) {
    return {
      state: 'down',
      why: 'it replicates from another primary',
      lagSeconds: unknown('it follows another stream'),
    };
  }
  const seen = seenBy(primary.value, replica.value);
  if (seen === undefined) return notKnown('the primary does not show the replica under an address that is known here');
  if (!seen.lag.known) return notKnown(seen.lag.why);
  const lagSeconds = proven(known({ age: seen.lag.value }, seen.lag.observedAtMs), objectiveSeconds);
  return lagSeconds.known ? { state: 'ok', why: undefined, lagSeconds } : notKnown(lagSeconds.why);
}

/** What the replica says about its link, when it is not up; undefined when it is. */
function ownStage(replica: RedisReplication): StageFound | undefined {
  const down = (state: StageState, why: string): StageFound => ({ state, why, lagSeconds: unknown(why) });
  switch (replica.state) {
    case 'replica_up':
      return undefined;
    case 'replica_syncing':
      return down('stalled', 'it is being copied anew');
    case 'replica_down':
      return down('down', 'its link to the primary is down');
    case 'primary':
      return down('down', 'it is a primary itself');
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

function notKnown(why: string): StageFound {
  return { state: 'unknown', why, lagSeconds: unknown(why) };
}
