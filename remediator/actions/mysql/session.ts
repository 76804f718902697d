// The one connection that holds the lock and carries the mutations. It is opened for a run, never again, and not out of a
// pool: with it go the lock and the right to change anything. Whoever takes the run over ends it first, by its number.
import { z } from 'zod';
import type { Call } from '../../../exporter/collector.ts';
import { pause, within } from '../../../exporter/runtime/deadline.ts';
import { messageOf } from '../../../exporter/runtime/errors.ts';
import type { MysqlClient } from '../../../exporter/systems/mysql/client.ts';
import { mysqlErrno } from '../../../exporter/systems/mysql/facts-errors.ts';
import { threadTable } from '../../../exporter/systems/mysql/facts-threads.ts';
import { atLeast } from '../../../exporter/systems/mysql/facts-version.ts';
import type { Applied, Checked, FormerSession, LockAttempt, StepSession, VisibleLock } from '../../action.ts';
import { asJson } from '../../canonical.ts';
import { leaseTtlMs } from '../../runner/lease.ts';
import type { World } from '../../world.ts';
import { lockName } from '../maxwell/lock.ts';
import type { Before, SessionIdentity } from './before.ts';
import { openTarget } from './facts.ts';

/** The server itself ends a session that says nothing for as long as a lease lasts, and the lock is free again. */
const silentSeconds = leaseTtlMs / 1000;
const pingMs = leaseTtlMs / 3;
/** A session that was ended just now may take a moment to be gone. */
const waitSeconds = 3;
/** Two readings of one start: uptime and clock are whole seconds. */
const sameStartSeconds = 5;

/** Interrupted, over time, server shutting down, connection killed: what was begun may have been done all the same. */
const ambiguousErrnos: ReadonlySet<number> = new Set([1053, 1317, 1927, 1969, 2006, 2013, 3024, 3169, 4031]);

/**
 * STOP REPLICA has told the thread to end and has not waited for it (rpl_stop_replica_timeout): it ends all the same.
 * https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
 */
const endsLater: ReadonlySet<number> = new Set([1875, 1876]);

const identitySchema = z.object({
  serverId: z.number(),
  serverUuid: z.string().nullable(),
  startedAtSeconds: z.number(),
  connection: z.number().int().nonnegative(),
});

const clients = new WeakMap<VisibleLock, MysqlClient>();

export interface MutatingSession extends StepSession {
  readonly client: MysqlClient;
}

/** The session of the run's lock. It is closed with the lock, not after a step. @throws when there is none any more */
export function sessionOf(lock: VisibleLock | undefined): MutatingSession {
  const client = lock === undefined ? undefined : clients.get(lock);
  if (lock?.identity === undefined || client === undefined) throw new Error('the session that holds the lock is gone');
  if (!client.usable()) throw new Error('the session that held the lock was closed');
  return { identity: lock.identity, client, [Symbol.asyncDispose]: () => Promise.resolve() };
}

export function isMutating(session: StepSession | undefined): session is MutatingSession {
  return session !== undefined && 'client' in session;
}

export async function lockReplica(target: string, world: World, signal: AbortSignal): Promise<LockAttempt> {
  const call: Call = { signal, clock: world.clock };
  const name = lockName(target);
  let client: MysqlClient | undefined;
  try {
    client = await openTarget(target, world, signal);
    const session = client;
    for (const setting of settingsOf(session)) await session.query(`SET SESSION ${setting}`, [], call);
    const identity = await identityOf(session, call);
    const [row] = await session.query('SELECT GET_LOCK(?, ?) AS got', [name, waitSeconds], call);
    if (Number(row?.['got']) !== 1) {
      const [holder] = await session.query('SELECT IS_USED_LOCK(?) AS id', [name], call);
      await session[Symbol.asyncDispose]();
      return { is: 'refused', because: `the lock ${name} is held by connection ${String(holder?.['id'])}` };
    }
    return { is: 'held', lock: keep(session, name, identity, world) };
  } catch (error) {
    await client?.[Symbol.asyncDispose]();
    return { is: 'unknown', because: `the lock ${name} cannot be had: ${messageOf(error)}` };
  }
}

/** The client that reads facts is read only, and limits statements to seconds; a STOP may wait longer for its thread. */
function settingsOf(client: MysqlClient): readonly string[] {
  const limited = client.flavour === 'mariadb' && atLeast(client, 10, 1, 1);
  return [
    'TRANSACTION READ WRITE',
    `wait_timeout = ${String(silentSeconds)}`,
    ...(limited ? ['max_statement_time = 0'] : []),
  ];
}

function keep(client: MysqlClient, name: string, identity: SessionIdentity, world: World): VisibleLock {
  const { clock } = world;
  const held = async (limit: AbortSignal): Promise<Checked> => {
    try {
      const call = { signal: limit, clock };
      const [row] = await client.query('SELECT IS_USED_LOCK(?) = CONNECTION_ID() AS ours', [name], call);
      return Number(row?.['ours']) === 1
        ? { is: 'yes', because: `${name} is held` }
        : { is: 'no', because: `${name} is no longer ours` };
    } catch (error) {
      return { is: 'no', because: messageOf(error) }; // never connected again: with the session went the lock
    }
  };
  // It waits behind a statement that is under way, a STOP above all: a shorter limit would end the session amid that one
  const timer = setInterval(() => void held(within(leaseTtlMs)), pingMs);
  timer.unref();
  const lock: VisibleLock = {
    identity: asJson(identity),
    held,
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await client[Symbol.asyncDispose]();
    },
  };
  clients.set(lock, client);
  return lock;
}

