// Group replication: the members as this one sees them, and this one's own counters. Pure but for the statement.
// https://dev.mysql.com/doc/refman/8.4/en/performance-schema-replication-group-members-table.html
import type { Call } from '../../collector.ts';
import type { MysqlClient, Row } from './client.ts';
import { granted, numberOf, text } from './facts-performance.ts';
import { atLeast } from './facts-version.ts';

/** The columns of the table, which are the labels of the peer's info series; missing in older versions: empty. */
export const memberColumns = [
  'channel_name',
  'member_id',
  'member_host',
  'member_port',
  'member_state',
  'member_role',
  'member_version',
  'member_communication_stack',
] as const;

export const groupGauges = ['transactions_in_queue', 'transactions_remote_in_applier_queue'] as const;
export const groupCounters = [
  'transactions_checked',
  'conflicts_detected',
  'transactions_rows_validating',
  'transactions_remote_applied',
  'transactions_local_proposed',
  'transactions_local_rollback',
] as const;

const counts = [...groupGauges, ...groupCounters];
type Count = (typeof counts)[number];

export const groupStates = [
  'online',
  'recovering',
  'offline',
  'error',
  'unreachable',
  'not_member',
  'unknown',
] as const;
export type GroupState = (typeof groupStates)[number];

export interface Group {
  /** What this server is in the group. */
  readonly state: GroupState;
  readonly members: readonly Readonly<Record<(typeof memberColumns)[number], string>>[];
  /** Of this member; undefined where it is not in the table. */
  readonly own: Readonly<Record<Count, number>> | undefined;
}

/** One statement. Only where hasWorkerTimes(): MySQL 5.7 has half of the columns. */
export async function readGroup(client: MysqlClient, call: Call): Promise<Group> {
  return groupOf(await granted(client, groupStatement(client), call));
}

export function groupStatement(client: Pick<MysqlClient, 'flavour' | 'version'>): string {
  // https://dev.mysql.com/doc/relnotes/mysql/8.0/en/news-8-0-27.html
  const columns = memberColumns.filter((c) => c !== 'member_communication_stack' || atLeast(client, 8, 0, 27));
  const selected = [
    ...columns.map((c) => `m.${c.toUpperCase()} AS ${c}`),
    'm.MEMBER_ID = @@GLOBAL.server_uuid AS own',
    ...counts.map((c) => `s.COUNT_${c.toUpperCase()} AS ${c}`),
  ];
  // a group has at most 9 members
  return `SELECT ${selected.join(', ')} FROM performance_schema.replication_group_members m LEFT JOIN performance_schema.replication_group_member_stats s USING (CHANNEL_NAME, MEMBER_ID) LIMIT 32`;
}

export function groupOf(rows: readonly Row[]): Group {
  const own = rows.find((row) => numberOf(row, 'own') === 1);
  const state = groupStates.find((s) => s === text(own?.['member_state']).toLowerCase());
  return {
    // The plugin without a group shows one row without an id
    state: own === undefined ? 'not_member' : (state ?? 'unknown'),
    members: rows.map(
      (row) =>
        Object.fromEntries(memberColumns.map((c) => [c, text(row[c])])) as Record<
          (typeof memberColumns)[number],
          string
        >, // fromEntries forgets the keys
    ),
    own:
      own?.[counts[0] ?? ''] === null || own === undefined
        ? undefined
        : (Object.fromEntries(counts.map((c) => [c, numberOf(own, c)])) as Record<Count, number>),
  };
}
