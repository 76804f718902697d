// One connection to the SQLite file, as a thread uses it: pragmas asserted, errors in our own words, no transactions yet.
import { closeSync, openSync, statSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { codeOf, messageOf } from '../../exporter/runtime/errors.ts';
import { ConstraintError, type Processed, type Processing, type Row, type Value } from './db.ts';
import { schemaVersion, sqliteSchema } from './schema.ts';
import { StoreError } from './store.ts';

// Primary result codes, https://www.sqlite.org/rescode.html
const sqliteBusy = 5;
const sqliteLocked = 6;
const sqliteFull = 13;
const sqliteConstraint = 19;

export interface SqliteOpening {
  readonly file: string;
  readonly readOnly: boolean;
  /** How long a writer waits for another process's transaction. It blocks the thread. */
  readonly timeoutMs: number;
}

/** The calls of SqliteRaw, wherever the connection is. */
export interface SqliteCalls extends AsyncDisposable {
  readonly get: (sql: string, values: readonly Value[]) => Promise<Row | undefined>;
  readonly all: (sql: string, values: readonly Value[]) => Promise<readonly Row[]>;
  readonly run: (sql: string, values: readonly Value[]) => Promise<number>;
  readonly runAll: (sql: string, rows: readonly (readonly Value[])[]) => Promise<readonly number[]>;
  readonly transactAll: (sql: string, rows: readonly (readonly Value[])[]) => Promise<readonly number[]>;
  readonly process: (given: Processing) => Promise<Processed>;
  readonly begin: () => Promise<void>;
  readonly commit: () => Promise<void>;
  readonly rollback: () => Promise<void>;
}

export interface SqliteRaw extends Disposable {
  readonly get: (sql: string, values: readonly Value[]) => Row | undefined;
  readonly all: (sql: string, values: readonly Value[]) => readonly Row[];
  /** Number of rows matched. */
  readonly run: (sql: string, values: readonly Value[]) => number;
  readonly runAll: (sql: string, rows: readonly (readonly Value[])[]) => readonly number[];
  /** The same as a transaction of its own. */
  readonly transactAll: (sql: string, rows: readonly (readonly Value[])[]) => readonly number[];
  /**
   * BEGIN IMMEDIATE: a transaction that reads first and writes later would fail with SQLITE_BUSY at once, whatever the
   * timeout.
   */
  readonly begin: () => void;
  readonly commit: () => void;
  readonly rollback: () => void;
}

export function openRaw({ file, readOnly, timeoutMs }: SqliteOpening): SqliteRaw {
  const base = open(file, readOnly, timeoutMs);
  const statements = new Map<string, StatementSync>();
  const prepare = (sql: string): StatementSync => {
    const found = statements.get(sql) ?? base.prepare(sql);
    statements.set(sql, found);
    return found;
  };
  const guarded = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw storeErrorOf(error);
    }
  };
  const opened = readOnly ? undefined : inodeOf(file);
  /**
   * What is written to a file that has no name any more is gone with this process, and another one may serve with that name
   * by now. Transactions go on: what a run under way does is better written there than nowhere.
   */
  const requireSameFile = (): void => {
    if (opened === undefined || opened === guarded(() => inodeOf(file))) return;
    const because = `${file} was moved or replaced since it was opened: nothing is taken or begun. Put it back, or start again`;
    throw new StoreError('broken', because);
  };
  const raw: SqliteRaw = {
    get: (sql, values) => guarded(() => prepare(sql).get(...values)),
    all: (sql, values) => guarded(() => prepare(sql).all(...values)),
    run: (sql, values) => {
      if (!base.isTransaction && !sql.startsWith('BEGIN')) requireSameFile();
      return guarded(() => Number(prepare(sql).run(...values).changes));
    },
    runAll: (sql, rows) =>
      guarded(() => {
        const statement = prepare(sql);
        return rows.map((values) => Number(statement.run(...values).lastInsertRowid));
      }),
    transactAll: (sql, rows) => {
      raw.begin();
      try {
        const ids = raw.runAll(sql, rows);
        raw.commit();
        requireSameFile(); // who is told that it is stored finds it there later
        return ids;
      } catch (error) {
        raw.rollback();
        throw error;
      }
    },
    begin: () => {
      // one whose ROLLBACK failed would stand in the way of every later one
      if (base.isTransaction) raw.run('ROLLBACK', []);
      return raw.run('BEGIN IMMEDIATE', []);
    },
    commit: () => raw.run('COMMIT', []),
    rollback: () => {
      // SQLITE_FULL and I/O errors may have rolled it back already
      if (base.isTransaction) raw.run('ROLLBACK', []);
    },
    [Symbol.dispose]: () => {
      if (base.isOpen) base.close();
    },
  };
  try {
    prepareFile(raw, readOnly);
  } catch (error) {
    base.close();
    throw error;
  }
  return raw;
}

