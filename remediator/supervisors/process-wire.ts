/**
 * What the process supervisor and its clients say to each other: newline-delimited JSON over a unix socket (mode 0600).
 * One request per line, answered by one line with the same `id`, in the order of the requests of a connection.
 */
import { posix } from 'node:path';
import { z } from 'zod';

/** A longer request line is answered with `too_large` and skipped up to its newline. */
export const maxRequestBytes = 64 * 1024;
/** A log reply of 64 KiB may grow sixfold in JSON (control characters become \u00XX). */
export const maxReplyBytes = 1024 * 1024;
export const maxLogBytes = 64 * 1024;
const maxWaitMs = 120_000;

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const atMs = count;
/** sockaddr_un.sun_path holds 108 bytes with its final NUL (unix(7)); a longer path would be cut or refused. */
const socketPath = z.string().refine((path) => posix.isAbsolute(path) && Buffer.byteLength(path) <= 107, {
  message: 'must be an absolute path of at most 107 bytes',
});
const absolutePath = z.string().refine((path) => posix.isAbsolute(path) && !path.includes('\0'), {
  message: 'must be an absolute path',
});
const noNul = z.string().refine((text) => !text.includes('\0'), { message: 'must not contain a NUL' });

export const configSchema = z.strictObject({
  socket: socketPath,
  /** Holds state.json, witness.jsonl and the lock. Made with mode 0700 when absent. A local file system only. */
  stateDir: absolutePath,
  service: z.strictObject({
    name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
    /** The program and its arguments; never given to a shell. */
    argv: z.tuple([noNul.min(1)], noNul),
    cwd: absolutePath.optional(),
    /** Added to the supervisor's own environment. */
    env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), noNul).optional(),
    logFile: absolutePath,
  }),
  /**
   * Start the service with the supervisor: the first time, after an orderly shutdown of the supervisor, and after a
   * reboot. Never a service that ended by itself or was stopped by request: whether that may start is the
   * remediator's (or a person's) decision.
   */
  autostart: z.boolean().optional(),
  /** How long processes that outlive the leader of their group get before they are killed. */
  leftoverGraceMs: count.max(maxWaitMs).optional(),
  /** How long the service gets to end when the supervisor itself is told to end. */
  shutdownGraceMs: count.max(maxWaitMs).optional(),
});
export type ProcessSupervisorConfig = z.output<typeof configSchema>;

/**
 * One life of the service. `startTicks` (field 22 of /proc/PID/stat, proc(5)) tells apart two processes that had the
 * same pid within one boot, `bootId` those of different boots; `seq` counts the starts of this supervisor's state.
 */
export const incarnationSchema = z.object({
  bootId: z.string().min(1).max(64),
  pid: count.min(1),
  startTicks: count,
  startedAtMs: atMs,
  seq: count,
});
export type Incarnation = z.output<typeof incarnationSchema>;

export function sameIncarnation(a: Incarnation, b: Incarnation): boolean {
  return a.bootId === b.bootId && a.pid === b.pid && a.startTicks === b.startTicks && a.seq === b.seq;
}

const id = z.union([z.string().max(128), count]);
const fence = count;
/** Who asks, for the witness: a run id, or `person:NAME`. */
const by = z.string().min(1).max(200);

export const requestSchema = z.discriminatedUnion('op', [
  z.strictObject({ id, op: z.literal('status') }),
  /** Raises the fence and does nothing else: after it, a request of the former holder can no longer have an effect. */
  z.strictObject({ id, op: z.literal('fence'), fence, by }),
  z.strictObject({
    id,
    op: z.literal('stop'),
    ifIncarnation: incarnationSchema,
    fence,
    by,
    signal: z.enum(['TERM', 'KILL']),
    /** How long the answer may wait for the end of the process. */
    waitMs: count.max(maxWaitMs),
  }),
  z.strictObject({ id, op: z.literal('start'), ifAbsent: z.literal(true), fence, by }),
  /** Text that one incarnation wrote: the running one's unless `seq` names the last ended one. */
  z.strictObject({
    id,
    op: z.literal('log'),
    seq: count.optional(),
    maxBytes: count.min(1).max(maxLogBytes).optional(),
  }),
]);
export type Request = z.output<typeof requestSchema>;

/** Only the parent of a process learns how it ended. */
export const exitSchema = z.union([
  z.object({ known: z.literal(true), exitCode: z.number().int().nullable(), signal: z.string().nullable() }),
  z.object({ known: z.literal(false), why: z.string() }),
]);
export type Exit = z.output<typeof exitSchema>;

/** The stop request (or the supervisor's own shutdown) after which the service ended. */
export const askedSchema = z.object({ by: z.string(), fence, signal: z.enum(['TERM', 'KILL']), atMs });
export type Asked = z.output<typeof askedSchema>;

