import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { known, unknown } from '../../runtime/known.ts';
import type { MysqlClient } from './client.ts';
import { channelsToSources, sourceLogFact } from './facts-binlog-server.ts';
import { distanceOf, nothing, peerWaitMs, replicaDistanceFact, type ReplicaDistance } from './facts-distance.ts';
import { replicationFact, type ReplicaChannel } from './facts-replication.ts';
import { distanceFamilies, distanceStates } from './families-binlog.ts';

interface State {
  /** Channels of the last look, so that none falls silent while the replica is unreachable. */
  channels: readonly Pick<ReplicaChannel, 'channelName' | 'connectionName'>[];
}

/** Asks nothing itself: what its own replication collector and the binlog collector of its source have found. */
export const distanceCollector = collectorOf<MysqlClient>()({
  name: 'replication_distance',
  help: 'How many bytes of its source’s binary log a replica is behind; needs both in the inventory’s pipelines.',
  config: z.strictObject({}),
  families: distanceFamilies,
  state: (): State => ({ channels: [] }),
  async collect({ emit, call: { peers, target, board, clock }, state }) {
    if (peers === undefined || peers.sources.length === 0) {
      emitDistance(emit, nobody, nothing('not_paired', 'the inventory names no source for it'));
      return;
    }
    const [channels, ...logs] = await Promise.all([
      peers.fact(target, replicationFact, peerWaitMs),
      ...peers.sources.map((source) => peers.fact(source, sourceLogFact, peerWaitMs)),
    ]);
    if (!channels.known) {
      emitAll(emit, state, nothing('unknown', channels.why));
      return;
    }
    const paired = channelsToSources(channels.value);
    state.channels = paired;
    if (paired.length === 0) {
      emitDistance(emit, nobody, nothing('not_matched', 'it does not replicate from anywhere'));
      return;
    }
    // Facts have the time of the wall clock, in whole milliseconds; it may have jumped since the source was read.
    const readAtMs = clock.monoMs() - (clock.wallMs() - channels.observedAtMs) + 1;
    const distances = paired.map((channel) => {
      const { channelName, connectionName } = channel;
      return { channelName, connectionName, ...distanceOf(channel, logs, readAtMs) };
    });
    board.publish(target, replicaDistanceFact, known(distances, clock.wallMs()));
    for (const distance of distances) emitDistance(emit, distance, distance);
  },
  unknown({ emit, call: { peers, target, board }, state, why }) {
    board.publish(target, replicaDistanceFact, unknown(why));
    const unpaired = peers === undefined || peers.sources.length === 0;
    emitAll(emit, state, nothing(unpaired ? 'not_paired' : 'unknown', why));
  },
});

const nobody = { channelName: '', connectionName: '' };

function emitAll(emit: Emit<typeof distanceFamilies>, { channels }: State, distance: ReplicaDistance): void {
  for (const channel of channels.length === 0 ? [nobody] : channels) emitDistance(emit, channel, distance);
}

function emitDistance(
  emit: Emit<typeof distanceFamilies>,
  { channelName, connectionName }: State['channels'][number],
  { state, behindBytes, unreceivedBytes }: ReplicaDistance,
): void {
  const labels = { channel_name: channelName, connection_name: connectionName };
  if (behindBytes.known) emit.behind(behindBytes.value, labels);
  if (unreceivedBytes.known) emit.unreceived(unreceivedBytes.value, labels);
  emitState(
    (value, of) => {
      emit.state(value, { ...labels, state: of });
    },
    distanceStates,
    state,
  );
}
