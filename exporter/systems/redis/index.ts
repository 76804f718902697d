import { defineSystem } from '../../system.ts';
import { redisAddress } from './address.ts';
import { redisCluster } from './collector-cluster.ts';
import { redisConfig } from './collector-info-config.ts';
import { redisInfo } from './collector-info.ts';
import { commandsCollector } from './collector-commands.ts';
import { replicationConfig } from './collector-config.ts';
import { logCollector } from './collector-log.ts';
import { datasetCollector } from './collector-replication-dataset.ts';
import { replicationStream } from './collector-replication-stream.ts';
import { replicationTopology } from './collector-replication-topology.ts';
import { redisReplication } from './collector-replication.ts';
import { redisSentinel } from './collector-sentinel.ts';
import { redisSlowlog } from './collector-slowlog.ts';
import { redisStreams } from './collector-streams.ts';
import { redisUp } from './families.ts';

export const redis = defineSystem({
  kind: 'redis',
  help: 'A Redis or Valkey server, primary or replica.',
  address: redisAddress,
  thresholds: {
    redis_replica_behind_bytes: 'bytes of the replication stream that a replica has not acknowledged',
    redis_full_copies_per_hour: 'full copies given to replicas within an hour',
    redis_replica_backlog_headroom_seconds: 'how long a replica may be away before it needs a full copy',
    redis_replica_lag_seconds: 'age of the oldest byte of the stream that a replica has not acknowledged',
  },
  up: redisUp,
  open: async (opening, call) => (await import('./client.ts')).openRedis(opening, call),
  examine: async (client, call, { replication_config: written }, place) => [
    ...(await (await import('./facts-doctor.ts')).examineRedis(client, call, written, place?.peers)),
    ...(await (await import('./facts-doctor-group.ts')).examineGroup(client, call)),
  ],
  collectors: [
    replicationStream,
    replicationTopology,
    replicationConfig,
    datasetCollector,
    logCollector,
    commandsCollector,
    redisReplication,
    redisInfo,
    redisConfig,
    redisSlowlog,
    redisCluster,
    redisSentinel,
    redisStreams,
  ],
});
