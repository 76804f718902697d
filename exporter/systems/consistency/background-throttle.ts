// When the servers may be asked: not while the copy is late, nor while one of them has much to do.
import type { Background, Call, Peers } from '../../collector.ts';
import { within } from '../../runtime/deadline.ts';
import { TargetError } from '../../runtime/errors.ts';
import { paused } from '../../runtime/repeat.ts';
import type { MysqlClient } from '../mysql/client.ts';
import { readReplication, replicationFact, type ReplicaChannel } from '../mysql/facts-replication.ts';
import type { TablesPlan } from './address.ts';
import type { ConsistencyClient } from './client.ts';
import type { WaitReason } from './families.ts';
import type { Both } from './facts-table.ts';
import type { ConsistencyMemory } from './state.ts';

export type Work = Pick<Background<ConsistencyClient>, 'clock' | 'log' | 'signal' | 'target'> & {
  readonly peers?: Peers;
};

/** For each call: longer than the server itself works on one of our statements. */
export const callMs = 10_000;

/** What was found holds for so long. */
const freshMs = 1_000;
const waitMs = 1_000;

type Obstacle = { readonly reason: WaitReason; readonly why: string };

export class Throttle {
  readonly #of: {
    readonly plan: TablesPlan;
    readonly clients: Both<MysqlClient>;
    readonly memory: ConsistencyMemory;
    readonly work: Work;
  };
  #freeAtMs = -Infinity;
  #lagSeconds = 0;

  constructor(of: {
    readonly plan: TablesPlan;
    readonly clients: Both<MysqlClient>;
    readonly memory: ConsistencyMemory;
    readonly work: Work;
  }) {
    this.#of = of;
  }

  call(): Call {
    const { clock, signal } = this.#of.work;
    return { clock, signal: within(callMs, signal) };
  }

  /** Waits until there is nothing in the way. @returns how late the copy is, in seconds; 0 for what is no replica */
  async pass(fresh = false): Promise<number> {
    const { work, memory } = this.#of;
    let said: string | undefined;
    while (!work.signal.aborted) {
      const nowMs = work.clock.monoMs();
      if (!fresh && nowMs - this.#freeAtMs < freshMs) return this.#lagSeconds;
      const obstacle = await this.#obstacle();
      if (obstacle === undefined) {
        this.#freeAtMs = work.clock.monoMs();
        if (said !== undefined) memory.run = { state: 'checking', why: '' };
        return this.#lagSeconds;
      }
      memory.run = { state: obstacle.reason, why: obstacle.why };
      if (said !== obstacle.reason) work.log.info({ ...obstacle }, 'the comparison waits');
      said = obstacle.reason;
      await paused(waitMs, work.signal);
      const waitedMs = work.clock.monoMs() - nowMs;
      memory.throttledMs.set(obstacle.reason, (memory.throttledMs.get(obstacle.reason) ?? 0) + waitedMs);
    }
    throw new TargetError('deadline', 'the comparison was ended');
  }

  /** `baseMs`, and then until the copy has what the source had when this was called. */
  async settle(baseMs: number): Promise<void> {
    const { work } = this.#of;
    const sinceMs = work.clock.monoMs();
    for (;;) {
      await this.#rest(baseMs);
      const lagSeconds = await this.pass(true);
      // The server tells whole seconds
      if (lagSeconds === 0 || work.clock.monoMs() - sinceMs >= (lagSeconds + 2) * 1000) return;
    }
  }

  /** As long as the servers had work. */
  async rest(tookMs: number): Promise<void> {
    await this.#rest(tookMs);
  }

  async #rest(ms: number): Promise<void> {
    if (!(await paused(ms, this.#of.work.signal))) throw new TargetError('deadline', 'the comparison was ended');
  }

  async #obstacle(): Promise<Obstacle | undefined> {
    const { plan, clients } = this.#of;
    for (const [name, client] of [
      [plan.source, clients.source],
      [plan.copy, clients.copy],
    ] as const) {
      const running = await threadsRunning(client, this.call());
      if (running > plan.maxThreadsRunning) {
        return { reason: 'load', why: `${name} has ${String(running)} threads at work` };
      }
    }
    return this.#lag();
  }

  async #lag(): Promise<Obstacle | undefined> {
    const { plan } = this.#of;
    this.#lagSeconds = 0;
    const channels = await this.#channels();
    if (typeof channels === 'string') return { reason: 'lag_unknown', why: channels };
    for (const { state, why, lagSeconds } of channels) {
      if (state !== 'running' || !lagSeconds.known) return { reason: 'lag', why: `${plan.copy}: ${why}` };
      this.#lagSeconds = Math.max(this.#lagSeconds, lagSeconds.value);
    }
    if (this.#lagSeconds * 1000 <= plan.maxLagMs) return undefined;
    return { reason: 'lag', why: `${plan.copy} is ${String(this.#lagSeconds)} s behind` };
  }

  /** As the copy says it now; where this user may not ask, as its own collector has found it. */
  async #channels(): Promise<readonly ReplicaChannel[] | string> {
    const { clients, plan, work } = this.#of;
    const told = await work.peers?.fact(plan.copy, replicationFact, 0);
    // That nothing is received though all threads run is seen over time only
    const stalled = told?.known === true ? told.value.filter(({ state }) => state === 'stalled') : [];
    if (stalled.length > 0) return stalled;
    try {
      return await readReplication(clients.copy, this.call());
    } catch (error) {
      if (!(error instanceof TargetError) || error.code !== 'denied') throw error;
      return told?.known === true ? told.value : error.message;
    }
  }
}

async function threadsRunning(client: MysqlClient, call: Call): Promise<number> {
  const rows = await client.query("SHOW GLOBAL STATUS LIKE 'Threads_running'", [], call);
  const running = Number(rows[0]?.['Value']);
  if (rows.length === 0 || !Number.isFinite(running)) {
    throw new TargetError('protocol', `mysql ${client.at}: does not tell Threads_running`);
  }
  return running;
}
