/** The process group of an incarnation: who of it is alive, and signals that cannot hit anybody else. */
import { messageOf } from '../../../exporter/runtime/errors.ts';
import type { Log } from '../../../exporter/runtime/log.ts';
import type { Asked, Incarnation } from '../process-wire.ts';
import { hasEnv, isGhost, livingOfGroup, readStat, type ProcessStat } from './proc.ts';

type Signal = Asked['signal'];

/** In the environment of the service: recognises its processes when the supervisor that made them is dead. */
export function markerEntry(marker: string): readonly [name: string, value: string] {
  return ['PIPEMEDIC_START', marker];
}

/** Of a process that is not our child: whether it is still the one we know and has not ended. */
export function isLeaderAlive({ pid, startTicks }: Incarnation): boolean {
  const stat = readStat(pid);
  return stat?.startTicks === startTicks && !isGhost(stat);
}

/** Those that are alive although the leader is gone. */
export function leftovers({ pid }: Incarnation): ProcessStat[] {
  // As long as one of the group lives its number is not given to a new process (the kernel keeps a pid that is in use as
  // a group's id), so a process with the leader's number means that the group has ended and this is another one.
  return readStat(pid) === undefined ? livingOfGroup(pid) : [];
}

/**
 * Not our child: somebody else reaps it, so its pid may go to another process between this check and the kill, however
 * close they are. This is a predicate with a window, not a compare-and-set.
 */
export function signalOrphan({ pid, startTicks }: Incarnation, signal: Signal): void {
  if (readStat(pid)?.startTicks !== startTicks) return;
  process.kill(-pid, `SIG${signal}`);
}

/**
 * The leader is gone and reaped, its number may be taken again once the group is empty: each one is compared just before.
 * `marker`: only those that carry it. For a group that nobody watched for a while: its number may have gone to a
 * stranger's group that has lost its leader too.
 */
export function signalLeftovers(of: Incarnation, signal: Signal, marker: string | null, log: Log): void {
  for (const seen of leftovers(of)) {
    if (marker !== null && !hasEnv(seen.pid, markerEntry(marker).join('='))) continue;
    if (readStat(seen.pid)?.startTicks !== seen.startTicks) continue;
    try {
      process.kill(seen.pid, `SIG${signal}`);
    } catch (error) {
      log.warn({ pid: seen.pid, error: messageOf(error) }, 'a process of the group could not be signalled');
    }
  }
}
