// Each stage of a pipeline from its owner's facts: what it adds to the lag, and its state. Pure.
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { GroupLag, KafkaLag, LagAge, PartitionLag } from '../kafka/facts-lag.ts';
import { replicatesFrom } from '../mysql/facts-binlog-server.ts';
import { ageWithin, type BinlogAges } from '../mysql/facts-binlog-history.ts';
import type { ReplicaChannel } from '../mysql/facts-replication.ts';
import type { CdcFacts } from './facts-cdc.ts';
import type { StageState } from './families.ts';

export interface StageFound {
  readonly state: StageState;
  readonly why: string | undefined;
  /** Never a bound: "at least 20 s" is no lag of 20 s. */
  readonly lagSeconds: Known<number>;
  /** What the lag is at least; the lag itself where that is known. */
  readonly atLeastSeconds: Known<number>;
}

/** Reading and publishing of a CDC process, and both together. */
export interface CdcStages {
  readonly read: StageFound;
  readonly publish: StageFound;
  /** From the source until it is published. */
  readonly whole: StageFound;
  /** The two overlap, and only `whole` counts in the lag of the pipeline; else they are two links of its chain. */
  readonly isOne: boolean;
}

/**
 * Where the process does not tell its halves apart, `read` carries both and `publish` says so (`unsplit`). What stands
 * still is blamed on the half in which a change has waited for longer: a producer that is stuck stops the reader too, in
 * the end, but never before itself.
 */
export function cdcStages(cdc: Known<CdcFacts>, objectiveSeconds: number): CdcStages {
  const whole = cdcStage(cdc, objectiveSeconds);
  if (!cdc.known) return { read: whole, publish: notKnown(cdc.why), whole, isOne: true };
  const { parts = unknown('it does not tell reading from publishing') } = cdc.value;
  if (!parts.known) return { read: whole, publish: { ...notKnown(parts.why), state: 'unsplit' }, whole, isOne: true };
  const { readSeconds, publishing } = parts.value;
  // Only where the lag is the reader's own may this be unknown.
  const atLeastSeconds = readSeconds.known ? readSeconds : whole.atLeastSeconds;
  const reading = { lagSeconds: readSeconds, atLeastSeconds };
  const published = boundOf(publishing, parts.observedAtMs, undefined, 'it was read before this was watched');
  const isPublishing = publishing.seconds > 0 && (!atLeastSeconds.known || publishing.seconds >= atLeastSeconds.value);
  const { state, why } = whole;
  const { state: of } = cdc.value;
  const isStuck = of === 'stalled';
  // Of a process that may stand still, the half that hands on what it has does not.
  const reads = of === 'running' || (isPublishing && (isStuck || of === 'unknown'));
  return {
    read: { ...moving(reading, objectiveSeconds), ...(reads ? {} : { state, why }) },
    publish: { ...moving(published, objectiveSeconds), ...(isStuck && isPublishing ? { state, why } : {}) },
    whole,
    isOne: cdc.value.lagIsOfReader !== true,
  };
}

function cdcStage(cdc: Known<CdcFacts>, objectiveSeconds: number): StageFound {
  if (!cdc.known) return notKnown(cdc.why);
  const { state, why, lagSeconds, lagAtLeastSeconds = lagSeconds } = cdc.value;
  const lag = { lagSeconds, atLeastSeconds: lagAtLeastSeconds.known ? lagAtLeastSeconds : lagSeconds };
  switch (state) {
    case 'running':
      return moving(lag, objectiveSeconds);
    case 'stalled':
      return { state: 'stalled', why, ...lag };
    case 'down':
    case 'position_lost':
      return { state: 'down', why, ...lag };
    case 'unknown':
      return { state: 'unknown', why, ...lag };
  }
}

/**
 * Of a stage that moves. A bound says something only once it is above the objective: then the objective is missed for
 * certain, whatever the true number, and the state is `behind`.
 */
export function moving(lag: Pick<StageFound, 'lagSeconds' | 'atLeastSeconds'>, objectiveSeconds: number): StageFound {
  const { lagSeconds, atLeastSeconds } = lag;
  if (lagSeconds.known) return { state: 'ok', why: undefined, ...lag };
  const isMissed = atLeastSeconds.known && atLeastSeconds.value > objectiveSeconds;
  return { state: isMissed ? 'behind' : 'unknown', why: lagSeconds.why, ...lag };
}

/**
 * Of a replica with several channels the worst counts.
 *
 * @param ages of the binary log of the source
 */
export function replicaStage(channels: Known<readonly ReplicaChannel[]>, ages: Known<BinlogAges>): StageFound {
  if (!channels.known) return notKnown(channels.why);
  const [first, ...rest] = channels.value.map((channel) => channelStage(channel, ages));
  if (first === undefined) {
    return { ...notKnown('it is no replica'), state: 'down', why: 'it does not replicate from anywhere' };
  }
  return rest.reduce(worse, first);
}

/**
 * What the replica says is nothing while it stands still, and too little when its source is not heard of: the place that
 * it has executed, in the log of its source, tells its age at any time, as exactly as the source is looked at. Between
 * two looks what the replica says is the better number.
 */
