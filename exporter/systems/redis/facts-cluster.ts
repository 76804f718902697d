// A node's view of its cluster: https://redis.io/docs/latest/commands/cluster-info/
import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { RedisClient } from './client.ts';
import { infoNumber } from './facts-info.ts';

/** Fields of CLUSTER INFO whose names begin with cluster_, as numbers: cluster_state is 1 for ok and 0 for fail. */
export type ClusterInfo = ReadonlyMap<string, number>;

/** @throws TargetError */
export async function readClusterInfo(client: Pick<RedisClient, 'send'>, call: Call): Promise<ClusterInfo> {
  const reply = await client.send(call, 'CLUSTER', 'INFO');
  if (typeof reply !== 'string') throw new TargetError('protocol', 'CLUSTER INFO: the reply is not a text');
  return clusterInfoOf(reply);
}

function clusterInfoOf(text: string): ClusterInfo {
  const found = new Map<string, number>();
  for (const line of text.split(/\r?\n/)) {
    const at = line.indexOf(':');
    const value = infoNumber(line.slice(at + 1));
    if (line.startsWith('cluster_') && at > 0 && value !== undefined) found.set(line.slice(0, at), value);
  }
  return found;
}
