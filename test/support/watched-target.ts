// One target of a system, measured in the way of the exporter's sweep but without its scheduling: opened, asked for a
// sign of life, collected; samples by name and labels.
import type { Call } from '../../exporter/collector.ts';
import { FactBoard } from '../../exporter/facts.ts';
import type { Sample } from '../../exporter/families.ts';
import { classOf, messageOf, type TargetErrorCode } from '../../exporter/runtime/errors.ts';
import { createLog } from '../../exporter/runtime/log.ts';
import { systemClock, type Clock } from '../../exporter/runtime/clock.ts';
import type { BoundTarget, System, TargetClient } from '../../exporter/system.ts';

export interface Measured {
  readonly failure: { readonly class: TargetErrorCode; readonly why: string } | undefined;
  readonly tookMs: number;
  readonly board: FactBoard;
  /** Value of the one series with these labels; undefined when there is none. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
  /** The state that is 1 among the series with these labels. */
  state(name: string, labels?: Readonly<Record<string, string>>): string | undefined;
  /** `name{label="value"}` of every series, sorted. */
  readonly series: readonly string[];
}

export class WatchedTarget implements AsyncDisposable {
  readonly #bound: BoundTarget;
  readonly #clock: Clock;
  readonly name = 'watched';
  readonly #end = new AbortController();
  readonly #work: Promise<void>[] = [];
  #client: TargetClient | undefined;

  constructor(system: System, target: object, clock: Clock = systemClock) {
    this.#clock = clock;
    this.#bound = system.bind({ name: this.name, kind: system.kind, ...target }, () => {
      throw new Error('this target names no other');
    });
  }

  /** What the collectors do beside the sweeps, until the target is disposed of. Once. */
  beginBackground(): void {
    const { signal } = this.#end;
    const work = { target: this.name, clock: this.#clock, log: createLog('test', 'silent'), signal };
    for (const { background } of this.#bound.collectors)
      if (background !== undefined) this.#work.push(background(work));
  }

  get client(): TargetClient | undefined {
    return this.#client;
  }

  async measure(timeoutMs = 5_000): Promise<Measured> {
    const beganMs = performance.now();
    const call: Call = { signal: AbortSignal.timeout(timeoutMs), clock: this.#clock };
    const board = new FactBoard();
    let samples: Sample[] = [];
    let failure: Measured['failure'];
    const withBoard = { ...call, target: this.name, board };
    const put = (sample: Sample): void => void samples.push(sample);
    try {
      if (this.#client?.usable() === false) this.#client = undefined;
      this.#client ??= await this.#bound.open(call);
      await this.#client.ping(call);
      for (const collector of this.#bound.collectors) await collector.collect(this.#client, put, withBoard);
    } catch (error) {
      failure = { class: classOf(error), why: messageOf(error) };
      samples = [];
      for (const collector of this.#bound.collectors) collector.unknown(failure.why, put, withBoard);
    }
    return measuredOf(samples, { failure, board, tookMs: performance.now() - beganMs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await Promise.all(this.#work);
    await this.#client?.[Symbol.asyncDispose]();
  }
}

function measuredOf(samples: readonly Sample[], rest: Pick<Measured, 'failure' | 'board' | 'tookMs'>): Measured {
  const series = samples.map(keyOf).sort();
  const twice = series.find((key, i) => series[i + 1] === key);
  if (twice !== undefined) throw new Error(`the series ${twice} is there twice`);
  const wrong = samples.find((s) => !Number.isFinite(s.value));
  if (wrong !== undefined) throw new Error(`${keyOf(wrong)} has the value ${wrong.value}`);
  const find = (name: string, labels: Readonly<Record<string, string>>): readonly Sample[] =>
    samples.filter((s) => s.family.name === name && Object.entries(labels).every(([k, v]) => s.labels[k] === v));
  return {
    ...rest,
    series,
    value: (name, labels = {}) => {
      const [sample, other] = find(name, labels);
      if (other !== undefined) throw new Error(`several series of ${name} have these labels`);
      return sample?.value;
    },
    state: (name, labels = {}) => {
      const [one, other] = find(name, labels).filter((s) => s.value === 1);
      if (other !== undefined) throw new Error(`${name} is in two states`);
      return one?.labels['state'];
    },
  };
}

function keyOf({ family, labels, part, quantile }: Sample): string {
  const inside = Object.entries({ ...labels, ...(quantile === undefined ? {} : { quantile }) })
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .sort();
  const name = `${family.name}${part ?? ''}`;
  return inside.length === 0 ? name : `${name}{${inside.join(',')}}`;
}
