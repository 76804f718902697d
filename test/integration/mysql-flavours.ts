// How the same thing is said to MariaDB and to MySQL: for the tests of both.
import type { Release } from '../../deploy/lab/release.ts';

/** What of a replica: the thread that receives, the one that applies, or both. */
export type Threads = 'receiver' | 'applier' | 'both';

export interface Flavour {
  readonly kind: 'mariadb' | 'mysql';
  readonly release: Release;
  /** The connection (MariaDB) or channel (MySQL) by name; '' is the default one. */
  readonly start: (threads: Threads, channel?: string) => string;
  readonly stop: (threads: Threads, channel?: string) => string;
  readonly reset: (channel: string) => string;
  /** To replicate by GTID from there. */
  readonly connect: (to: Source, channel: string) => string;
  readonly heartbeat: (seconds: number) => string;
  /** The receiver's error number when the source has purged what it needs. */
  readonly purgedErrno: number;
  /** Its own name in a session of ours, and the limit of a statement in seconds. */
  readonly session: { readonly readOnly: string; readonly limitSeconds: string };
  /** A statement that takes long and is ended by the server with this error number. */
  readonly slow: { readonly sql: string; readonly errno: number };
  readonly shippedGrants: (who: 'exporter' | 'remediator') => string;
}

export interface Source {
  readonly host: string;
  readonly port: number;
  readonly password: string;
}

const thread: Readonly<Record<Threads, string>> = { receiver: 'IO_THREAD', applier: 'SQL_THREAD', both: '' };

/** https://mariadb.com/kb/en/multi-source-replication/ */
export function mariadbFlavour(release: Release): Flavour {
  const named = (channel: string): string => (channel === '' ? '' : `'${channel}'`);
  return {
    kind: 'mariadb',
    release,
    start: (threads, channel = '') => `START SLAVE ${named(channel)} ${thread[threads]}`,
    stop: (threads, channel = '') => `STOP SLAVE ${named(channel)} ${thread[threads]}`,
    reset: (channel) => `RESET SLAVE ${named(channel)} ALL`,
    connect: ({ host, port, password }, channel) =>
      `CHANGE MASTER ${named(channel)} TO MASTER_HOST = '${host}', MASTER_PORT = ${port}, MASTER_USER = 'repl',
         MASTER_PASSWORD = '${password}', MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1`,
    heartbeat: (seconds) => `CHANGE MASTER TO MASTER_HEARTBEAT_PERIOD = ${seconds}`,
    purgedErrno: 1236,
    session: { readOnly: '@@tx_read_only', limitSeconds: '@@max_statement_time' },
    slow: { sql: 'SELECT SLEEP(30)', errno: 1969 },
    shippedGrants: (who) => `${who}-mariadb.sql`,
  };
}

/** https://dev.mysql.com/doc/refman/9.4/en/replication-multi-source.html */
export function mysqlFlavour(release: Release): Flavour {
  const named = (channel: string): string => (channel === '' ? '' : `FOR CHANNEL '${channel}'`);
  return {
    kind: 'mysql',
    release,
    start: (threads, channel = '') => `START REPLICA ${thread[threads]} ${named(channel)}`,
    stop: (threads, channel = '') => `STOP REPLICA ${thread[threads]} ${named(channel)}`,
    reset: (channel) => `RESET REPLICA ALL ${named(channel)}`,
    connect: ({ host, port, password }, channel) =>
      `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '${host}', SOURCE_PORT = ${port}, SOURCE_USER = 'repl',
         SOURCE_PASSWORD = '${password}', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1,
         SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 100000 ${named(channel)}`,
    heartbeat: (seconds) => `CHANGE REPLICATION SOURCE TO SOURCE_HEARTBEAT_PERIOD = ${seconds}`,
    purgedErrno: 13114,
    session: { readOnly: '@@transaction_read_only', limitSeconds: '@@max_execution_time / 1000' },
    // SLEEP alone gives 1 when it is ended, and no error: https://dev.mysql.com/doc/refman/8.4/en/miscellaneous-functions.html
    slow: { sql: 'SELECT 1 FROM information_schema.SCHEMATA WHERE SLEEP(30)', errno: 3024 },
    shippedGrants: (who) => `${who}-mysql.sql`,
  };
}
