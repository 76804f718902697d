import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { known, unknown } from '../../runtime/known.ts';
import { emitGroup, emitGroupState } from './collector-lag-groups.ts';
import { emitCluster, emitTopic } from './collector-lag-topics.ts';
import type { KafkaClient } from './facts-cluster.ts';
import { groupGraceMs, kafkaLagFact, LagMemory, readKafkaLag } from './facts-lag.ts';
import { isSelected, selectionFields } from './facts-selection.ts';
import { kafkaFamilies } from './families.ts';
import { granularities, sweepParts } from './state.ts';

export const kafkaLag = collectorOf<KafkaClient>()({
  name: 'kafka_lag',
  help: 'Brokers, partitions and the lag of every consumer group, in records and in seconds.',
  config: z.strictObject({
    ...selectionFields,
    /** topic: one series in the place of one per partition, with an empty `partition`. */
    granularity: z.enum(granularities).default('partition'),
    /** One more request per broker: where consumers that read committed transactions only must stop. */
    last_stable_offset: z.boolean().default(true),
  }),
  families: kafkaFamilies,
  state: () => new LagMemory(),
  async collect({ client, config, emit, call, state }) {
    const { topics, groups, granularity, last_stable_offset: lastStableOffset } = config;
    const sweep = await readKafkaLag(client, call, state, { topics, groups, lastStableOffset });
    call.board.publish(call.target, kafkaLagFact, known(sweep, call.clock.wallMs()));
    for (const part of sweepParts) emit.complete(sweep.partial.has(part) ? 0 : 1, { part });
    emitCluster(emit, sweep.cluster);
    for (const topic of sweep.cluster.topics.values()) {
      if (isSelected(topics, topic.name)) emitTopic(emit, topic, sweep, granularity);
    }
    for (const group of sweep.groups.values()) emitGroup(emit, group, granularity);
  },
  unknown({ emit, call, state, why }) {
    call.board.publish(call.target, kafkaLagFact, unknown(why));
    for (const part of sweepParts) emit.complete(0, { part });
    for (const [group, { seenMs }] of state.groups) {
      if (call.clock.monoMs() - seenMs <= groupGraceMs) emitGroupState(emit, group, 'unknown');
    }
  },
});
