// A program of its own, started detached with a pipe as its stdin. The pipe ends when the lab's process ends, however it
// ends, and also when the lab is stopped on purpose. Then everything the lab started is killed and its folder removed.
// Killed without asking: nothing in a lab's folder outlives the lab.
//
// Lines on stdin: `group PGID`, `mount PATH`. Arguments: the lab's folder.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const dir = process.argv[2] ?? '';
const mark = `PIPEMEDIC_LAB=${dir}`;
const groups = new Map<number, string | undefined>(); // process group -> start time of its leader
const mounts: string[] = [];
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

interface Stat {
  readonly state: string;
  readonly group: number;
  readonly startTime: string;
}

/** proc(5): the command in brackets may hold anything, so count from the last bracket. */
function statOf(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', group: Number(fields[2]), startTime: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}

/** Of the lab, by its environment: finds also what left its group, such as a service that was given one of its own. */
function isMarked(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(mark);
  } catch {
    return false; // ended meanwhile, or another user's
  }
}

function living(): number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const stat = statOf(pid);
    // a zombie has ended already; where pid 1 does not reap it stays for good
    if (stat === undefined || stat.state === 'Z' || stat.state === 'X') continue;
    if (isGroupOfLab(stat.group) || isMarked(pid)) found.push(pid);
  }
  return found;
}

function isGroupOfLab(group: number): boolean {
  if (!groups.has(group)) return false;
  const leader = statOf(group); // pids wrap: a leader with another start time is a stranger
  return leader === undefined || leader.startTime === groups.get(group);
}

for await (const line of createInterface({ input: process.stdin })) {
  const [word, ...rest] = line.split(' ');
  const value = rest.join(' ');
  if (word === 'group') groups.set(Number(value), statOf(Number(value))?.startTime);
  if (word === 'mount') mounts.push(value);
}

const ended = new Set<number>();
for (let i = 0; i < 200; i++) {
  const pids = living();
  if (pids.length === 0) break;
  for (const pid of pids) {
    ended.add(pid);
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // ended by itself
    }
  }
  await sleep(25);
}
// A killed JVM leaves its performance file behind.
for (const pid of ended) rmSync(`/tmp/hsperfdata_${userInfo().username}/${pid}`, { force: true });
for (const mount of mounts.reverse()) spawnSync('umount', ['-l', mount]);
if (dir !== '') rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
