// For people: what a restart cannot mend, and what to look at. Pure.
import type { Verdict } from '../../guard.ts';
import type { Advice } from '../../model.ts';
import type { Thread } from './dialect.ts';
import type { SourceView, WatchedChannel } from './facts.ts';

/** Only where nothing is done: by the class of the error, and where the relay logs would be lost. */
export function adviceFor(
  watched: WatchedChannel,
  thread: Thread,
  { errorClass, trap }: { readonly errorClass: Verdict; readonly trap: Verdict },
  view: SourceView | undefined,
): readonly Advice[] {
  const byClass = classAdvice(watched, thread, errorClass, view);
  return trap.is === 'allow' ? byClass : [relayLogs(watched), ...byClass];
}

function relayLogs({ channel, name }: WatchedChannel): Advice {
  const named = name === '' ? '' : ` '${name.replaceAll("'", "''")}'`;
  const now =
    channel.ioRunning === 'no'
      ? 'Both threads are stopped: start neither before the source is back. A copy of the relay logs keeps what only they have.'
      : `The receiver is there, so the applier alone may be started now, and applies what was received: START SLAVE${named} SQL_THREAD. Do not stop the receiver.`;
  return {
    title: 'The relay logs may hold what no other server has',
    text: `A START with both threads stopped throws them away (MariaDB with GTID). ${now}`,
  };
}

function classAdvice(
  { channel, name }: WatchedChannel,
  thread: Thread,
  errorClass: Verdict,
  view: SourceView | undefined,
): readonly Advice[] {
  const of = name === '' ? 'the default channel' : name;
  const place = channel.executed === undefined ? 'unknown' : `${channel.executed.file}:${channel.executed.position}`;
  const text = thread === 'io' ? channel.lastIoError : channel.lastSqlError;
  const said = `${of} stands at ${place} of its source. The server says: ${text}`;
  switch (errorClass.code) {
    case 'purged': {
      const binlogs = view?.facts.known === true ? view.facts.value.binlogs : undefined;
      const oldest = binlogs?.known === true ? binlogs.value.files[0]?.name : undefined;
      const has = oldest === undefined ? '' : `The source has binary logs from ${oldest} on. `;
      return [
        {
          title: 'The replica must be set up anew',
          text: `${said}\n${has}No restart brings back what it lacks. Restore a backup of the source (or of another replica), or put the missing binary logs back on the source.`,
        },
      ];
    }
    case 'drift':
      return [
        {
          title: 'Source and replica differ',
          text: `${said}\nSkipping the event (sql_slave_skip_counter, an empty transaction in its place, slave_exec_mode=IDEMPOTENT) hides the difference and keeps it. Look at the event with mysqlbinlog at that position and at the row on both servers; compare whole tables (pt-table-checksum) before replication goes on.`,
        },
      ];
    case 'relay_corruption':
    case 'worker_gaps':
    case 'gtid_strict':
    case 'identity':
    case 'credentials':
    case 'fatal':
    case 'unknown_error':
    case 'disk':
      return [{ title: 'Not mended by a restart', text: `${errorClass.because}\n${said}` }];
    case 'intentional_stop':
      return [
        {
          title: 'Stopped without an error',
          text: `${of}: whoever has stopped the thread should start it again. After a time of your choice it is started by itself with the parameter resumeCleanStopSeconds.`,
        },
      ];
    default:
      return [];
  }
}
