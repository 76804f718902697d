// What else stands in Maxwell's tables: rows that nobody uses, other clients, and how often the schema has changed.
import type { Call } from '../../collector.ts';
import type { MysqlClient, Row } from '../mysql/client.ts';
import { askTables, type MaxwellTables } from './facts-position.ts';

export const rowKinds = [
  'current',
  'former_server', // of a server that it reads no more
  'other_mode', // of the time before GTID mode, or of GTID mode before the return from it
] as const;
export type RowKind = (typeof rowKinds)[number];

export interface MaxwellRows {
  /** Rows of this client in `positions`, by kind. */
  readonly kinds: Readonly<Record<RowKind, number>>;
  /**
   * Other client_ids in `positions`. A client whose row is missing begins at the position of another one (seen on 1.44.1).
   */
  readonly otherClients: number;
  readonly schemas: {
    /** Rows of `schemas`, one per change of a table that it has seen; at most `maxSchemas` are counted. */
    readonly count: number;
    /** 0 when there is none. Grows by one with every change. */
    readonly newestId: number;
  };
}

const maxRows = 1000;
const maxSchemas = 100_000;

/** Grants: SELECT on the schema. */
export async function readRows(mysql: MysqlClient, tables: MaxwellTables, call: Call): Promise<MaxwellRows> {
  return askTables(mysql, tables.schema, async (schema) => {
    const rows = await mysql.query(
      `SELECT p.client_id, p.server_id, p.last_heartbeat_read, h.heartbeat, @@GLOBAL.server_id AS own_server_id
         FROM ${schema}.positions p
         LEFT JOIN ${schema}.heartbeats h ON h.server_id = p.server_id AND h.client_id = p.client_id
        LIMIT ${maxRows}`,
      [],
      call,
    );
    const [schemas] = await mysql.query(
      `SELECT (SELECT MAX(id) FROM ${schema}.schemas) AS newest,
              (SELECT COUNT(*) FROM (SELECT id FROM ${schema}.schemas LIMIT ${maxSchemas}) s) AS n`,
      [],
      call,
    );
    return {
      ...rowsOf(rows, tables),
      schemas: { count: Number(schemas?.['n'] ?? 0), newestId: Number(schemas?.['newest'] ?? 0) },
    };
  });
}

/** The row in use is the one that readMaxwellPosition takes. */
export function rowsOf(rows: readonly Row[], tables: MaxwellTables): Pick<MaxwellRows, 'kinds' | 'otherClients'> {
  const own = rows.filter((row) => row['client_id'] === tables.clientId);
  const sourceId = tables.sourceServerId ?? Number(rows[0]?.['own_server_id'] ?? 0);
  const newest = (row: Row): number => Number(row['heartbeat'] ?? row['last_heartbeat_read'] ?? 0);
  const usable = own.filter((row) => [0, sourceId].includes(Number(row['server_id'])));
  const [current] = usable.sort((a, b) => newest(b) - newest(a));
  return {
    kinds: {
      current: current === undefined ? 0 : 1,
      other_mode: usable.length - (current === undefined ? 0 : 1),
      former_server: own.length - usable.length,
    },
    otherClients: new Set(rows.map((row) => row['client_id']).filter((id) => id !== tables.clientId)).size,
  };
}
