// What a restart needs of the service beyond its supervisor: that somebody tells what it delivers.
import type { Finding } from '../../../exporter/findings.ts';
import type { World } from '../../world.ts';
import { readFacts, sampleOf } from './facts.ts';

/** Never wrong for sure: a service that is down tells nothing, and a counter may come with the first row. */
export async function deliveryFinding(target: string, world: World, signal: AbortSignal): Promise<Finding> {
  const by = Object.keys(sampleOf(await readFacts(target, world, signal)).delivered).sort();
  const check = 'delivery';
  if (by.length > 0) {
    const more = by.length > 5 ? ` and ${by.length - 5} more` : '';
    return { check, ok: true, text: `${target}: that its data moves is seen by ${by.slice(0, 5).join(', ')}${more}` };
  }
  return {
    check,
    ok: 'unknown',
    text: `${target}: nothing tells now what it delivers: a restart would end as failed, unless its source is idle`,
    fix: `name its topics in Kafka (bus: of its pipeline), or where it keeps its offsets (address.offsets), or have it count what it has sent or applied (cdc_rows_applied_total)`,
  };
}
