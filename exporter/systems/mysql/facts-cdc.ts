// Whether a server writes its binary logs as readers of changes (Maxwell, Debezium, a CDC service) need them. The same
// findings are series, and lines of `doctor` with what mends each.
import type { Call } from '../../collector.ts';
import type { Finding } from '../../findings.ts';
import { classOf, messageOf, TargetError } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { MysqlClient } from './client.ts';
import { positionStatement } from './facts-binlogs.ts';
import { accountText, mysqlErrno } from './facts-errors.ts';
import { binlogPrivilege, grantFor, holds, readGrantsOf, readOwnGrants, type Grants } from './facts-grants.ts';
import type { MysqlServer } from './facts-server.ts';
import { atLeast } from './facts-version.ts';

export const cdcChecks = [
  'log_bin',
  'binlog_format',
  'binlog_row_image',
  'binlog_row_metadata',
  'binlog_row_value_options',
  'binlog_filters',
  'gtid_mode',
  'log_replica_updates',
  'retention',
  'server_id',
  'grants',
] as const;
export type CdcCheck = (typeof cdcChecks)[number];

export const cdcStates = ['ready', 'not_ready', 'not_required', 'unknown'] as const;
export type CdcState = (typeof cdcStates)[number];

export interface CdcFinding extends Finding {
  readonly check: CdcCheck;
  readonly state: CdcState;
}

/** What the readers of this server need beyond what all of them do. */
export interface CdcNeeds {
  /** Column names in the binary log: needed by readers that keep no schema of their own. */
  readonly rowMetadata: 'any' | 'full';
  readonly gtid: boolean;
  readonly minRetentionSeconds: number;
  /** binlog-do-db and its kind are there on purpose. */
  readonly allowFilters: boolean;
  /** `name@host` of the reader's account. */
  readonly user: string | undefined;
}

export const defaultNeeds: CdcNeeds = {
  rowMetadata: 'any',
  gtid: false,
  minRetentionSeconds: 86_400,
  allowFilters: false,
  user: undefined,
};

/** What is known of a server when its findings are made. */
export interface CdcSource {
  readonly server: MysqlServer;
  readonly client: Pick<MysqlClient, 'flavour' | 'version'>;
  /** The databases that alone, or that not, are written into the binary logs; both empty: no filter. */
  readonly filters: Known<string>;
  readonly isReplica: Known<boolean>;
  /** Of the reader's account. */
  readonly grants: Known<Grants>;
}

const filters = new WeakMap<MysqlClient, string>(); // options of the server's start

/** `binlog_do_db=a`, `binlog_ignore_db=b`, or empty. Needs what SHOW BINARY LOG STATUS needs, and asks only with it. */
export async function readBinlogFilters(client: MysqlClient, call: Call): Promise<Known<string>> {
  const before = filters.get(client);
  if (before !== undefined) return known(before, call.clock.wallMs());
  if (!client.logBin) return unknown('the server writes no binary logs');
  const privilege = binlogPrivilege(client);
  if (!holds(await readOwnGrants(client, call), privilege)) {
    return unknown(`may not see it. To allow it: ${grantFor([privilege], client.account)}`);
  }
  const [row] = await client.query(positionStatement(client), [], call);
  const { Binlog_Do_DB: only, Binlog_Ignore_DB: not } = row ?? {};
  if (typeof only !== 'string' || typeof not !== 'string') return unknown('the server tells no filters');
  const found = [only === '' ? '' : `binlog_do_db=${only}`, not === '' ? '' : `binlog_ignore_db=${not}`];
  const text = found.filter((f) => f !== '').join(', ');
  filters.set(client, text);
  return known(text, call.clock.wallMs());
}

/** A missing account has no privilege at all; one whose grants may not be seen is unknown. */
export async function readReaderGrants(
  client: MysqlClient,
  user: string | undefined,
  call: Call,
): Promise<Known<Grants>> {
  if (user === undefined) return unknown('the account of the reader is not configured (cdc_user)');
  try {
    return known(await readGrantsOf(client, user, call), call.clock.wallMs());
  } catch (error) {
    if (mysqlErrno(error) === 1141) {
      return known({ global: new Set(), databases: [], tables: [], hasRoles: false }, call.clock.wallMs());
    }
    if (!(error instanceof TargetError) || classOf(error) !== 'denied') throw error;
    return unknown(messageOf(error));
  }
}

