import { counter, gauge } from '../../families.ts';

/**
 * refused: the place is read only, no primary any more, or a key that holds something else. held: all ends are lost, so
 * only one token in `give_up_after` is written. unknown: nothing was written yet.
 */
export const canaryStates = [
  'ok',
  'held',
  'refused',
  'no_table',
  'denied',
  'unreachable',
  'failed',
  'unknown',
] as const;
export type CanaryState = (typeof canaryStates)[number];

export const seenStates = ['ok', 'late', 'lost', 'unreachable', 'unknown'] as const;
export type SeenState = (typeof seenStates)[number];

const seenAt = ['seen_at'] as const;
const seen = { state: 'canary_seen_state' };
const writer = { state: 'canary_state' };

export const canaryFamilies = {
  state: gauge('canary_state', 'State of the writing: one series per state, 1 for the present one.', ['state']),
  seenState: gauge(
    'canary_seen_state',
    'State of each end: one series per state, 1 for the present one. late: not seen in late_after; lost: not seen in give_up_after.',
    [...seenAt, 'state'] as const,
  ),
  latency: gauge(
    'canary_latency_seconds',
    'From the write to the sight of the newest token that was seen; too large by a tenth of itself at most, or 0.1 s where that is more; by a quarter of the interval after a look that failed.',
    seenAt,
    seen,
  ),
  outstanding: gauge(
    'canary_outstanding_seconds',
    'Age of the oldest token that was written and not seen yet, nor a newer one; 0 when all were seen.',
    seenAt,
    seen,
  ),
  writes: counter('canary_writes_total', 'Tokens that were written.', [], writer),
  writeFailures: counter(
    'canary_write_failures_total',
    'Tokens that could not be written, by the class of the error; a place that is read only is no failure.',
    ['class'],
    writer,
  ),
  seen: counter('canary_seen_total', 'Tokens that were seen, or a newer one.', seenAt, seen),
  lost: counter('canary_lost_total', 'Tokens that were not seen within give_up_after, nor a newer one.', seenAt, seen),
} as const;
