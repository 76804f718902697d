import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { gauge } from '../../families.ts';
import type { MaxwellClient } from './client.ts';
import { readBootstraps } from './facts-bootstrap.ts';

export const bootstrapCollector = collectorOf<MaxwellClient>()({
  name: 'bootstrap',
  help: 'Bootstraps that are running, from the tables of Maxwell.',
  config: z.strictObject({}),
  families: {
    running: gauge(
      'maxwell_bootstraps_running',
      'Bootstraps that were started and are not complete; a restart begins them anew.',
      ['client_id'],
      { state: 'maxwell_state' },
    ),
  },
  state: () => undefined,
  async collect({ client, emit, call }) {
    const { schema, clientId } = client.address;
    const running = await readBootstraps(await client.mysql(call), { schema, clientId }, call);
    emit.running(running.length, { client_id: clientId });
  },
});
