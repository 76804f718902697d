/**
 * The life of the service that is under way: sees its end and that of its group, and signals it.
 *
 * Between the check of an incarnation (in Service) and signal() there is no await. And as long as `#child` is set the
 * process has not been waited for: Node reaps a child and calls its 'exit' handler in one turn of the event loop, so until
 * that handler has run the kernel keeps the pid (of a zombie too), and nobody else can be at it: the signal cannot hit a
 * stranger, and check plus signal are one compare-and-set. Of an orphan this does not hold, see signalOrphan().
 */
import type { ChildProcess } from 'node:child_process';
import type { Clock } from '../../../exporter/runtime/clock.ts';
import { messageOf } from '../../../exporter/runtime/errors.ts';
import type { Log } from '../../../exporter/runtime/log.ts';
import type { Asked, Exit, ProcessSupervisorConfig } from '../process-wire.ts';
import { isLeaderAlive, leftovers, signalLeftovers, signalOrphan } from './group.ts';
import { recoverStart } from './launch.ts';
import { exitLine, over } from './life.ts';
import { ServiceLogs } from './service-log.ts';
import type { Life, Line, Store } from './store.ts';

type Signal = Asked['signal'];

const tickMs = 200;

export interface ServiceParts {
  readonly config: ProcessSupervisorConfig;
  readonly store: Store;
  readonly bootId: string;
  readonly clock: Clock;
  readonly log: Log;
}

export class CurrentLife implements Disposable {
  readonly #store: Store;
  readonly #bootId: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #leftoverGraceMs: number;
  /** Set as long as it has not been waited for. */
  #child: ChildProcess | null = null;
  /** seq of the last incarnation that this supervisor started itself. */
  #own: number | null = null;
  readonly logs: ServiceLogs;
  readonly #onEnd = new Set<() => void>();
  #leftoverSinceMs: number | null = null;
  readonly #timer: NodeJS.Timeout;

  constructor({ config, store, bootId, clock, log }: ServiceParts) {
    this.#store = store;
    this.#bootId = bootId;
    this.#clock = clock;
    this.#log = log;
    this.#leftoverGraceMs = config.leftoverGraceMs ?? 5_000;
    this.logs = new ServiceLogs(config.service.logFile, log);
    this.#recover();
    this.#timer = setInterval(() => {
      this.#tick();
    }, tickMs);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  get life(): Life | null {
    return this.#store.state.running;
  }

  /** A process of a former supervisor. */
  get isOrphan(): boolean {
    return this.life !== null && this.#child === null && this.life.leaderExit === null;
  }

  /** In the turn in which it was made, before its end can be told. */
  watch(child: ChildProcess, seq: number, logFd: number): void {
    this.#child = child;
    this.#own = seq;
    this.logs.add(seq, logFd);
    child.once('exit', (exitCode, signal) => {
      this.#child = null;
      this.#leaderEnded({ known: true, exitCode, signal });
    });
  }

  signal(life: Life, signal: Signal): void {
    if (this.#child !== null) process.kill(-life.incarnation.pid, `SIG${signal}`);
    else if (life.leaderExit === null) signalOrphan(life.incarnation, signal);
    else this.#signalLeftovers(life, signal);
  }

  #signalLeftovers({ incarnation, marker }: Life, signal: Signal): void {
    signalLeftovers(incarnation, signal, this.#own === incarnation.seq ? null : marker, this.#log);
  }

  /** Called from events too: must not throw, or the supervisor would end. */
  #leaderEnded(exit: Exit): void {
    const life = this.life;
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
    const life = this.life;
    if (life?.leaderExit == null) return false;
    const { pid, startTicks, seq, bootId } = life.incarnation;
    if (bootId === this.#bootId && leftovers(life.incarnation).length > 0) return false;
    const now = { wallMs: this.#clock.wallMs(), bootId: this.#bootId };
    const lines: readonly Line[] = hadLeftovers ? [{ event: 'group-ended', seq, pid, startTicks }] : [];
    this.#store.note(over(this.#store.state, life, life.leaderExit, this.logs.seal(life), now), ...lines);
    this.logs.keepOnly(seq);
    for (const wake of [...this.#onEnd]) wake();
    return true;
  }

  /** Takes note of what cannot announce itself: the end of an orphan and of those that outlive their leader. */
  look(): void {
    const life = this.life;
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
      this.look();
      const life = this.life;
      if (life?.leaderExit == null) return;
      this.#leftoverSinceMs ??= this.#clock.monoMs();
      if (this.#clock.monoMs() - this.#leftoverSinceMs < this.#leftoverGraceMs) return;
      this.#signalLeftovers(life, 'KILL');
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, 'the state of the service could not be read');
    }
  }

  /** Resolves at the end of the service or after `waitMs`. */
  end(waitMs: number): Promise<void> {
    if (this.life === null) return Promise.resolve();
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
    this.look();
    const life = this.life;
    if (life === null || !this.isOrphan) return;
    const { pid, startTicks, seq } = life.incarnation;
    this.#store.note({}, { event: 'orphan-found', seq, pid, startTicks });
    this.#log.warn({ seq, pid }, 'an orphan of a former supervisor is alive');
  }
}