async function identityOf(client: MysqlClient, call: Call): Promise<SessionIdentity> {
  const [row] = await client.query(
    `SELECT CONNECTION_ID() AS connection, UNIX_TIMESTAMP() AS now, @@GLOBAL.server_id AS server_id
       ${client.flavour === 'mysql' ? ', @@GLOBAL.server_uuid AS server_uuid' : ''}`,
    [],
    call,
  );
  const [status] = await client.query("SHOW GLOBAL STATUS LIKE 'Uptime'", [], call);
  const uuid = row?.['server_uuid'];
  return identitySchema.parse({
    serverId: Number(row?.['server_id']),
    serverUuid: typeof uuid === 'string' ? uuid : null,
    startedAtSeconds: Math.round(Number(row?.['now'])) - Number(status?.['Value']),
    connection: Number(row?.['connection']),
  });
}

/** Whether two sessions are of one and the same life of a server. */
export function sameServer(a: SessionIdentity, b: SessionIdentity): 'same' | 'other_start' | 'other_server' {
  if (a.serverId !== b.serverId || a.serverUuid !== b.serverUuid) return 'other_server';
  return Math.abs(a.startedAtSeconds - b.startedAtSeconds) <= sameStartSeconds ? 'same' : 'other_start';
}

/** Ends the sessions that were recorded, and waits until they are gone: what they still say is refused from then on. */
export async function endSessions(
  target: string,
  world: World,
  sessions: readonly FormerSession[],
  signal: AbortSignal,
): Promise<Checked> {
  const call: Call = { signal, clock: world.clock };
  let client: MysqlClient | undefined;
  try {
    client = await openTarget(target, world, signal);
    const own = await identityOf(client, call);
    const ended: number[] = [];
    for (const { identity } of sessions) {
      const former = identitySchema.safeParse(identity);
      if (!former.success) return { is: 'unknown', because: 'the journal holds a session that cannot be read' };
      const server = sameServer(former.data, own);
      if (server === 'other_server') {
        return { is: 'unknown', because: `${target} is another server now than the one the session was on` };
      }
      if (server === 'other_start') continue; // every session ended with the server
      if (await end(client, former.data.connection, target, call)) ended.push(former.data.connection);
    }
    return { is: 'yes', because: ended.length === 0 ? 'none was left' : `ended connection ${ended.join(', ')}` };
  } catch (error) {
    return { is: 'unknown', because: messageOf(error) };
  } finally {
    await client?.[Symbol.asyncDispose]();
  }
}

/** Numbers are not given twice while a server lives, and yet: only one of our own account, or the one that has the lock. */
async function end(client: MysqlClient, connection: number, target: string, call: Call): Promise<boolean> {
  const isThere = async (): Promise<boolean> => {
    const [row] = await client.query(
      `SELECT COUNT(*) AS there, IS_USED_LOCK(?) = ? AS holds FROM ${threadTable(client)} WHERE ID = ? AND USER = SUBSTRING_INDEX(USER(), '@', 1)`,
      [lockName(target), connection, connection],
      call,
    );
    return Number(row?.['there']) > 0 || Number(row?.['holds']) === 1;
  };
  if (!(await isThere())) return false;
  try {
    await client.query(`KILL ${connection}`, [], call);
  } catch (error) {
    if (mysqlErrno(error) !== 1094) throw error; // 1094: no such thread, gone meanwhile
  }
  while (await isThere()) await pause(50, call.signal);
  return true;
}

/**
 * Why the session is not with the server that was looked at: a name, a virtual address or a proxy may lead to another one
 * each time. undefined: it is.
 */
export function otherServer(session: StepSession | undefined, { server }: Pick<Before, 'server'>): Applied | undefined {
  if (session === undefined || server === undefined) return undefined;
  const now = identitySchema.safeParse(session.identity);
  if (now.success && now.data.serverId === server.serverId && now.data.serverUuid === server.serverUuid) {
    return undefined;
  }
  const of = ({ serverId, serverUuid }: NonNullable<Before['server']>): string => serverUuid ?? String(serverId);
  const who = now.success ? `server ${of(now.data)}` : 'a server that cannot be told';
  return { is: 'refused', code: 'other_server', because: `the session is with ${who}, looked at was ${of(server)}` };
}

/** One statement, once. */
export async function mutate(
  session: StepSession | undefined,
  statement: string,
  world: World,
  signal: AbortSignal,
): Promise<Applied> {
  if (!isMutating(session)) return { is: 'refused', code: 'no_session', because: 'there is no session to say it on' };
  const { client } = session;
  if (!client.usable()) {
    return { is: 'refused', code: 'session_closed', because: 'the session is closed: nothing was sent' };
  }
  try {
    await client.query(statement, [], { signal, clock: world.clock });
    return { is: 'done', because: `the server has taken: ${statement}` };
  } catch (error) {
    return outcomeOf(error);
  }
}

/** An error reply is the server's word that nothing was done, but for those that interrupt; all else says nothing. */
export function outcomeOf(error: unknown): Applied {
  const errno = mysqlErrno(error);
  if (errno !== undefined && endsLater.has(errno)) {
    return { is: 'done', code: `mysql_${errno}`, because: messageOf(error) };
  }
  if (errno === undefined || ambiguousErrnos.has(errno)) return { is: 'unknown', because: messageOf(error) };
  return { is: 'refused', code: `mysql_${errno}`, because: messageOf(error) };
}
