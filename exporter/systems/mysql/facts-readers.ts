// Who reads the binary log, without what changes at each reconnect.
import type { Call } from '../../collector.ts';
import type { MysqlClient } from './client.ts';
import { holds, readOwnGrants } from './facts-grants.ts';
import { readReplicas, type RegisteredReplica } from './facts-replicas.ts';
import type { DumpThread } from './facts-threads.ts';
import { atLeast } from './facts-version.ts';

export interface BinlogReader {
  readonly user: string;
  /** Address or name, without the port. */
  readonly host: string;
  /** Of a registered replica; empty when it cannot be told. Maxwell and Debezium do not register. */
  readonly serverId: string;
  readonly connections: number;
}

/** What helps to tell which replica a connection belongs to; empty where the account may not see it. */
export interface ReplicaHints {
  readonly replicas: readonly RegisteredReplica[];
  /** UUID of the replica by the id of its connection. */
  readonly uuids: ReadonlyMap<number, string>;
}

/**
 * Asked only with the privileges that it takes, as both are more than an exporter needs: whoever may list the replicas
 * may read the whole binary log too (MySQL) or change the source's settings (MariaDB).
 */
export async function readReplicaHints(client: MysqlClient, call: Call): Promise<ReplicaHints> {
  const grants = await readOwnGrants(client, call);
  const mariadb = client.flavour === 'mariadb';
  const privilege = mariadb && atLeast(client, 10, 5, 2) ? 'REPLICATION MASTER ADMIN' : 'REPLICATION SLAVE';
  if (!holds(grants, privilege)) return { replicas: [], uuids: new Map() };
  const replicas = await readReplicas(client, call);
  const uuids = new Map<number, string>();
  const tables = ['user_variables_by_thread', 'threads'];
  if (
    mariadb ||
    !atLeast(client, 8, 0, 0) ||
    !tables.every((table) => holds(grants, 'SELECT', 'performance_schema', table))
  )
    return { replicas, uuids };
  // A replica sets these on its connection, slave_uuid since 5.6 and replica_uuid beside it since 8.0.26.
  const rows = await client.query(
    `SELECT t.PROCESSLIST_ID AS id, CONVERT(v.VARIABLE_VALUE USING utf8mb4) AS uuid
      FROM performance_schema.user_variables_by_thread v JOIN performance_schema.threads t USING (THREAD_ID)
      WHERE v.VARIABLE_NAME = 'slave_uuid' LIMIT 1000`,
    [],
    call,
  );
  for (const { id, uuid } of rows) if (typeof uuid === 'string') uuids.set(Number(id), uuid);
  return { replicas, uuids };
}

/** By UUID where that is known, else by a host that has one connection and one replica. */
export function readersOf(threads: readonly DumpThread[], { replicas, uuids }: ReplicaHints): readonly BinlogReader[] {
  const hostOf = (thread: DumpThread): string => thread.host.replace(/:\d+$/, '');
  const serverIdOf = (thread: DumpThread): string => {
    const uuid = uuids.get(thread.id);
    const byUuid = uuid === undefined ? undefined : replicas.find((r) => r.uuid === uuid);
    if (byUuid !== undefined) return byUuid.serverId;
    const host = hostOf(thread);
    const here = replicas.filter((r) => r.host === host && host !== '');
    const [only] = here;
    return here.length === 1 && threads.filter((t) => hostOf(t) === host).length === 1 ? (only?.serverId ?? '') : '';
  };
  const readers = new Map<string, BinlogReader>();
  for (const thread of threads) {
    const reader = { user: thread.user, host: hostOf(thread), serverId: serverIdOf(thread) };
    const key = [reader.user, reader.host, reader.serverId].join('\0');
    readers.set(key, { ...reader, connections: (readers.get(key)?.connections ?? 0) + 1 });
  }
  return [...readers.values()];
}
