/**
 * The parent of one service: starts it, sees it end, and ends it when asked with the right incarnation and a fence that
 * is not outdated. It never restarts anything by itself.
 *
 * Between the check of an incarnation and the signal there is no await. And as long as `#child` is set the process has
 * not been waited for: Node reaps a child and calls its 'exit' handler in one turn of the event loop, so until that
 * handler has run the kernel keeps the pid (of a zombie too), and nobody else can be at it: the signal cannot hit a
 * stranger, and check plus signal are one compare-and-set. Of an orphan this does not hold, see #signalOrphan.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync } from 'node:fs';
import type { Clock } from '../../../exporter/runtime/clock.ts';
import { ConfigError, messageOf } from '../../../exporter/runtime/errors.ts';
import type { Log } from '../../../exporter/runtime/log.ts';
import {
  sameIncarnation,
  type Asked,
  type Ended,
  type Exit,
  type Incarnation,
  type LogText,
  type ProcessSupervisorConfig,
  type RefusalCode,
  type Status,
} from '../process-wire.ts';
import { hasEnv, isGhost, livingOfGroup, livingWithEnv, readStat, type ProcessStat } from './proc.ts';
import { openServiceLog, readServiceLog, sealLog } from './service-log.ts';
import type { Life, Line, Store } from './store.ts';

/** Proof that nothing was done. */
export class Refused extends Error {
  readonly code: RefusalCode;
  constructor(code: RefusalCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'Refused';
    this.code = code;
  }
}

type Signal = Asked['signal'];
interface Asking {
  readonly fence: number;
  readonly by: string;
}

