// One connection to the SQLite file: pragmas asserted, transactions that begin as writers, errors in our own words.
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { codeOf, messageOf } from '../../exporter/runtime/errors.ts';
import { schemaVersion, sqliteSchema } from './schema.ts';
import { StoreError } from './store.ts';

export type Row = Record<string, null | number | bigint | string | NodeJS.NonSharedUint8Array>;

// Primary result codes, https://www.sqlite.org/rescode.html
const sqliteBusy = 5;
const sqliteLocked = 6;
const sqliteFull = 13;
const sqliteConstraint = 19;

export interface Db extends Disposable {
  readonly get: (sql: string, ...values: readonly SQLInputValue[]) => Row | undefined;
  readonly all: (sql: string, ...values: readonly SQLInputValue[]) => readonly Row[];
  /** Number of rows matched. */
  readonly run: (sql: string, ...values: readonly SQLInputValue[]) => number;
  readonly insertId: (sql: string, ...values: readonly SQLInputValue[]) => number;
  /**
   * BEGIN IMMEDIATE … COMMIT: a transaction that reads first and writes later would fail with SQLITE_BUSY at once,
   * whatever the timeout. Durable when it returns. @throws StoreError, and what `work` throws, rolled back
   */
  readonly transact: <T>(work: () => T) => T;
}

interface Options {
  readonly readOnly?: boolean;
  /** How long a writer waits for another process's transaction. It blocks this thread: nothing here holds one for long. */
  readonly timeoutMs?: number;
}

export function openDb(file: string, { readOnly = false, timeoutMs = 5000 }: Options = {}): Db {
  const raw = open(file, readOnly, timeoutMs);
  const statements = new Map<string, StatementSync>();
  const prepare = (sql: string): StatementSync => {
    const found = statements.get(sql) ?? raw.prepare(sql);
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
  const db: Db = {
    get: (sql, ...values) => guarded(() => prepare(sql).get(...values)),
    all: (sql, ...values) => guarded(() => prepare(sql).all(...values)),
    run: (sql, ...values) => guarded(() => Number(prepare(sql).run(...values).changes)),
    insertId: (sql, ...values) => guarded(() => Number(prepare(sql).run(...values).lastInsertRowid)),
    transact: (work) => {
      db.run('BEGIN IMMEDIATE');
      try {
        const result = work();
        db.run('COMMIT');
        return result;
      } catch (error) {
        // SQLITE_FULL and I/O errors may have rolled it back already
        if (raw.isTransaction) raw.exec('ROLLBACK');
        throw error;
      }
    },
    [Symbol.dispose]: () => {
      if (raw.isOpen) raw.close();
    },
  };
  try {
    prepareFile(db, readOnly);
  } catch (error) {
    raw.close();
    throw error;
  }
  return db;
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

function prepareFile(db: Db, readOnly: boolean): void {
  if (!readOnly) {
    db.get('PRAGMA auto_vacuum = INCREMENTAL'); // counts only before the first table
    db.get('PRAGMA journal_mode = WAL');
    db.get('PRAGMA synchronous = FULL');
    // NORMAL would lose the newest transactions at a power failure: those that were answered with 2xx
    expectPragma(db, 'synchronous', 2);
    expectPragma(db, 'journal_mode', 'wal');
  }
  expectPragma(db, 'foreign_keys', 1);
  const version = readVersion(db);
  if (version === schemaVersion) return;
  if (version !== undefined && !(version >= 1 && version < schemaVersion)) {
    throw new StoreError('broken', `the store has schema ${version}, this program knows ${schemaVersion}`);
  }
  if (readOnly) {
    const what = version === undefined ? 'the store is empty' : `the store has schema ${version}`;
    throw new StoreError('broken', `${what}: the remediator of this version has not run with it yet`);
  }
  db.transact(() => {
    const before = readVersion(db) ?? 0; // another process may have been faster
    for (const text of sqliteSchema.slice(before)) {
      for (const statement of text.split(';').filter((s) => s.trim() !== '')) db.run(statement);
    }
    if (before === 0) {
      db.run('INSERT INTO meta(k, v) VALUES(?, ?)', 'schema', String(schemaVersion));
      // The row must exist for anything to run: a store without it is not the one that people could have paused.
      db.run(`INSERT INTO pause_switch(scope, paused, set_by, reason, set_ms) VALUES('global', 0, 'install', '', 0)`);
    } else db.run(`UPDATE meta SET v = ? WHERE k = 'schema'`, String(schemaVersion));
  });
}

function readVersion(db: Db): number | undefined {
  const table = db.get(`SELECT 1 AS there FROM sqlite_master WHERE type = 'table' AND name = 'meta'`);
  if (table === undefined) return undefined;
  const row = db.get(`SELECT v FROM meta WHERE k = 'schema'`);
  return row === undefined ? undefined : Number(row['v']);
}

function expectPragma(db: Db, name: string, wanted: string | number): void {
  const value = Object.values(db.get(`PRAGMA ${name}`) ?? {})[0];
  if (value !== wanted) {
    throw new StoreError(
      'broken',
      `PRAGMA ${name} is ${String(value)}, wanted is ${wanted}: is it a local file system?`,
    );
  }
}

/** A violated constraint is left as it is: it is a fact about the data, not about the store. */
export function isConstraint(error: unknown): boolean {
  return primaryCode(error) === sqliteConstraint;
}

function primaryCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  return error.errcode & 0xff;
}

function storeErrorOf(error: unknown, doing = 'the store failed'): unknown {
  const code = primaryCode(error);
  if (error instanceof StoreError || code === sqliteConstraint) return error;
  if (code === sqliteFull)
    return new StoreError('full', 'the disk or the quota of the store is full', { cause: error });
  if (code === sqliteBusy || code === sqliteLocked) {
    return new StoreError('busy', 'another process holds the store', { cause: error });
  }
  return new StoreError('broken', `${doing}: ${messageOf(error)}`, { cause: error });
}
