import type { Inventory } from './inventory.ts';
import type { PipelineConfig } from './schema.ts';

/**
 * What the inventory says, for a person to compare with what was meant.
 *
 * @param gapIn why no lag can be computed for the whole of a pipeline
 */
export function summaryOf(
  { targets, pipelines, members, upstreams }: Inventory,
  gapIn: (pipeline: PipelineConfig) => string | undefined,
): string {
  const lines = [`${count(targets.size, 'target')}, ${count(pipelines.length, 'pipeline')}`];
  for (const { name, kind } of targets.values()) lines.push(`  ${name}: ${kind}`);
  for (const pipeline of pipelines) {
    const { name, consumers } = pipeline;
    const roles = members.filter((m) => m.pipeline === name).map((m) => `${m.role} ${m.target}`);
    lines.push(`pipeline ${name}: ${[...roles, ...consumers.map((c) => `consumer group ${c.group}`)].join(', ')}`);
    const gap = gapIn(pipeline);
    if (gap !== undefined) lines.push(`  ${gap}: no lag is computed for the whole; a canary can measure it`);
  }
  const dependants = [...upstreams].filter(([, needs]) => needs.size > 0);
  for (const [target, needs] of dependants) lines.push(`${target} needs ${[...needs].join(', ')}`);
  return `${lines.join('\n')}\n`;
}

function count(n: number, what: string): string {
  return `${String(n)} ${what}${n === 1 ? '' : 's'}`;
}
