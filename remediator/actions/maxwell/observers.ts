// Who sees that Maxwell does not work, each in its own way: its supervisor at the process, its tables at what it writes, its
// source at what it has read. Pure.
import { comparePositions } from '../../../exporter/systems/mysql/facts-binlogs.ts';
import type { Look } from '../../action.ts';
import type { MaxwellFacts } from './facts.ts';

type Says = NonNullable<Look<unknown>['observers']>[number]['says'];
export type Seen = Pick<MaxwellFacts, 'service' | 'health' | 'position' | 'binlogs' | 'dumpThreads' | 'http'>;

export function observersOf(facts: Seen): NonNullable<Look<unknown>['observers']> {
  return [
    { by: 'supervisor', says: supervisorSays(facts) },
    { by: 'its tables', says: tablesSay(facts) },
    { by: 'source', says: sourceSays(facts) },
    // that it answers says nothing of the data
    ...(facts.http === undefined
      ? []
      : [{ by: 'its HTTP server', says: facts.http === 'silent' ? 'broken' : 'unknown' } as const]),
  ];
}

/** A process that lives is no sign that it works. */
function supervisorSays({ service }: Seen): Says {
  return service.known && service.value.running === null ? 'broken' : 'unknown';
}

/** Rows that a process has left behind are fresh for a while: while it is gone they show nothing but that they grow old. */
function tablesSay({ service, health }: Seen): Says {
  const isGone = service.known && service.value.running === null;
  switch (health.reason) {
    case 'heartbeats_return':
    case 'catching_up':
      return isGone ? 'unknown' : 'healthy';
    case 'silent':
    case 'still':
    case 'file_purged':
    case 'beyond_end':
    case 'gtids_purged':
      return 'broken';
    case 'process_gone':
      return isOld(health) ? 'broken' : 'unknown';
    case 'unreadable':
    case 'nothing_read':
    case 'settling':
      return 'unknown';
  }
}

/** It writes one at least every 10 s. */
const heartbeatOldSeconds = 20;
function isOld({ heartbeatAgeSeconds: age }: Seen['health']): boolean {
  return age.known && age.value > heartbeatOldSeconds;
}

/**
 * Nobody reads as Maxwell's user, or the binary log has gone on beyond what it has read. Being behind is no fault of one
 * that works; it is asked only of one that is gone or stands still. Of a kill -9 the thread stays for 24 s and more (seen
 * on MariaDB 10.11.19): that somebody reads shows nothing.
 */
function sourceSays({ dumpThreads, position, binlogs, health }: Seen): Says {
  if (health.purge.known && health.purge.value.lost) return 'broken';
  if (dumpThreads.known && dumpThreads.value.length === 0) return 'broken';
  if (health.state !== 'down' && health.state !== 'stalled') return 'unknown';
  if (!position.known || !position.value.found || !binlogs.known) return 'unknown';
  const { current } = binlogs.value;
  if (current === undefined) return 'unknown';
  const at = { file: position.value.binlogFile, position: position.value.binlogPosition };
  return comparePositions(at, current) === -1 ? 'broken' : 'unknown';
}
