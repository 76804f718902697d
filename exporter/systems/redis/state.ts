export const redisReplicationStates = [
  'primary',
  'replica_up',
  'replica_syncing',
  'replica_down',
  'sentinel', // it has no data, and no replication of its own
  'unknown',
] as const;
export type RedisReplicationState = (typeof redisReplicationStates)[number];
