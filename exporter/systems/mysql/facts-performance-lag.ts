// How far a replica is behind by the commit times that its source stamped into the transactions. Pure.
import { largestOf, smallestOf } from '../../runtime/extremes.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { Receiver, ReceiverTimes, Worker } from './facts-performance.ts';
import type { ReplicaChannel } from './facts-replication.ts';

/** What was seen of one channel in earlier looks. All are commit times, by the clock of the source. */
export interface CommitMark {
  /** Of the newest transaction received, look by look, rising; only those later than `lastApplied`. */
  readonly queued: readonly number[];
  /** Whatever was committed later than this was seen to arrive, to the accuracy of the looks. */
  readonly completeSince: number;
  /** Of the newest transaction applied; kept here, as the server forgets it at each start of the applier. */
  readonly lastApplied: number;
  readonly clocks: Clocks;
}

/** What was seen of the two clocks. */
interface Clocks {
  /** The receiver's thread, and the time of this server when it was first looked at. */
  readonly threadId: string | undefined;
  readonly sinceSeconds: number;
  /** The last heartbeat of the look before. */
  readonly heartbeatSeconds: number;
  /** The clock of the source is behind by at least this; 0: nothing is known of that kind. */
  readonly behindSeconds: number;
}

/** So many looks are remembered; beyond them every second one is forgotten. */
const looksAtMost = 512;

/** Clocks that are seen to differ by more than this make the lag unknowable. */
const toleratedSkewSeconds = 2;

interface Look {
  readonly channel: ReplicaChannel;
  readonly receiver: Receiver;
  readonly workers: readonly Worker[];
}

/**
 * The age of the oldest transaction that was committed on the source and is not yet on this replica, as far as it was
 * received: 0 when everything received is executed, however long ago that was (an idle source is no lag). It is the
 * clock of the replica minus that of the source: they must agree, see clocksOf(). `channel` is read first, `receiver` second,
 * `workers` last, so that what seems executed was.
 *
 * A transaction that is being received, handed out or applied tells its commit time. One that only waits (SOURCE_DELAY)
 * is in no table: its time is taken from what earlier looks saw arrive after the newest one applied, right to the
 * distance between two looks.
 */
export function commitLagOf(
  { channel, receiver, workers }: Look,
  before: CommitMark | undefined,
  observedAtMs: number,
): { readonly lagSeconds: Known<number>; readonly mark: CommitMark | undefined } {
  const { times, nowSeconds } = receiver;
  if (times === undefined) return { lagSeconds: unknown('this version tells no commit times'), mark: undefined };
  const queued = times.last_queued_transaction_immediate_commit;
  const lastApplied = largestOf([0, ...workers.map((w) => w.times.last_applied_transaction_immediate_commit)]);
  const waiting = [
    ...(receiver.queueing ? [times.queueing_transaction_immediate_commit] : []),
    ...(receiver.processing ? [receiver.coordinator?.processing_transaction_immediate_commit ?? 0] : []),
    ...workers.filter((w) => w.applying).map((w) => w.times.applying_transaction_immediate_commit),
  ];
  const idle = waiting.length === 0;
  const caughtUp = idle && (receiver.executedAll ?? (positionsEqual(channel) || (queued > 0 && lastApplied >= queued)));
  const clocks = clocksOf(receiver, times, before?.clocks);
  const mark: CommitMark = { ...markOf({ queued, lastApplied, caughtUp }, before), clocks };
  if (channel.state !== 'running') return { lagSeconds: unknown(channel.why), mark };
  if (caughtUp) return { lagSeconds: known(0, observedAtMs), mark };

  const oldest = idle ? oldestWaiting(mark, before) : smallestOf(waiting);
  if (oldest === undefined) return { lagSeconds: unknown('what waits came before this was first looked at'), mark };
  if (oldest === 0) return { lagSeconds: unknown('the source stamps no commit times (MySQL before 8.0.1)'), mark };
  const lag = nowSeconds - oldest;
  if (lag < -toleratedSkewSeconds) {
    return { lagSeconds: unknown(`the clock of the source is ${Math.round(-lag)} s or more ahead`), mark };
  }
  if (clocks.behindSeconds > 0) {
    const why = `the clock of the source is ${Math.round(clocks.behindSeconds)} s or more behind`;
    return { lagSeconds: unknown(why), mark };
  }
  return { lagSeconds: known(Math.max(0, lag), observedAtMs), mark };
}

/** Also without GTIDs, and where nothing was received since the last start. */
function positionsEqual({ received, executed }: ReplicaChannel): boolean {
  return received !== undefined && received.file === executed?.file && received.position === executed.position;
}

/**
 * A source sends a heartbeat only while it has nothing else to send, so a transaction that comes after one was committed
 * after it: what lies between its commit and its arrival beyond that time is the difference of the clocks. A heartbeat
 * right after the start of the receiver does not count, as a source that skips transactions sends some, too.
 * A small difference hides in the time between heartbeat and transaction, and any on a source that is never idle.
 */
function clocksOf(receiver: Receiver, times: ReceiverTimes, before: Clocks | undefined): Clocks {
  const { threadId, nowSeconds } = receiver;
  const sinceSeconds = before?.threadId === threadId && before !== undefined ? before.sinceSeconds : nowSeconds;
  const next = { threadId, sinceSeconds, heartbeatSeconds: times.last_heartbeat };
  const arrived = times.last_queued_transaction_start_queue;
  const underway = arrived - times.last_queued_transaction_immediate_commit;
  const behindBefore = before?.behindSeconds ?? 0;
  if (arrived === 0 || times.last_queued_transaction_immediate_commit === 0) {
    return { ...next, behindSeconds: behindBefore };
  }
  if (underway <= toleratedSkewSeconds) return { ...next, behindSeconds: 0 };
  const heartbeat = [times.last_heartbeat, before?.heartbeatSeconds ?? 0].find(
    (time) => time < arrived && time >= sinceSeconds,
  );
  const atLeast = heartbeat === undefined ? 0 : underway - (arrived - heartbeat);
  return { ...next, behindSeconds: atLeast > toleratedSkewSeconds ? atLeast : behindBefore };
}

function markOf(
  look: { readonly queued: number; readonly lastApplied: number; readonly caughtUp: boolean },
  before: CommitMark | undefined,
): Omit<CommitMark, 'clocks'> {
  const newest = Math.max(look.queued, look.lastApplied);
  if (look.caughtUp) {
    const done = newest === 0 ? (before?.lastApplied ?? 0) : newest;
    return { queued: [], completeSince: done, lastApplied: done };
  }
  const lastApplied = Math.max(look.lastApplied, before?.lastApplied ?? 0);
  const seen = (before?.queued ?? []).filter((time) => time > lastApplied);
  const isNew = look.queued > Math.max(lastApplied, seen.at(-1) ?? 0);
  const queued = isNew ? [...seen, look.queued] : seen;
  return {
    queued: queued.length > looksAtMost ? queued.filter((_, i) => i % 2 === 0) : queued,
    completeSince: before?.completeSince ?? look.queued,
    lastApplied,
  };
}

/** The commit time of the oldest transaction of which nothing is seen but that it waits. */
function oldestWaiting(mark: CommitMark, before: CommitMark | undefined): number | undefined {
  if (mark.lastApplied >= mark.completeSince) return mark.queued[0];
  // An applier that works through what came before the first look: the next one was committed after the last one applied
  const applied = before?.lastApplied ?? 0;
  return applied > 0 && mark.lastApplied > applied ? mark.lastApplied : undefined;
}
