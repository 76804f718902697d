// What the next backup needs: room in the folder, an account that may read everything, and nobody who blocks its lock. The
// same findings are series, and lines of `doctor` with what mends each.
import { statfs } from 'node:fs/promises';
import type { Call } from '../../collector.ts';
import type { Finding } from '../../findings.ts';
import { classOf, messageOf } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { Transactions } from '../mysql/facts-activity.ts';
import type { MysqlClient } from '../mysql/client.ts';
import { binlogPrivilege, grantFor, holds, readOwnGrants, type Grants } from '../mysql/facts-grants.ts';
import { atLeast } from '../mysql/facts-version.ts';
import type { BackupTool, BackupType } from './address.ts';
import type { BackupClient, BackupFile } from './client.ts';
import type { ReadyCheck, ReadyState } from './families-readiness.ts';

export interface ReadyFinding extends Finding {
  readonly check: ReadyCheck;
  readonly state: ReadyState;
}

export function finding(check: ReadyCheck, state: ReadyState, text: string, fix?: string): ReadyFinding {
  const ok = state === 'ready' ? true : state === 'not_ready' ? false : 'unknown';
  return { check, state, ok, text, ...(fix === undefined || ok === true ? {} : { fix }) };
}

export interface Room {
  readonly freeBytes: number;
  /** 0 of 0 where the file system has no fixed number. */
  readonly freeInodes: number;
  readonly inodes: number;
}

export async function readRoom(client: BackupClient, call: Call): Promise<Room> {
  const { bavail, bsize, ffree, files } = await client.look(call, () => statfs(client.address.directory));
  return { freeBytes: bavail * bsize, freeInodes: ffree, inodes: files };
}

/** Of so many backups the largest counts. */
const sizesOfLast = 3;

/** Undefined while there is none to go by. */
export function neededBytes(
  finished: readonly BackupFile[],
  factor: number,
  type: BackupType = 'full',
): number | undefined {
  const sizes = finished.filter((f) => f.type === type).slice(0, sizesOfLast).map((f) => f.sizeBytes); // prettier-ignore
  return sizes.length === 0 ? undefined : Math.ceil(Math.max(...sizes) * factor);
}

export function spaceFinding({ freeBytes }: Room, needed: number | undefined): ReadyFinding {
  const has = `${mib(freeBytes)} are free in the folder`;
  if (needed === undefined) return finding('space', 'unknown', `${has}; there is no backup to go by`);
  if (freeBytes >= needed) return finding('space', 'ready', `${has}, ${mib(needed)} are needed`);
  return finding('space', 'not_ready', `${has}, and ${mib(needed)} are needed`, 'make room, or keep fewer backups');
}

function mib(bytes: number): string {
  return `${Math.ceil(bytes / 1_048_576)} MiB`;
}

/** A folder of mydumper has thousands of files. */
const inodesAtLeast = 10_000;

export function inodesFinding({ freeInodes, inodes }: Room): ReadyFinding {
  if (inodes === 0) return finding('inodes', 'ready', 'the file system has no fixed number of inodes');
  const text = `${freeInodes} inodes are free`;
  if (freeInodes >= Math.min(inodesAtLeast, inodes / 100)) return finding('inodes', 'ready', text);
  return finding('inodes', 'not_ready', text, 'remove small files from the file system of the folder');
}

interface Needs {
  /** These count only when they are held on everything. */
  readonly global: readonly string[];
  /** These may be held on the databases that are backed up. */
  readonly data: readonly string[];
}

/**
 * What a backup with binary log coordinates, routines, triggers and events needs.
 *
 * https://dev.mysql.com/doc/refman/8.4/en/mysqldump.html, https://mariadb.com/kb/en/mariadb-dump/,
 * https://docs.percona.com/percona-xtrabackup/8.0/privileges.html, https://mariadb.com/kb/en/mariadb-backup-overview/,
 * https://dev.mysql.com/doc/refman/8.4/en/mysqlbinlog-backup.html
 */
export function needsOf(tool: BackupTool, client: Pick<MysqlClient, 'flavour' | 'version'>): Needs {
  const binlog = binlogPrivilege(client);
  // LOCK INSTANCE FOR BACKUP
  const lock = client.flavour === 'mysql' && atLeast(client, 8, 0, 0) ? ['BACKUP_ADMIN'] : [];
  if (tool === 'xtrabackup') return { global: ['RELOAD', 'PROCESS', 'LOCK TABLES', binlog, ...lock], data: [] };
  if (tool === 'binlog') return { global: ['REPLICATION SLAVE', binlog], data: [] };
  if (tool !== 'mysqldump' && tool !== 'mydumper') return { global: [], data: [] };
  return {
    global: ['RELOAD', 'PROCESS', binlog, ...(tool === 'mydumper' ? lock : [])],
    data: ['SELECT', 'SHOW VIEW', 'LOCK TABLES', 'TRIGGER', 'EVENT'],
  };
}

