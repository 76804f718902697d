// The replicas that have registered with this server.
import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { MysqlClient, Row } from './client.ts';
import { withGrant } from './facts-errors.ts';
import { replicasPrivilege } from './facts-grants.ts';
import { atLeast } from './facts-version.ts';

export interface RegisteredReplica {
  readonly serverId: string;
  /** As the replica reports itself (report_host); mostly empty. */
  readonly host: string;
  readonly port: string;
  readonly sourceId: string;
  /** Empty in MariaDB. */
  readonly uuid: string;
}

/**
 * Only the named columns are looked at: with --show-replica-auth-info there are passwords among the others.
 *
 * Grants: REPLICATION SLAVE (MySQL, MariaDB before 10.5.2), REPLICATION MASTER ADMIN (MariaDB since 10.5.2). With the
 * first an account can read the whole binary log.
 */
export async function readReplicas(client: MysqlClient, call: Call): Promise<readonly RegisteredReplica[]> {
  try {
    return (await client.query(replicasStatement(client), [], call)).map(replicaOf);
  } catch (error) {
    throw withGrant(error, client.account, replicasPrivilege(client));
  }
}

/** https://dev.mysql.com/doc/refman/8.4/en/show-replicas.html, https://mariadb.com/kb/en/show-replica-hosts/ */
export function replicasStatement(client: Pick<MysqlClient, 'flavour' | 'version'>): string {
  return client.flavour === 'mysql' && atLeast(client, 8, 0, 22) ? 'SHOW REPLICAS' : 'SHOW SLAVE HOSTS';
}

function replicaOf(row: Row): RegisteredReplica {
  const cells = new Map(Object.entries(row).map(([name, value]) => [name.toLowerCase(), value]));
  const text = (...names: string[]): string => {
    const found = names.map((name) => cells.get(name)).find((value) => value !== undefined && value !== null);
    return typeof found === 'string' || typeof found === 'number' ? String(found) : '';
  };
  if (!cells.has('server_id')) throw new TargetError('protocol', 'a list of replicas without server ids');
  return {
    serverId: text('server_id'),
    host: text('host'),
    port: text('port'),
    sourceId: text('source_id', 'master_id'),
    uuid: text('replica_uuid', 'slave_uuid'),
  };
}
