import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { known, unknown } from '../../runtime/known.ts';
import type { MysqlClient } from './client.ts';
import { replicationFamilies, statusColumns } from './families.ts';
import {
  oldSpelling,
  readReplication,
  replicationFact,
  replicationStates,
  watchReceiver,
  type ReceiverMark,
  type ReplicaChannel,
  type ReplicationState,
} from './facts-replication.ts';
import { parseMariadbGtids, statusNumber } from './facts-values.ts';

interface ChannelName {
  readonly channel_name: string;
  readonly connection_name: string;
}

interface State {
  /** By channel; empty until the first answer. */
  seen: ReadonlyMap<string, { readonly name: ChannelName; readonly mark: ReceiverMark | undefined }>;
}

const nobody: ChannelName = { channel_name: '', connection_name: '' };

/**
 * All columns as mysqld_exporter has them, and the state that it lacks. `stalled` is told on MariaDB only, whose status
 * row counts heartbeats: see watchReceiver().
 */
export const replicationCollector = collectorOf<MysqlClient>()({
  name: 'replication',
  help: 'State, lag and all numbers of each replication channel.',
  config: z.strictObject({}),
  families: replicationFamilies,
  state: (): State => ({ seen: new Map() }),
  async collect({ client, emit, call, state }) {
    const rows = await readReplication(client, call);
    const now = call.clock.monoMs();
    const watched = rows.map((row) => {
      const name = nameOf(row);
      return { name, ...watchReceiver(row, state.seen.get(keyOf(name))?.mark, now) };
    });
    state.seen = new Map(watched.map(({ name, mark }) => [keyOf(name), { name, mark }]));
    call.board.publish(
      call.target,
      replicationFact,
      known(
        watched.map((w) => w.channel),
        call.clock.wallMs(),
      ),
    );
    if (watched.length === 0) emitStateOf(emit, nobody, 'not_configured');
    for (const { name, channel } of watched) emitChannel(emit, name, channel);
  },
  unknown({ emit, call, state, why }) {
    call.board.publish(call.target, replicationFact, unknown(why));
    const names = [...state.seen.values()].map(({ name }) => name);
    for (const name of names.length === 0 ? [nobody] : names) emitStateOf(emit, name, 'unknown');
  },
});

function nameOf(channel: ReplicaChannel): ChannelName {
  return { channel_name: channel.channelName, connection_name: channel.connectionName };
}

function keyOf({ channel_name, connection_name }: ChannelName): string {
  return `${channel_name}\0${connection_name}`;
}

function emitStateOf(emit: Emit<typeof replicationFamilies>, name: ChannelName, current: ReplicationState): void {
  emitState(
    (value, state) => {
      emit.state(value, { ...name, state });
    },
    replicationStates,
    current,
  );
}

function emitChannel(emit: Emit<typeof replicationFamilies>, name: ChannelName, channel: ReplicaChannel): void {
  emitStateOf(emit, name, channel.state);
  if (channel.lagSeconds.known) emit.lag(channel.lagSeconds.value, { ...name, method: 'status' });

  const labels = { master_host: channel.sourceHost, master_uuid: channel.sourceUuid, ...name };
  const columns = new Map([...channel.columns].map(([column, text]) => [oldSpelling(column), text]));
  for (const [column, keys] of statusColumns) {
    const value = statusNumber(columns.get(column));
    if (value !== undefined) for (const key of keys) emit[key](value, labels);
  }
  for (const column of ['gtid_io_pos', 'gtid_slave_pos'] as const) {
    for (const { domainId, serverId, sequence } of parseMariadbGtids(columns.get(column) ?? '')) {
      emit[column](sequence, { ...labels, domain_id: domainId, server_id: serverId });
    }
  }
}
