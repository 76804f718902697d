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

export interface BootstrapWork {
  readonly running: readonly MaxwellBootstrap[];
  /** Requested and not begun. */
  readonly queued: number;
}

const maxRows = 1000;

/** Grants: SELECT on the schema. */
export async function readBootstraps(
  mysql: MysqlClient,
  tables: MaxwellTables,
  call: Call,
): Promise<readonly MaxwellBootstrap[]> {
  return (await readBootstrapWork(mysql, tables, call)).running;
}

/** Grants: SELECT on the schema. */
export async function readBootstrapWork(mysql: MysqlClient, tables: MaxwellTables, call: Call): Promise<BootstrapWork> {
  const rows = await askTables(mysql, tables.schema, (schema) =>
    mysql.query(
      `SELECT id, database_name, table_name, inserted_rows, total_rows, started_at FROM ${schema}.bootstrap
        WHERE is_complete = 0 AND client_id = ? ORDER BY started_at IS NULL, id LIMIT ${maxRows}`,
      [tables.clientId],
      call,
    ),
  );
  const running = rows.filter((row) => row['started_at'] !== null).map(bootstrapOf);
  return { running, queued: rows.length - running.length };
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

export const bootstrapStates = ['idle', 'queued', 'running', 'stalled', 'unknown'] as const;
export type BootstrapState = (typeof bootstrapStates)[number];

/** Kept between looks. */
export interface BootstrapMark {
  readonly progress: string;
  readonly movedMs: number;
  readonly lastLookMs: number;
}

/** Time in which nobody looked is not time in which it was seen to stand. */
const watchGapMs = 120_000;

/**
 * Maxwell writes inserted_rows several times a second while it copies (SynchronousBootstrapper.java in
 * https://github.com/zendesk/maxwell), and copies one table at a time.
 */
export function watchBootstraps(
  { running, queued }: BootstrapWork,
  before: BootstrapMark | undefined,
  nowMonoMs: number,
  stalledAfterMs: number,
): { readonly state: BootstrapState; readonly mark: BootstrapMark | undefined } {
  if (running.length === 0) return { state: queued > 0 ? 'queued' : 'idle', mark: undefined };
  const progress = running.map(({ id, insertedRows }) => `${id}:${insertedRows}`).join(' ');
  const watched = before !== undefined && nowMonoMs - before.lastLookMs <= watchGapMs ? before : undefined;
  const movedMs = watched?.progress === progress ? watched.movedMs : nowMonoMs;
  const state = nowMonoMs - movedMs >= stalledAfterMs ? 'stalled' : 'running';
  return { state, mark: { progress, movedMs, lastLookMs: nowMonoMs } };
}
