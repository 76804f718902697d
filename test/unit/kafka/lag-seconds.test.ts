// Lag in seconds against a model that remembers when each record was written.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known } from '../../../exporter/runtime/known.ts';
import type { KafkaClient, OffsetAt, Offsets, TopicPartition } from '../../../exporter/systems/kafka/facts-cluster.ts';
import { LagMemory, readKafkaLag, type PartitionLag } from '../../../exporter/systems/kafka/facts-lag.ts';
import { generator, type Random } from '../../support/random.ts';
import { clientOf, fakeCluster } from './fake-cluster.ts';

const weekMs = 604_800_000;

/** One partition that is written in bursts with rests, and a group that reads it in bursts, stops, and goes back at times. */
class Model {
  readonly #chance: Random;
  /** When each record was written, by offset. */
  readonly writtenAtMs: number[] = [];
  nowMs = 2_000_000_000_000;
  committed = 0;
  #isBusy = true;
  #isReading = true;

  constructor(chance: Random) {
    this.#chance = chance;
  }

  pass(ms: number): void {
    const chance = this.#chance;
    if (chance() < 0.1) this.#isBusy = !this.#isBusy;
    if (chance() < 0.1) this.#isReading = !this.#isReading;
    const count = this.#isBusy ? Math.floor(chance() * 8) : 0;
    const times = Array.from({ length: count }, () => this.nowMs + chance() * ms);
    this.writtenAtMs.push(...times.sort((a, b) => a - b));
    this.nowMs += ms;
    if (!this.#isReading) return;
    this.committed = Math.min(this.writtenAtMs.length, this.committed + Math.floor(chance() * 12));
  }

  client(): KafkaClient {
    const end = this.writtenAtMs.length;
    const cluster = fakeCluster({ topics: { t: [{ end }] }, groups: { g: { commits: { t: [this.committed] } } } });
    const offsets = (_: unknown, partitions: readonly TopicPartition[], at: OffsetAt): Promise<Offsets> =>
      Promise.resolve(new Map([['t', new Map(partitions.map((p) => [0, known(this.#offsetAt(p, at), this.nowMs)]))]]));
    return { ...clientOf(cluster), offsets };
  }

  #offsetAt(partition: TopicPartition, at: OffsetAt): number {
    if (typeof at === 'string') return at === 'begin' ? 0 : this.writtenAtMs.length;
    const sinceMs = typeof at === 'number' ? at : at(partition);
    let [low, high] = [0, this.writtenAtMs.length];
    while (low < high) {
      const mid = (low + high) >> 1;
      if ((this.writtenAtMs[mid] ?? 0) >= sinceMs) high = mid;
      else low = mid + 1;
    }
    return low;
  }
}

test('property: wrong by at most two sweep intervals and a third of the age, also after a restart of the exporter', async () => {
  let looks = 0;
  for (let seed = 1; seed <= 30; seed++) {
    const chance = generator(seed);
    const model = new Model(chance);
    for (let i = 0; i < 2_000 * chance(); i++) model.pass(1_000 + chance() * 60_000); // before the exporter
    let memory = new LagMemory();
    let sinceRestartMs = 0;
    const maxStepMs = 15_000;
    for (let i = 0; i < 300; i++) {
      const stepMs = 5_000 + chance() * (maxStepMs - 5_000);
      model.pass(stepMs);
      sinceRestartMs += stepMs;
      if (chance() < 0.02) {
        memory = new LagMemory();
        sinceRestartMs = 0;
      }
      const found = await sweep(model, memory);
      const written = model.writtenAtMs[model.committed];
      const trueSeconds = written === undefined ? 0 : (model.nowMs - written) / 1_000;
      assert.ok(found.lagAge.known, `seed ${seed}, sweep ${i}: unknown`);
      const { seconds, atLeast } = found.lagAge.value;
      assert.equal(atLeast, trueSeconds > weekMs / 1_000);
      const boundSeconds = (2 * maxStepMs) / 1_000 + trueSeconds / 3;
      const wrong = Math.abs(seconds - trueSeconds);
      assert.ok(
        wrong <= boundSeconds,
        `seed ${seed}, sweep ${i}, ${sinceRestartMs} ms on: ${seconds} s, true ${trueSeconds} s`,
      );
      if (trueSeconds === 0) assert.equal(seconds, 0);
      looks++;
    }
  }
  assert.equal(looks, 9_000);
});

test('a record older than a week: at least so old, and never more than it is', async () => {
  const model = new Model(generator(1));
  model.writtenAtMs.push(model.nowMs - 10 * 86_400_000, model.nowMs - 9 * 86_400_000, model.nowMs - 1_000);
  const memory = new LagMemory();
  for (let i = 0; i < 3; i++) {
    const { lagAge } = await sweep(model, memory);
    assert.ok(lagAge.known && lagAge.value.atLeast);
    assert.ok(
      lagAge.value.seconds >= 604_800 && lagAge.value.seconds <= 10 * 86_400 + 60,
      String(lagAge.value.seconds),
    );
    model.nowMs += 10_000;
  }
});

test('an idle topic is no lag, however long nothing is written, and the first record after it is young', async () => {
  const model = new Model(generator(1));
  model.writtenAtMs.push(model.nowMs - 86_400_000);
  model.committed = 1;
  const memory = new LagMemory();
  for (let i = 0; i < 2_000; i++) {
    model.nowMs += 15_000;
    const { lagAge } = await sweep(model, memory);
    assert.ok(lagAge.known && lagAge.value.seconds === 0 && !lagAge.value.atLeast);
  }
  model.writtenAtMs.push(model.nowMs + 5_000);
  model.nowMs += 15_000;
  const { lagAge } = await sweep(model, memory);
  assert.ok(lagAge.known && lagAge.value.seconds <= 15, JSON.stringify(lagAge));
});

async function sweep(model: Model, memory: LagMemory): Promise<PartitionLag> {
  const clock = { wallMs: () => model.nowMs, monoMs: () => model.nowMs - 1_900_000_000_000 };
  const lag = await readKafkaLag(model.client(), { signal: new AbortController().signal, clock }, memory);
  const topics = lag.groups.get('g')?.topics;
  assert.ok(topics?.known === true);
  const found = topics.value.get('t')?.partitions.get(0);
  assert.ok(found !== undefined);
  return found;
}
