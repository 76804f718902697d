// A full memory: what is in it is written down before the process is stopped, for whoever has to find out why.
import { mkdir, open, readFile, rename, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createHash } from 'node:crypto';
import { within } from '../../../exporter/runtime/deadline.ts';
import { codeOf, messageOf } from '../../../exporter/runtime/errors.ts';
import { allow, deny, unsure, type Verdict } from '../../guard.ts';
import type { Step } from '../../action.ts';
import type { Json } from '../../model.ts';
import { inFolder } from '../../slow-folder.ts';
import { runArgv } from '../../supervisors/argv.ts';
import { processStateOf } from '../../supervisors/process-state.ts';
import type { ServiceIncarnation } from '../../supervisors/supervisor.ts';
import type { World } from '../../world.ts';
import { looking } from '../looking.ts';
import type { ServiceBefore } from './started.ts';
import { stateOf } from './steps.ts';

export interface CaptureParams {
  readonly threadDump: boolean;
  readonly heapDump: boolean;
}

const onceMs = 24 * 3_600_000;
/** With the runs of the store, for the remediators of other machines too, and by its time. */
export const memoryOnce = { what: 'its memory is full', withinMs: onceMs } as const;
const threadsMs = 15_000;
const heapMs = 60_000;
const outputBytes = 16 * 1024 * 1024;
/** The folder may be on a mount that hangs. */
const filesMs = 5_000;

/**
 * A restart for want of memory is allowed once in 24 hours: the second time it is a leak or a heap that is too small, and
 * that is for people. By wall time, in a file beside the evidence; a clock that was set back makes it the more careful.
 */
export async function memoryVerdict(
  target: string,
  evidenceDir: string | undefined,
  nowWallMs: number,
  read: (file: string) => Promise<string> = (file) => readFile(file, 'utf8'),
  timeoutMs = filesMs,
): Promise<Verdict> {
  if (evidenceDir === undefined) return unsure('memory_unknown', 'there is no folder to note it in');
  let lastMs: number | undefined;
  try {
    lastMs = Number(await inFolder(evidenceDir, timeoutMs, () => read(markOf(evidenceDir, target))));
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') return unsure('memory_unknown', messageOf(error));
  }
  if (lastMs === undefined) return allow('memory', 'its memory was full, for the first time in 24 hours');
  if (!Number.isFinite(lastMs))
    return unsure('memory_unknown', 'the time of the last restart for its memory is damaged');
  const inputs = { lastAt: new Date(lastMs).toISOString() };
  if (nowWallMs - lastMs >= onceMs)
    return allow('memory', 'its memory was full, for the first time in 24 hours', inputs);
  return deny('memory', 'its memory is full again within 24 hours: a restart only repeats that', inputs);
}

function markOf(evidenceDir: string, target: string): string {
  return join(evidenceDir, `memory-${createHash('sha256').update(target).digest('hex').slice(0, 32)}`);
}

/** Durable before anything is changed: a crash in between counts as a restart. */
async function mark(evidenceDir: string, target: string, wallMs: number, run: AbortSignal): Promise<void> {
  const file = markOf(evidenceDir, target);
  const write = async (signal: AbortSignal): Promise<void> => {
    {
      await using fresh = await open(`${file}.new`, 'w', 0o600);
      await fresh.writeFile(String(wallMs));
      await fresh.sync();
    }
    signal.throwIfAborted();
    await rename(`${file}.new`, file);
    await using folder = await open(evidenceDir, 'r');
    await folder.sync();
  };
  await inFolder(evidenceDir, filesMs, write, run);
}

export function capture<B extends ServiceBefore>(target: string, params: CaptureParams, world: World): Step<B> {
  return {
    ...looking,
    name: 'capture',
    help: 'When its memory is full: threads and heap of the JVM into the folder of the run, before it is stopped.',
    verifyMs: threadsMs + heapMs + 15_000,
    safePointAfter: true,
    verify: async (run) => {
      if (run.before.memory !== true) return { is: 'yes', because: 'its memory is not what is wrong' };
      const { evidenceDir } = world;
      if (evidenceDir === undefined) return { is: 'no', because: 'there is no folder to note it in' };
      try {
        await mark(evidenceDir, target, world.clock.wallMs(), run.signal);
      } catch (error) {
        return { is: 'no', because: `that it is restarted for its memory cannot be noted: ${messageOf(error)}` };
      }
      const { running } = run.before;
      if (running === null) return { is: 'yes', because: 'nothing to capture: it has ended already' };
      const state = await stateOf(target, world, run);
      if (!state.known) return { is: 'unknown', because: state.why };
      if (state.value.running?.id !== running.id)
        return { is: 'yes', because: 'nothing to capture: it has ended since' };
      // What cannot be captured does not keep a broken service broken.
      const folder = join(evidenceDir, run.runId);
      const captured = await captureJvm(running, folder, params, world.clock.wallMs(), run.signal);
      return { is: 'yes', because: describe(captured), data: captured };
    },
    compensate: 'none',
  };
}

