/**
 * The parent of one service: starts it, sees it end, and ends it when asked with the right incarnation and a fence that
 * is not outdated. It never restarts anything by itself.
 *
 * Between the check of an incarnation and the signal there is no await. And as long as `#child` is set the process has
 * not been waited for: Node reaps a child and calls its 'exit' handler in one turn of the event loop, so until that
 * handler has run the kernel keeps the pid (of a zombie too), and nobody else can be at it: the signal cannot hit a
 * stranger, and check plus signal are one compare-and-set. Of an orphan this does not hold, see signalOrphan().
 */
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync } from 'node:fs';
import type { Clock } from '../../../exporter/runtime/clock.ts';
import { messageOf } from '../../../exporter/runtime/errors.ts';
import type { Log } from '../../../exporter/runtime/log.ts';
import {
  sameIncarnation,
  type Asked,
  type Ended,
  type Exit,
  type Incarnation,
  type LogText,
  type ProcessSupervisorConfig,
  type Status,
} from '../process-wire.ts';
import { accept, checkFence, refuse, Refused, type Asking } from './gate.ts';
import { isLeaderAlive, leftovers, signalLeftovers, signalOrphan } from './group.ts';
import { launch, recoverStart, type Launched } from './launch.ts';
import { askedNow, begun, exitLine, over, publicEnded, shutdownBy } from './life.ts';
import { readStat } from './proc.ts';
import { openServiceLog, ServiceLogs } from './service-log.ts';
import type { Life, Line, Store } from './store.ts';

type Signal = Asked['signal'];

const autostartBy = 'autostart';
const tickMs = 200;

export interface ServiceParts {
  readonly config: ProcessSupervisorConfig;
  readonly store: Store;
  readonly bootId: string;
  readonly clock: Clock;
  readonly log: Log;
}

export class Service {
  readonly #config: ProcessSupervisorConfig;
  readonly #store: Store;
  readonly #bootId: string;
  readonly #clock: Clock;
  readonly #log: Log;
  /** Set as long as it has not been waited for. */
  #child: ChildProcess | null = null;
  /** seq of the last incarnation that this supervisor started itself. */
  #own: number | null = null;
  readonly #logs: ServiceLogs;
  readonly #onEnd = new Set<() => void>();
  #leftoverSinceMs: number | null = null;
  #shuttingDown = false;
  readonly #timer: NodeJS.Timeout;

