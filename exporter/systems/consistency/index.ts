import { defineSystem } from '../../system.ts';
import { consistencyAddress, consistencyReferences } from './address.ts';
import { consistencyCollector } from './collector-consistency.ts';

export const consistency = defineSystem({
  kind: 'consistency',
  help: 'A comparison of a copy with its source: tables of two databases, or keys of two Redis nodes.',
  address: consistencyAddress,
  thresholds: {},
  references: consistencyReferences,
  open: async (opening) => (await import('./client.ts')).openConsistency(opening),
  examine: async (client, call) => (await import('./facts-doctor.ts')).examineConsistency(client, call),
  collectors: [consistencyCollector],
});
