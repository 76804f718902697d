// Reads what is new in a topic without a consumer group: nothing is committed and nobody is rebalanced. For the far end of
// a canary; it reads only while one is waited for.
import { fetchV13, listOffsetsV7, listOffsetsV8, metadataV12 } from '@platformatic/kafka';
import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import { errorName, groupBy, KafkaWire, type Node, type WireOptions } from './client-wire.ts';

/** Of one answer, and of one partition in it; a batch that is larger comes whole (KIP-74). */
const answerBytes = 1024 * 1024;
const partitionBytes = 256 * 1024;
/** Answers of one broker in one reading. */
const maxAnswers = 4;
/** A partition that is added to the topic makes no error in the others: it is looked for so often. */
const layoutMs = 30_000;

const latest = -1n;
const earliest = -2n;
const offsetOutOfRange = 1;

interface Partition {
  readonly index: number;
  readonly leader: Node;
  readonly leaderId: number;
}

export interface KafkaTail extends AsyncDisposable {
  /** The values of the records since the last reading, bounded: what does not fit is read the next time. @throws TargetError */
  readonly read: (call: Call) => Promise<string>;
  /** Passes over what is there now. @throws TargetError */
  readonly skip: (call: Call) => Promise<void>;
  readonly usable: () => boolean;
}

/** Begins at the end of the topic. @throws TargetError */
export async function openKafkaTail(options: WireOptions, topic: string, call: Call): Promise<KafkaTail> {
  const wire = new KafkaWire(options);
  /** Of the next record that is read. */
  const positions = new Map<number, bigint>();
  let topicId = '';
  let partitions: readonly Partition[] | undefined;
  let laidOutAtMs = 0;
  /** Those that the topic had at the last look, with a leader or without. */
  let before = new Set<number>();

  const layout = async (of: Call): Promise<readonly Partition[]> => {
    if (partitions !== undefined && of.clock.monoMs() - laidOutAtMs < layoutMs) return partitions;
    const api = await wire.api(of, 'Metadata', metadataV12);
    const answer = await wire.send(of, 'Metadata', undefined, (c) => api.async(c, [{ name: topic }], false, false));
    const [found] = answer.topics;
    if (found === undefined || found.errorCode !== 0) {
      const why = found === undefined ? 'no answer' : errorName(found.errorCode);
      throw new TargetError('failed', `topic ${topic}: ${why}`);
    }
    // A topic that was made anew begins anew
    if (topicId !== '' && topicId !== found.topicId) {
      positions.clear();
      before.clear();
    }
    const isFirst = topicId === '';
    topicId = found.topicId;
    const brokers = new Map(answer.brokers.map((broker) => [broker.nodeId, broker]));
    const led = found.partitions.flatMap(({ partitionIndex: index, leaderId }): Partition[] => {
      const leader = brokers.get(leaderId);
      return leader === undefined ? [] : [{ index, leader, leaderId }];
    });
    const fresh = led.filter(({ index }) => !positions.has(index));
    // What an old one holds, which was without a leader till now, may be days of records; a new one holds what is looked for
    const isOld = ({ index }: Partition): boolean => isFirst || before.has(index);
    const placed = [
      await place(fresh.filter(isOld), latest, of),
      await place(
        fresh.filter((p) => !isOld(p)),
        earliest,
        of,
      ),
    ];
    before = new Set(found.partitions.map(({ partitionIndex }) => partitionIndex));
    laidOutAtMs = of.clock.monoMs();
    partitions = placed.every(Boolean) ? led : undefined;
    return led;
  };

  /** False when a partition could not be placed: what is known of the topic is no longer so. */
  const place = async (which: readonly Partition[], at: bigint, of: Call): Promise<boolean> => {
    if (which.length === 0) return true;
    let isWhole = true;
    const api = await wire.api(of, 'ListOffsets', listOffsetsV8, listOffsetsV7);
    for (const [, of_] of groupBy(which, ({ leaderId }) => leaderId)) {
      const wanted = of_.map(({ index }) => ({ partitionIndex: index, currentLeaderEpoch: -1, timestamp: at }));
      const answer = await wire.send(of, 'ListOffsets', of_[0]?.leader, (c) =>
        api.async(c, -1, 0, [{ name: topic, partitions: wanted }]),
      );
      for (const { partitionIndex, errorCode, offset } of answer.topics.flatMap((t) => t.partitions)) {
        if (errorCode === 0) positions.set(partitionIndex, offset);
        else isWhole = false;
      }
    }
    return isWhole;
  };

  const fetched = async (of_: readonly Partition[], of: Call, values: string[]): Promise<boolean> => {
    const api = await wire.api(of, 'Fetch', fetchV13);
    const wanted = of_.flatMap(({ index }) => {
      const fetchOffset = positions.get(index);
      if (fetchOffset === undefined) return [];
      const rest = { currentLeaderEpoch: -1, lastFetchedEpoch: -1, partitionMaxBytes: partitionBytes };
      return [{ partition: index, fetchOffset, ...rest }];
    });
    if (wanted.length === 0) return false;
    const answer = await wire.send(of, 'Fetch', of_[0]?.leader, (c) =>
      // without a fetch session: id 0, epoch -1 (KIP-227)
      api.async(c, 0, 0, answerBytes, 0, 0, -1, [{ topicId, partitions: wanted }], [], ''),
    );
    if (answer.errorCode !== 0) throw new TargetError('failed', `Fetch: ${errorName(answer.errorCode)}`);
    let isMore = false;
    for (const partition of answer.responses.flatMap((t) => t.partitions)) {
      const index = partition.partitionIndex;
      if (partition.errorCode === offsetOutOfRange) {
        const isPlaced = await place(
          of_.filter((p) => p.index === index),
          earliest,
          of,
        );
        if (!isPlaced) partitions = undefined;
      } else if (partition.errorCode !== 0) partitions = undefined; // another leader, or another topic of this name
      let next = positions.get(index) ?? 0n;
      for (const batch of partition.records ?? []) {
        next = batch.firstOffset + BigInt(batch.lastOffsetDelta) + 1n;
        for (const { value } of batch.records) values.push(Buffer.from(value ?? []).toString('utf8'));
      }
      const hasMoved = next !== positions.get(index);
      if (partition.errorCode === 0) positions.set(index, next);
      isMore ||= hasMoved && next < partition.highWatermark;
    }
    return isMore;
  };

  const byLeader = async (of: Call): Promise<readonly (readonly Partition[])[]> => [
    ...groupBy(await layout(of), ({ leaderId }) => leaderId).values(),
  ];

  try {
    await layout(call);
  } catch (error) {
    await wire.close();
    throw error;
  }
  return {
    read: async (of) => {
      const values: string[] = [];
      for (const led of await byLeader(of)) {
        for (let answers = 0; answers < maxAnswers; answers += 1) if (!(await fetched(led, of, values))) break;
      }
      return values.join('\n');
    },
    skip: async (of) => {
      if (!(await place(await layout(of), latest, of))) partitions = undefined;
    },
    usable: () => !wire.closed,
    [Symbol.asyncDispose]: () => wire.close(),
  };
}
