// What `doctor` asks of the brokers and a sweep does not: which release they speak, and what this user may see.
import { apiVersionsV3, describeClusterV0, describeClusterV1 } from '@platformatic/kafka';
import type { Call } from '../../collector.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { KafkaWire } from './client-wire.ts';
import type { KafkaAbout } from './facts-cluster.ts';
import { mayDescribe, releaseOf } from './facts-release.ts';

/** DescribeClusterRequest.json: the endpoint of brokers, not that of controllers. */
const brokerEndpoint = 1;

export async function readAbout(
  wire: KafkaWire,
  call: Call,
): Promise<Pick<KafkaAbout, 'releases' | 'mayDescribeCluster'>> {
  const brokers = await wire.brokers(call);
  const asked = brokers.map(async (broker) => {
    const release = await orWhy(wire, call, async () => {
      const answer = await wire.send(call, 'ApiVersions', broker, (c) => apiVersionsV3.api.async(c, 'pipemedic', '1'));
      return releaseOf(new Map(answer.apiKeys.map((a) => [a.apiKey, a.maxVersion])));
    });
    return [broker.id, release] as const;
  });
  return { releases: new Map(await Promise.all(asked)), mayDescribeCluster: await readMayDescribe(wire, call) };
}

async function readMayDescribe(wire: KafkaWire, call: Call): Promise<Known<boolean>> {
  const describe = async (api: (typeof describeClusterV1)['api']): Promise<boolean> => {
    const answer = await wire.send(call, 'DescribeCluster', undefined, (c) => api.async(c, true, brokerEndpoint));
    return mayDescribe(answer.clusterAuthorizedOperations);
  };
  return await orWhy(wire, call, async () =>
    describe(await wire.api(call, 'DescribeCluster', describeClusterV1, describeClusterV0)),
  );
}

async function orWhy<T>(wire: KafkaWire, call: Call, read: () => Promise<T>): Promise<Known<T>> {
  try {
    return known(await read(), call.clock.wallMs());
  } catch (error) {
    return unknown(wire.mustGoOn(call, error));
  }
}
