import { defineSystem } from '../../system.ts';
import { redisAddress } from './address.ts';
import { redisConfig } from './collector-info-config.ts';
import { redisInfo } from './collector-info.ts';
import { redisReplication } from './collector-replication.ts';
import { redisUp } from './families.ts';

export const redis = defineSystem({
  kind: 'redis',
  help: 'A Redis or Valkey server, primary or replica.',
  address: redisAddress,
  thresholds: {
    redis_replica_behind_bytes: 'bytes of the replication stream that a replica has not acknowledged',
    redis_replica_lag_seconds: 'age of the oldest byte of the stream that a replica has not acknowledged',
  },
  up: redisUp,
  open: async (opening, call) => (await import('./client.ts')).openRedis(opening, call),
  collectors: [redisReplication, redisInfo, redisConfig],
});