  constructor(parts: ServiceParts) {
    this.#config = parts.config;
    this.#store = parts.store;
    this.#bootId = parts.bootId;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#logs = new ServiceLogs(parts.config.service.logFile, parts.log);
    this.#recover();
    this.#timer = setInterval(() => {
      this.#tick();
    }, tickMs);
  }

  get #life(): Life | null {
    return this.#store.state.running;
  }

  get #orphan(): boolean {
    return this.#life !== null && this.#child === null && this.#life.leaderExit === null;
  }

  get running(): Incarnation | null {
    return this.#life?.incarnation ?? null;
  }

  get maxFence(): number {
    return this.#store.state.maxFence;
  }

  status(): Status {
    this.#look();
    const { last, maxFence, counts } = this.#store.state;
    const life = this.#life;
    return {
      service: this.#config.service.name,
      bootId: this.#bootId,
      supervisorPid: process.pid,
      running: life?.incarnation ?? null,
      processState: life === null || life.leaderExit !== null ? null : (readStat(life.incarnation.pid)?.state ?? null),
      leaderExit: life?.leaderExit ?? null,
      orphan: this.#orphan,
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
    this.#look();
    checkFence(this.#store, line);
    if (this.#shuttingDown) throw refuse(this.#store, line, 'shutting_down', 'the supervisor is ending');
    if (this.#orphan)
      throw refuse(this.#store, line, 'orphan', 'a process of a former supervisor is alive: stop it first');
    if (this.#life !== null) throw refuse(this.#store, line, 'running', 'the service runs');
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
    this.#child = child;
    this.#own = seq;
    this.#logs.add(seq, file.fd);
    child.once('exit', (exitCode, signal) => {
      this.#child = null;
      this.#leaderEnded({ known: true, exitCode, signal });
    });
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
    this.#look();
    checkFence(this.#store, line);
    const life = this.#life;
    if (life === null) throw refuse(this.#store, line, 'absent', 'the service does not run');
    if (!sameIncarnation(life.incarnation, of)) {
      throw refuse(this.#store, line, 'overtaken', 'another incarnation of the service runs');
    }
    const asked = askedNow(life, { by, fence, signal, atMs: this.#clock.wallMs() });
    accept(this.#store, line, { running: { ...life, asked } });
    try {
      this.#signal(life, signal);
    } catch (cause) {
      this.#store.note({ running: life }, { ...line, outcome: 'signal_failed', why: messageOf(cause) });
      throw new Refused('signal_failed', messageOf(cause), { cause });
    }
    await this.#end(waitMs);
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
    return { incarnation: found.incarnation, ...this.#logs.read(found, maxBytes) };
  }

  /** Starts the service if the configuration and its last end allow. */
  async autostart(): Promise<void> {
    if (this.#config.autostart !== true || !this.#store.state.resume || this.#life !== null) return;
    try {
      await this.start({ fence: this.maxFence, by: autostartBy });
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, 'autostart failed');
    }
  }

  /** Ends the service, with all means. Called once. */
  async shutdown(): Promise<void> {
    this.#shuttingDown = true;
    this.#look();
    const { shutdownGraceMs = 15_000 } = this.#config;
    for (const [signal, waitMs] of [
      ['TERM', shutdownGraceMs],
      ['KILL', 10_000],
    ] as const) {
      const life = this.#life;
      if (life === null) break;
      const { pid, startTicks, seq } = life.incarnation;
      const fence = this.maxFence;
      const asked = life.asked ?? askedNow(life, { by: shutdownBy, fence, signal, atMs: this.#clock.wallMs() });
      const line = { event: 'stop-request', seq, pid, startTicks, fence, by: shutdownBy, signal } as const;
      this.#store.note({ running: { ...life, asked } }, { ...line, outcome: 'accepted' });
      try {
        this.#signal(life, signal);
      } catch (error) {
        this.#log.error({ error: messageOf(error) }, 'the service could not be signalled');
      }
      await this.#end(waitMs);
    }
    clearInterval(this.#timer);
    this.#store.note({}, { event: 'supervisor-stop', pid: process.pid });
    if (this.#life !== null) this.#log.error({ pid: this.#life.incarnation.pid }, 'the service did not end');
  }

  #startFailed(start: Asking & { readonly seq: number }, cause: unknown): Refused {
    const why = messageOf(cause);
    this.#store.note({ starting: null }, { event: 'start-failed', ...start, why });
    return new Refused('spawn_failed', why, { cause });
  }

  #signal(life: Life, signal: Signal): void {
    if (this.#child !== null) process.kill(-life.incarnation.pid, `SIG${signal}`);
    else if (life.leaderExit === null) signalOrphan(life.incarnation, signal);
    else this.#signalLeftovers(life, signal);
  }

  #signalLeftovers({ incarnation, marker }: Life, signal: Signal): void {
    signalLeftovers(incarnation, signal, this.#own === incarnation.seq ? null : marker, this.#log);
  }

  /** Called from events too: must not throw, or the supervisor would end. */
  #leaderEnded(exit: Exit): void {
    const life = this.#life;
    if (life === null) return;
    const { seq, pid } = life.incarnation;
    this.#store.note(
      { running: { ...life, leaderExit: exit, leaderEndedAtMs: this.#clock.wallMs() } },
      exitLine(life, exit),
    );
    this.#log.info({ seq, pid, exit, asked: life.asked }, 'the service ended');
    this.#leftoverSinceMs = this.#clock.monoMs();
    try {
      if (this.#endIfAlone(false)) return;
      this.#log.warn({ seq, pid }, 'processes outlived the leader of their group');
      if (life.asked === null) this.#signalLeftovers(life, 'TERM');
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, 'the group of the service could not be read'); // the next tick looks again
    }
  }

  /** Closes the life if the leader was the last of its group. */
  #endIfAlone(hadLeftovers: boolean): boolean {
    const life = this.#life;
    if (life?.leaderExit == null) return false;
    const { pid, startTicks, seq, bootId } = life.incarnation;
    if (bootId === this.#bootId && leftovers(life.incarnation).length > 0) return false;
    const now = { wallMs: this.#clock.wallMs(), bootId: this.#bootId };
    const lines: readonly Line[] = hadLeftovers ? [{ event: 'group-ended', seq, pid, startTicks }] : [];
    this.#store.note(over(this.#store.state, life, life.leaderExit, this.#logs.seal(life), now), ...lines);
    this.#logs.keepOnly(seq);
    for (const wake of [...this.#onEnd]) wake();
    return true;
  }

  /** Takes note of what cannot announce itself: the end of an orphan and of those that outlive their leader. */
  #look(): void {
    const life = this.#life;
    if (life === null || this.#child !== null) return;
    if (life.leaderExit !== null) {
      this.#endIfAlone(true);
      return;
    }
    const sameBoot = life.incarnation.bootId === this.#bootId;
    if (sameBoot && isLeaderAlive(life.incarnation)) return;
    const why = sameBoot ? 'it was not the child of this supervisor when it ended' : 'the machine was restarted';
    this.#leaderEnded({ known: false, why });
  }

  #tick(): void {
    try {
      this.#store.retry();
      this.#look();
      const life = this.#life;
      if (life?.leaderExit == null) return;
      this.#leftoverSinceMs ??= this.#clock.monoMs();
      if (this.#clock.monoMs() - this.#leftoverSinceMs < (this.#config.leftoverGraceMs ?? 5_000)) return;
      this.#signalLeftovers(life, 'KILL');
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, 'the state of the service could not be read');
    }
  }

  /** Resolves at the end of the service or after `waitMs`. */
  #end(waitMs: number): Promise<void> {
    if (this.#life === null) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#onEnd.delete(done);
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      this.#onEnd.add(done);
    });
  }

  /** What the former supervisor left: a life that may have ended meanwhile, or a start that it did not come to record. */
  #recover(): void {
    const { counts } = this.#store.state;
    const supervisorStarts = counts.supervisorStarts + 1;
    this.#store.commit({ counts: { ...counts, supervisorStarts } }, { event: 'supervisor-start', pid: process.pid });
    recoverStart(this.#store, this.#bootId);
    this.#look();
    const life = this.#life;
    if (life === null || !this.#orphan) return;
    const { pid, startTicks, seq } = life.incarnation;
    this.#store.note({}, { event: 'orphan-found', seq, pid, startTicks });
    this.#log.warn({ seq, pid }, 'an orphan of a former supervisor is alive');
  }
}