export const shutdownBy = 'supervisor-shutdown';
const autostartBy = 'autostart';
/** In the environment of the service: finds a process again whose start was not recorded before the supervisor died. */
const markerName = 'PIPEMEDIC_START';
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
  #child: ChildProcess | null = null;
  /** Log files as opened at the start of an incarnation, by seq: still right when the path was rotated. */
  readonly #logFds = new Map<number, number>();
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

  /** Raises the fence. */
  fence(asking: Asking): number {
    this.#checkFence(asking, { event: 'fence', ...asking });
    this.#commit({ maxFence: asking.fence }, { event: 'fence', ...asking, outcome: 'accepted' });
    return this.maxFence;
  }

  /** Starts the service, unless it runs. Throws Refused. */
  async start(asking: Asking): Promise<Incarnation> {
    const line: Line = { event: 'start-request', ...asking };
    this.#look();
    this.#checkFence(asking, line);
    const life = this.#life;
    if (this.#shuttingDown) throw this.#refuse(asking, line, 'shutting_down', 'the supervisor is ending');
    if (this.#orphan)
      throw this.#refuse(asking, line, 'orphan', 'a process of a former supervisor is alive: stop it first');
    if (life !== null) throw this.#refuse(asking, line, 'running', 'the service runs');
    const { service } = this.#config;
    let opened;
    try {
      opened = openServiceLog(service.logFile);
    } catch (cause) {
      throw this.#refuse(asking, line, 'spawn_failed', `its log file cannot be opened: ${messageOf(cause)}`);
    }
    const seq = this.#store.state.seq + 1;
    const marker = randomUUID();
    const startedAtMs = this.#clock.wallMs();
    let child: ChildProcess;
    try {
      this.#commit(
        {
          maxFence: asking.fence,
          seq,
          starting: { seq, marker, log: opened.mark, atMs: startedAtMs, bootId: this.#bootId },
        },
        { ...line, seq, outcome: 'accepted' },
      );
      const [program, ...args] = service.argv;
      child = spawn(program, args, {
        ...(service.cwd === undefined ? {} : { cwd: service.cwd }),
        env: { ...process.env, ...service.env, [markerName]: marker },
        detached: true, // setsid(2): a session and a process group of its own, both with the pid of the child
        shell: false,
        stdio: ['ignore', opened.fd, opened.fd],
      });
    } catch (cause) {
      closeSync(opened.fd);
      if (cause instanceof Refused) throw cause;
      throw this.#startFailed(seq, asking, cause);
    }
    const failure = new Promise<unknown>((resolve) => {
      child.on('error', resolve); // also keeps a later error of this child from ending the supervisor
    });
    if (child.pid === undefined) {
      // the state says so at once; the reason comes with the 'error' event of the next tick
      this.#store.note({ starting: null });
      closeSync(opened.fd);
      throw this.#startFailed(seq, asking, await failure);
    }
    return this.#started(child, child.pid, { seq, marker, startedAtMs, log: opened.mark, fd: opened.fd, asking });
  }

  /**
   * Signals the group of that incarnation and waits up to `waitMs` for its end. `null`: not ended yet. Throws Refused.
   */
  async stop(of: Incarnation, signal: Signal, waitMs: number, asking: Asking): Promise<Ended | null> {
    const line: Line = {
      event: 'stop-request',
      ...asking,
      signal,
      seq: of.seq,
      pid: of.pid,
      startTicks: of.startTicks,
    };
    this.#look();
    this.#checkFence(asking, line);
    const life = this.#life;
    if (life === null) throw this.#refuse(asking, line, 'absent', 'the service does not run');
    if (!sameIncarnation(life.incarnation, of)) {
      throw this.#refuse(asking, line, 'overtaken', 'another incarnation of the service runs');
    }
    const asked = askedNow(life, { by: asking.by, fence: asking.fence, signal, atMs: this.#clock.wallMs() });
    this.#commit({ maxFence: asking.fence, running: { ...life, asked } }, { ...line, outcome: 'accepted' });
    try {
      this.#signal(life, signal);
    } catch (cause) {
      const running = this.#life === null ? null : { ...this.#life, asked: life.asked };
      this.#store.note({ running }, { ...line, outcome: 'signal_failed', why: messageOf(cause) });
      throw new Refused('signal_failed', messageOf(cause), { cause });
    }
    await this.#end(waitMs);
    const { last } = this.#store.state;
    return last !== null && sameIncarnation(last.incarnation, of) ? publicEnded(last) : null;
  }

  /** What an incarnation wrote last. Throws Refused. */
  logText(seq: number | undefined, maxBytes: number): LogText {
    const { running, last } = this.#store.state;
    const found = [running, last].find((life) => life !== null && (seq === undefined || life.incarnation.seq === seq));
    if (found === undefined || found === null) {
      throw new Refused('unknown_incarnation', 'neither the running nor the last ended incarnation');
    }
    const { incarnation, log } = found;
    const fd = this.#logFds.get(incarnation.seq) ?? null;
    const path = this.#config.service.logFile;
    return { incarnation, ...readServiceLog({ fd, path, pid: incarnation.pid, mark: log }, maxBytes) };
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
    const { shutdownGraceMs = 15_000, leftoverGraceMs = 5_000 } = this.#config;
    for (const [signal, waitMs] of [
      ['TERM', shutdownGraceMs],
      ['KILL', leftoverGraceMs + 5_000],
    ] as const) {
      const life = this.#life;
      if (life === null) break;
      const ours = { by: shutdownBy, fence: this.maxFence, signal, atMs: this.#clock.wallMs() };
      const asked = life.asked ?? askedNow(life, ours);
      const { pid, startTicks, seq } = life.incarnation;
      this.#store.note(
        { running: { ...life, asked } },
        {
          event: 'stop-request',
          seq,
          pid,
          startTicks,
          fence: this.maxFence,
          by: shutdownBy,
          signal,
          outcome: 'accepted',
        },
      );
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

  #checkFence(asking: Asking, line: Line): void {
    if (asking.fence >= this.maxFence) return;
    throw this.#refuse(asking, line, 'fenced', `a request with fence ${this.maxFence} was seen`);
  }

  /** A fence once seen is the floor, also when its request is refused for another reason. */
  #refuse(asking: Asking, line: Line, code: RefusalCode, message: string): Refused {
    this.#store.note({ maxFence: Math.max(this.maxFence, asking.fence) }, { ...line, outcome: code });
    return new Refused(code, message);
  }

  #commit(change: Parameters<Store['commit']>[0], line: Line): void {
    try {
      this.#store.commit(change, line);
    } catch (cause) {
      this.#store.note({}, { ...line, outcome: 'store_failed', why: this.#store.error });
      throw new Refused('store_failed', messageOf(cause), { cause });
    }
  }

  #startFailed(seq: number, asking: Asking, cause: unknown): Refused {
    const why = messageOf(cause);
    this.#store.note({ starting: null }, { event: 'start-failed', seq, ...asking, why });
    return new Refused('spawn_failed', why, { cause });
  }

  #started(
    child: ChildProcess,
    pid: number,
    start: {
      readonly seq: number;
      readonly marker: string;
      readonly startedAtMs: number;
      readonly log: Life['log'];
      readonly fd: number;
      readonly asking: Asking;
    },
  ): Incarnation {
    const stat = readStat(pid);
    // not waited for yet, so it is there, as a zombie at least
    if (stat === undefined) throw new Error(`/proc/${pid} of our own child is not there`);
    const { startTicks } = stat;
    const incarnation = { bootId: this.#bootId, pid, startTicks, startedAtMs: start.startedAtMs, seq: start.seq };
    this.#child = child;
    this.#logFds.set(start.seq, start.fd);
    child.once('exit', (exitCode, signal) => {
      this.#child = null;
      this.#leaderEnded({ known: true, exitCode, signal });
    });
    const { counts } = this.#store.state;
    this.#store.note(
      {
        starting: null,
        running: {
          incarnation,
          marker: start.marker,
          log: start.log,
          asked: null,
          leaderExit: null,
          leaderEndedAtMs: null,
        },
        counts: { ...counts, starts: counts.starts + 1 },
        resume: false,
      },
      { event: 'start', seq: start.seq, pid, startTicks, ...start.asking },
    );
    return incarnation;
  }

  #signal(life: Life, signal: Signal): void {
    const { pid } = life.incarnation;
    if (this.#child !== null) process.kill(-pid, `SIG${signal}`);
    else if (life.leaderExit === null) this.#signalOrphan(life.incarnation, signal);
    else this.#signalLeftovers(life, signal);
  }

  /**
   * Not our child: somebody else reaps it, so its pid may go to another process between this check and the kill, however
   * close they are. This is a predicate with a window, not a compare-and-set.
   */
  #signalOrphan(incarnation: Incarnation, signal: Signal): void {
    if (readStat(incarnation.pid)?.startTicks !== incarnation.startTicks) return;
    process.kill(-incarnation.pid, `SIG${signal}`);
  }

  /** The leader is gone and reaped: its number may be taken again once the group is empty, so each one is compared. */
  #signalLeftovers(life: Life, signal: Signal): void {
    const recovered = !this.#logFds.has(life.incarnation.seq);
    for (const seen of this.#leftovers(life.incarnation)) {
      // while no supervisor looked, the number may have gone to a stranger's group that has lost its leader too
      if (recovered && !hasEnv(seen.pid, `${markerName}=${life.marker}`)) continue;
      if (readStat(seen.pid)?.startTicks !== seen.startTicks) continue;
      try {
        process.kill(seen.pid, `SIG${signal}`);
      } catch (error) {
        this.#log.warn({ pid: seen.pid, error: messageOf(error) }, 'a process of the group could not be signalled');
      }
    }
  }

  #leftovers({ pid, bootId }: Incarnation): ProcessStat[] {
    // As long as one of the group lives its number is not given to a new process (the kernel keeps a pid that is in use
    // as a group's id), so a process with the leader's number means that the group has ended and this is another one.
    return bootId === this.#bootId && readStat(pid) === undefined ? livingOfGroup(pid) : [];
  }

  #leaderEnded(exit: Exit): void {
    const life = this.#life;
    if (life === null) return;
    const { pid, startTicks, seq } = life.incarnation;
    const line: Line = {
      event: 'exit',
      seq,
      pid,
      startTicks,
      fence: life.asked?.fence ?? null,
      by: life.asked?.by ?? null,
      ...(exit.known ? { exitCode: exit.exitCode, signal: exit.signal } : { why: exit.why }),
    };
    this.#store.note({ running: { ...life, leaderExit: exit, leaderEndedAtMs: this.#clock.wallMs() } }, line);
    this.#log.info({ seq, pid, exit, asked: life.asked }, 'the service ended');
    this.#leftoverSinceMs = this.#clock.monoMs();
    try {
      if (this.#leftovers(life.incarnation).length === 0) {
        this.#groupEnded(false);
        return;
      }
      this.#log.warn({ seq, pid }, 'processes outlived the leader of their group');
      if (life.asked === null) this.#signalLeftovers(life, 'TERM');
    } catch (error) {
      // called from an event: thrown here it would end the supervisor; the next tick looks again
      this.#log.error({ error: messageOf(error) }, 'the group of the service could not be read');
    }
  }

  /** The last of the group is gone: the incarnation is over. */
  #groupEnded(hadLeftovers: boolean): void {
    const life = this.#life;
    if (life?.leaderExit == null) return;
    const { incarnation, asked } = life;
    const { pid, startTicks, seq } = incarnation;
    const log = this.#seal(life);
    const { counts } = this.#store.state;
    const rebooted = incarnation.bootId !== this.#bootId;
    const last = {
      incarnation,
      exit: life.leaderExit,
      endedAtMs: life.leaderEndedAtMs ?? this.#clock.wallMs(),
      asked,
      logOffset: log.offset,
      logEnd: log.end?.at ?? log.offset,
      log,
    };
    this.#store.note(
      {
        running: null,
        last,
        resume: asked === null ? rebooted : asked.by === shutdownBy,
        counts:
          asked === null
            ? { ...counts, endsByItself: counts.endsByItself + 1 }
            : { ...counts, endsAsked: counts.endsAsked + 1 },
      },
      ...(hadLeftovers ? [{ event: 'group-ended', seq, pid, startTicks } satisfies Line] : []),
    );
    for (const [other, fd] of this.#logFds) {
      if (other === seq) continue;
      closeSync(fd);
      this.#logFds.delete(other);
    }
    this.#leftoverSinceMs = null;
    for (const wake of [...this.#onEnd]) wake();
  }

  #seal({ incarnation, log }: Life): Life['log'] {
    const { pid, seq } = incarnation;
    try {
      return sealLog(this.#logFds.get(seq) ?? null, this.#config.service.logFile, pid, log);
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, 'the log of the service could not be read');
      return { ...log, end: { at: log.offset, anchor: 'unreadable', truncated: false } };
    }
  }

  /** Takes note of what cannot announce itself: the end of an orphan and of those that outlive their leader. */
  #look(): void {
    const life = this.#life;
    if (life === null || this.#child !== null) return;
    const { pid, startTicks, bootId } = life.incarnation;
    if (life.leaderExit === null) {
      const stat = bootId === this.#bootId ? readStat(pid) : undefined;
      if (stat?.startTicks === startTicks && !isGhost(stat)) return;
      const why =
        bootId === this.#bootId ? 'it was not the child of this supervisor when it ended' : 'the machine was restarted';
      this.#leaderEnded({ known: false, why });
      return;
    }
    if (this.#leftovers(life.incarnation).length === 0) this.#groupEnded(true);
  }

  #tick(): void {
    try {
      this.#store.retry();
      this.#look();
      const life = this.#life;
      if (life?.leaderExit == null) return;
      const since = this.#leftoverSinceMs ?? this.#clock.monoMs();
      this.#leftoverSinceMs = since;
      if (this.#clock.monoMs() - since < (this.#config.leftoverGraceMs ?? 5_000)) return;
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
    const { state } = this.#store;
    const supervisorStarts = state.counts.supervisorStarts + 1;
    this.#store.commit(
      { counts: { ...state.counts, supervisorStarts } },
      { event: 'supervisor-start', pid: process.pid },
    );
    if (state.starting !== null) this.#recoverStart(state.starting);
    const found = this.#life;
    if (found !== null && found.leaderExit === null) {
      this.#look();
      if (this.#orphan) {
        const { pid, startTicks, seq } = found.incarnation;
        this.#store.note({}, { event: 'orphan-found', seq, pid, startTicks });
        this.#log.warn({ seq, pid }, 'an orphan of a former supervisor is alive');
      }
      return;
    }
    this.#look();
  }

  #recoverStart(starting: NonNullable<Store['state']['starting']>): void {
    const alive = starting.bootId === this.#bootId ? livingWithEnv(`${markerName}=${starting.marker}`) : [];
    // the first of those that lead a session of their own; a grandchild may have made one too, later
    const leader = alive
      .filter((stat) => stat.pid === stat.group && stat.pid === stat.session)
      .sort((a, b) => a.startTicks - b.startTicks || a.pid - b.pid)[0];
    if (leader === undefined && alive.length > 0) {
      throw new ConfigError('the service', [
        `processes of a start that was never recorded are alive, without their leader: end ${alive.map((p) => p.pid).join(', ')} first`,
      ]);
    }
    const { seq, marker, log, atMs } = starting;
    if (leader === undefined) {
      const why = 'the supervisor died during the start and nothing of it is alive';
      this.#store.note({ starting: null, resume: false }, { event: 'start-lost', seq, why });
      return;
    }
    const { pid, startTicks } = leader;
    const incarnation = { bootId: this.#bootId, pid, startTicks, startedAtMs: atMs, seq };
    const { counts } = this.#store.state;
    this.#store.note({
      starting: null,
      running: { incarnation, marker, log, asked: null, leaderExit: null, leaderEndedAtMs: null },
      counts: { ...counts, starts: counts.starts + 1 },
      resume: false,
    });
  }
}

/** What ended by itself stays so, also when the rest of its group is asked to end. */
function askedNow(life: Life, asked: Asked): Asked | null {
  return life.leaderExit === null ? asked : life.asked;
}

function publicEnded({ log: _log, ...ended }: NonNullable<Store['state']['last']>): Ended {
  return ended;
}