function channelStage(channel: ReplicaChannel, ages: Known<BinlogAges>): StageFound {
  const { state, why } = channel;
  const { executed } = channel;
  const isOfSource = ages.known && executed !== undefined && replicatesFrom(channel, ages.value) === true;
  const age = isOfSource ? ages.value.ageOf(executed) : undefined;
  let { lagSeconds } = channel;
  let atLeastSeconds = lagSeconds;
  if (age?.known === true) {
    const { observedAtMs, value } = age;
    const { seconds, isBound } = ageWithin(value, lagSeconds);
    const least = Math.floor(value.least);
    const older = unknown(
      `it is at least ${least} s: it has stood still since before the log of its source was watched`,
    );
    lagSeconds = isBound ? older : known(seconds, observedAtMs);
    atLeastSeconds = value.least > 0 || !isBound ? known(value.least, observedAtMs) : older;
  }
  const lag = { lagSeconds, atLeastSeconds };
  if (state === 'stopped') return { state: 'down', why, ...lag };
  if (state === 'stalled' || state === 'connecting') return { state: 'stalled', why, ...lag };
  return {
    ...lag,
    ...(lagSeconds.known ? { state: 'ok', why: undefined } : { state: 'unknown', why: lagSeconds.why }),
  };
}

const order: readonly StageState[] = ['ok', 'behind', 'unknown', 'stalled', 'down'];

/** Worse state; the larger lag, and none when one of them is not known, though it is at least the other one. */
function worse(a: StageFound, b: StageFound): StageFound {
  const { state, why } = order.indexOf(b.state) > order.indexOf(a.state) ? b : a;
  return {
    state,
    why,
    lagSeconds: [a, b].find((s) => !s.lagSeconds.known)?.lagSeconds ?? larger(a.lagSeconds, b.lagSeconds),
    atLeastSeconds: larger(a.atLeastSeconds, b.atLeastSeconds),
  };
}

/** Of two numbers that may be unknown, the larger that is known. */
export function larger(a: Known<number>, b: Known<number>): Known<number> {
  if (!a.known) return b.known ? b : a;
  return b.known && b.value > a.value ? b : a;
}

/** A commit that has not moved for this long while records wait is a stall (or for the objective, when that is longer). */
const stallAfterSeconds = 60;

/**
 * The oldest record that waits in any partition of the topics. As soon as one partition is unknown it is only a bound: a
 * record that was written there could be the oldest. A partition without a commit counts as nothing only when it is empty.
 */
export function consumeStage(
  lag: Known<KafkaLag>,
  group: string,
  topics: readonly string[],
  objectiveSeconds: number,
): StageFound {
  if (!lag.known) return notKnown(lag.why);
  const found = lag.value.groups.get(group);
  if (found === undefined)
    return notKnown(`the cluster does not know the group ${group}, or the options of kafka_lag leave it out`);
  const { partitions, age, unseen } = oldestOf(found, lag.value, topics);
  const seconds = boundOf(age, lag.observedAtMs, unseen);
  if (found.state === 'dead') return { state: 'down', why: 'the group is dead', ...seconds };
  if (unseen !== undefined) return moving(seconds, objectiveSeconds);
  if (age.seconds === 0 && !age.atLeast) return { state: 'ok', why: undefined, ...seconds };
  if (found.state === 'empty' && found.managed) {
    return { state: 'down', why: 'records wait and the group has no members', ...seconds };
  }
  const stuck = partitions.some(
    (p) => p.unmovedSeconds.known && p.unmovedSeconds.value >= Math.max(stallAfterSeconds, objectiveSeconds),
  );
  if (stuck) return { state: 'stalled', why: 'records wait and a commit does not move', ...seconds };
  return moving(seconds, objectiveSeconds);
}

interface Oldest {
  readonly partitions: readonly PartitionLag[];
  readonly age: LagAge;
  /** Why a partition could not be looked at; the first one. */
  readonly unseen: string | undefined;
}

function oldestOf(group: GroupLag, lag: KafkaLag, topics: readonly string[]): Oldest {
  const partitions: PartitionLag[] = [];
  let age: LagAge = { seconds: 0, atLeast: false };
  let unseen: string | undefined;
  if (!group.topics.known) return { partitions, age, unseen: group.topics.why };
  for (const topic of topics) {
    const offsets = lag.offsets.get(topic);
    if (offsets === undefined)
      unseen ??= `the cluster does not show the topic ${topic}, or the options of kafka_lag leave it out`;
    for (const [number, { begin, end }] of offsets ?? []) {
      const empty = begin.known && end.known && begin.value === end.value;
      const partition = group.topics.value.get(topic)?.partitions.get(number);
      const uncommitted =
        partition === undefined || (partition.committed.known && partition.committed.value === 'none');
      if (uncommitted && empty) continue;
      if (partition === undefined) unseen ??= `partition ${number} of ${topic}: nothing is committed`;
      else if (!partition.lagAge.known) unseen ??= `partition ${number} of ${topic}: ${partition.lagAge.why}`;
      else {
        partitions.push(partition);
        const { seconds, atLeast } = partition.lagAge.value;
        age = { seconds: Math.max(age.seconds, seconds), atLeast: age.atLeast || atLeast };
      }
    }
  }
  return { partitions, age, unseen };
}

export function boundOf(
  { seconds, atLeast }: LagAge,
  observedAtMs: number,
  unseen?: string,
  older = 'the oldest record is older than the history of the log',
): Pick<StageFound, 'lagSeconds' | 'atLeastSeconds'> {
  const value = known(seconds, observedAtMs);
  const why = unseen ?? (atLeast ? `it is at least ${Math.floor(seconds)} s: ${older}` : undefined);
  if (why === undefined) return { lagSeconds: value, atLeastSeconds: value };
  return { lagSeconds: unknown(why), atLeastSeconds: seconds > 0 ? value : unknown(why) };
}

export function notKnown(why: string): StageFound {
  return { state: 'unknown', why, lagSeconds: unknown(why), atLeastSeconds: unknown(why) };
}
