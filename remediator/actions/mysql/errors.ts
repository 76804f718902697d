// What the error number of a replication thread says about starting it again. Pure.
// Numbers: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html,
// https://dev.mysql.com/doc/mysql-errors/8.4/en/client-error-reference.html, https://mariadb.com/kb/en/mariadb-error-codes/

/** retry: a start can help. wait: something else must come first. never: a start cannot help, or harms. */
export type Remedy = 'retry' | 'wait' | 'never';

export interface ErrorClass {
  /** stable, snake_case; part of the reason key */
  readonly code: string;
  readonly remedy: Remedy;
  /** For people: what it means and what is to be done instead. */
  readonly because: string;
}

interface Line extends ErrorClass {
  readonly errnos: readonly number[];
  /** MySQL 8 has given some errors new numbers above 13000: where the number is not known, its words are. */
  readonly texts?: readonly RegExp[];
}

const transient: ErrorClass = {
  code: 'transient',
  remedy: 'retry',
  because: 'the connection to the source was lost or could not be made',
};
const credentials: ErrorClass = {
  code: 'credentials',
  remedy: 'never',
  because: 'the source does not let the replica in; more tries only lock the account: mend account, host or TLS',
};
const identity: ErrorClass = {
  code: 'identity',
  remedy: 'never',
  because: 'source and replica have the same server_id or server_uuid: give the replica its own',
};
const purged: ErrorClass = {
  code: 'purged',
  remedy: 'never',
  because: 'the source cannot give what comes next (mostly: its binary log is purged): set the replica up anew',
};
const disk: ErrorClass = {
  code: 'disk',
  remedy: 'wait',
  because: 'the replica cannot write its relay log: free space first',
};
const relayCorruption: ErrorClass = {
  code: 'relay_corruption',
  remedy: 'never',
  because:
    'the relay log cannot be read: fetching it anew is a person’s (MySQL with auto position, or MariaDB with GTID, while the source still has the binary logs)',
};
const workerGaps: ErrorClass = {
  code: 'worker_gaps',
  remedy: 'never',
  because: 'parallel workers left gaps: START REPLICA UNTIL SQL_AFTER_MTS_GAPS first, by a person',
};
const strictGtid: ErrorClass = {
  code: 'gtid_strict',
  remedy: 'never',
  because:
    'the replica was written to itself, and gtid_strict_mode refuses what comes next; deleting the row does not help',
};
const drift: ErrorClass = {
  code: 'drift',
  remedy: 'never',
  because:
    'the replica’s data is not that of its source: nothing is skipped here, as the difference would stay. Compare the tables and set them right',
};

const ioLines: readonly Line[] = [
  // network and capacity. 2002, 2003, 2005, 2006, 2013: client; 1040: too many connections; 1053: shutdown; 1158–1161: packets
  {
    ...transient,
    errnos: [1040, 1053, 1152, 1158, 1159, 1160, 1161, 1205, 1213, 1927, 2002, 2003, 2005, 2006, 2012, 2013, 4031],
  },
  // access denied, host blocked, host not allowed, no privilege, plugin, expired, locked, secure transport, TLS
  {
    ...credentials,
    errnos: [1044, 1045, 1129, 1130, 1142, 1227, 1251, 1524, 1698, 1820, 1862, 2026, 2061, 3118, 3159],
  },
  // 1593 (MariaDB, MySQL 5.7) and 13117 (MySQL 8) stand for any fatal error of the receiver: see fatal()
  { ...identity, errnos: [], texts: [/equal MySQL server (ids|UUIDs)/i, /same server_?(id|uuid)/i] },
  // 1236 from the source; MySQL 8 tells it as 13114 and has 1236 in the text only (seen on 9.7)
  { ...purged, errnos: [1236, 13114], texts: [/fatal error 1236/, /purged required binary logs/i] },
  { ...disk, errnos: [1021, 1595], texts: [/No space left on device/i, /Relay log write failure/i] },
];

const fatalOfReceiver: ErrorClass = {
  code: 'fatal',
  remedy: 'never',
  because: 'a fatal error of the receiver: its text says which',
};

const sqlLines: readonly Line[] = [
  // 1756 comes with the workers' error in its text: gaps first
  { ...workerGaps, errnos: [1755, 1756] },
  {
    code: 'retryable',
    remedy: 'retry',
    because: 'a lock wait or deadlock; the server has given up after its own retries',
    errnos: [1205, 1213],
  },
  {
    ...drift,
    // no row, duplicate key, no table, table there, unknown table, unknown column, no such key, user, foreign keys, conversion
    errnos: [
      1007, 1008, 1032, 1049, 1050, 1051, 1054, 1060, 1061, 1062, 1091, 1136, 1146, 1364, 1396, 1451, 1452, 1535, 1677,
      13146,
    ],
  },
  { ...strictGtid, errnos: [1950] },
  // 1594 (MariaDB, MySQL 5.7), 13121 (MySQL 8), 1236 from the local relay log, 1744: checksum
  {
    ...relayCorruption,
    errnos: [1236, 1594, 1744, 13121],
    texts: [/Relay log read failure/i, /could not parse relay log event/i],
  },
  { ...disk, errnos: [1021, 1114], texts: [/No space left on device/i] },
];

const unknownError: ErrorClass = {
  code: 'unknown_error',
  remedy: 'never',
  because: 'an error of no known class: a person decides',
};

/** Of Last_IO_Errno, not 0. */
export function ioClass(errno: number, text: string): ErrorClass {
  const found = lineOf(ioLines, errno, text);
  if (found !== undefined) return found;
  return errno === 1593 || errno === 13117 ? fatalOfReceiver : unknownError;
}

/**
 * Of Last_SQL_Errno, not 0.
 *
 * @param alsoRetried what this server retries by itself besides (MariaDB: slave_transaction_retry_errors)
 */
export function sqlClass(errno: number, text: string, alsoRetried: ReadonlySet<number>): ErrorClass {
  const found = lineOf(sqlLines, errno, text);
  if (found !== undefined) return found;
  if (!alsoRetried.has(errno)) return unknownError;
  return {
    code: 'retryable',
    remedy: 'retry',
    because: 'the server counts it among the errors that pass by themselves',
  };
}

/** A text is looked at first: a general number (1593) may carry any of them. */
function lineOf(lines: readonly Line[], errno: number, text: string): ErrorClass | undefined {
  const found =
    lines.find((line) => line.texts?.some((pattern) => pattern.test(text)) === true) ??
    lines.find((line) => line.errnos.includes(errno));
  if (found === undefined) return undefined;
  const { code, remedy, because } = found;
  return { code, remedy, because };
}

/** `1158,1159,1205`; other words (ALL) say nothing that could be relied upon. */
export function errnosOf(list: string): ReadonlySet<number> {
  return new Set(
    list
      .split(',')
      .map((word) => Number(word.trim()))
      .filter((n) => Number.isInteger(n) && n > 0),
  );
}