export function cdcFindings(source: CdcSource, needs: CdcNeeds = defaultNeeds): readonly CdcFinding[] {
  const { server } = source;
  return [
    logBin(source),
    setting(source, 'binlog_format', server.binlogFormat, 'ROW', 'readers see no rows in statements'),
    setting(source, 'binlog_row_image', server.binlogRowImage, 'FULL', 'columns are left out of the changes'),
    rowMetadata(source, needs),
    server.binlogRowValueOptions === undefined || server.binlogRowValueOptions === ''
      ? finding('binlog_row_value_options', 'ready', 'changes of JSON columns are written whole')
      : finding(
          'binlog_row_value_options',
          'not_ready',
          `binlog_row_value_options = ${server.binlogRowValueOptions}: partial JSON updates stop readers that do not know them`,
          setGlobal(source, 'binlog_row_value_options', "''"),
        ),
    binlogFilters(source, needs),
    gtidMode(source, needs),
    logReplicaUpdates(source),
    retention(source, needs),
    server.serverId > 0
      ? finding('server_id', 'ready', `server_id = ${server.serverId}`)
      : finding(
          'server_id',
          'not_ready',
          'server_id = 0: the server refuses readers',
          setGlobal(source, 'server_id', '1'),
        ),
    readerGrants(source, needs),
  ];
}

function finding(check: CdcCheck, state: CdcState, text: string, fix?: string): CdcFinding {
  const ok = state === 'unknown' ? 'unknown' : state !== 'not_ready';
  return { check, state, ok, text, ...(fix === undefined ? {} : { fix }) };
}

function optionFile({ server }: CdcSource): string {
  return server.flavour === 'mariadb' ? '[mariadbd]' : '[mysqld]';
}

/** SET PERSIST came with MySQL 8.0; elsewhere the option file has to be edited too. */
function setGlobal(source: CdcSource, name: string, value: string): string {
  if (source.client.flavour === 'mysql' && atLeast(source.client, 8, 0, 0)) return `SET PERSIST ${name} = ${value}`;
  return `SET GLOBAL ${name} = ${value}, and ${name}=${value.replaceAll("'", '')} under ${optionFile(source)} in its option file`;
}

function logBin(source: CdcSource): CdcFinding {
  if (source.server.logBin) return finding('log_bin', 'ready', 'the server writes binary logs');
  const fix = `log_bin=binlog under ${optionFile(source)} in its option file, then a restart`;
  return finding('log_bin', 'not_ready', 'log_bin = OFF: there is nothing to read', fix);
}

function setting(
  source: CdcSource,
  check: 'binlog_format' | 'binlog_row_image',
  value: string | undefined,
  wanted: string,
  else_: string,
): CdcFinding {
  // Neither flavour has ever been able to write anything but whole rows before it had the variable.
  if (value === undefined && check === 'binlog_row_image') return finding(check, 'ready', 'rows are written whole');
  if (value === undefined) return finding(check, 'unknown', `the server has no ${check}`);
  if (value.toUpperCase() === wanted) return finding(check, 'ready', `${check} = ${value}`);
  const fix = `${setGlobal(source, check, `'${wanted}'`)}; connections that are open keep the old value: restart the applications`;
  return finding(check, 'not_ready', `${check} = ${value}: ${else_}`, fix);
}

function rowMetadata(source: CdcSource, needs: CdcNeeds): CdcFinding {
  const check = 'binlog_row_metadata';
  const value = source.server.binlogRowMetadata;
  if (needs.rowMetadata === 'any') {
    return finding(check, 'not_required', `${check} = ${value ?? 'not there'}; this reader keeps a schema of its own`);
  }
  // https://mariadb.com/kb/en/replication-and-binary-log-system-variables/#binlog_row_metadata
  if (value === undefined) {
    return finding(check, 'not_ready', `the server has no ${check}`, 'MySQL 8.0.1 or MariaDB 10.5 has it');
  }
  if (value.toUpperCase() === 'FULL') return finding(check, 'ready', `${check} = FULL`);
  const fix = setGlobal(source, check, "'FULL'");
  return finding(check, 'not_ready', `${check} = ${value}: names of columns are not in the binary log`, fix);
}

function binlogFilters({ filters: found }: CdcSource, needs: CdcNeeds): CdcFinding {
  const check = 'binlog_filters';
  if (!found.known) return finding(check, 'unknown', found.why);
  if (found.value === '') return finding(check, 'ready', 'changes of all databases are written');
  if (needs.allowFilters) return finding(check, 'not_required', `${found.value}, as it is meant to be`);
  const fix = 'take it out of the option file and restart, or tell that it is meant (allow_filters: true)';
  return finding(check, 'not_ready', `${found.value}: readers miss the changes of other databases`, fix);
}

