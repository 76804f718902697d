// Before a server is taken as the store: is it one that keeps what it has promised, and are the tables there?
import { randomUUIDv7 } from 'node:crypto';
import { codeOf } from '../../exporter/runtime/errors.ts';
import type { Row } from './db.ts';
import type { Session } from './mysql-session.ts';
import { text } from './rows.ts';
import { mysqlSchema, schemaVersion } from './schema.ts';
import { StoreError } from './store.ts';

/** @returns the server's identity. @throws StoreError with what to do */
export async function prepareDatabase(
  session: Session,
  { allowRelaxedDurability = false }: { readonly allowRelaxedDurability?: boolean },
): Promise<string> {
  const variables = await variablesOf(session);
  for (const problem of problemsOf(variables, allowRelaxedDurability)) throw new StoreError('broken', problem);
  await requireLiveClock(session);
  await makeTables(session, /mariadb/i.test(variables.get('version') ?? ''));
  const server = identityOf(variables);
  await noticeServer(session, server);
  return server;
}

export async function serverOf(session: Session): Promise<string> {
  return identityOf(await variablesOf(session));
}

async function variablesOf(session: Session): Promise<ReadonlyMap<string, string>> {
  const rows = await session.all(
    `SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'server_uuid', 'server_uid', 'hostname', 'port', 'server_id',
       'read_only', 'log_bin', 'sync_binlog', 'innodb_flush_log_at_trx_commit')`,
    [],
  );
  return new Map(rows.map((row) => [text(row, 'Variable_name'), text(row, 'Value')]));
}

/** MySQL has server_uuid, MariaDB since 10.11 server_uid; a failover changes it. */
function identityOf(variables: ReadonlyMap<string, string>): string {
  const own = variables.get('server_uuid') ?? variables.get('server_uid');
  if (own !== undefined && own !== '') return own;
  return ['hostname', 'port', 'server_id'].map((name) => variables.get(name) ?? '').join(':');
}

function problemsOf(variables: ReadonlyMap<string, string>, relaxed: boolean): readonly string[] {
  const problems: string[] = [];
  const is = (name: string): string => variables.get(name) ?? 'not told';
  if (is('read_only') !== 'OFF' && is('read_only') !== '0') {
    problems.push('the server of the store is read-only: is it a replica? Name the one that is written to');
  }
  if (relaxed) return problems;
  // What was acknowledged must survive a power failure: a budget that is forgotten is spent twice.
  const wanted = ['innodb_flush_log_at_trx_commit', ...(is('log_bin') === 'ON' ? ['sync_binlog'] : [])];
  for (const name of wanted) {
    if (is(name) === '1') continue;
    problems.push(`${name} is ${is(name)} on the server of the store. Set it to 1, or allow_relaxed_durability: true`);
  }
  return problems;
}

/** With --sysdate-is-now the clock stands still within a statement, and says a time from before the lock was had. */
async function requireLiveClock(session: Session): Promise<void> {
  const [row] = await session.all('SELECT SYSDATE(6) AS earlier, SLEEP(0.01) AS slept, SYSDATE(6) AS later', []);
  if (row === undefined || row['earlier'] === row['later']) {
    throw new StoreError('broken', 'the server of the store runs with sysdate-is-now: its clock is of no use here');
  }
}

async function makeTables(session: Session, isMariadb: boolean): Promise<void> {
  const [lock] = await session.all(`SELECT GET_LOCK(concat('pipemedic:', DATABASE()), 30) AS got`, []);
  if (lock?.['got'] !== 1) throw new StoreError('busy', 'another remediator makes the tables of the store');
  try {
    const before = await versionIn(session);
    if (before > schemaVersion) {
      throw new StoreError('broken', `the store has schema ${before}, this program knows ${schemaVersion}`);
    }
    if (before === schemaVersion) return;
    for (const part of mysqlSchema(isMariadb).slice(before)) {
      for (const statement of part.split(';').filter((s) => s.trim() !== '')) await unlessThere(session, statement);
    }
    await unlessThere(
      session,
      `INSERT INTO pause_switch(scope, paused, set_by, reason, set_ms) VALUES('global', 0, 'install', '', 0)`,
    );
    await session.write(`DELETE FROM meta WHERE k = 'schema'`, []);
    await session.write(`INSERT INTO meta(k, v) VALUES('schema', ?)`, [String(schemaVersion)]);
  } finally {
    await session.write(`DO RELEASE_LOCK(concat('pipemedic:', DATABASE()))`, []).catch(session.close);
  }
}

async function versionIn(session: Session): Promise<number> {
  const there = await session.all(
    `SELECT 1 AS there FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'meta'`,
    [],
  );
  if (there.length === 0) return 0;
  const [row]: readonly Row[] = await session.all(`SELECT v FROM meta WHERE k = 'schema'`, []);
  return row === undefined ? 0 : Number(row['v']);
}

/** DDL commits by itself: one that was interrupted is gone through again. */
async function unlessThere(session: Session, statement: string): Promise<void> {
  try {
    await session.write(statement, []);
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    const there = ['ER_TABLE_EXISTS_ERROR', 'ER_DUP_KEYNAME', 'ER_DUP_ENTRY'];
    if (!there.includes(codeOf(cause) ?? '')) throw error;
  }
}

/** A failover may have lost the newest claims and fences: nothing is repaired until a person has looked. */
async function noticeServer(session: Session, server: string): Promise<void> {
  const [known] = await session.all(`SELECT v FROM meta WHERE k = 'server'`, []);
  if (known?.['v'] === server) return;
  await session.write('START TRANSACTION', []);
  const [row] = await session.all(`SELECT v FROM meta WHERE k = 'server' FOR UPDATE`, []);
  if (row === undefined) await session.write(`INSERT INTO meta(k, v) VALUES('server', ?)`, [server]);
  else if (row['v'] !== server) {
    const open = await session.all(`SELECT id FROM latch WHERE open_key = 'global'`, []);
    if (open.length === 0) {
      const reason = `the store is on another server (${server}, was ${text(row, 'v')}): its newest entries may be lost`;
      await session.write(
        `INSERT INTO latch(id, open_key, scope, reason, set_ms)
         VALUES(?, 'global', 'global', ?, CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000 AS SIGNED))`,
        [randomUUIDv7(), reason],
      );
    }
    await session.write(`UPDATE meta SET v = ? WHERE k = 'server'`, [server]);
  }
  await session.write('COMMIT', []);
}
