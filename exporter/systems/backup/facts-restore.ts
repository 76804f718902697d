// A test restore: what it is made of, and when it counts as good. Nothing is run here (background-restore.ts).
import { z } from 'zod';
import { restoreReasons, restoreStates, type RestoreReason } from './families-restore.ts';

export interface TableContent {
  readonly rows: number;
  readonly checksum: string;
}

const content = z.object({ rows: z.number(), checksum: z.string() });

const attempt = z.object({
  beganAtMs: z.number(),
  state: z.enum(restoreStates),
  reason: z.enum(restoreReasons),
  why: z.string(),
});

const success = z.object({
  beganAtMs: z.number(),
  /** Name, size, time and inode: another file under the same name is another backup. */
  backup: z.string(),
  backupAtMs: z.number(),
  serverVersion: z.string(),
  durationSeconds: z.number(),
  tables: z.number(),
  rows: z.number(),
  rowsRatio: z.number().optional(),
  /** By `database.table`. */
  contents: z.record(z.string(), content),
});

export const restoreRecord = z.object({ version: z.literal(1), last: attempt.optional(), good: success.optional() });
export type RestoreRecord = z.output<typeof restoreRecord>;
export type RestoreAttempt = z.output<typeof attempt>;
export type GoodRestore = z.output<typeof success>;

/** Thrown where a test restore ends early. */
export class RestoreFault extends Error {
  readonly reason: RestoreReason;
  constructor(reason: RestoreReason, why: string, options?: { cause?: unknown }) {
    super(why, options);
    this.name = 'RestoreFault';
    this.reason = reason;
  }
}

export interface Restored {
  readonly backup: string;
  readonly serverVersion: string;
  /** Base tables outside of the server's own databases. */
  readonly contents: ReadonlyMap<string, TableContent>;
  readonly rows: number;
  /** That the dump creates. */
  readonly created: readonly string[];
}

export interface Expectations {
  readonly tables: readonly string[];
  /** Fewer rows than this share of those before are an alarm. */
  readonly rowsAtLeast: number;
}

export const systemDatabases = ['mysql', 'information_schema', 'performance_schema', 'sys'];

/** @throws RestoreFault with what is wrong */
export function compareRestored(
  restored: Restored,
  before: GoodRestore | undefined,
  { tables, rowsAtLeast }: Expectations,
): number | undefined {
  const wanted = [...restored.created.filter((name) => !systemDatabases.includes(databaseOf(name))), ...tables];
  const missing = wanted.filter((name) => !restored.contents.has(name));
  if (missing.length > 0) {
    throw new RestoreFault('tables_missing', `${missing.length} tables are not there, such as ${missing[0] ?? ''}`);
  }
  if (before === undefined) return undefined;
  if (before.backup === restored.backup && before.serverVersion === restored.serverVersion) {
    const other = [...restored.contents].find(([name, its]) => {
      const then = before.contents[name];
      return then?.rows !== its.rows || then.checksum !== its.checksum;
    });
    if (other !== undefined) {
      throw new RestoreFault('checksum_differs', `${other[0]} is not what the same backup had in it the last time`);
    }
  }
  if (before.rows === 0) return undefined;
  const ratio = restored.rows / before.rows;
  if (ratio < rowsAtLeast) {
    const why = `${restored.rows} rows, ${Math.round(ratio * 100)} % of the ${before.rows} of the restore before`;
    throw new RestoreFault('rows_dropped', why);
  }
  return ratio;
}

function databaseOf(name: string): string {
  return name.slice(0, name.indexOf('.'));
}

/** The database of a dump that names none. */
export const scratchDatabase = 'pipemedic_restore_1';

const [newLine, maxLine, namesAtMost] = [0x0a, 4096, 200_000];

/**
 * Which tables a dump of mysqldump creates, from its text as it passes by. A line break in a value is written as `\n`,
 * so that a line that begins with CREATE TABLE is one.
 */
export class DumpTables {
  readonly created: string[] = [];
  #database = scratchDatabase;
  /** In a routine or a trigger: its text has lines of its own. */
  #isBody = false;
  #line = '';
  #skip = false;

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      const end = chunk.indexOf(newLine, at);
      const stop = end < 0 ? chunk.length : end;
      if (!this.#skip) {
        this.#line += chunk.toString('latin1', at, Math.min(stop, at + maxLine)); // a character may go on in the next chunk
        if (this.#line.length >= 16 && !/^(USE|CREATE TABLE|DELIMITER) /.test(this.#line)) this.#skip = true;
        if (this.#line.length > maxLine) this.#skip = true;
      }
      if (end < 0) return;
      if (!this.#skip) this.#lineEnds();
      this.#line = '';
      this.#skip = false;
      at = end + 1;
    }
  }

  #lineEnds(): void {
    const line = Buffer.from(this.#line, 'latin1').toString('utf8');
    const [, delimiter] = /^DELIMITER (\S+)\s*$/.exec(line) ?? [];
    if (delimiter !== undefined) this.#isBody = delimiter !== ';';
    if (this.#isBody) return;
    const [, database] = /^USE `((?:[^`]|``)+)`;/.exec(line) ?? [];
    if (database !== undefined) this.#database = database.replaceAll('``', '`');
    const [, table] = /^CREATE TABLE (?:IF NOT EXISTS )?`((?:[^`]|``)+)`/.exec(line) ?? [];
    if (table === undefined || this.created.length >= namesAtMost) return;
    this.created.push(`${this.#database}.${table.replaceAll('``', '`')}`);
  }
}
