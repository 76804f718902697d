// A container behind the Docker Engine API (or podman's), by its unix socket. Never `/restart`: that ends whatever runs.
import { z } from 'zod';
import { within } from '../../exporter/runtime/deadline.ts';
import { messageOf } from '../../exporter/runtime/errors.ts';
import { known, unknown, type Known } from '../../exporter/runtime/known.ts';
import {
  endOf,
  incarnationOf,
  inspectSchema,
  isRunning,
  logSince,
  logText,
  ownerOf,
  type Inspected,
} from './docker-facts.ts';
import { engineRequest, type EngineAnswer } from './engine-http.ts';
import { processStateOf } from './process-state.ts';
import type { Outcome, ServiceIncarnation, ServiceState, Supervisor } from './supervisor.ts';

export interface DockerSettings {
  readonly socket: string;
  /** Name or id */
  readonly container: string;
  /** How long it gets between SIGTERM and SIGKILL, at most. */
  readonly stopSeconds: number;
}

const inspectBytes = 1024 * 1024;
const logLines = 1_000;
const logAnswerBytes = 16 * 1024 * 1024;

type Refused = Extract<Outcome<never>, { kind: 'refused' }>;

export function dockerSupervisor(settings: DockerSettings, nowMs: () => number): Supervisor {
  const { socket, container } = settings;
  // Without a version: an engine answers by its newest then. Docker 29 takes 1.44 and newer only, podman 4.3 has 1.41.
  const call = (
    method: 'GET' | 'POST',
    path: string,
    signal: AbortSignal,
    maxBytes = inspectBytes,
  ): Promise<EngineAnswer> => engineRequest({ socket, method, path, maxBytes }, signal);
  const inspect = async (of: string, signal: AbortSignal): Promise<Inspected> => {
    const answer = await call('GET', `/containers/${encodeURIComponent(of)}/json`, signal);
    if (answer.is === 'not_sent') throw new Error(answer.message);
    if (answer.status !== 200) throw new Error(`the engine answers ${answer.status}: ${messageIn(answer.body)}`);
    return inspectSchema.parse(JSON.parse(answer.body.toString('utf8')));
  };
  /** What the container is now, to be compared just before a call. Reading it has changed nothing. */
  const compared = async (signal: AbortSignal): Promise<Inspected | Refused> => {
    try {
      return await inspect(container, signal);
    } catch (error) {
      return refused('not_sent', `the container cannot be looked at: ${messageOf(error)}`);
    }
  };

  return {
    kind: 'docker',
    // What runs is compared by a call of its own: between it and the stop another one may begin.
    fencing: { stop: 'predicate', start: 'predicate' },
    state: async (signal) => {
      try {
        const found = await inspect(container, signal);
        const running = isRunning(found.State) ? incarnationOf(found) : undefined;
        const state: ServiceState = {
          running: running ?? null,
          processState: running === undefined ? unknown('it does not run') : await stateOf(found, running, signal),
          orphan: found.State.Dead,
          last: endOf(found),
          maxFence: null,
          owner: ownerOf(found, nowMs()),
        };
        return known(state, nowMs());
      } catch (error) {
        return unknown(messageOf(error));
      }
    },
    raiseFence: () => Promise.resolve(refused('unsupported', 'a container engine keeps no fences')),
    stop: async (incarnation, _token, { force, waitMs }, signal) => {
      const found = await compared(signal);
      if ('kind' in found) return found;
      const now = incarnationOf(found);
      if (now?.id !== incarnation.id)
        return refused('overtaken', `another life of the container: ${now?.id ?? 'none'}`);
      if (isRunning(found.State) && incarnation.pid !== null && found.State.Pid !== incarnation.pid) {
        return refused('overtaken', `it runs as process ${found.State.Pid}, not ${incarnation.pid}`);
      }
      const seconds = force ? 0 : Math.max(1, Math.min(settings.stopSeconds, Math.floor(waitMs / 1000)));
      const outcome = await mutate(() => call('POST', `/containers/${found.Id}/stop?t=${seconds}`, signal));
      if (outcome.kind !== 'done') return outcome;
      // 304: it was stopped already. How it ended is a matter of looking, and the looking may fail.
      const after = await inspect(found.Id, signal).catch(() => undefined);
      const ended = after === undefined ? null : endOf(after);
      return { kind: 'done', value: { ended: ended?.incarnation.id === incarnation.id ? ended : null } };
    },
    start: async (_token, signal) => {
      const found = await compared(signal);
      if ('kind' in found) return found;
      if (isRunning(found.State)) return refused('running', 'the container runs');
      if (found.State.Restarting) return refused('owner_busy', 'the engine starts it again');
      const outcome = await mutate(() => call('POST', `/containers/${found.Id}/start`, signal));
      if (outcome.kind !== 'done') return outcome;
      if (outcome.value === 304) return refused('running', 'the container runs: somebody was faster');
      try {
        const incarnation = incarnationOf(await inspect(found.Id, signal));
        if (incarnation === undefined)
          return { kind: 'unknown', cause: new Error('started, and no start is on record') };
        return { kind: 'done', value: { incarnation } };
      } catch (cause) {
        return { kind: 'unknown', cause };
      }
    },
    log: async (incarnation, maxBytes, signal) => {
      try {
        return await readLog(incarnation, maxBytes, signal);
      } catch (error) {
        return unknown(messageOf(error));
      }
    },
  };

  async function readLog(of: ServiceIncarnation, maxBytes: number, signal: AbortSignal): ReturnType<Supervisor['log']> {
    const found = await inspect(container, signal);
    const since = logSince(found.State.StartedAt);
    if (incarnationOf(found)?.id !== of.id || since === undefined) {
      return unknown('the engine tells one life of a container from the next only while it is the last');
    }
    const query = `stdout=1&stderr=1&since=${since}&tail=${logLines}`;
    const answer = await call('GET', `/containers/${found.Id}/logs?${query}`, signal, logAnswerBytes);
    if (answer.is === 'not_sent') return unknown(answer.message);
    if (answer.status !== 200) return unknown(`the engine answers ${answer.status}: ${messageIn(answer.body)}`);
    const text = logText(answer.body, found.Config.Tty);
    const isCut = Buffer.byteLength(text) > maxBytes || text.split('\n').length > logLines;
    const why = isCut ? 'only its end was asked for' : null;
    return known({ text: lastBytes(text, maxBytes), complete: !isCut, why }, nowMs());
  }

  async function stateOf(
    { Id, State }: Inspected,
    life: ServiceIncarnation,
    signal: AbortSignal,
  ): Promise<Known<string>> {
    if (State.Paused) return known('T', nowMs());
    const own = life.pid === null ? unknown('no process id') : processStateOf(life.pid, life.startedAtMs, nowMs());
    if (own.known) return own;
    // The engine sees its processes where this program does not: it runs in a container itself, or elsewhere.
    for (const args of topArguments) {
      const path = `/containers/${Id}/top?ps_args=${encodeURIComponent(args)}`;
      const answer = await call('GET', path, within(topMs, signal)).catch(() => undefined);
      const letter = answer?.is === 'answered' && answer.status === 200 ? stateInTop(answer.body, life.pid) : undefined;
      if (letter !== undefined) return known(letter, nowMs());
    }
    return own;
  }
}

