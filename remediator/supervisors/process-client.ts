/** The remediator's side of the process supervisor: one connection, one request, one answer. No retries, no reconnect. */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { codeOf, messageOf } from '../../exporter/runtime/errors.ts';
import { known, unknown, type Known } from '../../exporter/runtime/known.ts';
import {
  maxLogBytes,
  maxReplyBytes,
  maxRequestBytes,
  replySchema,
  type Ended,
  type Incarnation,
  type Reply,
  type Request,
} from './process-wire.ts';
import type { Outcome, ServiceEnd, ServiceIncarnation, ServiceState, Supervisor } from './supervisor.ts';
import { openUnixSocket } from './unix-socket.ts';

type Op = Request['op'];
type RequestOf<O extends Op> = DistributiveOmit<Extract<Request, { op: O }>, 'id'>;
type ReplyOf<O extends Op> = Extract<Reply, { ok: true; op: O }>;
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

export interface ProcessSupervisorAddress {
  /** Path of the unix socket. */
  readonly socket: string;
}

/** Sends one request and classes its outcome. The signal is its deadline. */
export async function ask<O extends Op>(
  { socket: path }: ProcessSupervisorAddress,
  request: RequestOf<O>,
  signal: AbortSignal,
): Promise<Outcome<ReplyOf<O>>> {
  const id = randomUUID();
  const line = Buffer.from(`${JSON.stringify({ id, ...request })}\n`);
  if (line.length > maxRequestBytes) return refused('not_sent', 'the request is too long');
  let socket: Socket;
  try {
    socket = await openUnixSocket(path, signal);
  } catch (error) {
    // whatever it was, not a byte was written
    return refused(codeOf(error) ?? 'not_sent', `no connection to the supervisor: ${messageOf(error)}`);
  }
  try {
    return classify<O>(request.op, id, await exchange(socket, line, signal));
  } catch (cause) {
    return { kind: 'unknown', cause };
  } finally {
    socket.destroy();
  }
}

/** From here on the request may be on its way: every failure leaves open whether it was carried out. */
function exchange(socket: Socket, line: Buffer, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let size = 0;
    const finish = (done: () => void): void => {
      signal.removeEventListener('abort', onAbort);
      done();
    };
    const fail = (error: unknown): void => {
      finish(() => {
        reject(error instanceof Error ? error : new Error('the exchange failed', { cause: error }));
      });
    };
    const onAbort = (): void => {
      fail(new Error('no answer before the deadline', { cause: signal.reason }));
    };
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', fail);
    socket.on('close', () => {
      fail(new Error('the connection ended before an answer'));
    });
    socket.on('data', (piece: Buffer) => {
      const end = piece.indexOf(0x0a);
      pieces.push(end < 0 ? piece : piece.subarray(0, end));
      size += piece.length;
      if (end >= 0) {
        finish(() => {
          resolve(Buffer.concat(pieces).toString('utf8'));
        });
      } else if (size > maxReplyBytes) fail(new Error('the answer is too long'));
    });
    if (signal.aborted) onAbort();
    else socket.write(line);
  });
}

function classify<O extends Op>(op: O, id: string, text: string): Outcome<ReplyOf<O>> {
  const reply = replySchema.parse(JSON.parse(text));
  if (!reply.ok) {
    if (reply.code === 'internal') return { kind: 'unknown', cause: new Error(reply.message) };
    // without an id: the line could not be read, so it was not carried out
    if (reply.id === id || reply.id === null) return refused(reply.code, reply.message);
    throw new Error('an answer to another request');
  }
  if (reply.id !== id || !isReplyOf(op, reply)) throw new Error('an answer to another request');
  return { kind: 'done', value: reply };
}

function isReplyOf<O extends Op>(op: O, reply: Extract<Reply, { ok: true }>): reply is ReplyOf<O> {
  return reply.op === op;
}

function refused(code: string, message: string): { kind: 'refused'; code: string; message: string } {
  return { kind: 'refused', code, message };
}

