/** What Linux says about processes: proc(5). All of it synchronous, so that a check and the signal after it are one turn. */
import { readFileSync, readdirSync } from 'node:fs';
import { codeOf } from '../../../exporter/runtime/errors.ts';

export interface ProcessStat {
  readonly pid: number;
  /** R running, S sleeping, D disk wait, T stopped by a signal, t traced, Z zombie, X dead, I idle. */
  readonly state: string;
  readonly group: number;
  readonly session: number;
  /** Since boot, in clock ticks. With the pid and the boot id it names one process for ever. */
  readonly startTicks: number;
}

/** A process that has ended but was not waited for yet. It runs nothing any more. */
export function isGhost(stat: ProcessStat): boolean {
  return stat.state === 'Z' || stat.state === 'X' || stat.state === 'x';
}

export function parseStat(text: string): ProcessStat {
  // the name in field 2 may hold spaces, parentheses and newlines: the fields go on after its last ')'
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open < 0 || close < 0) throw new Error('no process name in /proc/PID/stat');
  const fields = text
    .slice(close + 2)
    .trim()
    .split(' ');
  const at = (field: number): number => {
    const value = Number(fields[field - 3] ?? 'missing');
    if (!Number.isSafeInteger(value)) throw new Error(`field ${field} of /proc/PID/stat is not a number`);
    return value;
  };
  const state = fields[0];
  if (state === undefined || state.length !== 1) throw new Error('no state in /proc/PID/stat');
  return { pid: Number(text.slice(0, open)), state, group: at(5), session: at(6), startTicks: at(22) };
}

/** undefined: no such process. Any other failure is thrown: it must not pass for "gone". */
export function readStat(pid: number): ProcessStat | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch (error) {
    const code = codeOf(error);
    // ESRCH: it ended between open and read
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}

export function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

function allStats(): ProcessStat[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readStat(Number(name)) ?? []);
}

/** The living of the group that `leader` began with setsid(2): its group and its session carry its pid. */
export function livingOfGroup(leader: number): ProcessStat[] {
  return allStats().filter((stat) => stat.group === leader && stat.session === leader && !isGhost(stat));
}

/**
 * Living processes that were started with `entry` (`NAME=value`) in their environment or inherited it. Of processes of
 * other users and of those that made themselves undumpable the environment cannot be read: they are not found.
 */
export function livingWithEnv(entry: string): ProcessStat[] {
  return allStats().filter((stat) => !isGhost(stat) && hasEnv(stat.pid, entry));
}

export function hasEnv(pid: number, entry: string): boolean {
  return environOf(pid).includes(entry);
}

function environOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return [];
    throw error;
  }
}
