// The record of the process supervisor that is the parent of Maxwell: one JSON line per event (deploy/process-supervisor.md).
import { open, readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Call } from '../../collector.ts';
import { classOf, codeOf, messageOf, TargetError } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';

const count = z.number().int().min(0);
/** Only what is read here; the supervisor may write more. */
const witnessLine = z.object({
  at: z.iso.datetime(),
  event: z.string(),
  seq: count,
  pid: count.nullable(),
  startTicks: count.nullable(),
  outcome: z.string().nullable(),
  signal: z.string().nullable(),
  exitCode: z.number().int().nullable(),
  why: z.string().nullable(),
});
type WitnessLine = z.output<typeof witnessLine>;

export interface ServiceEnd {
  readonly endedAtMs: number;
  /** Null: a signal ended it, or it is not known. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Why neither is known. */
  readonly why: string | null;
  /** The supervisor was asked to stop it. */
  readonly isAsked: boolean;
  /** It was started again since. */
  readonly isFollowed: boolean;
}

export interface Witness {
  /** Number of its newest start: 1, 2, 3…; 0 before the first. */
  readonly starts: number;
  /** By the record. */
  readonly running: { readonly pid: number; readonly startTicks: number | null } | undefined;
  /** Undefined: it has not ended as far as the record was read. */
  readonly last: ServiceEnd | undefined;
  readonly isReadWhole: boolean;
}

/** Some hundred events. */
const maxBytes = 256 * 1024;

/** @throws TargetError `failed` when there is no such file, `denied` when it may not be read (its mode is 0600) */
export async function readWitness(file: string): Promise<Witness> {
  const { text, isWhole } = await lastBytes(file).catch((error: unknown) => {
    const isDenied = ['EACCES', 'EPERM'].includes(codeOf(error) ?? '');
    throw new TargetError(isDenied ? 'denied' : 'failed', `the supervisor's record: ${messageOf(error)}`, {
      cause: error,
    });
  });
  return witnessOf(text, isWhole);
}

async function lastBytes(file: string): Promise<{ readonly text: string; readonly isWhole: boolean }> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(Math.min(size, maxBytes));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, size - buffer.length);
    return { text: buffer.toString('utf8', 0, bytesRead), isWhole: size <= maxBytes };
  } finally {
    await handle.close();
  }
}

/** A line that is still being written has no end yet, and counts next time. */
export function witnessOf(text: string, isReadWhole: boolean): Witness {
  const whole = text.slice(isReadWhole ? 0 : text.indexOf('\n') + 1, text.lastIndexOf('\n') + 1);
  const lines = whole.split('\n').flatMap(lineOf);
  const starts = lines.reduce((most, { seq }) => Math.max(most, seq), 0);
  const begun = lines.findLastIndex(({ event }) => event === 'start' || event === 'orphan-found');
  const ended = lines.findLastIndex(({ event }) => event === 'exit');
  const [beginning, end] = [lines[begun], lines[ended]];
  const running =
    beginning?.pid === undefined || beginning.pid === null || ended > begun
      ? undefined
      : { pid: beginning.pid, startTicks: beginning.startTicks };
  const last: ServiceEnd | undefined = end && {
    endedAtMs: Date.parse(end.at),
    exitCode: end.exitCode,
    signal: end.signal,
    why: end.exitCode === null && end.signal === null ? (end.why ?? 'the record does not say') : null,
    isAsked: lines.some((l) => l.event === 'stop-request' && l.seq === end.seq && l.outcome === 'accepted'),
    isFollowed: begun > ended,
  };
  return { starts, running, last, isReadWhole };
}

function lineOf(text: string): readonly WitnessLine[] {
  if (text === '') return [];
  try {
    const parsed = witnessLine.safeParse(JSON.parse(text));
    return parsed.success ? [parsed.data] : [];
  } catch {
    return [];
  }
}

/**
 * What the record says, checked against /proc where it says that the process runs: its end may not be recorded yet, and
 * the exporter may live among other processes than the supervisor (a container), so that disagreement is no evidence.
 */
export async function processByWitness(file: string, call: Call): Promise<Known<'alive' | 'gone'>> {
  try {
    const { running, starts, last } = await readWitness(file);
    if (running === undefined) {
      if (starts === 0 && last === undefined) return unknown('its supervisor has never started it');
      return known('gone', call.clock.wallMs());
    }
    const stat = await readFile(`/proc/${running.pid}/stat`, 'utf8');
    // proc(5): the name of the program stands in parentheses and may hold any; then state, and field 22, starttime
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const isZombie = ['Z', 'X'].includes(fields[0] ?? '');
    if (isZombie || Number(fields[19]) !== running.startTicks) {
      return unknown(`process ${running.pid} of the supervisor's record is not there`);
    }
    return known('alive', call.clock.wallMs());
  } catch (error) {
    if (classOf(error) === 'bug') throw error;
    return unknown(messageOf(error));
  }
}
