// What the facts say about starting a replication thread. Pure.
import type { Known } from '../../../exporter/runtime/known.ts';
import { replicatesFrom } from '../../../exporter/systems/mysql/facts-binlog-server.ts';
import { fileOf } from '../../../exporter/systems/mysql/facts-binlogs.ts';
import type { ReplicaGtids } from '../../../exporter/systems/mysql/facts-gtid-replica.ts';
import type { ReplicaChannel } from '../../../exporter/systems/mysql/facts-replication.ts';
import { parseMariadbGtids } from '../../../exporter/systems/mysql/facts-values.ts';
import { allow, deny, unsure, type Verdict } from '../../guard.ts';
import type { Thread } from './dialect.ts';
import { ioClass, sqlClass, type ErrorClass } from './errors.ts';
import { nameOf, type SourceView, type WatchedChannel } from './facts.ts';
import { connectTries } from './tries.ts';

export interface ThreadLimits {
  /** A receiver that connects for less long is left to its own retries. */
  readonly stuckSeconds: number;
  /** A thread that was stopped without an error is started again after this; undefined: never. */
  readonly resumeCleanStopSeconds: number | undefined;
}

/**
 * Which channel is meant, by name and exactly; without a name the only one, or the default one, as an alert names it.
 * @param ofOther the name that the other flavour would have: of several it is a sign that the default one is not meant
 */
export function chooseChannel(
  channels: readonly WatchedChannel[],
  wanted: string | undefined,
  ofOther?: string,
): WatchedChannel | Verdict {
  const names = channels.map((c) => c.name);
  if (channels.length === 0) return deny('no_replica', 'it replicates from nobody');
  if (wanted !== undefined && wanted !== '') {
    const found = channels.find((c) => c.name === wanted);
    return found ?? deny('no_such_channel', 'the server lists no channel or connection of that name', { names });
  }
  if (channels.length > 1 && ofOther !== undefined && ofOther !== '') {
    const because = `${ofOther} is named as the other flavour names it (channel of MySQL, connection of MariaDB), and it has ${channels.length}`;
    return deny('ambiguous_channel', because, { names, named: ofOther });
  }
  const [only] = channels;
  const found = channels.length === 1 ? only : channels.find((c) => c.name === '');
  return found ?? deny('ambiguous_channel', `it has ${channels.length} channels, and none is named`, { names });
}

export function isIoBroken(channel: ReplicaChannel): boolean {
  return channel.ioRunning !== 'yes' || channel.state === 'stalled';
}

/** The receiver first: an applier needs something to apply. */
export function chooseThread(channel: ReplicaChannel, wanted: Thread | 'auto'): Thread {
  if (wanted !== 'auto') return wanted;
  return isIoBroken(channel) || channel.sqlRunning ? 'io' : 'sql';
}

export function isBroken(channel: ReplicaChannel, thread: Thread): boolean {
  return thread === 'io' ? isIoBroken(channel) : !channel.sqlRunning;
}

/** Why the thread does not work, and whether a start can help. */
export function classifyThread(
  thread: Thread,
  { channel, ioSeconds, sqlSeconds }: WatchedChannel,
  limits: ThreadLimits,
  alsoRetried: ReadonlySet<number>,
): Verdict {
  if (thread === 'sql') {
    if (channel.sqlRunning) return allow('runs', 'the applier runs');
    if (channel.lastSqlErrno === 0) return cleanStop('the applier', sqlSeconds, limits);
    return byClass(
      sqlClass(channel.lastSqlErrno, channel.lastSqlError, alsoRetried),
      channel.lastSqlErrno,
      channel.lastSqlError,
    );
  }
  const { lastIoErrno: errno, lastIoError: text } = channel;
  const seconds = Math.floor(ioSeconds);
  if (channel.state === 'stalled') return allow('stalled', channel.why, { seconds });
  if (channel.ioRunning === 'yes') return allow('runs', 'the receiver runs');
  if (channel.ioRunning === 'no') {
    if (errno === 0) return cleanStop('the receiver', ioSeconds, limits);
    const ended = ioClass(errno, text);
    return ended.remedy === 'retry' ? gaveUp(channel, ended, ioSeconds, limits) : byClass(ended, errno, text);
  }
  const found = errno === 0 ? undefined : ioClass(errno, text);
  if (found !== undefined && found.remedy !== 'retry') return byClass(found, errno, text);
  const inputs = { errno, seconds, stuckSeconds: limits.stuckSeconds };
  if (ioSeconds < limits.stuckSeconds) {
    return unsure('connecting', `the receiver tries to connect by itself, seen for ${seconds} s`, inputs);
  }
  return allow('stuck_connecting', `the receiver has been connecting for ${seconds} s or more`, inputs);
}

