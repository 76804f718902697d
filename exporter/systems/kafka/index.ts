import { defineSystem } from '../../system.ts';
import { kafkaAddress } from './address.ts';
import { kafkaLag } from './collector-lag.ts';
import { kafkaUp } from './families.ts';

export const kafka = defineSystem({
  kind: 'kafka',
  help: 'A Kafka cluster (3.1 or newer) and its consumer groups.',
  address: kafkaAddress,
  thresholds: {
    kafka_consumergroup_lag_seconds: 'age of the oldest record that a consumer group has not read',
    kafka_consumergroup_commit_unmoved_seconds: 'how long records wait without the commit moving',
    kafka_topic_open_transaction_seconds: 'how long a last stable offset stands still',
  },
  up: kafkaUp,
  open: async (opening) => (await import('./client.ts')).openKafka(opening),
  collectors: [kafkaLag],
  examine: async (client, call, { kafka_lag: written }) =>
    (await import('./facts-doctor.ts')).examineKafka(client, call, written),
});
