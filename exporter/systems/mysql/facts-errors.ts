// What a server's error number means for the class of an error. Pure.
import { asTargetError, classOf, codeOf, messageOf, TargetError, type TargetErrorCode } from '../../runtime/errors.ts';

// https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html and https://mariadb.com/kb/en/mariadb-error-codes/
const classes: readonly (readonly [TargetErrorCode, readonly number[]])[] = [
  // host not allowed, host blocked, access denied, no password given, password expired, plugin not loaded, account locked
  ['auth', [1045, 1129, 1130, 1251, 1524, 1698, 1820, 1862, 3118, 3955, 4151]],
  ['denied', [1044, 1142, 1143, 1227, 1290, 1370]],
  // lock wait, killed or interrupted query, MariaDB max_statement_time, MySQL max_execution_time
  ['deadline', [1205, 1317, 1969, 3024]],
  ['tls', [3159]], // require_secure_transport
  ['unreachable', [1053, 1152, 1927, 2006, 2013, 4031]],
  // syntax, unknown variable, no binary logging
  ['unsupported', [1064, 1193, 1381]],
];

const byErrno = new Map(classes.flatMap(([code, numbers]) => numbers.map((n) => [n, code] as const)));

// codes that mysql2 itself gives
const byCode: Readonly<Record<string, TargetErrorCode>> = {
  PROTOCOL_CONNECTION_LOST: 'unreachable',
  PROTOCOL_SEQUENCE_TIMEOUT: 'deadline',
  HANDSHAKE_NO_SSL_SUPPORT: 'tls',
  HANDSHAKE_SSL_ERROR: 'tls',
  HANDSHAKE_UNKNOWN_ERROR: 'protocol',
  PROTOCOL_ERROR: 'protocol',
  PROTOCOL_INCORRECT_PACKET_SEQUENCE: 'protocol',
  PROTOCOL_PACKETS_OUT_OF_ORDER: 'protocol',
  PROTOCOL_UNEXPECTED_PACKET: 'protocol',
  AUTH_SWITCH_PLUGIN_ERROR: 'auth',
  MYSQL_CLEAR_PASSWORD_NOT_ENABLED: 'auth', // the server asked for the password as it is
};

/** The server's error number, or undefined when the error did not come from a server. */
export function mysqlErrno(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  if ('errno' in error && typeof error.errno === 'number' && error.errno > 0) return error.errno;
  return 'cause' in error ? mysqlErrno(error.cause) : undefined;
}

/** A TargetError with its class and, when a server answered, its error number. `doing` names the server. */
export function mysqlError(error: unknown, doing: string): TargetError {
  if (error instanceof TargetError) return error;
  const errno = mysqlErrno(error);
  const known = (errno === undefined ? undefined : byErrno.get(errno)) ?? byCode[codeOf(error) ?? ''];
  const found = known ?? (errno === undefined ? classInLibrary(error) : 'failed');
  if (found === undefined) return asTargetError(error, doing);
  const number = errno === undefined ? '' : ` (error ${errno})`;
  return new TargetError(found, `${doing}: ${messageOf(error)}${number}`, { cause: error });
}

/** mysql2 marks as fatal what it could not read or do at log-in; an error of the system has its own class. */
function classInLibrary(error: unknown): TargetErrorCode | undefined {
  if (typeof error !== 'object' || error === null || !('fatal' in error) || error.fatal !== true) return undefined;
  if (/authentication using unknown plugin/.test(messageOf(error))) return 'auth';
  return classOf(error) === 'bug' ? 'protocol' : undefined;
}

/** `name@host` as CURRENT_USER() gives it, as it stands in a GRANT. */
export function accountText(account: string): string {
  const at = account.lastIndexOf('@');
  const [name, host] = at < 0 ? [account, '%'] : [account.slice(0, at), account.slice(at + 1)];
  const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;
  return `${quoted(name)}@${quoted(host)}`;
}

/** A refused statement, told with the GRANT that allows it; other errors pass unchanged. */
export function withGrant(error: unknown, account: string, privileges: string, on = '*.*'): unknown {
  if (!(error instanceof TargetError) || error.code !== 'denied') return error;
  const grant = `GRANT ${privileges} ON ${on} TO ${accountText(account)}`;
  return new TargetError('denied', `${error.message}. To allow it: ${grant}`, { cause: error });
}
