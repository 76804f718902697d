import type { Action } from '../action.ts';
import type { World } from '../world.ts';
import { cdcServiceRestart } from './cdc-service-restart.ts';
import { maxwellRestart } from './maxwell-restart.ts';
import { mysqlReplicaRestartThread } from './mysql-replica-restart-thread.ts';
import { redisReplicaFullResync } from './redis-replica-full-resync.ts';
import { redisReplicaReconnect } from './redis-replica-reconnect.ts';

/** The registry: one line per action. */
export const actions: readonly Action<World>[] = [
  maxwellRestart,
  cdcServiceRestart,
  mysqlReplicaRestartThread,
  redisReplicaReconnect,
  redisReplicaFullResync,
];
