// The state of a process that another program says it started, where this host can see it.
import { readFileSync } from 'node:fs';
import { messageOf } from '../../exporter/runtime/errors.ts';
import { known, unknown, type Known } from '../../exporter/runtime/known.ts';
import { readStat } from './process/proc.ts';

/** USER_HZ, 100 on every architecture that Linux and Node share: proc(5), times(2). */
const ticksPerSecond = 100;
/** Between the start of a process and the time that its supervisor notes for it, on one clock. */
const slackMs = 5_000;

/**
 * The number alone is not enough: this program may have other process ids than the one that named it, and then the
 * number is that of somebody else. It is believed when the start fits.
 */
export function processStateOf(pid: number, startedAtMs: number, nowMs: number): Known<string> {
  try {
    const stat = readStat(pid);
    if (stat === undefined) return unknown(`process ${pid} is not to be seen from here`);
    const upMs = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
    const startMs = nowMs - upMs + (stat.startTicks / ticksPerSecond) * 1000;
    if (!(Math.abs(startMs - startedAtMs) <= slackMs))
      return unknown(`process ${pid} as seen from here is another one`);
    return known(stat.state, nowMs);
  } catch (error) {
    return unknown(messageOf(error));
  }
}
