import { defineSystem } from '../../system.ts';
import { kafkaConnectAddress } from './address.ts';
import { kafkaConnectors } from './collector-connectors.ts';
import { kafkaConnectUp } from './families.ts';

export const kafkaConnect = defineSystem({
  kind: 'kafka-connect',
  help: 'A worker of Kafka Connect and the connectors of its cluster, by its REST API.',
  address: kafkaConnectAddress,
  thresholds: {},
  up: kafkaConnectUp,
  open: async (opening) => (await import('./client.ts')).openKafkaConnect(opening),
  examine: async (client, call) => (await import('./facts-doctor.ts')).examineKafkaConnect(client, call),
  collectors: [kafkaConnectors],
});
