// Sweeps of the collector over a fake cluster; samples by name and labels.
import type { CollectorCall, PreparedCollector } from '../../../exporter/collector.ts';
import { FactBoard } from '../../../exporter/facts.ts';
import type { Put, Sample } from '../../../exporter/families.ts';
import { kafkaLag } from '../../../exporter/systems/kafka/collector-lag.ts';
import type { KafkaClient } from '../../../exporter/systems/kafka/facts-cluster.ts';
import { clientOf, type FakeCluster } from './fake-cluster.ts';

export type Values = ReadonlyMap<string, number>;

/** `name{label="value",…}` with the labels in the order of the family. */
function keyOf({ family, labels }: Sample): string {
  const inside = family.labels.map((name) => `${name}="${labels[name] ?? '(missing)'}"`);
  return inside.length === 0 ? family.name : `${family.name}{${inside.join(',')}}`;
}

export class Collected {
  readonly #cluster: FakeCluster;
  readonly #prepared: PreparedCollector<KafkaClient>;
  nowMs = 10_000_000;

  constructor(cluster: FakeCluster, config: object = {}) {
    this.#cluster = cluster;
    this.#prepared = kafkaLag.prepare(config);
  }

  async next(afterMs = 10_000): Promise<Values> {
    return await this.#run(afterMs, (put, call) => this.#prepared.collect(clientOf(this.#cluster), put, call));
  }

  async failed(afterMs = 10_000): Promise<Values> {
    return await this.#run(afterMs, (put, call) => {
      this.#prepared.unknown('why', put, call);
      return Promise.resolve();
    });
  }

  async #run(afterMs: number, work: (put: Put, call: CollectorCall) => Promise<void>): Promise<Values> {
    this.nowMs += afterMs;
    const clock = { wallMs: () => this.nowMs, monoMs: () => this.nowMs - 9_000_000 };
    const values = new Map<string, number>();
    const put: Put = (sample) => {
      const key = keyOf(sample);
      if (values.has(key)) throw new Error(`${key} twice`);
      values.set(key, sample.value);
    };
    await work(put, { signal: new AbortController().signal, clock, target: 'k', board: new FactBoard() });
    return values;
  }
}

/** The series of a family, without its name. */
export function of(values: Values, family: string): Record<string, number> {
  const found = [...values].filter(([key]) => key === family || key.startsWith(`${family}{`));
  return Object.fromEntries(found.map(([key, value]) => [key.slice(family.length), value]));
}
