import { connect, type Socket } from 'node:net';
import { createConnection } from 'mysql2';
import type { Call } from '../../collector.ts';
import type { Auth, Tls } from '../../fields.ts';
import { until } from '../../runtime/deadline.ts';
import { classOf, TargetError } from '../../runtime/errors.ts';
import { readSecret } from '../../runtime/secrets.ts';
import type { TargetClient } from '../../system.ts';
import { addressText, type MysqlAddress } from './address.ts';
import { authPluginsFor, certificateName, sslOf } from './client-auth.ts';
import { GrantWatch, ownGrants } from './client-grants.ts';
import { guardConnection } from './client-guard.ts';
import { connected, rowsOf, type Row } from './client-rows.ts';
import { mysqlError } from './facts-errors.ts';
import { atLeast, parseVersion, type Version } from './facts-version.ts';

export type { Row } from './client-rows.ts';

/** One connection to one MySQL or MariaDB server: read only, without reconnect and without pool. Statements queue up on it. */
export interface MysqlClient extends TargetClient {
  readonly flavour: 'mysql' | 'mariadb';
  readonly version: Version;
  /** As the server says it: 10.11.19-MariaDB-0+deb12u1-log */
  readonly versionText: string;
  /** CURRENT_USER(): the account that grants belong to. */
  readonly account: string;
  /** Whether the server writes binary logs; cannot change while it runs. */
  readonly logBin: boolean;
  /** `host:port` or the socket, for messages. */
  readonly at: string;
  /** Large integers and decimals are strings, dates are text in UTC. */
  readonly query: (sql: string, params: readonly (string | number)[], call: Call) => Promise<readonly Row[]>;
}

export interface MysqlOpening {
  readonly address: MysqlAddress;
  readonly auth: Auth | undefined;
  readonly tls: Tls | undefined;
}

/** How long the server itself may work on one of our statements. */
const statementSeconds = 5;

/**
 * Opens the one connection. It is destroyed when `call.signal` aborts, here or in a later query.
 *
 * @throws TargetError: refused, unreachable, auth, tls, deadline, protocol, secret
 */
