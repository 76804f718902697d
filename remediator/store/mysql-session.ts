// One session on the MySQL or MariaDB server that holds the store: set up, its errors in our own words.
import { connect, type Socket } from 'node:net';
import { createConnection, type Connection, type ResultSetHeader } from 'mysql2';
import type { Auth, Tls } from '../../exporter/fields.ts';
import { until, within } from '../../exporter/runtime/deadline.ts';
import { messageOf } from '../../exporter/runtime/errors.ts';
import { readSecret } from '../../exporter/runtime/secrets.ts';
import { addressText, type MysqlAddress } from '../../exporter/systems/mysql/address.ts';
import { authPluginsFor, certificateName, sslOf } from '../../exporter/systems/mysql/client-auth.ts';
import { ConstraintError, type Row, type Value } from './db.ts';
import { StoreError } from './store.ts';

export interface MysqlPlace {
  readonly address: MysqlAddress;
  readonly database: string;
  readonly auth: Auth;
  readonly tls: Tls | undefined;
}

export interface Session {
  /** The server's number for it: KILL takes it. */
  readonly id: number;
  readonly usable: () => boolean;
  readonly all: (sql: string, values: readonly Value[]) => Promise<readonly Row[]>;
  readonly write: (sql: string, values: readonly Value[]) => Promise<ResultSetHeader>;
  readonly close: () => void;
}

/** A statement of the store is small; one that takes longer has met a server in trouble. */
const statementMs = 10_000;
/** As long as a lease: whoever was silent for that has lost it. A session that was idle so long is opened anew. */
const longestSilenceSeconds = 30;

/** Of the server, https://dev.mysql.com/doc/mysql-errors/9.0/en/server-error-reference.html */
const constraintErrors = new Set([1048, 1062, 1364]);
const fullErrors = new Set([1021, 1114, 3]);
/** Deadlock, lock wait timeout, and "record has changed since last read" of MariaDB's snapshot isolation. */
const retryErrors = new Set([1213, 1205, 1020]);

/** The whole transaction may be tried anew. */
export class RetryError extends StoreError {}

/** The session is gone: what was under way may have been done or not. */
export class LostSessionError extends StoreError {}

