// The store on a MySQL or MariaDB server: READ COMMITTED, lease rows locked before the clock is read and before anything
// is counted, and an answer to COMMIT that is lost is looked for.
import { randomInt } from 'node:crypto';
import { pause } from '../../exporter/runtime/deadline.ts';
import { ConstraintError, LostCommitError, type Db, type Row, type Tx } from './db.ts';
import { processAll } from './episodes.ts';
import { ledgerTime } from './ledger-time.ts';
import { LostSessionError, openSession, RetryError, type MysqlPlace, type Session } from './mysql-session.ts';
import { prepareDatabase, serverOf } from './mysql-setup.ts';
import { int } from './rows.ts';
import { StoreError } from './store.ts';

export interface MysqlOptions extends MysqlPlace {
  /** Take a server that may forget the newest transactions when its machine fails. */
  readonly allowRelaxedDurability?: boolean;
  /** `caller`: the time of the caller, as tests have it; else the server's own clock. */
  readonly clock?: 'server' | 'caller';
}

export interface MysqlDb extends Db {
  /** The server's identity, as it was when it was opened. */
  readonly server: string;
  /** The server's clock, ms since 1970. */
  readonly serverMs: () => Promise<number>;
}

const mostTries = 5;
/** A transaction inserts several rows, and others may be faster with each. */
const mostDuplicates = 3;
const mostSessions = 8;
const deadline = (): AbortSignal => AbortSignal.timeout(60_000);

