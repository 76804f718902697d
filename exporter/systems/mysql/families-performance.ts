import { counter, gauge, type Family } from '../../families.ts';
import { groupCounters, groupGauges, memberColumns } from './facts-performance-group.ts';
import { coordinatorTimes, receiverTimes, workerTimes } from './facts-performance.ts';

export const performanceStates = ['available', 'off', 'unsupported', 'unknown'] as const;

const absent = { state: 'mysql_perf_schema_replication_state' } as const;
const groupAbsent = { state: 'mysql_replication_group_member_state' } as const;
const channel = ['channel_name'] as const;
/** member_id is in fact the number of the worker: the peer's name is kept. */
const worker = ['channel_name', 'member_id'] as const;

function timeFamilies<const K extends string, const L extends readonly string[]>(
  names: readonly K[],
  labels: L,
): Readonly<Record<K, Family<L>>> {
  return Object.fromEntries(
    names.map((name) => [name, gauge(`mysql_perf_schema_${name}_timestamp_seconds`, helpOf(name), labels, absent)]),
  ) as Record<K, Family<L>>; // fromEntries forgets the keys
}

const transactions: Readonly<Record<string, string>> = {
  last_queued: 'the transaction received last',
  queueing: 'the transaction that is being received',
  last_processed: 'the transaction that the coordinator handed out last',
  processing: 'the transaction that the coordinator is handing out',
  last_applied: 'the transaction that this worker applied last',
  applying: 'the transaction that this worker is applying',
};

const moments: Readonly<Record<string, string>> = {
  original_commit: 'was committed on the server where it began',
  immediate_commit: 'was committed on the source',
};

function helpOf(name: string): string {
  const [, transaction = '', moment = ''] = /^(\w+)_transaction_(\w+)$/.exec(name) ?? [];
  if (transaction === '') return 'When the last heartbeat of the source came; 0: none has come.';
  const event = moments[moment] ?? (moment.startsWith('start') ? 'began to be dealt with' : 'was dealt with');
  return `When ${transactions[transaction] ?? transaction} ${event}; 0: there is none.`;
}

export const performanceFamilies = {
  ...timeFamilies(receiverTimes, channel),
  ...timeFamilies(coordinatorTimes, channel),
  ...timeFamilies(workerTimes, worker),
  heartbeats: counter(
    'mysql_perf_schema_received_heartbeats_total',
    'Heartbeats received from the source, which sends them while it is idle.',
    channel,
    absent,
  ),
  heartbeatPeriod: gauge(
    'mysql_perf_schema_heartbeat_interval_seconds',
    'How often an idle source sends a heartbeat; 0 when it sends none.',
    channel,
    absent,
  ),
  state: gauge(
    'mysql_perf_schema_replication_state',
    'Whether the replication tables of performance_schema can be read: one series per state, 1 for the present one. unsupported: MariaDB, MySQL before 5.7.',
    ['state'],
  ),
} as const;

export const groupFamilies = {
  ...(Object.fromEntries(
    groupGauges.map((name) => [name, gauge(`mysql_perf_schema_${name}`, groupHelp(name), [], groupAbsent)]),
  ) as Record<(typeof groupGauges)[number], Family<readonly []>>), // fromEntries forgets the keys
  ...(Object.fromEntries(
    groupCounters.map((name) => [name, counter(`mysql_perf_schema_${name}_total`, groupHelp(name), [], groupAbsent)]),
  ) as Record<(typeof groupCounters)[number], Family<readonly []>>),
  member: gauge(
    'mysql_perf_schema_replication_group_member_info',
    'Members of the replication group as this one sees them.',
    memberColumns,
    groupAbsent,
  ),
  groupState: gauge(
    'mysql_replication_group_member_state',
    'State of this server in its replication group: one series per state, 1 for the present one.',
    ['state'],
  ),
} as const;

function groupHelp(name: string): string {
  return `COUNT_${name.toUpperCase()} of this member of a replication group.`;
}
