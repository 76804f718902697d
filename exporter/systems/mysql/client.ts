import { readFile } from 'node:fs/promises';
import { connect, isIP, type Socket } from 'node:net';
import { createConnection, type Connection, type SslOptions } from 'mysql2';
import type { Call } from '../../collector.ts';
import type { Auth, Tls } from '../../fields.ts';
import { until } from '../../runtime/deadline.ts';
import { messageOf, TargetError } from '../../runtime/errors.ts';
import { readSecret } from '../../runtime/secrets.ts';
import type { TargetClient } from '../../system.ts';
import { addressText, type MysqlAddress } from './address.ts';
import { mysqlError } from './facts-errors.ts';
import { atLeast, parseVersion, type Version } from './facts-version.ts';

export type Row = Readonly<Record<string, unknown>>;

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
  const connection = createConnection({
    stream: () => socket,
    host: certificateName(opening), // the stream above is what is connected to
    connectTimeout: 0, // the deadline is ours
    charset: 'utf8mb4',
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    flags: ['-LOCAL_FILES'],
    ...(opening.auth?.user === undefined ? {} : { user: opening.auth.user }),
    ...(password === undefined ? {} : { password }),
    ...(ssl === undefined ? {} : { ssl }),
  });
  let usable = true;
  const destroy = (): void => {
    usable = false;
    connection.destroy();
    socket.destroy();
  };
  connection.on('error', destroy); // without a listener an error between queries would end the process
  connection.on('end', destroy);
  socket.on('close', destroy);

  const run = (sql: string, params: readonly (string | number)[], signal: AbortSignal): Promise<readonly Row[]> => {
    if (!usable) return Promise.reject(new TargetError('unreachable', `${doing}: the connection is closed`));
    return until(signal, doing, rowsOf(connection, sql, params), destroy).catch((error: unknown) => {
      throw mysqlError(error, doing);
    });
  };

  try {
    await until(call.signal, doing, connected(connection), destroy).catch((error: unknown) => {
      throw mysqlError(error, doing);
    });
    const [row] = await run(
      'SELECT VERSION() AS version, @@version_comment AS comment, CURRENT_USER() AS account, @@GLOBAL.log_bin AS log_bin',
      [],
      call.signal,
    );
    const versionText = String(row?.['version']);
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
      query: (sql, params, { signal }) => run(sql, params, signal),
      ping: async ({ signal }) => {
        await run('SELECT 1', [], signal);
      },
      usable: () => usable,
      [Symbol.asyncDispose]: () => {
        // COM_QUIT, so that the server does not count an aborted client; the socket is closed at once after it
        if (usable) connection.end(() => undefined);
        destroyLater(socket, destroy);
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

function connected(connection: Connection): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.connect((error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

function rowsOf(connection: Connection, sql: string, params: readonly (string | number)[]): Promise<readonly Row[]> {
  return new Promise((resolve, reject) => {
    connection.query({ sql, values: [...params] }, (error, rows) => {
      if (error !== null) reject(error);
      else resolve(Array.isArray(rows) ? (rows as readonly Row[]) : []); // SET gives a header instead of rows
    });
  });
}

function destroyLater(socket: Socket, destroy: () => void): void {
  setTimeout(destroy, 200).unref();
  socket.unref();
}

/**
 * Whom the certificate must name. mysql2 3.24 leaves an IP address out and then expects the name `localhost`; with a dot
 * behind it the address is passed on, and tls.checkServerIdentity removes the dot and compares it as an address.
 */
function certificateName({ address, tls }: MysqlOpening): string {
  if (tls?.server_name !== undefined) return tls.server_name;
  if ('socket' in address) return 'localhost';
  return isIP(address.host) === 0 ? address.host : `${address.host}.`;
}

async function sslOf(tls: Tls | undefined): Promise<SslOptions | undefined> {
  if (tls === undefined) return undefined;
  const read = async (file: string): Promise<Buffer> =>
    readFile(file).catch((error: unknown) => {
      throw new TargetError('secret', `${file} cannot be read: ${messageOf(error)}`, { cause: error });
    });
  return {
    rejectUnauthorized: true,
    verifyIdentity: true,
    ...(tls.ca_file === undefined ? {} : { ca: await read(tls.ca_file) }),
    ...(tls.cert_file === undefined ? {} : { cert: await read(tls.cert_file) }),
    ...(tls.key_file === undefined ? {} : { key: await read(tls.key_file) }),
  };
}
