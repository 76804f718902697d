// The one connection that REPLICAOF goes over. REPLICAOF compares nothing, so what fences it is the connection itself: its
// id is in the journal before the call, and whoever takes the run over ends that connection first.
import { messageOf } from '../../../exporter/runtime/errors.ts';
import { openRedis, type RedisClient } from '../../../exporter/systems/redis/client.ts';
import { parseInfo } from '../../../exporter/systems/redis/facts-replication-fields.ts';
import type { Checked, FormerSession, StepSession } from '../../action.ts';
import type { Json } from '../../model.ts';
import { grantFor } from './acl.ts';
import { failureOf, openingOf, withRedis, type RedisWorld } from './connection.ts';

/** For the journal: the server's start tells apart two connections of one id. */
interface Identity {
  readonly serverRunId: string;
  readonly clientId: string;
}

export class ReplicaSession implements StepSession {
  readonly identity: Json;
  readonly client: RedisClient;
  /** Its server's start: the mutation is for no other. */
  readonly serverRunId: string;

  constructor(client: RedisClient, { serverRunId, clientId }: Identity) {
    this.client = client;
    this.serverRunId = serverRunId;
    this.identity = { serverRunId, clientId };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
  }
}

/** Carries a name that people see in CLIENT LIST. @throws TargetError */
export async function openSession(
  target: string,
  runId: string,
  world: RedisWorld,
  signal: AbortSignal,
): Promise<ReplicaSession> {
  const call = { signal, clock: world.clock };
  const client = await openRedis(openingOf(world, target), call);
  try {
    const clientId = String(await client.send(call, 'CLIENT', 'ID'));
    // Only what may stand in a name: printable, without spaces
    await client.send(call, 'CLIENT', 'SETNAME', `pipemedic:${runId.replaceAll(/[^A-Za-z0-9_-]/g, '_')}`);
    const serverRunId = parseInfo(await client.info(call)).get('run_id') ?? '';
    return new ReplicaSession(client, { serverRunId, clientId });
  } catch (error) {
    await client[Symbol.asyncDispose]();
    throw error;
  }
}

/** Ids are given once in the life of a server; with TYPE normal it can never be the link to the primary. */
export async function endSessions(
  target: string,
  world: RedisWorld,
  sessions: readonly FormerSession[],
  signal: AbortSignal,
): Promise<Checked> {
  const identities = sessions.map(({ identity }) => identityOf(identity));
  if (identities.some((one) => one === undefined)) {
    return { is: 'unknown', because: 'the journal names a session that is none of Redis' };
  }
  const user = openingOf(world, target).auth?.user;
  try {
    return await withRedis(world, target, signal, async (client, call): Promise<Checked> => {
      const runId = parseInfo(await client.info(call)).get('run_id') ?? '';
      const ended: string[] = [];
      for (const one of identities) {
        if (one === undefined || one.serverRunId !== runId) continue; // gone with its server
        const killed = Number(await client.send(call, 'CLIENT', 'KILL', 'ID', one.clientId, 'TYPE', 'normal'));
        if (killed > 0) ended.push(one.clientId);
      }
      const because = ended.length === 0 ? 'no earlier connection is left' : `ended connection ${ended.join(', ')}`;
      return { is: 'yes', because };
    });
  } catch (error) {
    const refused = failureOf(error, 'client|kill', user);
    const fix = refused.code === 'not_permitted' ? `. ${grantFor('client|kill', user)}` : '';
    return { is: 'unknown', because: `earlier connections cannot be ended: ${messageOf(error)}${fix}` };
  }
}

function identityOf(json: Json): Identity | undefined {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return undefined;
  const { serverRunId, clientId } = json as Readonly<Record<string, Json>>;
  if (typeof serverRunId !== 'string' || typeof clientId !== 'string' || !/^\d+$/.test(clientId)) return undefined;
  return { serverRunId, clientId };
}
