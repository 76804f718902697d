import { defineSystem } from '../../system.ts';
import { jvmCollectorOf } from '../jvm/collector-jvm.ts';
import { maxwellAddress } from './address.ts';
import type { MaxwellClient } from './client.ts';
import { bootstrapCollector } from './collector-bootstrap.ts';
import { httpCollector } from './collector-http.ts';
import { logCollector } from './collector-log.ts';
import { positionCollector } from './collector-position.ts';
import { tablesCollector } from './collector-tables.ts';

export const maxwell = defineSystem({
  kind: 'maxwell',
  help: "Maxwell's Daemon: reads the binary log of a MySQL or MariaDB server and produces its changes.",
  address: maxwellAddress,
  thresholds: {
    maxwell_heartbeat_lag_seconds: 'age of what went through Maxwell last, in seconds',
    jvm_heap_after_gc_ratio: 'share of the heap that is still in use after a collection (0 to 1)',
  },
  references: ({ mysql, source }) => [
    { path: 'mysql', target: mysql, kind: 'mysql' },
    ...(source === mysql ? [] : [{ path: 'source', target: source, kind: 'mysql' }]),
  ],
  open: async (opening) => (await import('./client.ts')).openMaxwell(opening),
  examine: async (client, call) => (await import('./facts-doctor.ts')).examineMaxwell(client, call),
  collectors: [
    positionCollector,
    httpCollector,
    bootstrapCollector,
    tablesCollector,
    logCollector,
    jvmCollectorOf<MaxwellClient>({
      sources: (client) => client.jvmSources,
      looks: (client, call) => client.jvmLooks(call),
    }),
  ],
});
