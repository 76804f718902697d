// The machine as proc(5) tells it. Pure: text in, numbers out. Names of families are node_exporter's.
import { TargetError } from '../../runtime/errors.ts';

/** USER_HZ: part of Linux' interface to programs, 100 on every architecture that Node runs on (proc(5), sysconf(3)). */
const ticksPerSecond = 100;

export interface CpuTimes {
  /** `0`, `1`… */
  readonly cpu: string;
  /** Seconds by mode: user, nice, system, idle, iowait, irq, softirq, steal. */
  readonly modes: ReadonlyMap<string, number>;
  /** Seconds by mode, also contained in user and nice. */
  readonly guest: ReadonlyMap<'user' | 'nice', number>;
}

export interface Stat {
  readonly cpus: readonly CpuTimes[];
  readonly bootTimeSeconds: number | undefined;
  readonly running: number | undefined;
  readonly blocked: number | undefined;
}

const modes = ['user', 'nice', 'system', 'idle', 'iowait', 'irq', 'softirq', 'steal'] as const;

/** /proc/stat @throws TargetError `protocol` */
export function parseStat(text: string): Stat {
  const cpus: CpuTimes[] = [];
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [key = '', ...words] = line.split(/\s+/);
    const cpu = /^cpu(\d+)$/.exec(key)?.[1];
    if (cpu === undefined) {
      if (words[0] !== undefined) values.set(key, Number(words[0]));
      continue;
    }
    const ticks = words.map(Number);
    const seconds = (i: number): number => (ticks[i] ?? 0) / ticksPerSecond;
    if (ticks.some((n) => !Number.isFinite(n))) throw new TargetError('protocol', `/proc/stat: ${line.slice(0, 80)}`);
    cpus.push({
      cpu,
      modes: new Map(modes.map((mode, i) => [mode, seconds(i)])),
      guest: new Map([
        ['user', seconds(8)],
        ['nice', seconds(9)],
      ]),
    });
  }
  if (cpus.length === 0) throw new TargetError('protocol', '/proc/stat names no processor');
  return {
    cpus,
    bootTimeSeconds: values.get('btime'),
    running: values.get('procs_running'),
    blocked: values.get('procs_blocked'),
  };
}

/**
 * /proc/meminfo: name of the family -> value. `kB` becomes bytes and `_bytes`, brackets become an underscore, as node_exporter
 * 1.5 does it (collector/meminfo_linux.go).
 */
export function parseMeminfo(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^([A-Za-z0-9_()]+):\s+(\d+)( kB)?$/.exec(line);
    if (match === null) continue;
    const [, key = '', value = '', unit] = match;
    const name = key.replace(/\((.*)\)/, '_$1');
    found.set(
      `node_memory_${name}${unit === undefined ? '' : '_bytes'}`,
      Number(value) * (unit === undefined ? 1 : 1024),
    );
  }
  if (!found.has('node_memory_MemTotal_bytes')) throw new TargetError('protocol', '/proc/meminfo has no MemTotal');
  return found;
}

/** /proc/vmstat, what tells of paging and of the out-of-memory killer (node_exporter's default choice). */
export function parseVmstat(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, key, value] = /^((?:oom_kill|pgpg|pswp|pg(?:maj)?fault)[a-z_]*) (\d+)$/.exec(line) ?? [];
    if (key !== undefined && /^(oom_kill|pgpg.*|pswp.*|pgfault|pgmajfault)$/.test(key)) {
      found.set(`node_vmstat_${key}`, Number(value));
    }
  }
  return found;
}

/** /proc/loadavg @throws TargetError `protocol` */
export function parseLoad(text: string): readonly [one: number, five: number, fifteen: number] {
  const [one, five, fifteen] = text.split(' ').map(Number);
  if (one === undefined || five === undefined || fifteen === undefined || Number.isNaN(one + five + fifteen)) {
    throw new TargetError('protocol', `/proc/loadavg: ${text.slice(0, 80)}`);
  }
  return [one, five, fifteen];
}

