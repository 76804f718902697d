import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, gauge, openFamily, type Emit } from '../../families.ts';
import type { RedisClient } from './client.ts';
import { readClusterInfo } from './facts-cluster.ts';
import { redisInfoOf } from './facts-info.ts';
import { unlessRefused } from './facts-refused.ts';

const states = ['read', 'no_cluster', 'refused', 'unknown'] as const;
const state = { state: 'redis_cluster_info_state' } as const;

// Names and values of redis_exporter: all are gauges, also those that end in _total
const families = {
  cluster_state: gauge('redis_cluster_state', '1 when the node sees its cluster as ok.', [], state),
  cluster_slots_assigned: gauge('redis_cluster_slots_assigned', 'Slots that a node has; all are 16384.', [], state),
  cluster_slots_ok: gauge('redis_cluster_slots_ok', 'Slots of nodes that are well.', [], state),
  cluster_slots_pfail: gauge('redis_cluster_slots_pfail', 'Slots of nodes that may have failed.', [], state),
  cluster_slots_fail: gauge('redis_cluster_slots_fail', 'Slots of nodes that have failed.', [], state),
  cluster_known_nodes: gauge('redis_cluster_known_nodes', 'Nodes that this one knows, itself included.', [], state),
  cluster_size: gauge('redis_cluster_size', 'Primaries that have slots.', [], state),
  cluster_current_epoch: gauge('redis_cluster_current_epoch', 'Epoch of the cluster.', [], state),
  cluster_my_epoch: gauge('redis_cluster_my_epoch', 'Epoch of the configuration of this node.', [], state),
  cluster_stats_messages_sent: gauge(
    'redis_cluster_messages_sent_total',
    'Messages sent over the bus of the cluster.',
    [],
    state,
  ),
  cluster_stats_messages_received: gauge(
    'redis_cluster_messages_received_total',
    'Messages received over the bus of the cluster.',
    [],
    state,
  ),
  infoState: gauge(
    'redis_cluster_info_state',
    'Whether the cluster could be looked at: no_cluster where cluster mode is off.',
    ['state'],
  ),
} as const;

type Declared = Exclude<keyof typeof families, 'infoState'>;

export const redisCluster = collectorOf<RedisClient>()({
  name: 'redis_cluster',
  help: 'The cluster as this node sees it, from CLUSTER INFO, where cluster mode is on.',
  config: z.strictObject({}),
  families,
  open: { other: openFamily('redis_cluster_', 'gauge', 'A field of CLUSTER INFO, such as messages by kind.', []) },
  state: () => undefined,
  async collect({ client, emit, call }) {
    const info = redisInfoOf(await client.info(call));
    if (info.fields.get('cluster_enabled') !== '1') {
      emitInfoState(emit, 'no_cluster');
      return;
    }
    const cluster = await unlessRefused(readClusterInfo(client, call));
    for (const [field, value] of cluster ?? []) {
      if (isDeclared(field)) emit[field](value);
      else if (!info.values.has(field as 'cluster_enabled')) emit.other(`redis_${field}`, value);
    }
    emitInfoState(emit, cluster === undefined ? 'refused' : 'read');
  },
  unknown({ emit }) {
    emitInfoState(emit, 'unknown');
  },
});

function isDeclared(field: string): field is Declared {
  return field !== 'infoState' && Object.hasOwn(families, field);
}

function emitInfoState(emit: Emit<typeof families>, current: (typeof states)[number]): void {
  emitState((value, of) => { emit.infoState(value, { state: of }); }, states, current); // prettier-ignore
}
