// GET_LOCK on the source: seen by whoever looks there (IS_USED_LOCK), freed with the session, however it ends.
import { createHash } from 'node:crypto';
import { within } from '../../../exporter/runtime/deadline.ts';
import { messageOf } from '../../../exporter/runtime/errors.ts';
import type { MysqlClient } from '../../../exporter/systems/mysql/client.ts';
import type { Checked, LockAttempt } from '../../action.ts';
import type { World } from '../../world.ts';

const prefix = 'pipemedic:';
/** MySQL refuses longer names since 5.7: https://dev.mysql.com/doc/refman/8.4/en/locking-functions.html */
const maxNameLength = 64;
/** A process that hangs says nothing any more: the server frees the lock after this. */
const silentSeconds = 60;
const pingMs = 15_000;
/** A session that a crash left behind may take a moment to be noticed. */
const waitSeconds = 3;

export function lockName(target: string): string {
  const name = `${prefix}${target}`;
  if (name.length <= maxNameLength) return name;
  return `${prefix}${createHash('sha256').update(target).digest('hex').slice(0, 40)}`;
}

export async function lockSource(target: string, world: World, signal: AbortSignal): Promise<LockAttempt> {
  const client = world.openMaxwell(target);
  const { clock } = world;
  const close = (): Promise<void> => Promise.resolve(client[Symbol.asyncDispose]());
  let session: MysqlClient;
  const name = lockName(target);
  try {
    session = await client.source({ signal, clock });
    await session.query(`SET SESSION wait_timeout = ${silentSeconds}`, [], { signal, clock });
    const [row] = await session.query('SELECT GET_LOCK(?, ?) AS got', [name, waitSeconds], { signal, clock });
    if (Number(row?.['got']) !== 1) {
      const [holder] = await session.query('SELECT IS_USED_LOCK(?) AS id', [name], { signal, clock });
      await close();
      return {
        is: 'refused',
        because: `the lock ${name} on the source is held by connection ${String(holder?.['id'])}`,
      };
    }
  } catch (error) {
    await close();
    return { is: 'unknown', because: `the lock ${name} cannot be had: ${messageOf(error)}` };
  }
  const held = async (limit: AbortSignal): Promise<Checked> => {
    try {
      const call = { signal: limit, clock };
      const [row] = await session.query('SELECT IS_USED_LOCK(?) = CONNECTION_ID() AS ours', [name], call);
      return Number(row?.['ours']) === 1
        ? { is: 'yes', because: `${name} is held` }
        : { is: 'no', because: `${name} is no longer ours` };
    } catch (error) {
      return { is: 'no', because: messageOf(error) }; // never reconnected: with the session went the lock
    }
  };
  const timer = setInterval(() => void held(within(5_000)), pingMs);
  timer.unref();
  return {
    is: 'held',
    lock: {
      held,
      [Symbol.asyncDispose]: async () => {
        clearInterval(timer);
        await close();
      },
    },
  };
}
