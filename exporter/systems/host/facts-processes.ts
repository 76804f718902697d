// The watched processes of this machine. Linux: proc(5).
import { opendir, readdir, readFile, readlink, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Call } from '../../collector.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import { codeOf, messageOf, TargetError } from '../../runtime/errors.ts';
import type { ProcessAddress } from './address.ts';
import type { HostClient } from './client.ts';
import { parseProcessStat, parseStat, startedAt, type ProcessStat } from './facts-proc.ts';
import type { FilesState, ProcessState } from './state.ts';

export interface WatchedProcess {
  readonly stat: ProcessStat;
  readonly startedAtSeconds: number;
  readonly swappedBytes: Known<number>;
  readonly files: { readonly state: FilesState; readonly open: number; readonly limit: number };
}

export interface WatchedGroup {
  readonly state: ProcessState;
  readonly why: string;
  readonly processes: readonly WatchedProcess[];
}

const mostProcesses = 100_000;

/** Command lines by process, kept: they are read once per process. */
export class ProcessMemory {
  argv = new Map<string, readonly string[]>();
  /** Groups of which a process was seen: what was seen and is not there has gone, also from a container's view. */
  readonly seen = new Set<string>();
}

/** The first PID namespace has this number on every Linux: PROC_PID_INIT_INO, include/linux/proc_ns.h */
const firstNamespace = 'pid:[4026531836]';

/** @throws TargetError when the list of processes cannot be had */
export async function readProcesses(
  client: HostClient,
  call: Call,
  memory: ProcessMemory,
): Promise<ReadonlyMap<string, WatchedGroup>> {
  const { processes: wanted, proc } = client.address;
  const { bootTimeSeconds } = parseStat(await client.proc(call, 'stat'));
  if (bootTimeSeconds === undefined) throw new TargetError('protocol', '/proc/stat has no boot time');
  const all = await listProcesses(proc, call, memory);
  const seesAll = await readlink(join(proc, 'self/ns/pid')).then(
    (name) => name === firstNamespace,
    () => false,
  );
  const groups = new Map<string, WatchedGroup>();
  for (const [name, address] of Object.entries(wanted)) {
    call.signal.throwIfAborted();
    const { matches, why } = await matchesOf(address, all, proc);
    const found: WatchedProcess[] = [];
    for (const process of matches ?? []) {
      const watched = await lookAt(proc, process, bootTimeSeconds, call);
      if (watched !== undefined) found.push(watched);
    }
    if (found.length > 0) memory.seen.add(name);
    groups.set(name, judge(found, matches === undefined, why, seesAll || memory.seen.has(name)));
  }
  return groups;
}

function judge(found: readonly WatchedProcess[], isBlind: boolean, why: string, wouldBeSeen: boolean): WatchedGroup {
  if (isBlind) return { state: 'unknown', why, processes: [] };
  if (found.length === 0) {
    if (wouldBeSeen) return { state: 'gone', why, processes: [] };
    const container = `${why}, as far as is seen from this container (a PID namespace of its own)`;
    return { state: 'unknown', why: container, processes: [] };
  }
  const letters = new Set(found.map(({ stat }) => stat.state));
  const only = (...of: readonly string[]): boolean => [...letters].every((letter) => of.includes(letter));
  if (only('Z', 'X'))
    return { state: 'zombie', why: 'it has ended, and its parent has not taken note', processes: found };
  if (only('T', 't', 'Z', 'X'))
    return { state: 'stopped', why: 'it is stopped by a signal or a debugger', processes: found };
  return { state: 'running', why: '', processes: found };
}

interface Listed {
  readonly stat: ProcessStat;
  readonly argv: readonly string[];
}

async function listProcesses(proc: string, call: Call, memory: ProcessMemory): Promise<readonly Listed[]> {
  const found: Listed[] = [];
  const argv = new Map<string, readonly string[]>();
  for await (const { name } of await opendir(proc)) {
    if (!/^[1-9]\d*$/.test(name)) continue;
    call.signal.throwIfAborted();
    if (found.length >= mostProcesses) throw new TargetError('failed', `more than ${String(mostProcesses)} processes`);
    const process = await unlessGone(async () => {
      const stat = parseProcessStat(await readFile(join(proc, name, 'stat'), 'latin1'));
      const key = `${name}:${String(stat.startedTicks)}:${stat.command}`; // the command changes with execve
      const words = memory.argv.get(key) ?? argvOf(await readFile(join(proc, name, 'cmdline'), 'utf8'));
      argv.set(key, words);
      return { stat, argv: words };
    });
    if (process !== undefined) found.push(process);
  }
  memory.argv = argv;
  return found;
}

