// What an account may do, from the lines of SHOW GRANTS.
import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { MysqlClient } from './client.ts';
import { ownGrants } from './client-grants.ts';
import { accountText } from './facts-errors.ts';
import { atLeast } from './facts-version.ts';

export interface Grants {
  /** Privileges on everything, upper case, in the spelling of privilegeName(). */
  readonly global: ReadonlySet<string>;
  /** Privileges on whole databases; the name is a LIKE pattern. */
  readonly databases: readonly { readonly pattern: string; readonly privileges: ReadonlySet<string> }[];
  readonly tables: readonly {
    readonly database: string;
    readonly table: string;
    readonly privileges: ReadonlySet<string>;
  }[];
  /** What the roles of another account give is not in its lines: a privilege that is not listed may be held all the same. */
  readonly hasRoles: boolean;
}

const spellings: Readonly<Record<string, string>> = {
  'SLAVE MONITOR': 'REPLICA MONITOR',
  'REPLICATION REPLICA': 'REPLICATION SLAVE',
  'REPLICATION REPLICA ADMIN': 'REPLICATION SLAVE ADMIN',
};

/** MariaDB has two names for some: https://mariadb.com/kb/en/grant/ */
function privilegeName(text: string): string {
  const name = text.trim().toUpperCase();
  return spellings[name] ?? name;
}

const quoted = '(?:\\*|`(?:[^`]|``)*`)';
const grantLine = new RegExp(`^GRANT (.+) ON (${quoted})\\.(${quoted}) TO `, 'i');

