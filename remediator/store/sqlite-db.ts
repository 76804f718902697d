// The SQLite file as the store uses it: one connection, its transactions one after the other.
import { oneAtATime, type Db, type Tx } from './db.ts';
import { processOn } from './sqlite-process.ts';
import { openRaw, type SqliteCalls, type SqliteOpening } from './sqlite-raw.ts';
import { openThread } from './sqlite-thread.ts';
import { int } from './rows.ts';

/**
 * @param where `thread`: a wait for another process's transaction, or for the disk, does not hold up this thread's timers
 *   and sockets. `here`: for a program that does one thing and ends.
 * @throws StoreError
 */
export function openDb(opening: SqliteOpening, where: 'here' | 'thread' = 'here'): Db {
  const calls = where === 'here' ? callsHere(opening) : openThread(opening);
  const queue = where === 'here' ? queueHere(opening.file) : oneAtATime();
  const tx: Tx = {
    get: (sql, ...values) => calls.get(sql, values),
    all: (sql, ...values) => calls.all(sql, values),
    run: (sql, ...values) => calls.run(sql, values),
    runAll: (sql, rows) => calls.runAll(sql, rows),
    forUpdate: '', // BEGIN IMMEDIATE has locked everything
    now: (callers) => Promise.resolve(callers()),
  };
  return {
    ...tx,
    // Not between the statements of somebody else's transaction: it would be a part of it.
    get: (sql, ...values) => queue(() => calls.get(sql, values)),
    all: (sql, ...values) => queue(() => calls.all(sql, values)),
    run: (sql, ...values) => queue(() => calls.run(sql, values)),
    runAll: (sql, rows) => queue(() => calls.transactAll(sql, rows)),
    transact: (work) =>
      queue(async () => {
        await calls.begin();
        try {
          const result = await work(tx);
          await calls.commit();
          return result;
        } catch (error) {
          await calls.rollback();
          throw error;
        }
      }),
    process: (given) => queue(() => calls.process(given)),
    bytes: async () => {
      const row = await queue(() =>
        calls.get('SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size', []),
      );
      return int(row ?? {}, 'bytes');
    },
    shrink: async () => {
      // `all`: each step of the statement frees one page
      await queue(() => calls.all('PRAGMA incremental_vacuum(2000)', []));
    },
    [Symbol.asyncDispose]: () => queue(() => Promise.resolve(calls[Symbol.asyncDispose]())),
  };
}

const queues = new Map<string, ReturnType<typeof oneAtATime>>();

/**
 * Of all connections of this thread to that file: one that waited for the lock of another one would hold up the very
 * thread that has to end the other one's transaction.
 */
function queueHere(file: string): ReturnType<typeof oneAtATime> {
  const queue = queues.get(file) ?? oneAtATime();
  queues.set(file, queue);
  return queue;
}

function callsHere(opening: SqliteOpening): SqliteCalls {
  const raw = openRaw(opening);
  // What throws becomes a rejection.
  const settled = <T>(work: () => T): Promise<T> =>
    new Promise((resolve) => {
      resolve(work());
    });
  return {
    get: (sql, values) => settled(() => raw.get(sql, values)),
    all: (sql, values) => settled(() => raw.all(sql, values)),
    run: (sql, values) => settled(() => raw.run(sql, values)),
    runAll: (sql, rows) => settled(() => raw.runAll(sql, rows)),
    transactAll: (sql, rows) => settled(() => raw.transactAll(sql, rows)),
    process: (given) => processOn(raw, given),
    begin: () => settled(raw.begin),
    commit: () => settled(raw.commit),
    rollback: () => settled(raw.rollback),
    [Symbol.asyncDispose]: () => settled(raw[Symbol.dispose]),
  };
}
