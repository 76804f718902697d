/**
 * The parent of one service: starts it, sees it end, and ends it when asked with the right incarnation and a fence that
 * is not outdated. It never restarts anything by itself. Between the check of an incarnation and the signal there is no
 * await: why that makes the two one compare-and-set stands in current-life.ts.
 */
import { randomUUID } from 'node:crypto';
import { closeSync } from 'node:fs';
import type { Clock } from '../../../exporter/runtime/clock.ts';
import { messageOf } from '../../../exporter/runtime/errors.ts';
import type { Log } from '../../../exporter/runtime/log.ts';
import {
  sameIncarnation,
  type Asked,
  type Ended,
  type Incarnation,
  type LogText,
  type ProcessSupervisorConfig,
  type Status,
} from '../process-wire.ts';
import { CurrentLife, type ServiceParts } from './current-life.ts';
import { accept, checkFence, refuse, Refused, type Asking } from './gate.ts';
import { launch, type Launched } from './launch.ts';
import { askedNow, begun, publicEnded, shutdownBy } from './life.ts';
import { readStat } from './proc.ts';
import { openServiceLog } from './service-log.ts';
import type { Store } from './store.ts';

type Signal = Asked['signal'];

const autostartBy = 'autostart';

export class Service {
  readonly #config: ProcessSupervisorConfig;
  readonly #store: Store;
  readonly #bootId: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #current: CurrentLife;
  #shuttingDown = false;

  constructor(parts: ServiceParts) {
    this.#config = parts.config;
    this.#store = parts.store;
    this.#bootId = parts.bootId;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#current = new CurrentLife(parts);
  }

  get running(): Incarnation | null {
    return this.#current.life?.incarnation ?? null;
  }

  get maxFence(): number {
    return this.#store.state.maxFence;
  }

  status(): Status {
    this.#current.look();
    const { last, maxFence, counts } = this.#store.state;
    const life = this.#current.life;
    return {
      service: this.#config.service.name,
      bootId: this.#bootId,
      supervisorPid: process.pid,
      running: life?.incarnation ?? null,
      processState: life === null || life.leaderExit !== null ? null : (readStat(life.incarnation.pid)?.state ?? null),
      leaderExit: life?.leaderExit ?? null,
      orphan: this.#current.isOrphan,
      stopAsked: life?.asked ?? null,
      logOffset: life?.log.offset ?? null,
      last: last === null ? null : publicEnded(last),
      maxFence,
      counts,
      storeError: this.#store.error,
    };
  }

