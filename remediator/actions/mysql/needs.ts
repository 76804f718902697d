// What the remediator's account must be allowed to restart replication threads.
import type { Finding } from '../../../exporter/findings.ts';
import type { MysqlClient } from '../../../exporter/systems/mysql/client.ts';
import {
  binlogPrivilege,
  grantFor,
  holds,
  replicaStatusPrivilege,
  type Grants,
} from '../../../exporter/systems/mysql/facts-grants.ts';
import { atLeast } from '../../../exporter/systems/mysql/facts-version.ts';

type Kind = Pick<MysqlClient, 'flavour' | 'version'>;

export interface ActionNeed {
  readonly privilege: string;
  /** Any of these does as well. */
  readonly or?: readonly string[];
  readonly database?: string;
  readonly table?: string;
  /** What it is for. */
  readonly gives: string;
}

const receiverTables = [
  'replication_connection_status',
  'replication_connection_configuration',
  'replication_applier_status_by_coordinator',
] as const;

/** START and STOP: https://mariadb.com/kb/en/grant/, https://dev.mysql.com/doc/refman/8.4/en/privileges-provided.html */
export function adminPrivilege(client: Kind): string {
  if (client.flavour === 'mariadb') return atLeast(client, 10, 5, 2) ? 'REPLICATION SLAVE ADMIN' : 'SUPER';
  return atLeast(client, 8, 0, 0) ? 'REPLICATION_SLAVE_ADMIN' : 'SUPER';
}

/** MySQL 8 and later still take the old one. */
function adminAlso(client: Kind): readonly string[] {
  return client.flavour === 'mysql' ? ['SUPER'] : [];
}

/** On the replica. */
export function replicaNeeds(client: Kind): readonly ActionNeed[] {
  return [
    { privilege: adminPrivilege(client), or: adminAlso(client), gives: 'START and STOP of replication threads' },
    { privilege: replicaStatusPrivilege(client), gives: 'the status of the replica' },
    { privilege: 'PROCESS', gives: 'which receiver runs, and ending a session of its own that was left' },
    ...(client.flavour === 'mariadb'
      ? []
      : receiverTables.map((table) => ({
          privilege: 'SELECT',
          database: 'performance_schema',
          table,
          gives: 'which receiver runs in which channel',
        }))),
  ];
}

/** On its source. */
export function sourceNeeds(client: Kind): readonly ActionNeed[] {
  return [
    { privilege: binlogPrivilege(client), gives: 'what the source still has' },
    { privilege: replicaStatusPrivilege(client), gives: 'whether the source is a replica itself' },
    { privilege: 'PROCESS', gives: 'who reads the binary log' },
  ];
}

/** For `doctor`: one finding per privilege, with the GRANT that is missing. */
export function needFindings(
  client: Pick<MysqlClient, 'account'>,
  grants: Grants,
  target: string,
  needs: readonly ActionNeed[],
): readonly Finding[] {
  return needs.map(({ privilege, or = [], database, table, gives }): Finding => {
    const key = [privilege, database, table].filter((part) => part !== undefined).join(' ');
    const check = `grant_${key.toLowerCase().replaceAll(' ', '_')}`;
    if ([privilege, ...or].some((name) => holds(grants, name, database, table))) {
      return { check, ok: true, text: `${target}: ${key}: ${gives}` };
    }
    const on = database === undefined ? '*.*' : `${database}.${table ?? '*'}`;
    const fix = grantFor([privilege], client.account, on);
    // what a role of another account gives is not in these lines
    if (grants.hasRoles) return { check, ok: 'unknown', text: `${target}: ${key} may come from a role: ${gives}`, fix };
    return { check, ok: false, text: `${target}: ${key} is missing: ${gives}`, fix };
  });
}