/** undefined: there is none. Nothing is opened for it: closing a descriptor would drop this process's locks on the file. */
function inodeOf(file: string): string | undefined {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? undefined : `${found.dev}/${found.ino}`;
}

function open(file: string, readOnly: boolean, timeoutMs: number): DatabaseSync {
  try {
    if (!readOnly) createPrivate(file);
    return new DatabaseSync(file, { readOnly, timeout: timeoutMs });
  } catch (error) {
    throw storeErrorOf(error, `${file} cannot be opened`);
  }
}

/** The bodies of alerts are nobody else's business: mode 0600, which the -wal and -shm files take over. */
function createPrivate(file: string): void {
  try {
    // Only when it is new: closing any descriptor of the file would drop the fcntl locks that this process has on it.
    closeSync(openSync(file, 'ax', 0o600));
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}

function prepareFile(raw: SqliteRaw, readOnly: boolean): void {
  if (!readOnly) {
    raw.get('PRAGMA auto_vacuum = INCREMENTAL', []); // counts only before the first table
    raw.get('PRAGMA journal_mode = WAL', []);
    raw.get('PRAGMA synchronous = FULL', []);
    // NORMAL would lose the newest transactions at a power failure: those that were answered with 2xx
    expectPragma(raw, 'synchronous', 2);
    expectPragma(raw, 'journal_mode', 'wal');
  }
  expectPragma(raw, 'foreign_keys', 1);
  const version = readVersion(raw);
  if (version === schemaVersion) return;
  if (version !== undefined && !(version >= 1 && version < schemaVersion)) {
    throw new StoreError('broken', `the store has schema ${version}, this program knows ${schemaVersion}`);
  }
  if (readOnly) {
    const what = version === undefined ? 'the store is empty' : `the store has schema ${version}`;
    throw new StoreError('broken', `${what}: the remediator of this version has not run with it yet`);
  }
  raw.begin();
  try {
    migrate(raw);
    raw.commit();
  } catch (error) {
    raw.rollback();
    throw error;
  }
}

function migrate(raw: SqliteRaw): void {
  const before = readVersion(raw) ?? 0; // another process may have been faster
  for (const text of sqliteSchema.slice(before)) {
    for (const statement of text.split(';').filter((s) => s.trim() !== '')) raw.run(statement, []);
  }
  if (before === 0) {
    raw.run('INSERT INTO meta(k, v) VALUES(?, ?)', ['schema', String(schemaVersion)]);
    // The row must exist for anything to run: a store without it is not the one that people could have paused.
    raw.run(
      `INSERT INTO pause_switch(scope, paused, set_by, reason, set_ms) VALUES('global', 0, 'install', '', 0)`,
      [],
    );
  } else raw.run(`UPDATE meta SET v = ? WHERE k = 'schema'`, [String(schemaVersion)]);
}

function readVersion(raw: SqliteRaw): number | undefined {
  const table = raw.get(`SELECT 1 AS there FROM sqlite_master WHERE type = 'table' AND name = 'meta'`, []);
  if (table === undefined) return undefined;
  const row = raw.get(`SELECT v FROM meta WHERE k = 'schema'`, []);
  return row === undefined ? undefined : Number(row['v']);
}

function expectPragma(raw: SqliteRaw, name: string, wanted: string | number): void {
  const value = Object.values(raw.get(`PRAGMA ${name}`, []) ?? {})[0];
  if (value !== wanted) {
    throw new StoreError(
      'broken',
      `PRAGMA ${name} is ${String(value)}, wanted is ${wanted}: is it a local file system?`,
    );
  }
}

function primaryCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  return error.errcode & 0xff;
}

function storeErrorOf(error: unknown, doing = 'the store failed'): unknown {
  if (error instanceof StoreError) return error;
  const code = primaryCode(error);
  if (code === sqliteConstraint) return new ConstraintError(messageOf(error), { cause: error });
  if (code === sqliteFull)
    return new StoreError('full', 'the disk or the quota of the store is full', { cause: error });
  if (code === sqliteBusy || code === sqliteLocked) {
    return new StoreError('busy', 'another process holds the store', { cause: error });
  }
  return new StoreError('broken', `${doing}: ${messageOf(error)}`, { cause: error });
}
