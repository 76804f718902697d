import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { known, unknown } from '../../runtime/known.ts';
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
  config: z.strictObject({}),
  families: canaryFamilies,
  state: (): CanaryMemory => ({ track: undefined, ends: [] }),
  async background({ state, work }) {
    const { clock } = work;
    const client = await work.open({ clock, signal: AbortSignal.timeout(openMs) });
    const own = Math.floor(Math.random() * 1000);
    const track = new CanaryTrack(client.plan, { wallMs: clock.wallMs(), monoMs: clock.monoMs(), own });
    state.track = track;
    await runCanary({ client, track, work, random: Math.random });
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