  /** Raises the fence and returns it. Throws Refused. */
  fence({ fence, by }: Asking): number {
    const line = { event: 'fence', fence, by } as const;
    checkFence(this.#store, line);
    accept(this.#store, line, {});
    return this.maxFence;
  }

  /** Starts the service, unless it runs. Throws Refused. */
  async start({ fence, by }: Asking): Promise<Incarnation> {
    const line = { event: 'start-request', fence, by } as const;
    this.#current.look();
    checkFence(this.#store, line);
    if (this.#shuttingDown) throw refuse(this.#store, line, 'shutting_down', 'the supervisor is ending');
    if (this.#current.isOrphan)
      throw refuse(this.#store, line, 'orphan', 'a process of a former supervisor is alive: stop it first');
    if (this.#current.life !== null) throw refuse(this.#store, line, 'running', 'the service runs');
    let file;
    try {
      file = openServiceLog(this.#config.service.logFile);
    } catch (cause) {
      throw refuse(this.#store, line, 'spawn_failed', `its log file cannot be opened: ${messageOf(cause)}`);
    }
    const seq = this.#store.state.seq + 1;
    const marker = randomUUID();
    const startedAtMs = this.#clock.wallMs();
    const starting = { seq, marker, log: file.mark, atMs: startedAtMs, bootId: this.#bootId };
    let launched: Launched;
    try {
      accept(this.#store, { ...line, seq }, { seq, starting });
      launched = launch(this.#config.service, marker, file.fd);
    } catch (cause) {
      closeSync(file.fd);
      throw cause instanceof Refused ? cause : this.#startFailed({ fence, by, seq }, cause);
    }
    if ('failure' in launched) {
      this.#store.note({ starting: null }); // at once: another start may come while we wait for the reason
      closeSync(file.fd);
      throw this.#startFailed({ fence, by, seq }, await launched.failure);
    }
    const { child, pid } = launched;
    const stat = readStat(pid);
    // not waited for yet, so it is there, as a zombie at least
    if (stat === undefined) throw new Error(`/proc/${pid} of our own child is not there`);
    this.#current.watch(child, seq, file.fd);
    const { startTicks } = stat;
    const incarnation = { bootId: this.#bootId, pid, startTicks, startedAtMs, seq };
    const change = begun(this.#store.state, { incarnation, marker, log: file.mark });
    this.#store.note(change, { event: 'start', seq, pid, startTicks, fence, by });
    return incarnation;
  }

  /** Signals the group of that incarnation and waits up to `waitMs` for its end. null: not ended yet. Throws Refused. */
  async stop(of: Incarnation, signal: Signal, waitMs: number, { fence, by }: Asking): Promise<Ended | null> {
    const { seq, pid, startTicks } = of;
    const line = { event: 'stop-request', fence, by, signal, seq, pid, startTicks } as const;
    this.#current.look();
    checkFence(this.#store, line);
    const life = this.#current.life;
    if (life === null) throw refuse(this.#store, line, 'absent', 'the service does not run');
    if (!sameIncarnation(life.incarnation, of)) {
      throw refuse(this.#store, line, 'overtaken', 'another incarnation of the service runs');
    }
    const asked = askedNow(life, { by, fence, signal, atMs: this.#clock.wallMs() });
    accept(this.#store, line, { running: { ...life, asked } });
    try {
      this.#current.signal(life, signal);
    } catch (cause) {
      this.#store.note({ running: life }, { ...line, outcome: 'signal_failed', why: messageOf(cause) });
      throw new Refused('signal_failed', messageOf(cause), { cause });
    }
    await this.#current.end(waitMs);
    const { last } = this.#store.state;
    return last !== null && sameIncarnation(last.incarnation, of) ? publicEnded(last) : null;
  }

  /** What an incarnation wrote last: the running one (else the last) unless `seq` names one. Throws Refused. */
  logText(seq: number | undefined, maxBytes: number): LogText {
    const { running, last } = this.#store.state;
    const found = [running, last].find((life) => life !== null && (seq === undefined || life.incarnation.seq === seq));
    if (found === undefined || found === null) {
      throw new Refused('unknown_incarnation', 'neither the running nor the last ended incarnation');
    }
    return { incarnation: found.incarnation, ...this.#current.logs.read(found, maxBytes) };
  }

  /** Starts the service if the configuration and its last end allow. */
  async autostart(): Promise<void> {
    if (this.#config.autostart !== true || !this.#store.state.resume || this.#current.life !== null) return;
    try {
      await this.start({ fence: this.maxFence, by: autostartBy });
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, 'autostart failed');
    }
  }

  /** Ends the service, with all means. Called once. */
  async shutdown(): Promise<void> {
    this.#shuttingDown = true;
    this.#current.look();
    const { shutdownGraceMs = 15_000 } = this.#config;
    for (const [signal, waitMs] of [
      ['TERM', shutdownGraceMs],
      ['KILL', 10_000],
    ] as const) {
      const life = this.#current.life;
      if (life === null) break;
      const { pid, startTicks, seq } = life.incarnation;
      const fence = this.maxFence;
      const asked = life.asked ?? askedNow(life, { by: shutdownBy, fence, signal, atMs: this.#clock.wallMs() });
      const line = { event: 'stop-request', seq, pid, startTicks, fence, by: shutdownBy, signal } as const;
      this.#store.note({ running: { ...life, asked } }, { ...line, outcome: 'accepted' });
      try {
        this.#current.signal(life, signal);
      } catch (error) {
        this.#log.error({ error: messageOf(error) }, 'the service could not be signalled');
      }
      await this.#current.end(waitMs);
    }
    this.#current[Symbol.dispose]();
    this.#store.note({}, { event: 'supervisor-stop', pid: process.pid });
    if (this.#current.life !== null)
      this.#log.error({ pid: this.#current.life.incarnation.pid }, 'the service did not end');
  }

  #startFailed(start: Asking & { readonly seq: number }, cause: unknown): Refused {
    const why = messageOf(cause);
    this.#store.note({ starting: null }, { event: 'start-failed', ...start, why });
    return new Refused('spawn_failed', why, { cause });
  }
}