export function grantsOf(lines: readonly string[]): Grants {
  const global = new Set<string>();
  const databases: { pattern: string; privileges: ReadonlySet<string> }[] = [];
  const tables: { database: string; table: string; privileges: ReadonlySet<string> }[] = [];
  let hasRoles = false;
  for (const line of lines) {
    const [, list, on = '', table = ''] = grantLine.exec(line) ?? [];
    if (list === undefined) {
      hasRoles ||= /^GRANT [`'"]?[^ ]+ TO /i.test(line);
      continue;
    }
    const privileges = withoutColumns(list)
      .split(',')
      .map(privilegeName)
      .filter((p) => p !== '');
    if (on === '*') for (const p of privileges) global.add(p);
    else if (table === '*') databases.push({ pattern: unquoted(on), privileges: new Set(privileges) });
    else tables.push({ database: unquoted(on), table: unquoted(table), privileges: new Set(privileges) });
  }
  return { global, databases, tables, hasRoles };
}

/** A privilege with columns behind it, `SELECT (a, b)`, is not one on the table. Linear: the line is the server's. */
function withoutColumns(list: string): string {
  const kept: string[] = [];
  let from = 0;
  for (let open = list.indexOf('('); open >= 0; open = list.indexOf('(', from)) {
    const close = list.indexOf(')', open);
    if (close < 0) break;
    const before = list.slice(from, open);
    kept.push(before.slice(0, before.lastIndexOf(',') + 1));
    from = close + 1;
  }
  return kept.join('') + list.slice(from);
}

function unquoted(name: string): string {
  return name.slice(1, -1).replaceAll('``', '`');
}

/** Whether the lines give a privilege on everything, or on one database or table. */
export function holds(grants: Grants, privilege: string, database?: string, table?: string): boolean {
  const has = (all: ReadonlySet<string>): boolean => all.has(privilege) || all.has('ALL PRIVILEGES');
  if (has(grants.global)) return true;
  if (database === undefined) return false;
  if (grants.databases.some((d) => has(d.privileges) && like(database, d.pattern))) return true;
  return grants.tables.some((t) => t.database === database && t.table === table && has(t.privileges));
}

/** Names have 64 characters at most, each perhaps with a backslash. */
const longestPattern = 128;

/**
 * https://dev.mysql.com/doc/refman/8.4/en/grant.html: % and _ in the name of a database, a backslash before one quotes it.
 * Not by a regular expression: the pattern is the server's, and one with many % would take for ever.
 */
function like(name: string, pattern: string): boolean {
  if (pattern.length > longestPattern) return false;
  const parts = [...pattern.matchAll(/\\(.)|([^])/gsu)].map(([, escaped, plain = '']) => ({
    char: escaped ?? plain,
    isWild: escaped === undefined && (plain === '%' || plain === '_'),
  }));
  const chars = Array.from(name);
  let [part, at] = [0, 0];
  /** Behind the last %, and how far it reaches. */
  let any: { readonly part: number; at: number } | undefined;
  while (at < chars.length) {
    const next = parts[part];
    if (next?.isWild === true && next.char === '%') {
      part += 1;
      any = { part, at };
    } else if (next !== undefined && (next.isWild || next.char === chars[at])) {
      part += 1;
      at += 1;
    } else if (any !== undefined) {
      any.at += 1;
      [part, at] = [any.part, any.at];
    } else return false;
  }
  return parts.slice(part).every(({ char, isWild }) => isWild && char === '%');
}

const own = new WeakMap<MysqlClient, Promise<Grants>>(); // a change of global grants reaches new connections only

/** The account's own grants; one statement per connection. */
export function readOwnGrants(client: MysqlClient, call: Call): Promise<Grants> {
  const before = own.get(client);
  if (before !== undefined) return before;
  const reading = readLines(client, ownGrants, call);
  own.set(client, reading);
  reading.catch(() => own.delete(client));
  return reading;
}

/**
 * The grants of another account.
 *
 * @throws TargetError `denied` when ours may not see them; `failed` with error 1141 when there is no such account
 */
export async function readGrantsOf(client: MysqlClient, account: string, call: Call): Promise<Grants> {
  const wanted = accountOf(account);
  const mine = await readOwnGrants(client, call);
  if (wanted === client.account) return mine;
  if (!holds(mine, 'SELECT', 'mysql')) {
    const grant = `GRANT SELECT ON mysql.* TO ${accountText(client.account)}`;
    const warning = 'it shows the hashes of passwords too';
    throw new TargetError(
      'denied',
      `mysql ${client.at}: may not see grants of others. To allow it (${warning}): ${grant}`,
    );
  }
  return readLines(client, `SHOW GRANTS FOR ${accountText(wanted)}`, call);
}

function accountOf(text: string): string {
  return text.includes('@') ? text : `${text}@%`;
}

async function readLines(client: MysqlClient, statement: string, call: Call): Promise<Grants> {
  const rows = await client.query(statement, [], call);
  const lines = rows.flatMap((row) => Object.values(row)).filter((value) => typeof value === 'string');
  if (!lines.some((line) => line.startsWith('GRANT '))) {
    throw new TargetError('protocol', `mysql ${client.at}: tells no grants`); // there is always one, if only USAGE
  }
  return grantsOf(lines);
}

/** One privilege that a collector needs. */
export interface Need {
  readonly collector: string;
  readonly privilege: string;
  readonly database?: string;
  readonly table?: string;
  /** Without it, what is not there. */
  readonly gives: string;
}

type Kind = Pick<MysqlClient, 'flavour' | 'version'>;

/** MariaDB split REPLICATION CLIENT in 10.5.2 and 10.5.9: https://mariadb.com/kb/en/grant/#replica-monitor */
export function replicaStatusPrivilege(client: Kind): string {
  if (client.flavour === 'mysql' || !atLeast(client, 10, 5, 2)) return 'REPLICATION CLIENT';
  return atLeast(client, 10, 5, 9) ? 'REPLICA MONITOR' : 'REPLICATION SLAVE ADMIN';
}

export function binlogPrivilege(client: Kind): string {
  return client.flavour === 'mariadb' && atLeast(client, 10, 5, 2) ? 'BINLOG MONITOR' : 'REPLICATION CLIENT';
}

/** MariaDB split REPLICATION SLAVE as well: https://mariadb.com/kb/en/grant/#replication-master-admin */
export function replicasPrivilege(client: Kind): string {
  return client.flavour === 'mariadb' && atLeast(client, 10, 5, 2) ? 'REPLICATION MASTER ADMIN' : 'REPLICATION SLAVE';
}

/** What is asked of a server, as far as privileges depend on it. */
export interface Asking {
  /** That are on. */
  readonly collectors: ReadonlySet<string>;
  /** Of the collector `heartbeat`. */
  readonly heartbeat?: { readonly database: string; readonly table: string } | undefined;
  /** Of the collector `cdc_ready`: `name@host`. */
  readonly cdcUser?: string | undefined;
}

/** Without options: of the collectors that are on by default, those that need something. */
export const defaultAsking: Asking = {
  collectors: new Set(['replication', 'perf_schema_replication', 'binlog', 'cdc_ready', 'dump_threads', 'activity']),
};

/** What the collectors need that are on, and nothing beyond it. */
export function needsOf(
  client: Pick<MysqlClient, 'flavour' | 'version' | 'logBin' | 'account'>,
  { collectors, heartbeat, cdcUser }: Asking,
): readonly Need[] {
  const status = replicaStatusPrivilege(client);
  const binlog = binlogPrivilege(client);
  const isOthers = cdcUser !== undefined && accountOf(cdcUser) !== client.account;
  const all: readonly Need[] = [
    { collector: 'replication', privilege: status, gives: 'the status of a replica' },
    ...(heartbeat === undefined
      ? []
      : [
          { collector: 'heartbeat', privilege: 'SELECT', ...heartbeat, gives: 'the heartbeats of the source' },
          { collector: 'heartbeat', privilege: status, gives: 'which channel a heartbeat came by' },
        ]),
    { collector: 'slave_hosts', privilege: replicasPrivilege(client), gives: 'the replicas that have registered' },
    ...(client.logBin
      ? [
          { collector: 'binlog', privilege: binlog, gives: 'the binary logs and the position in them' },
          { collector: 'cdc_ready', privilege: binlog, gives: 'what is left out of the binary logs' },
        ]
      : []),
    ...(isOthers
      ? [{ collector: 'cdc_ready', privilege: 'SELECT', database: 'mysql', gives: `the grants of ${cdcUser}` }]
      : []),
    { collector: 'dump_threads', privilege: 'PROCESS', gives: 'who reads the binary log' },
    { collector: 'activity', privilege: 'PROCESS', gives: 'transactions and lock waits of other accounts' },
    ...performanceNeeds(client),
  ];
  return all.filter(({ collector }) => collectors.has(collector));
}

const performanceTables: Readonly<Record<string, string>> = {
  replication_connection_status: 'when the source was last heard of',
  replication_connection_configuration: 'how often it should be heard of',
  replication_applier_status_by_coordinator: 'what the coordinator of appliers has done',
  replication_applier_status_by_worker: 'when the last transactions were committed',
  replication_group_members: 'the members of the group',
  replication_group_member_stats: 'the queues of the group',
};

/** MySQL only. Before 8.0.1 the tables have no times that could be read, so only the first two are asked. */
function performanceNeeds(client: Kind): readonly Need[] {
  if (client.flavour === 'mariadb' || !atLeast(client, 5, 7, 6)) return [];
  const modern = atLeast(client, 8, 0, 1);
  const needs = (collector: string, count: number, gives?: string): readonly Need[] =>
    Object.entries(performanceTables)
      .slice(0, count)
      .map(([table, told]) => ({
        ...{ collector, privilege: 'SELECT', database: 'performance_schema', table },
        gives: gives ?? told,
      }));
  return [
    ...needs('perf_schema_replication', modern ? 6 : 2),
    // The lag by commit times; without them it is by the status alone.
    ...(modern ? needs('replication', 4, 'its lag by commit times') : []),
  ];
}

export function grantFor(privileges: readonly string[], account: string, on = '*.*'): string {
  return `GRANT ${privileges.join(', ')} ON ${on} TO ${accountText(account)}`;
}