function argvOf(text: string): readonly string[] {
  return text.split('\0').slice(0, text.endsWith('\0') ? -1 : undefined);
}

/** `matches` undefined: it cannot be told which. */
async function matchesOf(
  address: ProcessAddress,
  all: readonly Listed[],
  proc: string,
): Promise<{ readonly matches: readonly ProcessStat[] | undefined; readonly why: string }> {
  const isUser = await userTest(address.user, proc);
  if (address.pid_file !== undefined) {
    try {
      const text = (await readFile(address.pid_file, 'utf8')).trim();
      if (!/^[1-9]\d{0,9}$/.test(text)) return { matches: undefined, why: `${address.pid_file} holds no process id` };
      const process = all.find(({ stat }) => stat.pid === Number(text));
      const isIt = process !== undefined && matchesWords(address, process) && (await isUser(process.stat));
      const isOther = process !== undefined && !isIt ? `: that is ${JSON.stringify(process.stat.command)} now` : '';
      return {
        matches: isIt ? [process.stat] : [],
        why: `process ${text} of ${address.pid_file} is not running${isOther}`,
      };
    } catch (error) {
      const why = `${address.pid_file} cannot be read: ${messageOf(error)}`;
      // A server that ends in order takes its pid file away.
      return { matches: codeOf(error) === 'ENOENT' ? [] : undefined, why };
    }
  }
  const matches: ProcessStat[] = [];
  for (const process of all)
    if (matchesWords(address, process) && (await isUser(process.stat))) matches.push(process.stat);
  return { matches, why: 'no process of this machine is of this kind' };
}

function matchesWords({ program, arguments: words = [] }: ProcessAddress, { stat, argv }: Listed): boolean {
  // 15 bytes of the name are kept by the kernel (TASK_COMM_LEN); a process may rename itself: its command line counts too.
  if (program !== undefined && stat.command !== program && basename(argv[0] ?? '') !== program) return false;
  return words.every((word) => argv.some((argument) => argument.includes(word)));
}

async function userTest(
  user: ProcessAddress['user'],
  proc: string,
): Promise<(process: ProcessStat) => Promise<boolean>> {
  if (user === undefined) return () => Promise.resolve(true);
  const uid = typeof user === 'number' ? user : await uidOf(user);
  return async ({ pid }) => (await unlessGone(() => stat(join(proc, String(pid)))))?.uid === uid;
}

async function uidOf(name: string): Promise<number> {
  const line = (await readFile('/etc/passwd', 'utf8')).split('\n').find((text) => text.startsWith(`${name}:`));
  if (line === undefined) throw new TargetError('failed', `there is no user ${name} in /etc/passwd: write its number`);
  return Number(line.split(':')[2]);
}

async function lookAt(
  proc: string,
  process: ProcessStat,
  bootTimeSeconds: number,
  call: Call,
): Promise<WatchedProcess | undefined> {
  const folder = join(proc, String(process.pid));
  const status = await unlessGone(() => readFile(join(folder, 'status'), 'utf8'));
  if (status === undefined) return undefined;
  const swapped = /^VmSwap:\s+(\d+) kB$/m.exec(status)?.[1];
  return {
    stat: process,
    startedAtSeconds: startedAt(process, bootTimeSeconds),
    swappedBytes:
      swapped === undefined
        ? unknown('the kernel does not tell it of this process')
        : known(Number(swapped) * 1024, call.clock.wallMs()),
    files: await filesOf(folder),
  };
}

/** Of other users' processes only root is told (ptrace access mode, proc(5)). */
async function filesOf(folder: string): Promise<WatchedProcess['files']> {
  try {
    const [files, limits] = await Promise.all([readdir(join(folder, 'fd')), readFile(join(folder, 'limits'), 'utf8')]);
    const limit = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Infinity);
    return { state: 'known', open: files.length, limit };
  } catch (error) {
    const isDenied = codeOf(error) === 'EACCES' || codeOf(error) === 'EPERM';
    return { state: isDenied ? 'denied' : 'unknown', open: 0, limit: Infinity };
  }
}

/** A process may end while it is looked at. */
async function unlessGone<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH') return undefined;
    throw error;
  }
}