export const endedSchema = z.object({
  incarnation: incarnationSchema,
  exit: exitSchema,
  /** When the leader's end was seen. */
  endedAtMs: atMs,
  /** null: nobody asked this supervisor for it; it ended by itself or by somebody else's signal. */
  asked: askedSchema.nullable(),
  /** Bytes of the log file that belong to this incarnation. */
  logOffset: count,
  logEnd: count,
});
export type Ended = z.output<typeof endedSchema>;

const statusSchema = z.object({
  service: z.string(),
  bootId: z.string(),
  supervisorPid: count,
  /** null: nothing of the service is alive. */
  running: incarnationSchema.nullable(),
  /** State letter of proc(5); null when nothing runs or the leader has ended and others of its group are still alive. */
  processState: z.string().nullable(),
  /** The leader has ended with this, others of its group are being ended. */
  leaderExit: exitSchema.nullable(),
  /** Started by a supervisor that died: it can be stopped, its exit code will not be known. */
  orphan: z.boolean(),
  /** A stop of the running incarnation was accepted. */
  stopAsked: askedSchema.nullable(),
  logOffset: count.nullable(),
  last: endedSchema.nullable(),
  maxFence: fence,
  counts: z.object({
    starts: count,
    endsAsked: count,
    endsByItself: count,
    supervisorStarts: count,
  }),
  /** Something could not be written durably: mutations are refused until it can. */
  storeError: z.string().nullable(),
});
export type Status = z.output<typeof statusSchema>;

const logTextSchema = z.object({
  incarnation: incarnationSchema,
  text: z.string(),
  /** Bytes of this incarnation before `text` that were left out because of `maxBytes`. */
  omittedBytes: count,
  /**
   * `none`: the file is the one of the start. `moved`: renamed or removed since, the text is still this incarnation's.
   * `truncated`: emptied since; the text is what was written after that. `lost`: no longer to be had.
   */
  rotation: z.enum(['none', 'moved', 'truncated', 'lost']),
});
export type LogText = z.output<typeof logTextSchema>;

const refusalCodes = [
  'bad_request',
  'too_large',
  'fenced', // a higher fence was seen
  'overtaken', // another incarnation runs than the one named
  'absent', // nothing runs
  'running', // start: it runs already
  'orphan', // start: a process of a supervisor that died is alive
  'unknown_incarnation', // log: neither the running nor the last ended one
  'spawn_failed', // no process came to be
  'signal_failed', // the kernel refused the signal
  'store_failed', // intent could not be made durable
  'shutting_down',
] as const;

/** `internal` is no proof that nothing was done, all others are. */
const errorCode = z.enum([...refusalCodes, 'internal']);
export type RefusalCode = (typeof refusalCodes)[number];

const refusalSchema = z.object({
  id: id.nullable(),
  ok: z.literal(false),
  code: errorCode,
  message: z.string(),
  running: incarnationSchema.nullable(),
  maxFence: fence,
});
export type Refusal = z.output<typeof refusalSchema>;

export const replySchema = z.union([
  refusalSchema,
  z.discriminatedUnion('op', [
    z.object({ id, ok: z.literal(true), op: z.literal('status'), status: statusSchema }),
    z.object({ id, ok: z.literal(true), op: z.literal('fence'), maxFence: fence }),
    z.object({
      id,
      ok: z.literal(true),
      op: z.literal('stop'),
      /** `stopping`: the signal was given, the end was not seen within waitMs. */
      outcome: z.enum(['stopped', 'stopping']),
      ended: endedSchema.nullable(),
    }),
    z.object({ id, ok: z.literal(true), op: z.literal('start'), incarnation: incarnationSchema }),
    z.object({ id, ok: z.literal(true), op: z.literal('log'), log: logTextSchema }),
  ]),
]);
export type Reply = z.output<typeof replySchema>;

/**
 * One line of witness.jsonl, the append-only record of what this supervisor was asked, did and saw. A `*-request` line is
 * on disk before its effect, the others come after the fact. A life begins with its `start`, or with `orphan-found` when
 * the supervisor died between making the process and recording it; it ends with its one `exit`.
 */
export const witnessLineSchema = z.strictObject({
  /** 1, 2, 3… without a gap, over all supervisors that had this state folder. */
  n: count,
  at: z.iso.datetime(),
  event: z.enum([
    'supervisor-start',
    'supervisor-stop',
    'fence',
    'start-request',
    'start',
    'start-failed',
    'start-lost', // a supervisor died during a start, and nothing of it is alive: whether a process ever was is unknown
    'orphan-found',
    'stop-request',
    'exit', // of the leader
    'group-ended', // the last of those that outlived the leader
  ]),
  seq: count,
  pid: count.nullable(),
  startTicks: count.nullable(),
  fence: fence.nullable(),
  by: z.string().nullable(),
  /** Of a request: `accepted` or the code of the refusal. */
  outcome: z.string().nullable(),
  /** Of a stop-request: what was asked for. Of an exit: what ended it. */
  signal: z.string().nullable(),
  exitCode: z.number().int().nullable(),
  /** Why something is not known or was not done. */
  why: z.string().nullable(),
});
export type WitnessLine = z.output<typeof witnessLineSchema>;
