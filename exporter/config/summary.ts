import type { Inventory, InventoryFile } from './inventory.ts';
import type { PipelineConfig } from './schema.ts';

/**
 * What the inventory says, for a person to compare with what was meant.
 *
 * @param gapIn why no lag can be computed for the whole of a pipeline
 */
export function summaryOf(
  { targets, pipelines, members, upstreams, files, leftOut }: Inventory,
  gapIn: (pipeline: PipelineConfig) => string | undefined,
): string {
  const isSpread = files.length > 1;
  const lines = isSpread ? ['read, in this order:', ...files.map(fileLine)] : [];
  for (const { name, why } of leftOut) lines.push(`  left out: ${name} (${why})`);
  lines.push(`${count(targets.size, 'target')}, ${count(pipelines.length, 'pipeline')}`);
  for (const { name, kind, readFrom } of targets.values()) {
    const place = isSpread ? readFrom() : undefined;
    lines.push(`  ${name}: ${kind}${place === undefined ? '' : `, ${place}`}`);
  }
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

function fileLine({ name, linkTo, targets, pipelines }: InventoryFile): string {
  const link = linkTo === undefined ? '' : ` -> ${linkTo}`;
  return `  ${name}${link}: ${count(targets, 'target')}, ${count(pipelines, 'pipeline')}`;
}

function count(n: number, what: string): string {
  return `${String(n)} ${what}${n === 1 ? '' : 's'}`;
}
