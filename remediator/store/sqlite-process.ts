// Notifications become episodes in the thread that holds the connection: nothing else is done there between the statements.
import type { Processed, Processing, Tx } from './db.ts';
import { processAll } from './episodes.ts';
import type { SqliteRaw } from './sqlite-raw.ts';

/** The caller sees to it that nothing else uses the connection meanwhile. */
export async function processOn(raw: SqliteRaw, given: Processing): Promise<Processed> {
  const tx: Tx = {
    get: (sql, ...values) => Promise.resolve(raw.get(sql, values)),
    all: (sql, ...values) => Promise.resolve(raw.all(sql, values)),
    run: (sql, ...values) => Promise.resolve(raw.run(sql, values)),
    runAll: (sql, rows) => Promise.resolve(raw.runAll(sql, rows)),
    forUpdate: '', // BEGIN IMMEDIATE has locked everything
    now: (callers) => Promise.resolve(callers()),
  };
  raw.begin();
  try {
    const processed = await processAll(tx, given);
    raw.commit();
    return processed;
  } catch (error) {
    raw.rollback();
    throw error;
  }
}
