import { z } from 'zod';
import { absolutePath, durationMs } from '../../fields.ts';
import { targetName, type Reference } from '../../system.ts';

export interface TablesPlan {
  readonly kind: 'mysql';
  readonly source: string;
  readonly copy: string;
  /** `db.table`; `*` stands for any characters but the dot. */
  readonly tables: readonly string[];
  /** Names of databases on the copy, where they are others than on the source. */
  readonly map: ReadonlyMap<string, string>;
  readonly everyMs: number;
  readonly chunkRows: number;
  readonly maxLagMs: number;
  readonly maxThreadsRunning: number;
  /** Base of the waits before something is looked at again. */
  readonly settleMs: number;
  readonly reportDir: string | undefined;
  readonly stateFile: string | undefined;
}

export interface KeysPlan {
  readonly kind: 'redis';
  readonly primary: string;
  readonly copy: string;
  readonly sampleKeys: number;
  /** As Redis matches keys: `*` and `?`. */
  readonly match: string | undefined;
  readonly everyMs: number;
  readonly settleMs: number;
  readonly reportDir: string | undefined;
}

export type ConsistencyPlan = TablesPlan | KeysPlan;

const table = z
  .string()
  .regex(/^[^`\0.]{1,64}\.[^`\0.]{1,64}$/, 'DATABASE.TABLE, without backticks; * stands for any characters');
const database = z.string().regex(/^[^`\0.*]{1,64}$/, 'the name of a database');

const every = durationMs.refine((ms) => ms >= 1000 && ms <= 30 * 86_400_000, 'a duration from 1s to 30d');
const settle = durationMs.refine((ms) => ms >= 50 && ms <= 600_000, 'a duration from 50ms to 10m');

/** `source` and `tables` for databases; `primary` and `sample_keys` for Redis. */
export const consistencyAddress = z
  .strictObject({
    source: targetName.optional(),
    primary: targetName.optional(),
    copy: targetName,
    tables: z.array(table).min(1).max(200).optional(),
    map: z.record(database, database).optional(),
    every: every.prefault('6h'),
    chunk_rows: z.int().min(10).max(100_000).optional(),
    max_lag: durationMs.optional(),
    max_load: z.strictObject({ threads_running: z.int().min(2) }).optional(),
    settle: settle.prefault('1s'),
    report_dir: absolutePath.optional(),
    state_file: absolutePath.optional(),
    sample_keys: z.int().min(1).max(100_000).optional(),
    match: z.string().min(1).max(512).optional(),
  })
  .transform((a, context): ConsistencyPlan => {
    const wrong = (message: string, ...path: string[]): typeof z.NEVER => {
      context.addIssue({ code: 'custom', message, path });
      return z.NEVER;
    };
    const common = { copy: a.copy, everyMs: a.every, settleMs: a.settle, reportDir: a.report_dir };
    if (a.source !== undefined && a.primary === undefined) {
      if (a.sample_keys !== undefined || a.match !== undefined)
        return wrong('sample_keys and match only beside primary');
      if (a.tables === undefined) return wrong('a list of the tables that are compared', 'tables');
      if (a.source === a.copy) return wrong('another target than source', 'copy');
      return {
        kind: 'mysql',
        source: a.source,
        ...common,
        tables: a.tables,
        map: new Map(Object.entries(a.map ?? {})),
        chunkRows: a.chunk_rows ?? 1000,
        maxLagMs: a.max_lag ?? 30_000,
        maxThreadsRunning: a.max_load?.threads_running ?? 32,
        stateFile: a.state_file,
      };
    }
    if (a.primary === undefined || a.source !== undefined) return wrong('either source (mysql) or primary (redis)');
    const forTables = [a.tables, a.map, a.chunk_rows, a.max_lag, a.max_load, a.state_file];
    if (forTables.some((given) => given !== undefined)) {
      return wrong('tables, map, chunk_rows, max_lag, max_load and state_file only beside source');
    }
    if (a.primary === a.copy) return wrong('another target than primary', 'copy');
    return { kind: 'redis', primary: a.primary, ...common, sampleKeys: a.sample_keys ?? 1000, match: a.match };
  });

export function consistencyReferences(plan: ConsistencyPlan): readonly Reference[] {
  return [
    plan.kind === 'mysql'
      ? { path: 'source', target: plan.source, kind: plan.kind }
      : { path: 'primary', target: plan.primary, kind: plan.kind },
    { path: 'copy', target: plan.copy, kind: plan.kind },
  ];
}
