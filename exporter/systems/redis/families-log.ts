import { counter, gauge } from '../../families.ts';

const absent = { state: 'redis_log_read_state' };

export const logFamilies = {
  state: gauge(
    'redis_log_read_state',
    'How the log of the server is read: one series per state, 1 for the present one. reading_from_end: what it held when the exporter first looked was left out. behind: its end was not reached.',
    ['state'],
  ),
  events: counter(
    'redis_log_events_total',
    'Lines of the log that tell of replication, by class; a link has two ends, and each tells of it in its own log.',
    ['class'],
    absent,
  ),
  behind: gauge('redis_log_behind_bytes', 'What stands in the log and was not read yet.', [], absent),
  gaps: counter(
    'redis_log_gaps_total',
    'Times that lines of the log may have been missed: it was emptied without a copy, or it grew faster than it can be read.',
    [],
    absent,
  ),
} as const;
