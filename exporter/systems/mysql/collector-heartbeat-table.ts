import { z } from 'zod';
import { collectorOf, type Call } from '../../collector.ts';
import { emitState, gauge } from '../../families.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { MysqlClient } from './client.ts';
import { replicationLag } from './families.ts';
import {
  ageOf,
  channelOfHeartbeat,
  readHeartbeats,
  type Heartbeat,
  type HeartbeatTable,
} from './facts-heartbeat-table.ts';
import { readReplication, type ReplicaChannel } from './facts-replication.ts';

const states = ['ok', 'no_row', 'not_a_time', 'future', 'unknown'] as const;

const serverId = z.int().min(0).max(4_294_967_295);
const identifier = z.string().min(1).max(64);
const absent = { state: 'mysql_heartbeat_state' } as const;

const config = z.strictObject({
  database: identifier.default('heartbeat'),
  table: identifier.default('heartbeat'),
  /** False: `ts` is in the time zone of the server, as pt-heartbeat writes it without --utc. */
  utc: z.boolean().default(false),
  /** The server on which the heartbeat is written; rows of others are ignored. */
  server_id: z.union([serverId, z.array(serverId).min(1).max(100)]).optional(),
});

/** @param written the options of the collector as they stand in the inventory; `false` where it is switched off */
export function heartbeatTableOf(written: unknown): { readonly database: string; readonly table: string } {
  return config.parse(written === false ? {} : (written ?? {}));
}

interface State {
  /** Server ids of the last answer. */
  seen: readonly string[];
}

export const heartbeatTableCollector = collectorOf<MysqlClient>()({
  name: 'heartbeat',
  help: 'Age of the rows in a table that pt-heartbeat writes on the source.',
  defaultOn: false,
  config,
  families: {
    now: gauge('mysql_heartbeat_now_timestamp_seconds', 'Timestamp of the current server.', ['server_id'], absent),
    stored: gauge(
      'mysql_heartbeat_stored_timestamp_seconds',
      'Timestamp stored in the heartbeat table.',
      ['server_id'],
      absent,
    ),
    age: gauge(
      'mysql_heartbeat_lag_seconds',
      'Age of a row of the heartbeat table: the clock of this server minus what was written on the source.',
      ['server_id'],
      absent,
    ),
    lag: replicationLag,
    state: gauge(
      'mysql_heartbeat_state',
      'What is in the heartbeat table: one series per state, 1 for the present one. future: the clocks of writer and server differ.',
      ['server_id', 'state'],
    ),
  },
  state: (): State => ({ seen: [] }),
  async collect({ client, config: given, emit, call, state }) {
    const options = optionsOf(given);
    const [channels, rows] = await Promise.all([readChannels(client, call), readHeartbeats(client, options, call)]);
    const observedAtMs = call.clock.wallMs();
    const emitStateOf = (id: string, current: (typeof states)[number]): void => {
      emitState(
        (value, s) => {
          emit.state(value, { server_id: id, state: s });
        },
        states,
        current,
      );
    };
    const newest = newestOf(rows);
    const missing = (options.serverIds?.map(String) ?? []).filter((id) => !newest.has(id));
    const nobody = newest.size === 0 && missing.length === 0 ? [''] : missing;
    state.seen = [...newest.keys(), ...nobody];
    for (const id of nobody) emitStateOf(id, 'no_row');
    const lags = new Map<ReplicaChannel, number>();
    for (const [id, row] of newest) {
      emit.now(row.nowSeconds, { server_id: id });
      if (!row.storedSeconds.known) {
        emitStateOf(id, 'not_a_time');
        continue;
      }
      emit.stored(row.storedSeconds.value, { server_id: id });
      const age = ageOf(row, observedAtMs);
      emitStateOf(id, age.known ? 'ok' : 'future');
      if (!age.known) continue;
      emit.age(age.value, { server_id: id });
      const channel = channelOfHeartbeat(row, channels, options.serverIds !== undefined);
      if (channel !== undefined) lags.set(channel, Math.min(age.value, lags.get(channel) ?? Infinity));
    }
    for (const [{ channelName, connectionName }, lag] of lags) {
      emit.lag(lag, { channel_name: channelName, connection_name: connectionName, method: 'heartbeat' });
    }
  },
  unknown({ emit, config: given, state }) {
    const asked = optionsOf(given).serverIds?.map(String) ?? [''];
    for (const id of state.seen.length === 0 ? asked : state.seen) {
      emitState(
        (value, s) => {
          emit.state(value, { server_id: id, state: s });
        },
        states,
        'unknown',
      );
    }
  },
});

function optionsOf({ database, table, utc, server_id }: z.output<typeof config>): HeartbeatTable {
  const serverIds = typeof server_id === 'number' ? [server_id] : server_id;
  return { database, table, utc, serverIds: serverIds === undefined ? undefined : [...new Set(serverIds)] };
}

/** Which channel a row is of is told by the same answer that the replication collector waits for. Not needed for the rows themselves. */
async function readChannels(client: MysqlClient, call: Call): Promise<readonly ReplicaChannel[]> {
  return readReplication(client, call).catch((error: unknown) => {
    if (error instanceof TargetError && error.code === 'denied') return [];
    throw error;
  });
}

/** A table without a unique key may hold several rows of one server. */
function newestOf(rows: readonly Heartbeat[]): ReadonlyMap<string, Heartbeat> {
  const newest = new Map<string, Heartbeat>();
  const time = ({ storedSeconds }: Heartbeat): number => (storedSeconds.known ? storedSeconds.value : 0);
  for (const row of rows) {
    const before = newest.get(row.serverId);
    if (before === undefined || time(row) > time(before)) newest.set(row.serverId, row);
  }
  return newest;
}
