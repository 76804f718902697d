// How old is a record that waits? The ends of the logs from sweep to sweep, and what the brokers know of the time before.
import type { Call } from '../../collector.ts';
import { unknown, type Known } from '../../runtime/known.ts';
import { OffsetHistory } from '../../runtime/offset-history.ts';
import type { Cluster, KafkaClient, Offsets, TopicPartition } from './facts-cluster.ts';
import type { Moment } from './facts-partition.ts';

/** 10,000 partitions with 60 samples take about 10 MB. */
const historySamples = 60;

/** Ages that a history is begun with: when the exporter starts, the group may have been behind for hours. */
const backfillAgesMs = [60_000, 300_000, 900_000, 3_600_000, 21_600_000, 86_400_000, 604_800_000];

/**
 * Then the two times around the record that a group reads next are halved, so often in one sweep: seven times become 1.3
 * times the age. Of several groups of a partition one has its turn in each round.
 */
const rounds = 3;

/** So close is enough; and a third of the age is. */
const closeMs = 10_000;

/** Of the partitions that a group reads. */
export class EndHistories {
  /** topic -> partition */
  readonly #histories = new Map<string, Map<number, OffsetHistory>>();
  readonly #ids = new Map<string, string>();
  /** Partitions whose records have timestamps that do not ascend: more of them say nothing more. */
  readonly #unclear = new Map<string, Set<number>>();

  has(topic: string): boolean {
    return this.#histories.has(topic);
  }

  of(topic: string, partition: number): OffsetHistory | undefined {
    return this.#histories.get(topic)?.get(partition);
  }

  ofTopic(topic: string): ReadonlyMap<number, OffsetHistory> | undefined {
    return this.#histories.get(topic);
  }

  /** Names of topics that were made anew, or are gone: what was known of them is of another log. */
  forgetOthers({ topics, failed }: Cluster): readonly string[] {
    const gone: string[] = [];
    for (const [name, id] of this.#ids) {
      if (failed?.has(name) === true || topics.get(name)?.id === id) continue;
      gone.push(name);
      this.#ids.delete(name);
      this.#histories.delete(name);
      this.#unclear.delete(name);
    }
    for (const name of this.#histories.keys()) if (!topics.has(name) && failed?.has(name) !== true) this.#histories.delete(name); // prettier-ignore
    for (const { name, id } of topics.values()) if (id !== undefined) this.#ids.set(name, id);
    return gone;
  }

  add(topic: string, ends: ReadonlyMap<number, Known<number>>, monoMs: number): void {
    for (const [partition, end] of ends) if (end.known) this.#made(topic, partition).add(monoMs, end.value);
  }

  /**
   * Where the log ended at times before our own first look, by the timestamps of its records (ListOffsets by time): for all
   * partitions together, and only as far as the ages of the records that wait are not known closely enough. The ages from
   * it trust the producers' clocks.
   * @param waiting partitions, each with the offsets of the records that the groups read next
   */
  async learn(
    client: KafkaClient,
    call: Call,
    waiting: ReadonlyMap<TopicPartition, readonly number[]>,
    now: Moment,
  ): Promise<void> {
    const cold = [...waiting].flatMap(([p, offsets]) => (this.#isTooYoung(p, offsets, now) ? [p] : []));
    if (cold.length > 0) await this.#backfill(client, call, cold, now);
    for (let round = 0; round < rounds; round++) {
      const ages = new Map<TopicPartition, number>();
      for (const [partition, offsets] of waiting) {
        const ageMs = this.#worthAsking(partition, offsets, now);
        if (ageMs !== undefined) ages.set(partition, ageMs);
      }
      if (ages.size === 0) return;
      const found = await client.offsets(call, [...ages.keys()], (p) => now.wallMs - (ages.get(p) ?? 0));
      for (const [p, ageMs] of ages) {
        const offset = at(found, p);
        if (!offset.known) continue; // asked again in the next sweep
        const isTaken = this.of(p.topic, p.partition)?.insert(now.monoMs - ageMs, offset.value);
        if (isTaken === false) this.#unclear.set(p.topic, (this.#unclear.get(p.topic) ?? new Set()).add(p.partition));
      }
    }
  }

  #isTooYoung({ topic, partition }: TopicPartition, offsets: readonly number[], now: Moment): boolean {
    const history = this.of(topic, partition);
    if (history?.backfilled !== false) return false;
    return offsets.some((offset) => history.ageAt(offset, now.monoMs)?.atLeast !== false);
  }

  async #backfill(client: KafkaClient, call: Call, partitions: readonly TopicPartition[], now: Moment): Promise<void> {
    const answers = await Promise.all(
      backfillAgesMs.map(async (ageMs) => ({
        ageMs,
        offsets: await client.offsets(call, partitions, now.wallMs - ageMs),
      })),
    );
    for (const p of partitions) {
      const samples = answers.flatMap(({ ageMs, offsets }) => {
        const offset = at(offsets, p);
        return offset.known ? [{ atMs: now.monoMs - ageMs, endOffset: offset.value }] : [];
      });
      if (samples.length === backfillAgesMs.length) this.#made(p.topic, p.partition).backfill(samples);
    }
  }

  /** An age half way, in proportion, between the two around one of the records, where these are too far apart. */
  #worthAsking({ topic, partition }: TopicPartition, offsets: readonly number[], now: Moment): number | undefined {
    const history = this.of(topic, partition);
    if (history?.backfilled !== true || this.#unclear.get(topic)?.has(partition) === true) return undefined;
    const ownAgeMs = now.monoMs - (history.ownSinceMs ?? 0);
    let widest: number | undefined;
    let widestMs = closeMs;
    for (const offset of offsets) {
      const { least = 0, most } = history.boundsAt(offset, now.monoMs) ?? {};
      if (most === undefined) continue;
      const [leastMs, mostMs] = [least * 1000, most * 1000];
      // Between two looks of our own the records' timestamps are not asked for: that is a sweep interval, or its share
      if (mostMs <= ownAgeMs || mostMs - leastMs <= Math.max(widestMs, leastMs / 3)) continue;
      widestMs = mostMs - leastMs;
      widest = Math.round(Math.sqrt(Math.max(leastMs, 2_000) * mostMs));
    }
    return widest;
  }

  #made(topic: string, partition: number): OffsetHistory {
    const ofTopic = this.#histories.get(topic) ?? new Map<number, OffsetHistory>();
    this.#histories.set(topic, ofTopic);
    const history = ofTopic.get(partition) ?? new OffsetHistory(historySamples);
    ofTopic.set(partition, history);
    return history;
  }
}

export function at(offsets: Offsets, { topic, partition }: TopicPartition): Known<number> {
  return offsets.get(topic)?.get(partition) ?? unknown('the partition was not asked for');
}
