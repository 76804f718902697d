// Sweeps of a cluster that is too large for the time of a scrape: made beside the scrapes, which serve the newest one with
// its age.
import type { Background, Call } from '../../collector.ts';
import { pause, until, within } from '../../runtime/deadline.ts';
import { messageOf, TargetError } from '../../runtime/errors.ts';
import { paused } from '../../runtime/repeat.ts';
import type { KafkaClient } from './facts-cluster.ts';
import { LagMemory, readKafkaLag } from './facts-lag.ts';
import type { KafkaSweep, SweepOptions } from './facts-model.ts';

/** auto: in the scrape, and beside it once that did not end in time, until it is quick again. */
export const refreshModes = ['auto', 'scrape', 'background'] as const;

export interface Refreshing {
  readonly refresh: (typeof refreshModes)[number];
  /** From the start of one sweep in the background to the next, ms. */
  readonly every: number;
}

export interface LagSeen {
  readonly sweep: KafkaSweep;
  readonly wallMs: number;
  readonly monoMs: number;
}

/** No sweep may take longer; a broker that hangs would hold it for ever. */
const longestMs = 300_000;
/** How often it is looked whether there is something to do. */
const idleMs = 500;
/** Sweeps in the background that take less than a third of the time that was too short, one after the other. */
const quickSweeps = 3;

/** What is kept from sweep to sweep, and the newest one that was made in the background. */
export class LagState {
  readonly memory = new LagMemory();
  /** Whether anybody sweeps in the background: `doctor` does not. */
  #isServed = false;
  #tooShortMs: number | undefined;
  #quick = 0;
  #newest: LagSeen | undefined;
  #tookMs = 0;
  #failure: Error | undefined;

  /** @throws TargetError when the cluster does not answer, or the newest sweep in the background is too old */
  async read(client: KafkaClient, call: Call, refreshing: Refreshing, options: SweepOptions): Promise<LagSeen> {
    if (this.#inBackground(refreshing.refresh)) return await this.#fresh(call, refreshing);
    const startedAtMs = call.clock.monoMs();
    try {
      return await sweepNow(client, call, this.memory, options);
    } catch (error) {
      // The cluster has answered the sign of life before: it is slow, not away.
      if (call.signal.aborted) this.#tooShortMs = call.clock.monoMs() - startedAtMs;
      throw error;
    }
  }

  /** Until `work.signal` aborts. */
  async keepFresh(work: Background<KafkaClient>, refreshing: Refreshing, options: SweepOptions): Promise<void> {
    if (refreshing.refresh === 'scrape') return;
    let client: KafkaClient | undefined;
    this.#isServed = true;
    try {
      while (!work.signal.aborted) {
        if (!this.#inBackground(refreshing.refresh)) {
          await paused(idleMs, work.signal);
          continue;
        }
        const call = { clock: work.clock, signal: within(longestMs, work.signal) };
        const startedAtMs = work.clock.monoMs();
        try {
          if (client?.usable() !== true) client = await work.open(call);
          this.#newest = await sweepNow(client, call, this.memory, options);
          this.#failure = undefined;
          this.#tookMs = work.clock.monoMs() - startedAtMs;
          this.#judge(this.#tookMs);
        } catch (error) {
          this.#failure = error instanceof Error ? error : new TargetError('failed', messageOf(error));
          this.#quick = 0;
        }
        await paused(startedAtMs + refreshing.every - work.clock.monoMs(), work.signal);
      }
    } finally {
      this.#isServed = false;
      await client?.[Symbol.asyncDispose]();
    }
  }

  #inBackground(refresh: Refreshing['refresh']): boolean {
    if (!this.#isServed || refresh === 'scrape') return false;
    return refresh === 'background' || this.#tooShortMs !== undefined;
  }

  /** The newest sweep; awaited when there is none yet. */
  async #fresh(call: Call, { every }: Refreshing): Promise<LagSeen> {
    await until(call.signal, 'the first sweep in the background', this.#first(call.signal));
    const newest = this.#newest;
    const ageMs = call.clock.monoMs() - (newest?.monoMs ?? -Infinity);
    // One that fails may be followed by one that does not; after the second the old numbers are none of now
    const patienceMs = this.#failure === undefined ? longestMs + every : 2 * every + this.#tookMs;
    if (newest !== undefined && ageMs <= patienceMs) return newest;
    if (this.#failure !== undefined) throw this.#failure;
    throw new TargetError('deadline', `the newest sweep in the background is ${Math.round(ageMs / 1000)} s old`);
  }

  async #first(signal: AbortSignal): Promise<void> {
    while (this.#newest === undefined && this.#failure === undefined) await pause(20, signal);
  }

  #judge(tookMs: number): void {
    if (this.#tooShortMs === undefined) return;
    this.#quick = tookMs * 3 < this.#tooShortMs ? this.#quick + 1 : 0;
    if (this.#quick < quickSweeps) return;
    this.#quick = 0;
    this.#tooShortMs = undefined;
    this.#newest = undefined;
  }
}

async function sweepNow(client: KafkaClient, call: Call, memory: LagMemory, options: SweepOptions): Promise<LagSeen> {
  const [wallMs, monoMs] = [call.clock.wallMs(), call.clock.monoMs()];
  return { sweep: await readKafkaLag(client, call, memory, options), wallMs, monoMs };
}
