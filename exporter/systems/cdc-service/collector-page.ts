import { z } from 'zod';
import { collectorOf, type Collector } from '../../collector.ts';
import { passedFamilies } from '../../families.ts';
import type { CdcClient } from './client.ts';
import { emitEndpoint } from './collector-endpoint.ts';
import { droppedReasons, passedOf } from './facts-page.ts';
import { pageFamilies } from './families.ts';

/** What the process itself serves to Prometheus, under its own names. */
export function pageCollectorOf<Client extends CdcClient>(prefix: string, help: string): Collector<Client> {
  return collectorOf<Client>()({
    name: 'page',
    help,
    config: z.strictObject({}),
    families: pageFamilies,
    open: { page: passedFamilies(prefix, help) },
    state: () => undefined,
    async collect({ client, emit, call }) {
      const found = await client.page(call);
      emitEndpoint(emit.endpointState, 'metrics', found.state);
      if (found.state !== 'ok') return;
      const { names, dropped } = passedOf(found.value, call.clock.wallMs(), client.belongs(found.value));
      for (const { name, type, help: text, samples } of names) emit.page({ name, type, help: text, samples });
      for (const reason of droppedReasons) emit.dropped(dropped[reason], { reason });
    },
    unknown({ emit }) {
      emitEndpoint(emit.endpointState, 'metrics', 'failed');
    },
  });
}
