// Which process of this machine is the JVM that is meant, and is it alive. Linux: proc(5).
import { constants } from 'node:fs';
import { lstat, open, opendir, readdir, readFile, readlink, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Call } from '../../collector.ts';
import { codeOf, messageOf, TargetError } from '../../runtime/errors.ts';
import type { HsperfdataAddress } from './address.ts';
import { readHsperfdata, type PerfCounters } from './facts-perfdata.ts';

export interface FoundJvm {
  readonly process: 'alive' | 'gone' | 'unknown';
  readonly why: string;
  readonly pid: number | undefined;
  /** Of the living process; undefined where they cannot be read. */
  readonly counters: PerfCounters | undefined;
  readonly processAgeSeconds?: number;
}

/** A process as /proc shows it. */
interface Process {
  readonly uid: number;
  readonly argv: readonly string[];
  /** How long it has been there. */
  readonly ageSeconds: number;
}

interface PerfFile {
  readonly pid: number;
  readonly uid: number;
  readonly counters: PerfCounters;
}

const maxFileBytes = 1024 * 1024; // 32 KiB unless -XX:PerfDataMemorySize says otherwise
const mostFiles = 10_000;
const toleranceMs = 5000;
const ticksPerSecond = 100; // USER_HZ, part of Linux' interface to programs

/**
 * `gone` only on evidence: the process that the pid file names is not there, or no process of this machine runs the main
 * class. A performance file that was left behind (kill -9 leaves it) counts for nothing: its process must live, run the
 * same class, and must not have begun after the JVM that wrote the file.
 *
 * From a PID namespace of its own (a container) a process outside cannot be seen: there, `gone` also takes that it was
 * seen alive before.
 */
export async function findJvm(
  address: HsperfdataAddress,
  call: Call,
  ownNamespace = '/proc/self/ns/pid',
): Promise<FoundJvm> {
  const key = JSON.stringify([address.dir, address.pidFile, address.mainClass, address.user]);
  try {
    const found =
      address.pidFile === undefined
        ? await findByClass(address, address.mainClass ?? '', call)
        : await findByPidFile(address, address.pidFile, call);
    if (found.process === 'alive') seenAlive.add(key);
    if (found.process !== 'gone' || seenAlive.has(key) || (await seesWholeMachine(ownNamespace))) return found;
    return undecided(`${found.why}, as far as is seen from this container (a PID namespace of its own)`);
  } catch (error) {
    if (call.signal.aborted) throw new TargetError('deadline', 'looking for the JVM took too long', { cause: error });
    return undecided(messageOf(error));
  }
}

/** Addresses of the inventory. */
const seenAlive = new Set<string>();

/** The first PID namespace has this number on every Linux: PROC_PID_INIT_INO, include/linux/proc_ns.h */
const firstNamespace = 'pid:[4026531836]';

async function seesWholeMachine(ownNamespace: string): Promise<boolean> {
  return readlink(ownNamespace).then(
    (name) => name === firstNamespace,
    () => false,
  );
}

async function findByPidFile(address: HsperfdataAddress, pidFile: string, call: Call): Promise<FoundJvm> {
  const text = (await readFile(pidFile, 'utf8')).trim();
  if (!/^[1-9]\d{0,9}$/.test(text)) return undecided(`${pidFile} holds no process id`);
  const pid = Number(text);
  const process = await processOf(pid);
  if (process === undefined) return gone(`process ${pid} of ${pidFile} is not running`);
  if (!isJava(process)) return undecided(`process ${pid} of ${pidFile} is no JVM`, pid);
  const file = (await perfFiles(address, [pid], call)).find((f) => belongsTo(f, process, call));
  if (file !== undefined) return visible(file, process);
  return { ...undecided(`process ${pid} lives, but shows no performance file of its own`, pid), process: 'alive' };
}

async function findByClass(address: HsperfdataAddress, mainClass: string, call: Call): Promise<FoundJvm> {
  const files = (await perfFiles(address, undefined, call)).filter((f) => runs(f.counters, mainClass));
  const living: (readonly [PerfFile, Process])[] = [];
  for (const file of files) {
    const process = await processOf(file.pid);
    if (process !== undefined && belongsTo(file, process, call)) living.push([file, process]);
  }
  const [only] = living;
  if (only !== undefined && living.length === 1) return visible(...only);
  if (living.length > 1) {
    const pids = living.map(([f]) => f.pid).join(', ');
    return undecided(`several JVMs run ${mainClass} (process ${pids}): name one by pid_file or user`);
  }
  const { pids, hidden } = await processesRunning(mainClass, address, call);
  const [pid] = pids;
  if (pid !== undefined) {
    const why = `${mainClass} runs as process ${pids.join(', ')}, but shows no performance file that can be read in ${address.dir}`;
    return { ...undecided(why, pids.length === 1 ? pid : undefined), process: 'alive' };
  }
  if (hidden) return undecided(`no JVM is seen that runs ${mainClass}, but not every process can be seen`);
  return gone(`no process runs ${mainClass}`);
}

function visible({ pid, counters }: PerfFile, { ageSeconds }: Process): FoundJvm {
  return { process: 'alive', why: `process ${pid}`, pid, counters, processAgeSeconds: ageSeconds };
}

