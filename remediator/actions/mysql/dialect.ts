// How a server is told to start and stop its threads; chosen once, by flavour and version. Pure.
import type { MysqlClient } from '../../../exporter/systems/mysql/client.ts';
import { atLeast } from '../../../exporter/systems/mysql/facts-version.ts';

export type Thread = 'io' | 'sql';

export interface Dialect {
  readonly start: (thread: Thread, channel: string) => string;
  readonly stop: (thread: Thread, channel: string) => string;
}

const words: Readonly<Record<Thread, string>> = { io: 'IO_THREAD', sql: 'SQL_THREAD' };

/**
 * MySQL before 8.0.22 knows no REPLICA, from 8.4 on no SLAVE: https://dev.mysql.com/doc/refman/8.4/en/start-replica.html.
 * MariaDB keeps SLAVE in every version, and names connections where MySQL names channels:
 * https://mariadb.com/kb/en/start-replica/.
 *
 * @param channel one that the server itself has listed, '' for the default one; quoted all the same
 */
export function dialectOf(client: Pick<MysqlClient, 'flavour' | 'version'>): Dialect {
  if (client.flavour === 'mariadb') {
    const say = (verb: string, thread: Thread, channel: string): string =>
      [verb, 'SLAVE', ...(channel === '' ? [] : [quoted(channel)]), words[thread]].join(' ');
    return { start: (t, c) => say('START', t, c), stop: (t, c) => say('STOP', t, c) };
  }
  const noun = atLeast(client, 8, 0, 22) ? 'REPLICA' : 'SLAVE';
  // FOR CHANNEL since 5.7.6; without it the statement is for all channels, so the default one is named too
  const say = (verb: string, thread: Thread, channel: string): string =>
    `${verb} ${noun} ${words[thread]} FOR CHANNEL ${quoted(channel)}`;
  return { start: (t, c) => say('START', t, c), stop: (t, c) => say('STOP', t, c) };
}

/** Sessions here have an empty sql_mode: a quote is doubled, a backslash too. */
function quoted(name: string): string {
  return `'${name.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
