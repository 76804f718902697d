import { defineSystem } from '../../system.ts';
import { jvmAddress } from './address.ts';
import type { JvmClient } from './client.ts';
import { jvmCollectorOf } from './collector-jvm.ts';

export const jvm = defineSystem({
  kind: 'jvm',
  help: 'A Java virtual machine: by its own Prometheus page, by Jolokia, or without an agent.',
  address: jvmAddress,
  thresholds: { jvm_heap_after_gc_ratio: 'share of the heap that is still in use after a collection (0 to 1)' },
  open: async ({ address, tls, auth }) => (await import('./client.ts')).openJvm(address, tls, auth),
  examine: async (client, call) => (await import('./facts-doctor.ts')).examineJvm(client, call),
  collectors: [
    jvmCollectorOf<JvmClient>({
      sources: (client) => client.sources,
      looks: (client, call) => client.looks(call),
    }),
  ],
});
