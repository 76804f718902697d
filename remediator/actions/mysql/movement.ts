// Whether a replica's data moves again. Pure: a START that was answered with OK proves nothing, nor do threads that say Yes.
import { comparePositions, type BinlogPosition } from '../../../exporter/systems/mysql/facts-binlogs.ts';
import type { Before } from './before.ts';

/** One look, some time after the start. */
export interface Sample {
  readonly ioRunning: boolean;
  readonly sqlRunning: boolean;
  readonly received: BinlogPosition | null;
  readonly executed: BinlogPosition | null;
  /** null: the server says NULL. */
  readonly lagSeconds: number | null;
  readonly heartbeats: number | null;
  /** What the source had when it was asked after the start: has the replica got it (an applier: executed it)? */
  readonly reached: boolean;
  /** Where the source is now. */
  readonly sourceAt: BinlogPosition | null;
  readonly dumpIds: readonly number[] | null;
}

export type Movement =
  { readonly is: 'moves'; readonly because: string } | { readonly is: 'waits'; readonly missing: readonly string[] };

/** So many looks in a row must each show less lag. */
const fallingLooks = 3;

type Wanted = Pick<Before, 'thread' | 'sqlRunning' | 'received' | 'executed' | 'missing' | 'dumpIds' | 'heartbeats'>;

export function judgeMovement(samples: readonly Sample[], before: Wanted): Movement {
  const last = samples.at(-1);
  if (last === undefined) return { is: 'waits', missing: ['no look yet'] };
  const applies = before.thread === 'sql' || before.sqlRunning;
  const missing: string[] = [];
  if (before.thread === 'io' && !last.ioRunning) missing.push('the receiver does not run');
  if (applies && !last.sqlRunning) missing.push('the applier does not run');
  if (missing.length > 0) return { is: 'waits', missing };

  const [from, to] = applies ? [before.executed, last.executed] : [before.received, last.received];
  const hasAdvanced = advanced(from, to);
  if (hasAdvanced && last.reached)
    return { is: 'moves', because: 'it has advanced to what the source had after the start' };
  if (hasAdvanced && applies && isFalling(samples)) {
    return { is: 'moves', because: `it has advanced, and its lag has fallen over ${fallingLooks} looks` };
  }
  if (!hasAdvanced && last.reached && isIdle(before, last)) {
    return { is: 'moves', because: 'the source writes nothing, and is heard of again' };
  }
  if (!hasAdvanced) missing.push(`${applies ? 'executed' : 'received'}: not past ${textOf(from)}`);
  if (!last.reached) missing.push('what the source had after the start is not there');
  if (!hasAdvanced && last.reached) missing.push('no sign that the source is heard of');
  return { is: 'waits', missing };
}

/** In another series of files (the source was replaced) it is another place, which `reached` speaks for. */
function advanced(from: BinlogPosition | null, to: BinlogPosition | null): boolean {
  if (to === null) return false;
  return from === null || (comparePositions(to, from) ?? 1) > 0;
}

/**
 * Nothing was to be executed. Then the way from the source must be seen to work: a heartbeat, or a new connection that
 * reads its binary log with the position that it is at. The position alone may be that of before.
 */
function isIdle(before: Wanted, last: Sample): boolean {
  const applies = before.thread === 'sql' || before.sqlRunning;
  if (applies && before.missing !== null && before.missing > 0) return false;
  if (before.thread === 'sql') return before.missing === 0;
  if (before.heartbeats !== null && last.heartbeats !== null && last.heartbeats > before.heartbeats) return true;
  const isNew = before.dumpIds !== null && last.dumpIds?.some((id) => before.dumpIds?.includes(id) === false) === true;
  const atEnd =
    last.received !== null && last.sourceAt !== null && comparePositions(last.received, last.sourceAt) === 0;
  return isNew && atEnd;
}

function isFalling(samples: readonly Sample[]): boolean {
  const looks = samples.slice(-fallingLooks - 1);
  if (looks.length <= fallingLooks) return false;
  return looks.every((sample, i) => {
    const { lagSeconds, executed } = sample;
    const next = looks[i + 1];
    if (next === undefined) return true;
    if (lagSeconds === null || next.lagSeconds === null) return false;
    return next.lagSeconds < lagSeconds && advanced(executed, next.executed);
  });
}

function textOf(position: BinlogPosition | null): string {
  return position === null ? 'an unknown place' : `${position.file}:${position.position}`;
}
