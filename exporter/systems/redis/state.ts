export const redisReplicationStates = ['primary', 'replica_up', 'replica_syncing', 'replica_down', 'unknown'] as const;
export type RedisReplicationState = (typeof redisReplicationStates)[number];
