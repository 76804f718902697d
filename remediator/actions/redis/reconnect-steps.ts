// End exactly that connection, and see the stream flow through the next one. Never REPLICAOF to the same address (it does
// nothing, link down or not), never CLIENT KILL ID: the link keeps its id over a partial copy, so that a second kill of the
// same id cuts the new one (both seen on Redis 7.0.15).
import { messageOf } from '../../../exporter/runtime/errors.ts';
import { readRedisReplication } from '../../../exporter/systems/redis/facts-replication.ts';
import type { Applied, Checked, Probe, Step, StepRun } from '../../action.ts';
import { looking } from '../looking.ts';
import { changedSince, sameReplica, type Before } from './before.ts';
import { isAddress, listClients } from './clients.ts';
import { failureOf, openingOf, withRedis, type RedisWorld } from './connection.ts';
import { lookAtLink } from './reconnect-look.ts';
import type { ReconnectParams } from './reconnect-verdicts.ts';
import { watchLink } from './verify.ts';

export interface ReconnectStepParams extends ReconnectParams {
  readonly verifySeconds: number;
}

type Run = StepRun<Before>;

export function reconnectSteps(
  target: string,
  params: ReconnectStepParams,
  world: RedisWorld,
): readonly Step<Before>[] {
  return [endLink(target, params, world), verifyLink(target, params, world)];
}

function endLink(target: string, params: ReconnectStepParams, world: RedisWorld): Step<Before> {
  const { silentSeconds, verifySeconds } = params;
  return {
    name: 'end_link',
    help: "Ends the replica's connection to its primary, named by its own address; Redis connects anew by itself.",
    // another connection has another address: a late or second call ends nothing
    fencing: 'cas',
    deadlineMs: 5_000,
    verifyMs: 15_000,
    answeredMs: verifySeconds * 1000,
    settleMs: 1_000,
    maxAttempts: 2,
    safePointAfter: true,
    lateCopy: 'harmless',
    probe: (run) => probeLink(target, silentSeconds, world, run),
    apply: (run) => killLink(target, params, world, run),
    verify: async (run): Promise<Checked> => {
      const seen = await probeLink(target, undefined, world, run);
      if (seen.is === 'present') return { is: 'yes', because: seen.because };
      return seen.is === 'absent'
        ? { is: 'unknown', because: 'the old connection is still listed' }
        : { is: 'unknown', because: seen.because };
    },
    compensate: 'none',
  };
}

/** @param silentSeconds undefined: whether it has begun to flow again by itself is not asked */
async function probeLink(
  target: string,
  silentSeconds: number | undefined,
  world: RedisWorld,
  { before, signal }: Run,
): Promise<Probe> {
  try {
    return await withRedis(world, target, signal, async (client, call): Promise<Probe> => {
      const now = await readRedisReplication(client, call);
      const changed = sameReplica(before, now);
      if (changed !== undefined) return { is: 'overtaken', because: changed };
      const links = await listClients(client, 'master', call);
      if (!links.some((link) => link.laddr === before.laddr)) {
        return { is: 'present', because: `the connection from ${String(before.laddr)} is gone` };
      }
      const ago = now.link?.lastIoSecondsAgo;
      if (silentSeconds !== undefined && now.link?.up === true && ago !== undefined && ago < silentSeconds) {
        return { is: 'overtaken', because: `the link was heard ${String(ago)} s ago: it goes on by itself` };
      }
      return { is: 'absent', because: `the connection from ${String(before.laddr)} is there` };
    });
  } catch (error) {
    return { is: 'unknown', because: messageOf(error) };
  }
}

/** On a connection of its own: what is sent on it is sent once, or not at all. */
async function killLink(
  target: string,
  params: ReconnectParams,
  world: RedisWorld,
  { before, signal }: Run,
): Promise<Applied> {
  const { laddr } = before;
  if (laddr === null || !isAddress(laddr))
    return { is: 'refused', code: 'no_address', because: 'there is no link to end' };
  // The address is compared by Redis, not what a new link would cost: the backlog may have moved on since
  const changed = changedSince(before, await lookAtLink(target, params, world, signal));
  if (changed !== undefined) return { is: 'refused', code: 'changed_since', because: changed };
  const user = openingOf(world, target).auth?.user;
  const stage: { sent: boolean } = { sent: false };
  try {
    return await withRedis(world, target, signal, async (client, call): Promise<Applied> => {
      stage.sent = true;
      const killed = Number(await client.send(call, 'CLIENT', 'KILL', 'LADDR', laddr, 'TYPE', 'master'));
      if (killed === 0)
        return { is: 'refused', code: 'gone', because: `no link from ${laddr} any more: nothing was ended` };
      return { is: 'done', because: `ended the link from ${laddr}`, data: { laddr, killed } };
    });
  } catch (error) {
    if (!stage.sent) return { is: 'refused', code: 'not_connected', because: messageOf(error) };
    return failureOf(error, 'client|kill', user);
  }
}

function verifyLink(target: string, { verifySeconds }: ReconnectStepParams, world: RedisWorld): Step<Before> {
  return {
    ...looking,
    name: 'verify_link',
    help: 'The link is up, of the same stream, its offset advances twice, and what was missing arrives, without a full copy.',
    verifyMs: (verifySeconds + 10) * 1000,
    safePointAfter: true,
    verify: (run) =>
      watchLink(target, world, run, verifySeconds * 1000, ({ replica, primary }, looks) => {
        if (replica.replId !== run.before.replId) {
          return { is: 'no', because: 'it has another replication id than before: it was copied anew' };
        }
        // Of the whole primary: another replica may have had a copy of its own meanwhile
        const full = primary.syncs.full - run.before.syncs.full;
        const partial = primary.syncs.partialOk - run.before.syncs.partialOk;
        const data = { looks, fullCopies: full, partialCopies: partial };
        const text = `the stream flows, seen over ${String(looks)} looks`;
        if (full === 0 && partial >= 1) return { is: 'yes', because: `${text}, after a partial copy`, data };
        const counted = `its primary counts ${String(full)} full and ${String(partial)} partial copies since`;
        run.note(counted, data);
        return { is: 'yes', because: `${text}; ${counted}`, data };
      }),
    compensate: 'none',
  };
}
