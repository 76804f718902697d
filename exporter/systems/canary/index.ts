import { defineSystem } from '../../system.ts';
import { canaryAddress, canaryReferences } from './address.ts';
import { canaryCollector } from './collector-canary.ts';

export const canary = defineSystem({
  kind: 'canary',
  help: 'A row or key that is written at one end of a pipeline and looked for at the others.',
  address: canaryAddress,
  thresholds: { canary_outstanding_seconds: 'age of the oldest token that was not seen yet' },
  references: canaryReferences,
  open: async (opening) => (await import('./client.ts')).openCanary(opening),
  examine: async (client, call) => (await import('./facts-doctor.ts')).examineCanary(client, call),
  collectors: [canaryCollector],
});