/** @throws StoreError */
export async function openSession(place: MysqlPlace): Promise<Session> {
  const { address, tls, auth } = place;
  const at = addressText(address);
  const socket: Socket = 'socket' in address ? connect(address.socket) : connect(address.port, address.host);
  // Until mysql2 has its own listener: an error event that nobody hears would end the process.
  // What the server or the network has said is more than that the connection is gone.
  let fault: Error | undefined;
  const noted = (error: Error): void => {
    fault ??= error;
  };
  socket.on('error', noted);
  socket.setNoDelay(true).setKeepAlive(true, 10_000);
  let connection: Connection;
  try {
    // files, which may be on a mount that hangs: a session that is never had would be counted as one for ever
    const reading = Promise.all([readSecret(auth), sslOf(tls), authPluginsFor(address, tls, socket)]);
    const [password, ssl, authPlugins] = await until(within(statementMs), 'the files of the login', reading);
    connection = createConnection({
      stream: () => socket,
      host: certificateName(address, tls),
      ...('socket' in address ? { socketPath: address.socket } : {}),
      database: place.database,
      connectTimeout: 0, // limited below, together with the rest
      charset: 'utf8mb4',
      supportBigNumbers: true,
      decimalNumbers: true,
      dateStrings: true,
      disableEval: true,
      flags: ['-LOCAL_FILES'],
      ...(auth.user === undefined ? {} : { user: auth.user }),
      ...(password === undefined ? {} : { password }),
      ...(ssl === undefined ? {} : { ssl }),
      ...(authPlugins === undefined ? {} : { authPlugins }),
    });
  } catch (error) {
    socket.destroy();
    throw new StoreError('broken', `the store on ${at}: ${messageOf(error)}`, { cause: error });
  }
  let usable = true;
  const waiting = new Set<(why: unknown) => void>();
  const close = (): void => {
    usable = false;
    connection.destroy();
    socket.destroy();
    // mysql2 calls nobody back any more once it was told to destroy the connection
    const why = fault === undefined ? '' : `: ${messageOf(fault)}`;
    for (const reject of waiting)
      reject(new LostSessionError('broken', `the connection to the store on ${at} was lost${why}`, { cause: fault }));
    waiting.clear();
  };
  connection.on('error', (error: Error) => {
    noted(error);
    close();
  });
  connection.on('end', close);
  socket.on('close', close);

  const answered = <T>(begin: (done: (error: unknown, value: T) => void) => void): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      if (!usable) {
        reject(new LostSessionError('broken', `the connection to the store on ${at} is closed`));
        return;
      }
      waiting.add(reject);
      const timer = setTimeout(close, statementMs);
      begin((error, value) => {
        clearTimeout(timer);
        if (!waiting.delete(reject)) return; // rejected before
        if (error === null || error === undefined) {
          resolve(value);
          return;
        }
        const failure = storeErrorOf(error, at);
        reject(failure);
        // Now: a reset that a write has met is told here before any event of the connection (seen on mysql2 3.24), and
        // whoever tries the next session of the pool would be given this one again, without a turn for the event between.
        if (failure instanceof LostSessionError) close();
      });
    });
  const query = <T>(sql: string, values: readonly Value[]): Promise<T> =>
    answered<T>((done) => {
      connection.query({ sql, values: values.map(wire) }, (error, result) => {
        done(error, result as T);
      });
    });
  const session: Session = {
    id: 0,
    usable: () => usable,
    all: (sql, values) => query<readonly Row[]>(sql, values),
    write: (sql, values) => query<ResultSetHeader>(sql, values),
    close,
  };
  try {
    await answered<undefined>((done) => {
      connection.connect((error) => {
        done(error, undefined);
      });
    });
    // Strict: what is too long is an error and is not cut. Without NO_BACKSLASH_ESCAPES, on which mysql2's quoting rests.
    // UTC: UNIX_TIMESTAMP() of a local time is ambiguous when the clocks go back.
    // A remediator that stands still within a transaction (SIGSTOP, a paused machine) keeps the leases that it has locked
    // from everybody else until the server ends its session: by default after 8 hours. The cast: to MySQL (seen on 9.7) the
    // least of an unsigned and a signed number is a DECIMAL, which no variable takes.
    await session.write(
      `SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', autocommit = 1,
         innodb_lock_wait_timeout = 2, wait_timeout = CAST(LEAST(@@GLOBAL.wait_timeout, ${longestSilenceSeconds}) AS UNSIGNED)`,
      [],
    );
    await session.write('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED', []);
    return { ...session, id: connection.threadId };
  } catch (error) {
    close();
    throw error;
  }
}

function wire(value: Value): unknown {
  return value instanceof Uint8Array ? Buffer.from(value) : value;
}

function storeErrorOf(error: unknown, at: string): Error {
  if (!(error instanceof Error)) return new StoreError('broken', `the store on ${at}: ${messageOf(error)}`);
  const errno = 'errno' in error && typeof error.errno === 'number' ? error.errno : 0;
  const fatal = 'fatal' in error && error.fatal === true;
  const options = { cause: error };
  if (retryErrors.has(errno)) return new RetryError('busy', `the store on ${at} is busy: ${error.message}`, options);
  if (constraintErrors.has(errno)) return new ConstraintError(error.message, options);
  if (fullErrors.has(errno)) return new StoreError('full', `the disk of the store on ${at} is full`, options);
  if (fatal) return new LostSessionError('broken', `the store on ${at}: ${error.message}`, options);
  return new StoreError('broken', `the store on ${at}: ${error.message}`, options);
}
