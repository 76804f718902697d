// The only connections of the exporter that write to what it watches: one row, or one key.
import type { Call } from '../../collector.ts';
import { classOf, messageOf, TargetError } from '../../runtime/errors.ts';
import type { Opening } from '../../system.ts';
import { mysqlAddress } from '../mysql/address.ts';
import { openMysql, type MysqlClient } from '../mysql/client.ts';
import { accountText, mysqlErrno } from '../mysql/facts-errors.ts';
import { redisAddress } from '../redis/address.ts';
import { openRedis } from '../redis/client.ts';
import type { CanaryAddress } from './address.ts';
import type { CanaryState } from './families.ts';

/** Why nothing was written though the server answers. */
export interface NotWritten {
  readonly state: Extract<CanaryState, 'refused' | 'no_table' | 'denied'>;
  readonly why: string;
  /** The statement or setting that mends it. */
  readonly fix?: string;
}

export interface CanaryWriter extends AsyncDisposable {
  /** Puts the token in the place of the one before. @throws TargetError; whether it was written is not known then */
  readonly write: (token: number, call: Call) => Promise<'written' | NotWritten>;
  /** What would be in the way of a write, without writing; undefined when nothing is known of. @throws TargetError */
  readonly obstacle: (call: Call) => Promise<NotWritten | undefined>;
  /** Takes away what is there, where that can be done. */
  readonly remove: (call: Call) => Promise<void>;
  readonly usable: () => boolean;
}

/** `db.table` as it stands in a statement; the address has no backticks in it. */
export function quotedTable(table: string): string {
  return table
    .split('.')
    .map((part) => `\`${part}\``)
    .join('.');
}

/** As deploy/sql/canary-mysql.sql has it. */
function tableStatement(table: string): string {
  return `CREATE TABLE ${table} (id VARCHAR(100) NOT NULL PRIMARY KEY, token BIGINT NOT NULL, written_at VARCHAR(30) NOT NULL)`;
}

const noTable = new Set([1046, 1049, 1146]); // no database, unknown database, no such table
const noColumn = new Set([1054, 1136, 1364]);
const denied = new Set([1044, 1142, 1143]);
const readOnly = new Set([1290, 1792, 1836]); // --read-only or --super-read-only; in a read only transaction

