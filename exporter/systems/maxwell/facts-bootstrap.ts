import type { Call } from '../../collector.ts';
import type { MysqlClient, Row } from '../mysql/client.ts';
import { askTables, type MaxwellTables } from './facts-position.ts';

/** A bootstrap that was started and is not complete. A restart of Maxwell begins it anew. */
export interface MaxwellBootstrap {
  readonly id: number;
  readonly database: string;
  readonly table: string;
  readonly insertedRows: number;
  /** 0 when it was requested by SQL without a count. */
  readonly totalRows: number;
}

const maxRows = 1000;

/** Grants: SELECT on the schema. */
export async function readBootstraps(
  mysql: MysqlClient,
  tables: MaxwellTables,
  call: Call,
): Promise<readonly MaxwellBootstrap[]> {
  const rows = await askTables(mysql, tables.schema, (schema) =>
    mysql.query(
      `SELECT id, database_name, table_name, inserted_rows, total_rows FROM ${schema}.bootstrap
        WHERE is_complete = 0 AND started_at IS NOT NULL AND client_id = ? ORDER BY id LIMIT ${maxRows}`,
      [tables.clientId],
      call,
    ),
  );
  return rows.map(bootstrapOf);
}

function bootstrapOf(row: Row): MaxwellBootstrap {
  return {
    id: Number(row['id']),
    database: String(row['database_name']),
    table: String(row['table_name']),
    insertedRows: Number(row['inserted_rows'] ?? 0),
    totalRows: Number(row['total_rows'] ?? 0),
  };
}
