import { z } from 'zod';
import { collectorOf, type Peers } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { known, unknown } from '../../runtime/known.ts';
import { replicationFact, type ReplicaChannel } from '../mysql/facts-replication.ts';
import type { WritePlace } from './address.ts';
import { runCanary } from './background-canary.ts';
import type { CanaryClient } from './client.ts';
import { CanaryTrack, canaryFact, type SeenView } from './facts-track.ts';
import { canaryFamilies, canaryStates, seenStates, type CanaryState, type SeenState } from './families.ts';

type CanaryEmit = Emit<typeof canaryFamilies>;

interface CanaryMemory {
  /** Of the work beside the sweeps; undefined where there is none (doctor). */
  track: CanaryTrack | undefined;
  ends: readonly string[];
}

const openMs = 5_000;

/** Serves what the work beside the sweeps has found: nothing is written and nobody is asked on a scrape. */
export const canaryCollector = collectorOf<CanaryClient>()({
  name: 'canary',
  help: 'A token written at one end and looked for at the others, beside the scrapes.',
  keeps: 'tokens on their way: each exporter writes and looks for its own',
  config: z.strictObject({}),
  families: canaryFamilies,
  state: (): CanaryMemory => ({ track: undefined, ends: [] }),
  async background({ state, work }) {
    const { clock } = work;
    const client = await work.open({ clock, signal: AbortSignal.timeout(openMs) });
    const own = Math.floor(Math.random() * 1000);
    const track = new CanaryTrack(client.plan, { wallMs: clock.wallMs(), monoMs: clock.monoMs(), own });
    state.track = track;
    const forbidden = forbiddenBy(client.plan.write, work.peers);
    await runCanary({ client, track, work, random: Math.random, forbidden });
  },
  collect({ client, emit, call, state }) {
    state.ends = client.plan.seenAt.map(({ target }) => target);
    const { track } = state;
    if (track === undefined) {
      emitUnknown(emit, state.ends);
      call.board.publish(call.target, canaryFact, unknown('the canary is not running'));
      return Promise.resolve();
    }
    const view = track.view(call.clock.monoMs());
    call.board.publish(call.target, canaryFact, known(view, call.clock.wallMs()));
    if (track.observedAtMs !== undefined) call.observed?.(track.observedAtMs);
    emitWriterState(emit, view.state);
    emit.writes(track.writes);
    for (const [code, count] of track.failures) emit.writeFailures(count, { class: code });
    for (const end of view.ends) emitEnd(emit, end);
    return Promise.resolve();
  },
  unknown({ emit, call, state, why }) {
    call.board.publish(call.target, canaryFact, unknown(why));
    emitUnknown(emit, state.ends);
  },
});

/**
 * A source that became a replica by a failover may still be writable, and a row that is written there is an errant
 * transaction. Its own collector knows; the canary's user may not look. A channel whose threads are
 * both stopped is what a promotion leaves behind.
 */
export function forbiddenBy(
  write: WritePlace,
  peers: Peers | undefined,
): (() => Promise<string | undefined>) | undefined {
  if (write.kind !== 'mysql' || write.onReplica || peers === undefined) return undefined;
  return async () => {
    const channels = await peers.fact(write.target, replicationFact, 0);
    if (!channels.known || channels.value.every(isStopped)) return undefined;
    return `${write.target} replicates from another server: it is no source now`;
  };
}

function isStopped({ ioRunning, sqlRunning }: ReplicaChannel): boolean {
  return ioRunning === 'no' && !sqlRunning;
}

function emitEnd(emit: CanaryEmit, end: SeenView): void {
  const labels = { seen_at: end.seenAt };
  emitSeenState(emit, end.seenAt, end.state);
  if (end.latencySeconds.known) emit.latency(end.latencySeconds.value, labels);
  if (end.outstandingSeconds.known) emit.outstanding(end.outstandingSeconds.value, labels);
  emit.seen(end.seenTotal, labels);
  emit.lost(end.lostTotal, labels);
}

function emitUnknown(emit: CanaryEmit, ends: readonly string[]): void {
  emitWriterState(emit, 'unknown');
  for (const end of ends) emitSeenState(emit, end, 'unknown');
}

function emitWriterState(emit: CanaryEmit, state: CanaryState): void {
  emitState(
    (value, of) => {
      emit.state(value, { state: of });
    },
    canaryStates,
    state,
  );
}

function emitSeenState(emit: CanaryEmit, end: string, state: SeenState): void {
  emitState(
    (value, of) => {
      emit.seenState(value, { seen_at: end, state: of });
    },
    seenStates,
    state,
  );
}
