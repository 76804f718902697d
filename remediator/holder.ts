// Who holds a lease: enough of a process's identity to prove later that it is gone.
import { randomBytes } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { messageOf } from '../exporter/runtime/errors.ts';
import { isGhost, readBootId, readStat } from './supervisors/process/proc.ts';

/**
 * host/boot id/pid namespace/pid/start ticks/random. A pid means something only within its pid namespace: in another
 * container a living holder is not to be seen, and that must not pass for dead. The inode of a living namespace is its own.
 */
export function newHolder(): string {
  const stat = readStat(process.pid);
  if (stat === undefined) throw new Error('/proc does not show this process');
  return [hostname(), readBootId(), namespaceOf(), stat.pid, stat.startTicks, randomBytes(6).toString('hex')].join('/');
}

export type Alive =
  { readonly is: 'dead'; readonly evidence: string } | { readonly is: 'unknown'; readonly why: string };

/** Proof that the process that made this holder id has ended; anything short of that is unknown. */
export function proveDead(holder: string): Alive {
  const [host, bootId, namespace, pidText = '', ticksText = ''] = holder.split('/');
  const pid = Number(pidText);
  const ticks = Number(ticksText);
  if (!Number.isSafeInteger(pid) || pid <= 0 || !Number.isSafeInteger(ticks)) {
    return { is: 'unknown', why: 'not an id that names a process' };
  }
  try {
    if (host !== hostname() || bootId !== readBootId() || namespace !== namespaceOf()) {
      return { is: 'unknown', why: 'a process of another machine, boot or container' };
    }
    const stat = readStat(pid);
    if (stat === undefined) return { is: 'dead', evidence: `no process ${pid} in /proc` };
    if (stat.startTicks !== ticks) {
      return { is: 'dead', evidence: `process ${pid} started at tick ${stat.startTicks}, the holder at ${ticks}` };
    }
    if (isGhost(stat)) return { is: 'dead', evidence: `process ${pid} has ended (state ${stat.state})` };
    return { is: 'unknown', why: `process ${pid} lives` };
  } catch (error) {
    return { is: 'unknown', why: messageOf(error) };
  }
}

function namespaceOf(): string {
  return readlinkSync('/proc/self/ns/pid').replaceAll('/', '_');
}
