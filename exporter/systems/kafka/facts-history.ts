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

/** Then the time in which the next record of a group was written is halved this often: 7 times become 1.3 times the age. */
const bisections = 3;

/** For so many groups of a partition, the furthest behind first. */
const bisectedGroups = 3;

/** Of the partitions that a group reads. */
export class EndHistories {
  /** topic -> partition */
  readonly #histories = new Map<string, Map<number, OffsetHistory>>();
  readonly #ids = new Map<string, string>();

  has(topic: string): boolean {
    return this.#histories.has(topic);
  }

  of(topic: string, partition: number): OffsetHistory | undefined {
    return this.#histories.get(topic)?.get(partition);
  }

  /** Names of topics that were made anew, or are gone: what was known of them is of another log. */
  forgetOthers({ topics, failed }: Cluster): readonly string[] {
    const gone: string[] = [];
    for (const [name, id] of this.#ids) {
      if (failed?.has(name) === true || topics.get(name)?.id === id) continue;
      gone.push(name);
      this.#ids.delete(name);
      this.#histories.delete(name);
    }
    for (const name of this.#histories.keys()) if (!topics.has(name) && failed?.has(name) !== true) this.#histories.delete(name); // prettier-ignore
    for (const { name, id } of topics.values()) if (id !== undefined) this.#ids.set(name, id);
    return gone;
  }

  add(topic: string, ends: ReadonlyMap<number, Known<number>>, monoMs: number): void {
    for (const [partition, end] of ends) if (end.known) this.#made(topic, partition).add(monoMs, end.value);
  }

  /**
   * Where the log ended at some times in the past, by the timestamps of its records (ListOffsets by time): once per
   * partition, one request per broker and time, for all partitions together. The ages from it trust the producers' clocks.
   * @param waiting partitions, each with the offsets of the records that the groups read next
   */
  async backfill(
    client: KafkaClient,
    call: Call,
    waiting: ReadonlyMap<TopicPartition, readonly number[]>,
    now: Moment,
  ): Promise<void> {
    const asked: Asked[] = [...waiting].map(([partition, offsets]) => ({
      partition,
      offsets: [...new Set(offsets)].sort((a, b) => a - b).slice(0, bisectedGroups),
      ends: new Map(),
      failed: false,
    }));
    await Promise.all(backfillAgesMs.map((ageMs) => askAges(client, call, asked, () => ageMs, now)));
    const ranks = Array.from({ length: bisectedGroups }, (_, rank) => rank);
    await Promise.all(
      ranks.map(async (rank) => {
        for (let i = 0; i < bisections; i++) {
          await askAges(client, call, asked, (one) => ageBetween(one.ends, one.offsets[rank]), now);
        }
      }),
    );
    for (const { partition: p, ends, failed } of asked) {
      if (failed) continue; // asked again in the next sweep
      const samples = [...ends].map(([ageMs, endOffset]) => ({ atMs: now.monoMs - ageMs, endOffset }));
      this.#made(p.topic, p.partition).backfill(samples);
    }
  }

  #made(topic: string, partition: number): OffsetHistory {
    const ofTopic = this.#histories.get(topic) ?? new Map<number, OffsetHistory>();
    this.#histories.set(topic, ofTopic);
    const history = ofTopic.get(partition) ?? new OffsetHistory(historySamples);
    ofTopic.set(partition, history);
    return history;
  }
}

interface Asked {
  readonly partition: TopicPartition;
  /** Ascending. */
  readonly offsets: readonly number[];
  /** age -> where the log ended then */
  readonly ends: Map<number, number>;
  failed: boolean;
}

async function askAges(
  client: KafkaClient,
  call: Call,
  asked: readonly Asked[],
  ageOf: (one: Asked) => number | undefined,
  now: Moment,
): Promise<void> {
  const ages = new Map<TopicPartition, number>();
  for (const one of asked) {
    const ageMs = ageOf(one);
    if (ageMs !== undefined) ages.set(one.partition, ageMs);
  }
  if (ages.size === 0) return;
  const offsets = await client.offsets(call, [...ages.keys()], (p) => now.wallMs - (ages.get(p) ?? 0));
  for (const one of asked) {
    const ageMs = ages.get(one.partition);
    if (ageMs === undefined) continue;
    const offset = at(offsets, one.partition);
    if (offset.known) one.ends.set(ageMs, offset.value);
    else one.failed = true;
  }
}

/** Half way, in proportion, between the two known ages around the record; undefined where it is younger or older than all. */
function ageBetween(ends: ReadonlyMap<number, number>, offset: number | undefined): number | undefined {
  if (offset === undefined) return undefined;
  let older: number | undefined;
  let younger: number | undefined;
  for (const [ageMs, end] of ends) {
    if (end <= offset) older = Math.min(older ?? Infinity, ageMs);
    else younger = Math.max(younger ?? 0, ageMs);
  }
  if (older === undefined || younger === undefined || older <= younger + 1) return undefined;
  return Math.round(Math.sqrt(older * younger));
}

export function at(offsets: Offsets, { topic, partition }: TopicPartition): Known<number> {
  return offsets.get(topic)?.get(partition) ?? unknown('the partition was not asked for');
}