export function grantsFinding(
  { global, data }: Needs,
  grants: Grants,
  { account, databases }: { readonly account: string; readonly databases: readonly string[] },
): ReadyFinding {
  if (global.length + data.length === 0) return finding('grants', 'not_configured', 'the tool needs no grants here');
  const statements: string[] = [];
  const missing = global.filter((privilege) => !holds(grants, privilege));
  const nowhere = data.filter((privilege) => !holds(grants, privilege) && !heldSomewhere(grants, privilege));
  const everywhere = databases.length === 0 ? [...missing, ...nowhere] : missing;
  if (everywhere.length > 0) statements.push(grantFor(everywhere, account));
  for (const database of databases) {
    const lacks = data.filter((privilege) => !holds(grants, privilege, database));
    if (lacks.length > 0) statements.push(grantFor(lacks, account, `\`${database.replaceAll('`', '``')}\`.*`));
  }
  if (statements.length === 0) return finding('grants', 'ready', `${account} has what the tool needs`);
  const lacks = [...new Set([...everywhere, ...data.filter((p) => statements.some((s) => s.includes(p)))])].join(', ');
  const text = `${account} lacks ${lacks}`;
  // What the roles of an account give is shown only when they are in use.
  if (grants.hasRoles)
    return finding('grants', 'unknown', `${text}, unless one of its roles gives it`, statements.join('; '));
  return finding('grants', 'not_ready', text, statements.join('; '));
}

/** Without a list of databases, one that is held on any of them is taken for one that is held on those that count. */
function heldSomewhere({ databases }: Grants, privilege: string): boolean {
  return databases.some((d) => d.privileges.has(privilege) || d.privileges.has('ALL PRIVILEGES'));
}

/** FLUSH TABLES WITH READ LOCK, which dumps begin with, waits for statements that run, and everybody waits for it. */
export function transactionsFinding(transactions: Known<Transactions>, longSeconds: number): ReadyFinding {
  if (!transactions.known) return finding('transactions', 'unknown', transactions.why);
  const { oldestSeconds } = transactions.value;
  const text = oldestSeconds === 0 ? 'no transaction is open' : `the oldest transaction is open for ${oldestSeconds} s`;
  if (oldestSeconds <= longSeconds) return finding('transactions', 'ready', text);
  return finding('transactions', 'not_ready', text, 'end it before the backup begins, or let the backup begin later');
}

export function lockWaitsFinding(transactions: Known<Transactions>): ReadyFinding {
  if (!transactions.known) return finding('lock_waits', 'unknown', transactions.why);
  const { waiting, longestWaitSeconds } = transactions.value;
  const text = `${waiting} transactions wait for a row lock, the longest for ${longestWaitSeconds} s`;
  if (waiting === 0) return finding('lock_waits', 'ready', 'no transaction waits for a row lock');
  return finding('lock_waits', 'not_ready', text, 'find who holds the lock: SHOW ENGINE INNODB STATUS');
}

/** What logging in as the account of the backups shows. */
export type AccountLook = readonly ReadyFinding[];

const accountChecks = ['login', 'grants', 'charset'] as const;

export function accountUnknown(state: ReadyState, why: string): AccountLook {
  return accountChecks.map((check) => finding(check, state, why));
}

/** Never throws: that the account cannot log in is what was to be found out. */
export async function lookAsAccount(
  client: BackupClient,
  databases: readonly string[],
  call: Call,
): Promise<AccountLook> {
  if (client.openSource === undefined) {
    return accountUnknown('not_configured', 'the target has no source, or no auth: the account that makes the backups');
  }
  try {
    await using source = await client.openSource(call);
    return [
      finding('login', 'ready', `${source.account} can log in to ${source.at}`),
      await grantsOf(client.address.tool, source, databases, call),
      charsetFinding(await charsetOf(source, call)),
    ];
  } catch (error) {
    const why = messageOf(error);
    const refused = classOf(error) === 'auth';
    const login = finding(
      'login',
      refused ? 'not_ready' : 'unknown',
      why,
      'the account of the backups must be able to log in',
    );
    return [login, ...accountUnknown('unknown', why).filter(({ check }) => check !== 'login')];
  }
}

async function grantsOf(
  tool: BackupTool,
  source: MysqlClient,
  databases: readonly string[],
  call: Call,
): Promise<ReadyFinding> {
  const grants = await readOwnGrants(source, call);
  return grantsFinding(needsOf(tool, source), grants, { account: source.account, databases });
}

async function charsetOf(source: MysqlClient, call: Call): Promise<Known<string>> {
  const [row] = await source.query('SELECT @@GLOBAL.character_set_server AS charset', [], call);
  const charset = row?.['charset'];
  return typeof charset === 'string' ? known(charset, call.clock.wallMs()) : unknown('the server does not tell');
}

/** Dumps in utf8 lose what needs four bytes; error 1366 when they are restored. */
export function charsetFinding(charset: Known<string>): ReadyFinding {
  if (!charset.known) return finding('charset', 'unknown', charset.why);
  const text = `character_set_server is ${charset.value}`;
  if (charset.value === 'utf8mb4') return finding('charset', 'ready', text);
  return finding(
    'charset',
    'not_ready',
    text,
    'dump with --default-character-set=utf8mb4, and set character_set_server',
  );
}