/** @throws StoreError */
export async function openMysqlDb(options: MysqlOptions): Promise<MysqlDb> {
  const first = await openSession(options);
  let server: string;
  try {
    server = await prepareDatabase(first, options);
  } catch (error) {
    first.close();
    throw error;
  }
  const idle: Session[] = [first];
  const waiting: (() => void)[] = [];
  let out = 0;
  let closed = false;

  const newSession = async (): Promise<Session> => {
    const session = await openSession(options);
    try {
      const now = await serverOf(session);
      if (now === server) return session;
      throw new StoreError('broken', `the store is on another server now (${now}, was ${server}): start again`);
    } catch (error) {
      session.close();
      throw error;
    }
  };
  const release = (session: Session): void => {
    out--;
    if (closed) session.close();
    else if (session.usable()) idle.push(session);
    waiting.shift()?.();
  };
  /** @param work `fresh`: the session was opened for it, so that it cannot have been closed while it was idle */
  const withSession = async <T>(work: (session: Session, fresh: boolean) => Promise<T>): Promise<T> => {
    while (out >= mostSessions) await new Promise<void>((resolve) => waiting.push(resolve));
    if (closed) throw new StoreError('broken', 'the store is closed');
    out++;
    let session: Session | undefined;
    try {
      do session = idle.pop();
      while (session?.usable() === false);
      const fresh = session === undefined;
      session ??= await newSession();
      return await work(session, fresh);
    } finally {
      if (session === undefined) {
        out--;
        waiting.shift()?.();
      } else release(session);
    }
  };

  const nowOf = async (session: Session): Promise<number> => {
    // SYSDATE: NOW() is the start of the statement, before a wait for a lock
    const [row] = await session.all('SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000 AS SIGNED) AS ms', []);
    return int(row ?? {}, 'ms');
  };
  const ledgerMs = async (session: Session, callers: () => number): Promise<number> => {
    const [mark] = await session.all(`SELECT v FROM meta WHERE k = 'clock_high'`, []);
    return ledgerTime(await nowOf(session), Number(mark?.['v'] ?? 0), callers());
  };
  const txOn = (session: Session): Tx => ({
    get: async (sql, ...values) => (await session.all(sql, values))[0],
    all: (sql, ...values) => session.all(sql, values),
    run: async (sql, ...values) => (await session.write(sql, values)).affectedRows,
    runAll: async (sql, rows) => {
      const ids: number[] = [];
      for (const values of rows) ids.push((await session.write(sql, values)).insertId);
      return ids;
    },
    forUpdate: ' FOR UPDATE',
    now: (callers) => (options.clock === 'caller' ? Promise.resolve(callers()) : ledgerMs(session, callers)),
  });

  const once = async <T>(session: Session, work: (tx: Tx) => Promise<T>): Promise<T> => {
    let result: T;
    try {
      result = await work(txOn(session));
    } catch (error) {
      // A session that cannot roll back is closed: the server rolls back then.
      if (session.usable()) await session.write('ROLLBACK', []).catch(session.close);
      throw error;
    }
    try {
      await session.write('COMMIT', []);
    } catch (error) {
      session.close();
      if (!(error instanceof LostSessionError)) throw error;
      await surelyGone(options, session.id);
      throw new LostCommitError('the answer to COMMIT was lost', { cause: error });
    }
    return result;
  };
  const begin = async (session: Session, fresh: boolean): Promise<'begun' | 'stale'> => {
    try {
      await session.write('START TRANSACTION', []);
      return 'begun';
    } catch (error) {
      if (fresh || !(error instanceof LostSessionError)) throw error;
      return 'stale'; // closed by the server while it was idle
    }
  };
  const transact = async <T>(work: (tx: Tx) => Promise<T>): Promise<T> => {
    let duplicates = 0;
    for (let tries = 1; ;) {
      try {
        const outcome = await withSession(async (session, fresh) =>
          (await begin(session, fresh)) === 'stale' ? undefined : { result: await once(session, work) },
        );
        if (outcome !== undefined) return outcome.result;
      } catch (error) {
        // Of two that found no row and insert it, one is late: it finds the other one's now.
        if (error instanceof ConstraintError && duplicates++ < mostDuplicates) continue;
        if (!(error instanceof RetryError) || tries >= mostTries) throw error;
        await pause(randomInt(5, 20 * 2 ** tries), deadline());
        tries++;
      }
    }
  };
  const read = async (sql: string, values: Parameters<Session['all']>[1]): Promise<readonly Row[]> => {
    for (;;) {
      const rows = await withSession(async (session, fresh) => {
        try {
          return await session.all(sql, values);
        } catch (error) {
          if (fresh || !(error instanceof LostSessionError)) throw error;
          return undefined;
        }
      });
      if (rows !== undefined) return rows;
    }
  };

  return {
    get: async (sql, ...values) => (await read(sql, values))[0],
    all: (sql, ...values) => read(sql, values),
    run: (sql, ...values) => transact((tx) => tx.run(sql, ...values)),
    runAll: (sql, rows) => transact((tx) => tx.runAll(sql, rows)),
    forUpdate: ' FOR UPDATE',
    now: (callers) =>
      options.clock === 'caller' ? Promise.resolve(callers()) : withSession((s) => ledgerMs(s, callers)),
    transact,
    process: (given) => transact((tx) => processAll(tx, given)),
    server,
    serverMs: () => withSession(nowOf),
    bytes: async () => {
      const [row] = await read(
        `SELECT CAST(coalesce(sum(data_length + index_length), 0) AS SIGNED) AS bytes FROM information_schema.tables
         WHERE table_schema = DATABASE()`,
        [],
      );
      return int(row ?? {}, 'bytes');
    },
    shrink: () => Promise.resolve(), // InnoDB uses it again
    [Symbol.asyncDispose]: () => {
      closed = true;
      for (const session of idle) session.close();
      for (const go of waiting) go();
      return Promise.resolve();
    },
  };
}

/** Ends the session and waits until the server knows nothing of it: from then on it commits nothing any more. */
async function surelyGone(place: MysqlPlace, id: number): Promise<void> {
  const session = await openSession(place);
  try {
    const signal = deadline();
    for (;;) {
      // One's own sessions may be seen and ended without a privilege. Gone already: error 1094.
      await session.write(`KILL ${id}`, []).catch(() => undefined);
      const rows = await session.all('SELECT 1 AS there FROM information_schema.processlist WHERE id = ?', [id]);
      if (rows.length === 0) return;
      await pause(50, signal);
    }
  } finally {
    session.close();
  }
}