/** The error of its last try stays when somebody stops it meanwhile: then it is theirs, as after any other stop. */
function gaveUp(channel: ReplicaChannel, ended: ErrorClass, ioSeconds: number, limits: ThreadLimits): Verdict {
  const { lastIoErrno: errno, lastIoError: text, columns } = channel;
  const most = columns.get('master_retry_count') ?? columns.get('source_retry_count');
  const tries = connectTries(text, most);
  if (tries === undefined || tries === 'used_up') return byClass(ended, errno, text);
  const stopped = cleanStop('the receiver', ioSeconds, limits, 'while it tried to connect');
  if (tries === 'left' || stopped.is === 'allow') return stopped;
  const because = 'the receiver could not connect: whether it gave up or somebody has stopped it cannot be told';
  return unsure('stopped_or_given_up', because, stopped.inputs);
}

function cleanStop(
  what: string,
  seconds: number,
  { resumeCleanStopSeconds: resume }: ThreadLimits,
  how = 'without an error',
): Verdict {
  const inputs = { errno: 0, seconds: Math.floor(seconds), resumeCleanStopSeconds: resume ?? null };
  if (resume !== undefined && seconds >= resume) {
    return allow('resume_clean_stop', `${what} was stopped ${how} ${Math.floor(seconds)} s ago`, inputs);
  }
  return deny('intentional_stop', `${what} was stopped ${how}: somebody has stopped it`, inputs);
}

function byClass({ code, remedy, because }: ErrorClass, errno: number, text: string): Verdict {
  const verdict = remedy === 'retry' ? allow : remedy === 'wait' ? unsure : deny;
  return verdict(code, `error ${errno}: ${because}`, { errno, text: text.slice(0, 500) });
}

/** The source is there, is the one that is expected, and takes writes. */
export function judgeSource(
  channel: ReplicaChannel,
  sources: readonly SourceView[],
  view: SourceView | undefined,
): Verdict {
  if (sources.length === 0) return unsure('no_source', 'no pipeline of the inventory names its source');
  if (view === undefined) {
    const open = sources.find((s) => !s.facts.known);
    if (open?.facts.known === false) return unsure('primary_unknown', `${open.target}: ${open.facts.why}`);
    return deny('unexpected_primary', `it replicates from ${channel.sourceHost}, none of the inventory's sources`);
  }
  const { facts, target } = view;
  if (!facts.known) {
    if (view.down) return deny('primary_down', `${target} is down: nothing is done before it is back (${facts.why})`);
    return unsure('primary_unknown', `${target}: ${facts.why}`);
  }
  const { server, isReplica } = facts.value;
  const inputs = { source: target, serverId: server.serverId, serverUuid: server.serverUuid ?? null };
  const isThat = replicatesFrom(channel, server);
  // Not connected since its start, it does not tell whose replica it is: then the address must, or nobody knows
  if (isThat === undefined && `${channel.sourceHost}:${channel.sourcePort}` !== facts.value.at) {
    const where = `${channel.sourceHost}:${channel.sourcePort}`;
    const because = `it has not been connected since its start, and is pointed at ${where}: whether that is ${target} (${facts.value.at}) is not known`;
    return unsure('primary_unconfirmed', because, inputs);
  }
  if (isThat === false) {
    const now = channel.sourceUuid === '' ? String(channel.sourceServerId) : channel.sourceUuid;
    return deny('unexpected_primary', `it replicates from server ${now}, which is not ${target}`, inputs);
  }
  if (!server.logBin) return deny('primary_without_binlog', `${target} writes no binary log`, inputs);
  if (server.readOnly && isReplica.known && !isReplica.value) {
    return deny('primary_read_only', `${target} is read only and no replica: it may have been replaced`, inputs);
  }
  if (server.readOnly && !isReplica.known) return unsure('primary_unknown', isReplica.why, inputs);
  return allow('primary_there', `${target} answers and writes its binary log`, inputs);
}

/** What the thread needs is still on the source. */
export function judgePurged(
  channel: ReplicaChannel,
  view: SourceView | undefined,
  gtids: Known<ReplicaGtids>,
): Verdict {
  if (view?.facts.known !== true) return unsure('purged_unknown', 'the source cannot be asked');
  if (channel.gtid === 'no') {
    const { binlogs } = view.facts.value;
    if (!binlogs.known) return unsure('purged_unknown', binlogs.why);
    const place = channel.received ?? channel.executed;
    if (place === undefined) return unsure('purged_unknown', 'the replica does not say how far it is');
    return fileOf(binlogs.value, place) === undefined
      ? deny('purged', `${place.file} is no longer on the source: set the replica up anew`, { file: place.file })
      : allow('binlog_there', `${place.file} is on the source`);
  }
  const distance = distanceOf(channel, gtids);
  if (!distance.known) return unsure('purged_unknown', distance.why);
  const { missingPurged } = distance.value;
  if (!missingPurged.known) return unsure('purged_unknown', missingPurged.why);
  if (missingPurged.value > 0) {
    const because = `${missingPurged.value} transactions that it needs are in no binary log of the source any more: set the replica up anew`;
    return deny('purged', because, { missing: missingPurged.value });
  }
  return allow('binlog_there', 'all that it needs is on the source');
}