/** A file name within the folder, or why there is none. */
export type Captured = Readonly<Record<'threads' | 'heap', string>>;

function describe({ threads, heap }: Captured): string {
  return `threads: ${threads}; heap: ${heap}`;
}

export async function captureJvm(
  running: ServiceIncarnation,
  folder: string,
  params: CaptureParams,
  nowWallMs: number,
  signal: AbortSignal,
): Promise<Captured & Json> {
  const { pid } = running;
  const seen = pid === null ? undefined : processStateOf(pid, running.startedAtMs, nowWallMs);
  if (pid === null || seen?.known !== true) {
    const why = `left out: its process cannot be reached from here${seen?.known === false ? ` (${seen.why})` : ''}`;
    return { threads: why, heap: why };
  }
  try {
    await inFolder(dirname(folder), filesMs, () => mkdir(folder, { recursive: true, mode: 0o700 }), signal);
  } catch (error) {
    const why = `left out: ${messageOf(error)}`;
    return { threads: why, heap: why };
  }
  const threads = params.threadDump ? await threadDump(pid, folder, signal) : 'left out: turned off';
  const heap = params.heapDump ? await heapDump(pid, folder, signal) : 'left out: turned off';
  return { threads, heap };
}

async function threadDump(pid: number, folder: string, signal: AbortSignal): Promise<string> {
  const said = await jcmd(pid, ['Thread.print'], within(threadsMs, signal));
  if ('why' in said) return said.why;
  try {
    const write = (): Promise<void> => writeFile(join(folder, 'threads.txt'), said.text, { mode: 0o600 });
    await inFolder(dirname(folder), filesMs, write, signal);
    return 'threads.txt';
  } catch (error) {
    return `left out: ${messageOf(error)}`;
  }
}

/** The JVM writes the file itself, as its own user: into a folder of another user it cannot. */
async function heapDump(pid: number, folder: string, signal: AbortSignal): Promise<string> {
  const file = join(folder, 'heap.hprof');
  // jcmd splits what it is given at blanks
  if (!/^[A-Za-z0-9._/+-]+$/.test(file))
    return 'left out: the path of the folder has characters that jcmd does not take';
  const flags = await jcmd(pid, ['VM.flags'], within(threadsMs, signal));
  if ('why' in flags) return flags.why;
  const maxBytes = Number(/-XX:MaxHeapSize=(\d+)/.exec(flags.text)?.[1] ?? 'none');
  if (!Number.isFinite(maxBytes)) return 'left out: the size of its heap is not known';
  try {
    const { bavail, bsize } = await inFolder(dirname(folder), filesMs, () => statfs(folder), signal);
    if (bavail * bsize <= 2 * maxBytes) return `left out: less than twice its heap of ${maxBytes} bytes is free`;
  } catch (error) {
    return `left out: ${messageOf(error)}`;
  }
  const said = await jcmd(pid, ['GC.heap_dump', file], within(heapMs, signal));
  if ('why' in said) return said.why;
  return said.text.includes('Heap dump file created') ? 'heap.hprof' : `left out: jcmd says ${said.text.slice(-200)}`;
}

async function jcmd(
  pid: number,
  command: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly text: string } | { readonly why: string }> {
  try {
    const result = await runArgv(['jcmd', String(pid), ...command], signal, { maxBytes: outputBytes });
    if (result.is === 'not_run') return { why: `left out: jcmd: ${result.message}` };
    if (result.exitCode === 0) return { text: result.stdout };
    return { why: `left out: jcmd: ${(result.stderr || result.stdout).trim().slice(0, 200)}` };
  } catch (error) {
    return { why: `left out: jcmd: ${messageOf(error)}` };
  }
}
