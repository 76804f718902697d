import type { Target } from '../config/inventory.ts';
import { emitter, type Family } from '../families.ts';
import { graphFamilies as families } from '../graph.ts';
import { sizeOf, type Cut } from './cut.ts';
import type { Failure, Outcome } from './outcome.ts';
import type { LineMemory } from './line-memory.ts';
import { labelsOf } from './target-labels.ts';
import { SampleWriter, type Block } from './writer.ts';

/** Of one target in one scrape, beside what its collectors emitted. */
export interface Seen {
  readonly down: Failure | undefined;
  readonly outcomes: readonly Outcome[];
  /** When the scrape began, on the monotonic clock. */
  readonly askedAtMs: number;
  /** How old what `down` says is. */
  readonly ageMs: number;
  /** Until a target that is down is asked again. */
  readonly restsMs: number;
  readonly cut: Cut;
  /** Over all sweeps, by family. */
  readonly droppedTotal: ReadonlyMap<string, number>;
}

/** What every target has, up or down: whether it answered, how its collectors fared, and its limits. */
export function targetBlocks(target: Target, memory: LineMemory | undefined, seen: Seen): Block[] {
  const { down, outcomes, askedAtMs, cut } = seen;
  const writer = new SampleWriter({ level: 'target', constant: labelsOf(target), memory });
  const emit = emitter(families, writer.put);
  // Whether one that was not asked is up is not known: 0 would tell people, and inhibit the alerts of what depends on it.
  if (down?.class !== 'queue') {
    const up = down === undefined ? 1 : 0;
    emit.targetUp(up);
    if (target.system.up !== undefined) emitUp(target.system.up, up, writer);
    emit.targetDataAge(Math.max(0, seen.ageMs) / 1000);
  }
  if (down !== undefined) emit.targetErrorInfo(1, { class: down.class });
  emit.targetBackoff(seen.restsMs / 1000);
  emit.targetSamples(cut.samples);
  for (const [family, count] of seen.droppedTotal) emit.targetSeriesDropped(count, { family });
  for (const { threshold, severity, value } of target.thresholds) {
    emit.threshold(value, { threshold, severity, consumergroup: '' });
  }
  for (const { collector, failure, durationMs, observedAtMs } of outcomes) {
    emit.collectorSuccess(failure === undefined ? 1 : 0, { collector });
    if (durationMs !== undefined) emit.collectorDuration(durationMs / 1000, { collector });
    if (failure === undefined) emit.collectorDataAge(Math.max(0, askedAtMs - observedAtMs) / 1000, { collector });
    else emit.collectorErrorInfo(1, { collector, class: failure.class });
    emit.seriesDropped(sumOf(cut.dropped.get(collector)), { collector });
  }
  return writer.finish();
}

function sumOf(counts: ReadonlyMap<string, number> | undefined): number {
  let sum = 0;
  for (const count of counts?.values() ?? []) sum += count;
  return sum;
}

function emitUp(up: Family<readonly []>, value: number, writer: SampleWriter): void {
  writer.put({ family: up, value, labels: {} });
}

/** Once all else is there: it counts itself too. */
export function samplesBlock(blocks: readonly (Block | Cut['blocks'][number])[]): Block[] {
  const writer = new SampleWriter({ level: 'graph' });
  const samples = blocks.reduce((sum, block) => sum + ('lines' in block ? block.lines : sizeOf(block)), 0);
  emitter(families, writer.put).scrapeSamples(samples + 1);
  return writer.finish();
}

/** The inventory as info series. */
export function graphBlocks(inventory: {
  readonly targets: ReadonlyMap<string, Target>;
  readonly members: readonly { readonly pipeline: string; readonly target: string; readonly role: string }[];
  readonly upstreams: ReadonlyMap<string, ReadonlySet<string>>;
}): Block[] {
  const writer = new SampleWriter({ level: 'graph' });
  const emit = emitter(families, writer.put);
  emit.targetsConfigured(inventory.targets.size);
  for (const { name, kind } of inventory.targets.values()) emit.targetInfo(1, { target: name, kind });
  for (const { pipeline, target, role } of inventory.members) emit.memberInfo(1, { pipeline, target, role });
  for (const [target, upstreams] of inventory.upstreams) {
    for (const upstream of upstreams) emit.dependencyInfo(1, { target, upstream });
  }
  return writer.finish();
}