/** /proc/pressure/{cpu,io,memory}: seconds in which some, or all, tasks waited. */
export function parsePressure(text: string): { readonly some: number | undefined; readonly full: number | undefined } {
  const totalOf = (kind: string): number | undefined => {
    const micros = new RegExp(`^${kind} .*total=(\\d+)$`, 'm').exec(text)?.[1];
    return micros === undefined ? undefined : Number(micros) / 1e6;
  };
  return { some: totalOf('some'), full: totalOf('full') };
}

export interface Mount {
  readonly device: string;
  readonly mountPoint: string;
  readonly type: string;
  readonly readOnly: boolean;
}

/** /proc/self/mountinfo; what is mounted over another mount of the same place comes later and hides it. */
export function parseMounts(text: string): readonly Mount[] {
  const found = new Map<string, Mount>();
  for (const line of text.split('\n')) {
    const [before = '', after = ''] = line.split(' - ', 2);
    const [, , , , mountPoint, options] = before.split(' ');
    const [type, device, superOptions] = after.split(' ');
    if (mountPoint === undefined || type === undefined || device === undefined) continue;
    const isReadOnly = [options, superOptions].some((text) => text?.split(',').includes('ro'));
    const place = unescapeOctal(mountPoint);
    found.set(place, { device: unescapeOctal(device), mountPoint: place, type, readOnly: isReadOnly });
  }
  return [...found.values()];
}

/** Space, tab, newline and backslash are written as three octal digits (proc(5)). */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** The file system that a path (absolute, links resolved) lies on. */
export function mountOf(path: string, mounts: readonly Mount[]): Mount | undefined {
  const holds = ({ mountPoint }: Mount): boolean =>
    mountPoint === '/' || path === mountPoint || path.startsWith(`${mountPoint}/`);
  return mounts.filter(holds).reduce<Mount | undefined>((best, mount) => {
    return best === undefined || mount.mountPoint.length > best.mountPoint.length ? mount : best;
  }, undefined);
}

export interface ProcessStat {
  readonly pid: number;
  /** First 15 bytes of the program's name. */
  readonly command: string;
  /** One letter: R, S, D, T (stopped), t (traced), Z (zombie), X, I. */
  readonly state: string;
  readonly userSeconds: number;
  readonly systemSeconds: number;
  readonly majorFaults: number;
  readonly threads: number;
  readonly startedTicks: number;
  readonly virtualBytes: number;
  readonly residentBytes: number;
}

/** /proc/PID/stat; the command is in brackets and may hold anything. @throws TargetError `protocol` */
export function parseProcessStat(text: string, pageBytes = 4096): ProcessStat {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  const pid = Number(text.slice(0, open));
  const [state = '', ...rest] = text
    .slice(close + 2)
    .trimEnd()
    .split(' ');
  const field = (number: number): number => Number(rest[number - 4] ?? Number.NaN); // numbered as in proc(5)
  const found: ProcessStat = {
    pid,
    command: text.slice(open + 1, close),
    state,
    userSeconds: field(14) / ticksPerSecond,
    systemSeconds: field(15) / ticksPerSecond,
    majorFaults: field(12),
    threads: field(20),
    startedTicks: field(22),
    virtualBytes: field(23),
    residentBytes: field(24) * pageBytes,
  };
  if (
    open < 1 ||
    close < open ||
    Number.isNaN(Object.values(found).reduce<number>((sum, v) => sum + (typeof v === 'number' ? v : 0), 0))
  ) {
    throw new TargetError('protocol', `/proc/PID/stat: ${text.slice(0, 80)}`);
  }
  return found;
}

/** Seconds since the epoch. */
export function startedAt(process: ProcessStat, bootTimeSeconds: number): number {
  return bootTimeSeconds + process.startedTicks / ticksPerSecond;
}