export function distanceOf(
  channel: ReplicaChannel,
  gtids: Known<ReplicaGtids>,
): Known<ReplicaGtids['channels'][number]> {
  if (!gtids.known) return gtids;
  const found = gtids.value.channels.find((c) => nameOf(c) === nameOf(channel));
  if (found !== undefined) return { known: true, value: found, observedAtMs: gtids.observedAtMs };
  return { known: false, why: gtids.value.why === '' ? 'its source was not compared with it' : gtids.value.why };
}

/** Transactions of its own would be in the way of what comes: for people, before anything is started. */
export function judgeErrant(channel: ReplicaChannel, logBin: boolean, gtids: Known<ReplicaGtids>): Verdict {
  if (channel.gtid === 'no') return allow('not_by_gtid', 'it replicates by file and position');
  if (!logBin) return allow('no_binlog', 'it writes no binary log: nothing of its own can be in the way');
  if (!gtids.known) return unsure('errant_unknown', gtids.why);
  const { errant } = gtids.value;
  if (!errant.known) return unsure('errant_unknown', errant.why);
  if (errant.value > 0) {
    return deny('errant', `it has ${errant.value} transactions that its source has not`, { errant: errant.value });
  }
  return allow('no_errant', 'it has no transactions of its own');
}

export interface Trap {
  readonly flavour: 'mysql' | 'mariadb';
  readonly channel: ReplicaChannel;
  readonly thread: Thread;
  /** All that was received is applied. */
  readonly relayApplied: Known<boolean>;
  readonly primary: Verdict;
  readonly purged: Verdict;
}

/**
 * MariaDB with GTID throws the relay logs away when a thread, either of them, is started while both are stopped, and asks
 * the source for everything anew (seen on 10.11: received rows were gone with the source dead, after START SLAVE
 * IO_THREAD and after START SLAVE SQL_THREAD alike). So there must be nothing in them that is not applied, or the source
 * must be there and still have it.
 */
export function judgeTrap({ flavour, channel, thread, relayApplied, primary, purged }: Trap): Verdict {
  if (flavour === 'mysql') return allow('relay_kept', 'MySQL keeps its relay logs at a start');
  if (channel.gtid === 'no') return allow('relay_kept', 'without GTID the relay logs are kept');
  const inputs = { usingGtid: channel.gtid, ioRunning: channel.ioRunning, sqlRunning: channel.sqlRunning };
  if (thread === 'io' && channel.sqlRunning) {
    return allow('applier_runs', 'the relay logs are kept while the applier runs', inputs);
  }
  if (thread === 'sql' && channel.ioRunning !== 'no') {
    return allow('receiver_runs', 'the relay logs are kept while the receiver runs', inputs);
  }
  if (relayApplied.known && relayApplied.value) {
    return allow('relay_applied', 'all that was received is applied', inputs);
  }
  if (primary.is === 'allow' && purged.is === 'allow') {
    return allow('can_be_fetched_again', 'the source is there and still has all that was received', inputs);
  }
  const left = relayApplied.known ? 'what was received is not all applied' : relayApplied.why;
  return deny(
    'gtid_relay_trap',
    `a start with both threads stopped throws the relay logs away: ${left}, and the source cannot be relied upon (${primary.code}, ${purged.code})`,
    inputs,
  );
}

/** By domain: the last one received against the last one applied. */
export function relayApplied(channel: ReplicaChannel, observedAtMs: number): Known<boolean> {
  const [received, applied] = ['gtid_io_pos', 'gtid_slave_pos'].map((name) =>
    parseMariadbGtids(channel.columns.get(name) ?? ''),
  );
  if (received === undefined || applied === undefined || received.length === 0) {
    return { known: false, why: 'the replica does not say how far it has received' };
  }
  const last = new Map(applied.map((g) => [g.domainId, g.sequence]));
  const all = received.every((g) => (last.get(g.domainId) ?? 0) >= g.sequence);
  return { known: true, value: all, observedAtMs };
}

/** Without knowing which receiver it is, none is stopped. */
export function judgeIncarnation({ channel, incarnation }: WatchedChannel, thread: Thread): Verdict {
  if (thread === 'sql' || channel.ioRunning === 'no') return allow('nothing_to_stop', 'no thread has to be stopped');
  if (!incarnation.known) return unsure('thread_unknown', incarnation.why);
  return allow('thread_known', `the receiver is thread ${incarnation.value ?? 'none'}`);
}
