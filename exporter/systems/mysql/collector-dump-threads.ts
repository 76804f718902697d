import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState } from '../../families.ts';
import { known, unknown } from '../../runtime/known.ts';
import type { MysqlClient } from './client.ts';
import { readersOf, readReplicaHints, type BinlogReader } from './facts-readers.ts';
import { dumpThreadsFact, readDumpThreads } from './facts-threads.ts';
import { readerFamilies } from './families-activity.ts';

/** A reader that left is shown with 0, which a missing series would not say; its host may never come back. */
const rememberMs = 3_600_000;
/** More only of those that are there: how many of them are served is limited by `series_limit`. */
const rememberAtMost = 200;

const states = ['known', 'unknown'] as const;

interface State {
  readonly users: Map<string, number>;
  /** By labels, with when it was last seen. */
  readonly readers: Map<string, { readonly reader: Omit<BinlogReader, 'connections'>; readonly seenMonoMs: number }>;
}

export const dumpThreadsCollector = collectorOf<MysqlClient>()({
  name: 'dump_threads',
  help: 'Who reads the binary log: replicas and CDC processes.',
  keeps: 'readers that were seen earlier and have gone',
  config: z.strictObject({}),
  families: readerFamilies,
  state: (): State => ({ users: new Map(), readers: new Map() }),
  async collect({ client, emit, call, state }) {
    const threads = await readDumpThreads(client, call);
    call.board.publish(call.target, dumpThreadsFact, known(threads, call.clock.wallMs()));
    const readers = readersOf(
      threads,
      threads.length === 0 ? { replicas: [], uuids: new Map() } : await readReplicaHints(client, call),
    );
    const nowMs = call.clock.monoMs();
    for (const { user } of threads) remember(state.users, user, nowMs, threads.length);
    for (const user of state.users.keys()) emit.threads(threads.filter((t) => t.user === user).length, { user });

    const connections = new Map(readers.map((reader) => [keyOf(reader), reader.connections]));
    for (const reader of readers) {
      remember(state.readers, keyOf(reader), { reader, seenMonoMs: nowMs }, readers.length);
    }
    for (const [key, { reader, seenMonoMs }] of state.readers) {
      if (nowMs - seenMonoMs > rememberMs) state.readers.delete(key);
      else {
        const { user, host, serverId: server_id } = reader;
        emit.readers(connections.get(key) ?? 0, { user, host, server_id });
      }
    }
    emitState(
      (value, s) => {
        emit.state(value, { state: s });
      },
      states,
      'known',
    );
  },
  unknown({ emit, call, why }) {
    call.board.publish(call.target, dumpThreadsFact, unknown(why));
    emitState(
      (value, s) => {
        emit.state(value, { state: s });
      },
      states,
      'unknown',
    );
  },
});

function keyOf({ user, host, serverId }: BinlogReader): string {
  return [user, host, serverId].join('\0');
}

/** The last ones seen, up to the limit, and all that are there now. */
function remember<V>(map: Map<string, V>, key: string, value: V, present: number): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= Math.max(rememberAtMost, present)) return;
    map.delete(oldest);
  }
}
