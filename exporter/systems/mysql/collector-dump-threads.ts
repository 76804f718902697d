import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { gauge } from '../../families.ts';
import { known, unknown } from '../../runtime/known.ts';
import type { MysqlClient } from './client.ts';
import { dumpThreadsFact, readDumpThreads } from './facts-threads.ts';

interface State {
  /** A user that has read once is shown with 0 afterwards: it left, which a missing series would not say. */
  readonly users: Set<string>;
}

export const dumpThreadsCollector = collectorOf<MysqlClient>()({
  name: 'dump_threads',
  help: 'Who reads the binary log: replicas and CDC processes.',
  config: z.strictObject({}),
  families: {
    threads: gauge('mysql_dump_threads', 'Connections that read the binary log, by user.', ['user']),
  },
  state: (): State => ({ users: new Set() }),
  async collect({ client, emit, call, state }) {
    const threads = await readDumpThreads(client, call);
    call.board.publish(call.target, dumpThreadsFact, known(threads, call.clock.wallMs()));
    for (const { user } of threads) state.users.add(user);
    for (const user of state.users) emit.threads(threads.filter((t) => t.user === user).length, { user });
  },
  unknown({ call, why }) {
    call.board.publish(call.target, dumpThreadsFact, unknown(why));
  },
});