export async function openMysql(opening: MysqlOpening, call: Call): Promise<MysqlClient> {
  const at = addressText(opening.address);
  const doing = `mysql ${at}`;
  const password = await readSecret(opening.auth ?? {});
  const ssl = await sslOf(opening.tls);
  if (call.signal.aborted) throw new TargetError('deadline', `${doing}: no time left to connect`);
  const socket = socketTo(opening.address);
  // Until mysql2 has its own listener: an error event that nobody hears would end the process.
  socket.on('error', () => undefined);
  const authPlugins = await authPluginsFor(opening.address, opening.tls, socket).catch((error: unknown) => {
    socket.destroy();
    throw error;
  });
  const connection = createConnection({
    stream: () => socket,
    host: certificateName(opening.address, opening.tls), // the stream above is what is connected to
    ...('socket' in opening.address ? { socketPath: opening.address.socket } : {}), // a password may travel on it
    connectTimeout: 0, // the deadline is ours
    charset: 'utf8mb4',
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    disableEval: true, // no code is made of the names of columns
    maxPreparedStatements: 1, // nothing is prepared; mysql2 3.24 makes room for 16,000 at once, 0.5 MB a connection
    flags: ['-LOCAL_FILES'],
    ...(opening.auth?.user === undefined ? {} : { user: opening.auth.user }),
    ...(password === undefined ? {} : { password }),
    ...(ssl === undefined ? {} : { ssl }),
    ...(authPlugins === undefined ? {} : { authPlugins }),
  });
  let usable = true;
  const waiting = new Set<(why: unknown) => void>();
  const destroy = (why?: TargetError): void => {
    usable = false;
    connection.destroy();
    socket.destroy();
    // mysql2 calls nobody back any more once it was told to destroy the connection
    for (const reject of waiting) reject(why ?? new TargetError('unreachable', `${doing}: the connection was closed`));
  };
  const answersTaken = guardConnection(connection, doing, destroy);
  // without a listener an error between statements would end the process
  connection.on('error', (error: unknown) => {
    destroy(mysqlError(error, doing));
  });
  const closed = (): void => {
    destroy();
  };
  connection.on('end', closed);
  socket.on('close', closed);

  const answered = <T>(work: Promise<T>, signal: AbortSignal): Promise<T> => {
    let giveUp: (why: unknown) => void = () => undefined;
    const broken = new Promise<never>((_resolve, reject) => {
      giveUp = reject;
    });
    waiting.add(giveUp);
    return until(signal, doing, Promise.race([work, broken]), closed)
      .catch((error: unknown) => {
        throw mysqlError(error, doing);
      })
      .finally(() => {
        waiting.delete(giveUp);
        if (waiting.size === 0) answersTaken();
      });
  };

  const run = (sql: string, params: readonly (string | number)[], signal: AbortSignal): Promise<readonly Row[]> => {
    if (!usable) return Promise.reject(new TargetError('unreachable', `${doing}: the connection is closed`));
    return answered(rowsOf(connection, sql, params), signal);
  };

  const grants = new GrantWatch();
  /** Its account has got other privileges: they come with another connection. */
  let outdated = false;
  let isLooking = false;
  const lookAtGrants = async ({ clock, signal }: Call): Promise<void> => {
    if (outdated || isLooking || !grants.isDue(clock.monoMs())) return;
    isLooking = true;
    try {
      const rows = await run(ownGrants, [], signal);
      outdated = grants.look(rows, clock.monoMs());
    } catch {
      // What went wrong with the connection is told by the next statement.
    } finally {
      isLooking = false;
    }
  };
  const query = async (sql: string, params: readonly (string | number)[], of: Call): Promise<readonly Row[]> => {
    try {
      const rows = await run(sql, params, of.signal);
      if (sql === ownGrants) outdated ||= grants.look(rows, of.clock.monoMs());
      return rows;
    } catch (error) {
      if (classOf(error) === 'denied') void lookAtGrants(of); // what was refused does not wait for it
      throw error;
    }
  };

  try {
    await answered(connected(connection), call.signal);
    const [row] = await run(
      'SELECT VERSION() AS version, @@version_comment AS comment, CURRENT_USER() AS account, @@GLOBAL.log_bin AS log_bin',
      [],
      call.signal,
    );
    const versionText = String(row?.['version']);
    if (!/^\d+\.\d+/.test(versionText)) throw new TargetError('protocol', `${doing}: tells no version`);
    const flavour = /mariadb/i.test(`${versionText} ${String(row?.['comment'])}`) ? 'mariadb' : 'mysql';
    const version = parseVersion(versionText);
    await run(sessionSetting(flavour, version), [], call.signal);
    return {
      flavour,
      version,
      versionText,
      account: String(row?.['account']),
      logBin: Number(row?.['log_bin']) === 1,
      at,
      query,
      ping: async (of) => {
        await run('SELECT 1', [], of.signal);
        if (grants.isBegun) await lookAtGrants(of);
      },
      usable: () => usable && !outdated,
      [Symbol.asyncDispose]: () => {
        // COM_QUIT, so that the server does not count an aborted client; the socket is closed at once after it
        if (usable) connection.end(() => undefined);
        destroyLater(socket, closed);
        return Promise.resolve();
      },
    };
  } catch (error) {
    destroy();
    throw error;
  }
}

/**
 * One statement for the whole session: UTC, read only, no waiting for locks, and a limit that the server itself keeps.
 * sql_mode is emptied so that quoting means the same everywhere (NO_BACKSLASH_ESCAPES, ANSI_QUOTES).
 */
function sessionSetting(flavour: MysqlClient['flavour'], version: Version): string {
  const at = (...wanted: Version): boolean => atLeast({ version }, ...wanted);
  const settings = ["time_zone = '+00:00'", "sql_mode = ''", `lock_wait_timeout = ${statementSeconds}`];
  if (flavour === 'mariadb') {
    // https://mariadb.com/kb/en/server-system-variables/: transaction_read_only since 11.1, max_statement_time since 10.1
    settings.push(at(11, 1, 1) ? 'transaction_read_only = 1' : 'tx_read_only = 1');
    if (at(10, 1, 1)) settings.push(`max_statement_time = ${statementSeconds}`);
  } else {
    // https://dev.mysql.com/doc/refman/8.4/en/server-system-variables.html: both since 5.7
    settings.push(at(5, 7, 20) ? 'transaction_read_only = 1' : 'tx_read_only = 1');
    if (at(5, 7, 8)) settings.push(`max_execution_time = ${statementSeconds * 1000}`);
  }
  return `SET SESSION ${settings.join(', SESSION ')}`;
}

function socketTo(address: MysqlAddress): Socket {
  const socket = 'socket' in address ? connect(address.socket) : connect(address.port, address.host);
  return socket.setNoDelay(true).setKeepAlive(true, 10_000);
}

function destroyLater(socket: Socket, destroy: () => void): void {
  setTimeout(destroy, 200).unref();
  socket.unref();
}