/** The supervisor at that socket, behind the common interface. */
export function processSupervisor(address: ProcessSupervisorAddress, nowMs: () => number): Supervisor {
  return {
    kind: 'process',
    // It compares incarnation and fence and acts in one step. An orphan (see ServiceState) is only a predicate.
    fencing: { stop: 'cas', start: 'cas' },
    state: async (signal) =>
      asKnown(await ask<'status'>(address, { op: 'status' }, signal), nowMs, ({ status }): ServiceState => ({
        running: status.running === null ? null : publicIncarnation(status.running),
        processState:
          status.processState === null ? unknown('no leading process') : known(status.processState, nowMs()),
        orphan: status.orphan,
        last: status.last === null ? null : publicEnd(status.last),
        maxFence: status.maxFence,
      })),
    raiseFence: async (token, signal) =>
      mapDone(await ask<'fence'>(address, { op: 'fence', ...pick(token) }, signal), ({ maxFence }) => ({ maxFence })),
    stop: async (incarnation, token, { force, waitMs }, signal) => {
      const ifIncarnation = wireIncarnation(incarnation);
      if (ifIncarnation === undefined) return refused('overtaken', 'not an incarnation of a process supervisor');
      const request = { op: 'stop', ifIncarnation, ...pick(token), signal: force ? 'KILL' : 'TERM', waitMs } as const;
      return mapDone(await ask<'stop'>(address, request, signal), ({ ended }) => ({
        ended: ended === null ? null : publicEnd(ended),
      }));
    },
    start: async (token, signal) =>
      mapDone(await ask<'start'>(address, { op: 'start', ifAbsent: true, ...pick(token) }, signal), (reply) => ({
        incarnation: publicIncarnation(reply.incarnation),
      })),
    log: async (incarnation, maxBytes, signal) => {
      const wanted = wireIncarnation(incarnation);
      if (wanted === undefined) return unknown('not an incarnation of a process supervisor');
      const bytes = Math.max(1, Math.min(maxBytes, maxLogBytes));
      const request = { op: 'log', seq: wanted.seq, maxBytes: bytes } as const;
      const outcome = await ask<'log'>(address, request, signal);
      if (outcome.kind === 'done' && incarnationId(outcome.value.log.incarnation) !== incarnation.id) {
        return unknown('the supervisor knows another incarnation by that number');
      }
      return asKnown(outcome, nowMs, ({ log }) => ({
        text: log.text,
        ...completeness(log.omittedBytes, log.rotation),
      }));
    },
  };
}

function completeness(omittedBytes: number, rotation: string): { complete: boolean; why: string | null } {
  if (rotation === 'truncated') return { complete: false, why: 'the log file was emptied while it ran' };
  if (rotation === 'lost') return { complete: false, why: 'the log file was replaced or emptied' };
  if (omittedBytes > 0) return { complete: false, why: `its first ${omittedBytes} bytes are left out` };
  return { complete: true, why: null };
}

function pick({ fence, by }: { fence: number; by: string }): { fence: number; by: string } {
  return { fence, by };
}

function mapDone<T, U>(outcome: Outcome<T>, f: (value: T) => U): Outcome<U> {
  return outcome.kind === 'done' ? { kind: 'done', value: f(outcome.value) } : outcome;
}

function asKnown<T, U>(outcome: Outcome<T>, nowMs: () => number, f: (value: T) => U): Known<U> {
  if (outcome.kind === 'done') return known(f(outcome.value), nowMs());
  return unknown(outcome.kind === 'refused' ? `${outcome.code}: ${outcome.message}` : messageOf(outcome.cause));
}

function publicEnd({ incarnation, exit, endedAtMs, asked }: Ended): ServiceEnd {
  return {
    incarnation: publicIncarnation(incarnation),
    exit: exit.known ? known({ exitCode: exit.exitCode, signal: exit.signal }, endedAtMs) : exit,
    endedAtMs,
    asked: asked === null ? null : { by: asked.by, fence: asked.fence },
  };
}

function publicIncarnation(incarnation: Incarnation): ServiceIncarnation {
  return { id: incarnationId(incarnation), pid: incarnation.pid, startedAtMs: incarnation.startedAtMs };
}

/** `process:BOOTID:PID:STARTTICKS:SEQ`: all that sameIncarnation() compares. */
export function incarnationId({ bootId, pid, startTicks, seq }: Incarnation): string {
  return `process:${bootId}:${pid}:${startTicks}:${seq}`;
}

function wireIncarnation({ id, startedAtMs }: ServiceIncarnation): Incarnation | undefined {
  const found = /^process:([^:]{1,64}):(\d+):(\d+):(\d+)$/.exec(id);
  if (found === null) return undefined;
  const [, bootId = '', pid, startTicks, seq] = found;
  return { bootId, pid: Number(pid), startTicks: Number(startTicks), seq: Number(seq), startedAtMs };
}
