// What the store needs of a database, whichever it is: statements, transactions, a lock on a lease, a clock.
import { StoreError, type EpisodeChange, type ReadWebhook } from './store.ts';

export type Value = null | number | string | Uint8Array;
export type Row = Readonly<Record<string, unknown>>;

export interface Tx {
  readonly get: (sql: string, ...values: readonly Value[]) => Promise<Row | undefined>;
  readonly all: (sql: string, ...values: readonly Value[]) => Promise<readonly Row[]>;
  /** Number of rows matched, also those that were as wanted already. */
  readonly run: (sql: string, ...values: readonly Value[]) => Promise<number>;
  /** The same statement for each, in order; of an INSERT the ids that were given. */
  readonly runAll: (sql: string, rows: readonly (readonly Value[])[]) => Promise<readonly number[]>;
  /**
   * Ends a SELECT whose rows nobody else may change until the end of the transaction. Needed where SQLite's BEGIN
   * IMMEDIATE does not lock the whole file.
   */
  readonly forUpdate: '' | ' FOR UPDATE';
  /** Ledger time: the database's own clock where several machines share it, else the caller's. Read it after the locks. */
  readonly now: (callers: () => number) => Promise<number>;
}

/** A statement outside `transact` is a transaction of its own. Within `transact` only what it hands over may be used. */
export interface Db extends Tx, AsyncDisposable {
  /**
   * Durable when it resolves. `work` may be done anew from the start (deadlock): it changes nothing but the database.
   * @throws StoreError, ConstraintError, and what `work` throws, rolled back
   */
  readonly transact: <T>(work: (tx: Tx) => Promise<T>) => Promise<T>;
  /**
   * What notifications do to episodes, in one transaction. Where the connection is: statement by statement, each would wait
   * for a turn of a thread that is busy with those who bring more of them, and they for the end of the transaction.
   */
  readonly process: (given: Processing) => Promise<Processed>;
  /** What the database holds on its disk. */
  readonly bytes: () => Promise<number>;
  /** Gives back to the disk what deleted rows have left, some of it at a time. */
  readonly shrink: () => Promise<void>;
}

/** Plain data: it may go to another thread. */
export interface Processing {
  readonly webhooks: readonly ReadWebhook[];
  /** How soon after its end a new episode of the same identity is a relapse. */
  readonly relapseMs: number;
  readonly nowMs: number;
}

/** Of each notification in their order; none of one that was processed before. */
export type Processed = readonly (readonly EpisodeChange[])[];

/** A key is there already, or a value is missing: a fact about the data, not about the store. */
export class ConstraintError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'ConstraintError';
  }
}

/** One after the other, in the order of the calls. */
export function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  };
}

/** UPDATE, else INSERT: no dialect has the other's upsert, and counts of rows differ in all of them. */
export async function put(db: Db, update: string, insert: string, values: readonly Value[]): Promise<void> {
  await db.transact(async (tx) => {
    if ((await tx.run(update, ...values)) > 0) return;
    await tx.run(insert, ...values);
  });
}

/**
 * The answer to COMMIT never came. The session is gone by now: what it wrote is there, or never will be. Of the store's
 * errors, so that whoever does not look for it stops and looks at the store again, as after any other of them.
 */
export class LostCommitError extends StoreError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('broken', message, options);
    this.name = 'LostCommitError';
  }
}
