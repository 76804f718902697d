import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { durationMs } from '../../fields.ts';
import { known, unknown } from '../../runtime/known.ts';
import { LagState, refreshModes } from './background-lag.ts';
import { emitGroup, emitGroupState } from './collector-lag-groups.ts';
import { emitCluster, emitTopic } from './collector-lag-topics.ts';
import type { KafkaClient } from './facts-cluster.ts';
import { groupGraceMs, kafkaLagFact } from './facts-lag.ts';
import type { SweepOptions } from './facts-model.ts';
import { isSelected, selectionFields, type Selection } from './facts-selection.ts';
import { kafkaFamilies } from './families.ts';
import { granularities, sweepParts } from './state.ts';

function optionsOf(config: Selection & { readonly last_stable_offset: boolean }): SweepOptions {
  const { topics, groups, last_stable_offset: lastStableOffset } = config;
  return { topics, groups, lastStableOffset };
}

export const kafkaLag = collectorOf<KafkaClient>()({
  name: 'kafka_lag',
  help: 'Brokers, partitions and the lag of every consumer group, in records and in seconds.',
  keeps: 'offsets and commits of earlier sweeps: lag in seconds, and since when a commit has not moved',
  config: z.strictObject({
    ...selectionFields,
    /** topic: one series in the place of one per partition, with an empty `partition`. */
    granularity: z.enum(granularities).default('partition'),
    /** One more request per broker: where consumers that read committed transactions only must stop. */
    last_stable_offset: z.boolean().default(true),
    /** auto: a cluster whose sweep does not end within the time of a scrape is swept beside the scrapes. */
    refresh: z.enum(refreshModes).default('auto'),
    /** Time from one sweep beside the scrapes to the next. */
    every: durationMs.refine((ms) => ms >= 1_000 && ms <= 600_000, 'a duration from 1s to 10m').default(30_000),
  }),
  families: kafkaFamilies,
  state: () => new LagState(),
  async collect({ client, config, emit, call, state }) {
    const { topics, granularity } = config;
    const { sweep, wallMs, monoMs } = await state.read(client, call, config, optionsOf(config));
    call.observed?.(monoMs);
    call.board.publish(call.target, kafkaLagFact, known(sweep, wallMs));
    for (const part of sweepParts) emit.complete(sweep.partial.has(part) ? 0 : 1, { part });
    emitCluster(emit, sweep.cluster);
    for (const topic of sweep.cluster.topics.values()) {
      if (isSelected(topics, topic.name)) emitTopic(emit, topic, sweep, granularity);
    }
    for (const group of sweep.groups.values()) emitGroup(emit, group, granularity);
  },
  background: async ({ config, state, work }) => {
    await state.keepFresh(work, config, optionsOf(config));
  },
  unknown({ emit, call, state, why }) {
    call.board.publish(call.target, kafkaLagFact, unknown(why));
    for (const part of sweepParts) emit.complete(0, { part });
    for (const [group, { seenMs }] of state.memory.groups) {
      if (call.clock.monoMs() - seenMs <= groupGraceMs) emitGroupState(emit, group, 'unknown');
    }
  },
});