export async function openMysqlWriter(
  opening: Opening<CanaryAddress>,
  place: { readonly table: string; readonly name: string },
  call: Call,
): Promise<CanaryWriter> {
  const { address, tls } = opening.resolve(opening.address.write.target);
  const login = { address: mysqlAddress.parse(address), auth: opening.auth, tls: opening.tls ?? tls };
  const client = await openMysql(login, call);
  try {
    await client.query('SET SESSION TRANSACTION READ WRITE', [], call);
    await client.query(
      // Without a strict mode a column that is too small would hold another number
      "SET SESSION sql_mode = 'STRICT_ALL_TABLES', SESSION innodb_lock_wait_timeout = 2, SESSION autocommit = 1",
      [],
      call,
    );
  } catch (error) {
    await client[Symbol.asyncDispose]();
    throw error;
  }
  const into = quotedTable(place.table);
  // The server itself lets a privileged user write when it is read only, which is an errant transaction on a replica
  const readOnlyNow = async (of: Call): Promise<NotWritten | undefined> => {
    const [row] = await client.query('SELECT @@GLOBAL.read_only AS value', [], of);
    return /^(0|OFF)$/i.test(String(row?.['value'])) ? undefined : readOnlyRefusal(client);
  };
  return {
    write: async (token, of) => {
      const refused = await readOnlyNow(of);
      if (refused !== undefined) return refused;
      const writtenAt = new Date(of.clock.wallMs()).toISOString();
      try {
        await client.query(
          `INSERT INTO ${into} (id, token, written_at) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE token = ?, written_at = ?`,
          [place.name, token, writtenAt, token, writtenAt],
          of,
        );
      } catch (error) {
        return mysqlRefusal(error, client, place.table);
      }
      return 'written';
    },
    obstacle: async (of) => (await readOnlyNow(of)) ?? (await missingColumns(client, place.table, of)),
    // Its one row stays: to take it away the user would have to be allowed to DELETE
    remove: () => Promise.resolve(),
    usable: () => client.usable(),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

function readOnlyRefusal({ at }: Pick<MysqlClient, 'at'>): NotWritten {
  return { state: 'refused', why: `${at} is read only: it is no source now` };
}

/** information_schema shows a user only columns that it may do something with, and what. */
async function missingColumns(client: MysqlClient, table: string, call: Call): Promise<NotWritten | undefined> {
  const [database = '', name = ''] = table.split('.');
  const rows = await client.query(
    'SELECT COLUMN_NAME AS name, PRIVILEGES AS privileges FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?',
    [database, name],
    call,
  );
  if (rows.length === 0) {
    const why = `there is no table ${table}, or ${client.account} may do nothing with it`;
    return { state: 'no_table', why, fix: `${tableStatement(table)}; ${grantStatement(table, client.account)}` };
  }
  const privileges = new Map(rows.map((row) => [String(row['name']), String(row['privileges']).toLowerCase()]));
  for (const column of ['id', 'token', 'written_at']) {
    const held = privileges.get(column);
    if (held === undefined) {
      return { state: 'no_table', why: `${table} has no column ${column}`, fix: tableStatement(table) };
    }
    const missing = ['select', 'insert', 'update'].filter((privilege) => !held.split(',').includes(privilege));
    if (missing.length === 0) continue;
    const why = `${client.account} has no ${missing.join(', ').toUpperCase()} on ${table}`;
    return { state: 'denied', why, fix: grantStatement(table, client.account) };
  }
  return undefined;
}

/** SELECT too: MariaDB wants it for the columns that ON DUPLICATE KEY UPDATE sets (seen on 10.11). */
function grantStatement(table: string, account: string): string {
  return `GRANT SELECT, INSERT, UPDATE ON ${table} TO ${accountText(account)}`;
}

/** @throws what is no refusal */
function mysqlRefusal(error: unknown, client: Pick<MysqlClient, 'at' | 'account'>, table: string): NotWritten {
  const errno = mysqlErrno(error) ?? 0;
  if (readOnly.has(errno)) return readOnlyRefusal(client);
  const why = messageOf(error);
  if (noTable.has(errno) || noColumn.has(errno)) return { state: 'no_table', why, fix: tableStatement(table) };
  // Of a table that is not there a user without privileges on it hears the same
  if (denied.has(errno)) return { state: 'denied', why, fix: grantStatement(table, client.account) };
  throw error;
}

export async function openRedisWriter(
  opening: Opening<CanaryAddress>,
  place: { readonly key: string; readonly ttlSeconds: number },
  call: Call,
): Promise<CanaryWriter> {
  const { name, address, tls } = opening.resolve(opening.address.write.target);
  const client = await openRedis(
    {
      target: name,
      address: redisAddress.parse(address),
      auth: opening.auth,
      tls: opening.tls ?? tls,
      resolve: opening.resolve,
    },
    call,
  );
  // A replica that is no read-only one would take the key, and its data would not be the primary's any more
  const noPrimary = async (of: Call): Promise<NotWritten | undefined> => {
    const role = await client.send(of, 'ROLE');
    if (Array.isArray(role) && String(role[0]) === 'master') return undefined;
    return { state: 'refused', why: `${name} is no primary now` };
  };
  // SET takes the place of whatever is there, of any type: a key that was named by mistake holds somebody's data
  const taken = async (of: Call): Promise<NotWritten | undefined> => {
    const why = `${place.key} on ${name} holds something that is no token: it is left alone. Name a key of the canary's own`;
    try {
      const held = await client.send(of, 'GETRANGE', place.key, '0', '16');
      return held === '' || /^\d{16}$/.test(String(held)) ? undefined : { state: 'refused', why };
    } catch (error) {
      if (error instanceof TargetError && error.message.includes('WRONGTYPE')) return { state: 'refused', why };
      throw error;
    }
  };
  let isOurs = false;
  const put = async (token: number, of: Call): Promise<NotWritten | undefined> => {
    const set = ['SET', place.key, String(token), 'EX', String(place.ttlSeconds)] as const;
    const other = isOurs || (await client.send(of, ...set, 'NX')) !== null ? undefined : await taken(of);
    if (other !== undefined) return other;
    await client.send(of, ...set);
    isOurs = true;
    return undefined;
  };
  return {
    write: async (token, of) => {
      try {
        return (await noPrimary(of)) ?? (await put(token, of)) ?? 'written';
      } catch (error) {
        return redisRefusal(error, name, place.key, opening.auth?.user);
      }
    },
    obstacle: async (of) => {
      try {
        return (await noPrimary(of)) ?? (await taken(of));
      } catch (error) {
        return redisRefusal(error, name, place.key, opening.auth?.user);
      }
    },
    // Not what it has not written, and nothing of a writable replica
    remove: async (of) => {
      if (isOurs && (await noPrimary(of)) === undefined) await client.send(of, 'DEL', place.key);
    },
    usable: () => client.usable(),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

/** @throws what is no refusal */
function redisRefusal(error: unknown, name: string, key: string, user = 'default'): NotWritten {
  if (error instanceof TargetError && error.message.includes(': READONLY ')) {
    return { state: 'refused', why: `${name} is a replica now` };
  }
  if (classOf(error) !== 'denied') throw error;
  return { state: 'denied', why: messageOf(error), fix: `ACL SETUSER ${user} ~${key} +role +set +getrange +del` };
}