/** Podman's own words first: given those of ps(1) it looks for a ps in the container. Docker hands them to ps. */
const topArguments = ['hpid,state', '-o pid,stat'];
const topMs = 2_000;

const topSchema = z.object({ Titles: z.array(z.string()), Processes: z.array(z.array(z.string())) });

function stateInTop(body: Buffer, pid: number | null): string | undefined {
  const parsed = topSchema.safeParse(safeJson(body));
  if (!parsed.success) return undefined;
  const { Titles, Processes } = parsed.data;
  const [pidAt, statAt] = [
    Titles.findIndex((t) => t === 'PID' || t === 'HPID'),
    Titles.findIndex((t) => t === 'STAT' || t === 'STATE'),
  ];
  if (pidAt < 0 || statAt < 0) return undefined;
  return Processes.find((p) => p[pidAt] === String(pid))?.[statAt]?.slice(0, 1);
}

/** A 4xx is proof that nothing was done; a 5xx is not: the engine may have failed on its way. */
async function mutate(send: () => Promise<EngineAnswer>): Promise<Outcome<number>> {
  let answer: EngineAnswer;
  try {
    answer = await send();
  } catch (cause) {
    return { kind: 'unknown', cause };
  }
  if (answer.is === 'not_sent') return refused(answer.code, answer.message);
  const { status } = answer;
  if (status === 204 || status === 304) return { kind: 'done', value: status };
  const message = `the engine answers ${status}: ${messageIn(answer.body)}`;
  if (status >= 400 && status < 500) return refused(`http_${status}`, message);
  return { kind: 'unknown', cause: new Error(message) };
}

function messageIn(body: Buffer): string {
  const parsed = z.object({ message: z.string() }).safeParse(safeJson(body));
  return (parsed.success ? parsed.data.message : body.toString('utf8')).slice(0, 200);
}

function safeJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

function lastBytes(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  return bytes.length <= maxBytes ? text : bytes.subarray(-maxBytes).toString('utf8');
}

function refused(code: string, message: string): Refused {
  return { kind: 'refused', code, message };
}
