import type { Target } from '../config/inventory.ts';
import { emitter, type Family } from '../families.ts';
import { graphFamilies as families } from '../graph.ts';
import type { Failure, Outcome } from './sweep.ts';
import { labelsOf } from './sweep.ts';
import { SampleWriter, type Block } from './writer.ts';

/** What every target has, up or down: whether it answered, how its collectors fared, and its limits. */
export function targetBlocks(
  target: Target,
  down: Failure | undefined,
  outcomes: readonly Outcome[],
  askedAtMs: number,
): Block[] {
  const writer = new SampleWriter({ level: 'target', constant: labelsOf(target) });
  const emit = emitter(families, writer.put);
  emit.targetUp(down === undefined ? 1 : 0);
  if (target.system.up !== undefined) emitUp(target.system.up, down === undefined ? 1 : 0, writer);
  if (down !== undefined) emit.targetErrorInfo(1, { class: down.class });
  for (const { threshold, severity, value } of target.thresholds) {
    emit.threshold(value, { threshold, severity, consumergroup: '' });
  }
  for (const { collector, failure, durationMs, observedAtMs, dropped } of outcomes) {
    emit.collectorSuccess(failure === undefined ? 1 : 0, { collector });
    if (durationMs !== undefined) emit.collectorDuration(durationMs / 1000, { collector });
    if (failure === undefined) emit.collectorDataAge(Math.max(0, askedAtMs - observedAtMs) / 1000, { collector });
    else emit.collectorErrorInfo(1, { collector, class: failure.class });
    emit.seriesDropped(dropped, { collector });
  }
  return writer.finish();
}

function emitUp(up: Family<readonly []>, value: number, writer: SampleWriter): void {
  emitter({ up }, writer.put).up(value);
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