function gtidMode(source: CdcSource, needs: CdcNeeds): CdcFinding {
  const check = 'gtid_mode';
  const { gtidMode: mode, enforceGtidConsistency: enforced, flavour } = source.server;
  if (flavour === 'mariadb') return finding(check, 'ready', 'MariaDB always writes GTIDs');
  if (mode?.toUpperCase() === 'ON') return finding(check, 'ready', 'gtid_mode = ON');
  const text = `gtid_mode = ${mode ?? 'not there'}, enforce_gtid_consistency = ${enforced ?? 'not there'}`;
  if (!needs.gtid) return finding(check, 'not_required', `${text}; this reader goes by file and position`);
  const steps = ['SET PERSIST enforce_gtid_consistency = ON', 'OFF_PERMISSIVE', 'ON_PERMISSIVE', 'ON'];
  const fix = `one after the other, on every server of the topology: ${steps.map((s) => (s.startsWith('SET') ? s : `SET PERSIST gtid_mode = ${s}`)).join('; ')}`;
  return finding(check, 'not_ready', text, fix);
}

function logReplicaUpdates(source: CdcSource): CdcFinding {
  const check = 'log_replica_updates';
  const { logReplicaUpdates: on } = source.server;
  if (on === true) return finding(check, 'ready', 'what is replicated is written to the binary logs too');
  if (!source.isReplica.known) return finding(check, 'unknown', `whether it is a replica: ${source.isReplica.why}`);
  if (!source.isReplica.value) return finding(check, 'not_required', 'the server is no replica');
  const name =
    source.client.flavour === 'mysql' && atLeast(source.client, 8, 0, 26) ? 'log_replica_updates' : 'log_slave_updates';
  const fix = `${name}=ON under ${optionFile(source)} in its option file, then a restart; or read from its source`;
  return finding(check, 'not_ready', 'what it replicates is not in its binary logs: readers of it miss that', fix);
}

function retention(source: CdcSource, needs: CdcNeeds): CdcFinding {
  const found = source.server.retention;
  if (found.kind === 'unknown') return finding('retention', 'unknown', found.why);
  if (found.kind === 'forever')
    return finding('retention', 'ready', 'binary logs are kept until they are purged by hand');
  const hours = (seconds: number): string => `${Math.round(seconds / 360) / 10} h`;
  const text = `binary logs are kept for ${hours(found.seconds)}`;
  const wanted = needs.minRetentionSeconds;
  if (found.seconds >= wanted) return finding('retention', 'ready', text);
  const days = found.variable === 'expire_logs_days';
  const fix = setGlobal(source, found.variable, String(days ? Math.ceil(wanted / 86_400) : Math.ceil(wanted)));
  const why = `${text}, less than the ${hours(wanted)} that are wanted: a reader that stands still longer has lost its place`;
  return finding('retention', 'not_ready', why, fix);
}

/** https://maxwells-daemon.io/quickstart/ and https://debezium.io/documentation/reference/connectors/mysql.html#mysql-creating-user */
function readerGrants(source: CdcSource, needs: CdcNeeds): CdcFinding {
  if (needs.user === undefined)
    return finding('grants', 'not_required', 'no account of a reader is configured (cdc_user)');
  const { grants } = source;
  if (!grants.known) return finding('grants', 'unknown', grants.why);
  const wanted = ['REPLICATION SLAVE', binlogPrivilege(source.client)];
  const missing = wanted.filter((privilege) => !holds(grants.value, privilege));
  const { databases, tables } = grants.value;
  const reads =
    holds(grants.value, 'SELECT') || [...databases, ...tables].some((d) => /SELECT|ALL/.test([...d.privileges].join()));
  if (!reads) missing.push('SELECT');
  const account = needs.user.includes('@') ? needs.user : `${needs.user}@%`;
  if (missing.length === 0)
    return finding('grants', 'ready', `${accountText(account)} may read the binary log and schemas`);
  const text = `${accountText(account)} lacks ${missing.join(', ')}`;
  if (grants.value.hasRoles) return finding('grants', 'unknown', `${text}, unless a role of its gives them`);
  return finding('grants', 'not_ready', text, grantFor(missing, account));
}
