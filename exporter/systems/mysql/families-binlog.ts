import { counter, gauge } from '../../families.ts';
import { channelLabels } from './families.ts';

export const binlogStates = ['on', 'off', 'unknown'] as const;
export type BinlogState = (typeof binlogStates)[number];

export const retentionStates = ['limited', 'unlimited', 'off', 'unknown'] as const;
export const retainedStates = ['observed', 'estimated', 'off', 'unknown'] as const;

const absent = { state: 'mysql_binlog_state' } as const;
const noLimit = { state: 'mysql_binlog_retention_state' } as const;
const notSeen = { state: 'mysql_binlog_retained_state' } as const;

export const binlogFamilies = {
  size: gauge('mysql_binlog_size_bytes', 'Combined size of all registered binlog files.', [], absent),
  files: gauge('mysql_binlog_files', 'Number of registered binlog files.', [], absent),
  number: gauge('mysql_binlog_file_number', 'The last binlog file number.', [], absent),
  oldest: gauge('mysql_binlog_oldest_file_number', 'The number of the oldest binlog file.', [], absent),
  written: counter(
    'mysql_binlog_written_bytes_total',
    'Bytes written to the binary log since it is watched, across rotations. Of files that came and were purged between two looks nothing is counted.',
    [],
    absent,
  ),
  state: gauge(
    'mysql_binlog_state',
    'Whether the server writes binary logs: one series per state, 1 for the present one.',
    ['state'],
  ),
  retentionSeconds: gauge(
    'mysql_binlog_retention_seconds',
    'Age at which the server is configured to purge binary logs. Absent when age does not matter to it. Managed services may keep them by other rules.',
    [],
    noLimit,
  ),
  retentionBytes: gauge(
    'mysql_binlog_retention_bytes',
    'Size of all binary logs at which the server is configured to purge the oldest (MariaDB). Absent when size does not matter to it.',
    [],
    noLimit,
  ),
  retentionState: gauge(
    'mysql_binlog_retention_state',
    'Whether the server purges binary logs by itself: one series per state, 1 for the present one.',
    ['state'],
  ),
  retained: gauge(
    'mysql_binlog_retained_seconds',
    'How far back the binary logs reach: age of the begin of the oldest file, as it was seen being written. Absent while that was before the log is watched.',
    [],
    notSeen,
  ),
  retainedEstimate: gauge(
    'mysql_binlog_retained_estimated_seconds',
    'How far back the binary logs would reach had they always grown as they do since the log is watched. Absent once that is observed.',
    [],
    notSeen,
  ),
  retainedState: gauge(
    'mysql_binlog_retained_state',
    'Where the age of the oldest binary log is known from: one series per state, 1 for the present one.',
    ['state'],
  ),
} as const;

export const distanceStates = ['ok', 'files_gone', 'ahead', 'not_matched', 'not_paired', 'unknown'] as const;
export type DistanceState = (typeof distanceStates)[number];

const noDistance = { state: 'mysql_replication_distance_state' } as const;

export const distanceFamilies = {
  behind: gauge(
    'mysql_replication_behind_bytes',
    "Bytes of the source's binary log that this replica has not executed, across files by the source's own list.",
    channelLabels,
    noDistance,
  ),
  unreceived: gauge(
    'mysql_replication_unreceived_bytes',
    "Bytes of the source's binary log that this replica has not received.",
    channelLabels,
    noDistance,
  ),
  state: gauge(
    'mysql_replication_distance_state',
    'Whether the distance to the source is known: one series per state, 1 for the present one. files_gone: the place of this replica is in no file of the source; ahead: it lies beyond what the source has; not_matched: no such channel from the source that the inventory names; not_paired: the inventory names none.',
    [...channelLabels, 'state'],
  ),
} as const;