function gone(why: string): FoundJvm {
  return { process: 'gone', why, pid: undefined, counters: undefined };
}

function undecided(why: string, pid?: number): FoundJvm {
  return { process: 'unknown', why, pid, counters: undefined };
}

/** The first word of the java command is the main class or the jar. */
function runs(counters: PerfCounters, mainClass: string): boolean {
  return mainOf(counters) === mainClass;
}

function mainOf(counters: PerfCounters): string {
  return String(counters.get('sun.rt.javaCommand') ?? '').split(' ')[0] ?? '';
}

function belongsTo(file: PerfFile, process: Process, call: Call): boolean {
  if (file.uid !== process.uid || !process.argv.includes(mainOf(file.counters))) return false;
  // A process keeps its start time through exec, so it may be older than its JVM, but never younger.
  const beganMs = file.counters.get('sun.rt.createVmBeginTime');
  const startedMs = call.clock.wallMs() - process.ageSeconds * 1000;
  if (typeof beganMs === 'number' && startedMs <= beganMs + toleranceMs) return true;
  // The wall clock may have been set since then: up to Java 17 at least the file counts its own age too.
  const [ticks, frequency] = [file.counters.get('sun.os.hrt.ticks'), file.counters.get('sun.os.hrt.frequency')];
  if (typeof ticks !== 'number' || typeof frequency !== 'number' || frequency <= 0) return false;
  return process.ageSeconds >= ticks / frequency - toleranceMs / 1000;
}

async function perfFiles(
  address: HsperfdataAddress,
  pids: readonly number[] | undefined,
  call: Call,
): Promise<readonly PerfFile[]> {
  const folders = (await readdir(address.dir)).filter((name) =>
    address.user === undefined ? name.startsWith('hsperfdata_') : name === `hsperfdata_${address.user}`,
  );
  const found: PerfFile[] = [];
  for (const folder of folders) {
    const path = join(address.dir, folder);
    // Anybody may make a folder of that name: not through a link
    if (!(await lstat(path).then((found) => found.isDirectory()))) continue;
    for (const pid of pids ?? (await pidsIn(path, call))) {
      call.signal.throwIfAborted();
      const file = await perfFile(join(path, String(pid)), pid).catch(() => undefined);
      if (file !== undefined) found.push(file);
    }
  }
  return found;
}

/** Anybody may fill such a folder: not without end, and only what can be alive. */
async function pidsIn(folder: string, call: Call): Promise<readonly number[]> {
  const found: number[] = [];
  try {
    let left = mostFiles;
    for await (const { name } of await opendir(folder)) {
      call.signal.throwIfAborted();
      left -= 1;
      if (left < 0) break;
      if (/^[1-9]\d{0,9}$/.test(name) && (await lives(name))) found.push(Number(name));
    }
  } catch (error) {
    if (call.signal.aborted) throw error;
    return []; // another user's
  }
  return found;
}

function lives(pid: string): Promise<boolean> {
  return stat(`/proc/${pid}`).then(
    () => true,
    () => false,
  );
}

/** In a folder that anybody may write to: no links, no pipes, nothing large. */
async function perfFile(path: string, pid: number): Promise<PerfFile | undefined> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { size, uid } = await file.stat().then((s) => (s.isFile() ? s : { size: 0, uid: 0 }));
    if (size === 0 || size > maxFileBytes) return undefined;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size), 0, size, 0); // it may grow meanwhile
    return { pid, uid, counters: readHsperfdata(buffer.subarray(0, bytesRead)) };
  } finally {
    await file.close();
  }
}

async function processOf(pid: number): Promise<Process | undefined> {
  try {
    const [text, commandLine, uptime, { uid }] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
      readFile('/proc/uptime', 'utf8'),
      stat(`/proc/${pid}`),
    ]);
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' '); // the name in brackets may hold anything
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined; // ended, only its parent has not asked yet
    const ageSeconds = Number(uptime.split(' ')[0]) - Number(fields[19]) / ticksPerSecond;
    return { uid, argv: commandLine.split('\0'), ageSeconds };
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(codeOf(error) ?? '')) return undefined;
    throw error;
  }
}

function isJava(process: Process): boolean {
  return /^java(\.exe)?$/.test(basename(process.argv[0] ?? ''));
}

/** Looks through all processes; `hidden` when some cannot be looked at (hidepid, another process namespace's view). */
async function processesRunning(
  mainClass: string,
  address: HsperfdataAddress,
  call: Call,
): Promise<{ readonly pids: readonly number[]; readonly hidden: boolean }> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const uid = address.user === undefined ? undefined : await uidOf(join(address.dir, `hsperfdata_${address.user}`));
  let hidden = !names.includes('1'); // with hidepid=2 only the own ones are listed
  const pids: number[] = [];
  for (const name of names) {
    call.signal.throwIfAborted();
    try {
      const process = await processOf(Number(name));
      if (process === undefined || !isJava(process) || !process.argv.includes(mainClass)) continue;
      if (uid === undefined || process.uid === uid) pids.push(Number(name));
    } catch {
      hidden = true;
    }
  }
  return { pids, hidden };
}

async function uidOf(folder: string): Promise<number | undefined> {
  return stat(folder).then(
    (s) => s.uid,
    () => undefined,
  );
}
