import { defineSystem } from '../../system.ts';
import { mysqlAddress } from './address.ts';
import { activityCollector, semiSyncCollector } from './collector-activity.ts';
import { binlogCollector } from './collector-binlog.ts';
import { distanceCollector } from './collector-distance.ts';
import { dumpThreadsCollector } from './collector-dump-threads.ts';
import { gtidCollector } from './collector-gtid.ts';
import { heartbeatTableCollector, heartbeatTableOf } from './collector-heartbeat-table.ts';
import { performanceCollector } from './collector-performance.ts';
import { replicasCollector } from './collector-replicas.ts';
import { replicationCollector } from './collector-replication.ts';
import { statusCollector } from './collector-status.ts';
import { variablesCollector } from './collector-variables.ts';
import { cdcNeedsOf, cdcReadyCollector, versionCollector } from './collector-server.ts';
import { mysqlUp } from './families.ts';

export const mysql = defineSystem({
  kind: 'mysql',
  help: 'MySQL or MariaDB, source or replica.',
  address: mysqlAddress,
  thresholds: { mysql_replication_lag_seconds: 'lag of a replica, in seconds' },
  up: mysqlUp,
  open: async (opening, call) => (await import('./client.ts')).openMysql(opening, call),
  examine: async (client, call, { cdc_ready: cdc, heartbeat }, place, collectors) => {
    const needs = cdcNeedsOf(cdc);
    const asking = { collectors, heartbeat: heartbeatTableOf(heartbeat), cdcUser: needs.user };
    return (await import('./facts-doctor.ts')).examineMysql(client, call, needs, place, asking);
  },
  collectors: [
    replicationCollector,
    performanceCollector,
    heartbeatTableCollector,
    replicasCollector,
    binlogCollector,
    distanceCollector,
    gtidCollector,
    cdcReadyCollector,
    dumpThreadsCollector,
    activityCollector,
    semiSyncCollector,
    versionCollector,
    statusCollector,
    variablesCollector,
  ],
});
