import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { durationMs } from '../../fields.ts';
import { known, unknown } from '../../runtime/known.ts';
import { mainTypeOf, maxAgeMsOf, type BackupType } from './address.ts';
import type { BackupClient } from './client.ts';
import { GrowthMemory, growingOf } from './facts-growth.ts';
import { listingFact, listingOf, type TypeListing } from './facts-listing.ts';
import { linkStates, listingFamilies, scheduleStates, sizeStates, writingStates } from './families-listing.ts';

type EmitListing = Emit<typeof listingFamilies>;

interface State {
  readonly growth: GrowthMemory;
  types: readonly BackupType[];
}

export const backupListing = collectorOf<BackupClient>()({
  name: 'backup_listing',
  help: 'How many backups there are, their size against the ones before, their interval, and what is being written.',
  keeps: 'how files grew: which one is being written, and which one hangs',
  config: z.strictObject({
    /** The newest is `small` at this share of the median of the `last` before it, or under it; `large` from `above` on. */
    size_band: z
      .strictObject({
        below: z.number().min(0).max(1).default(0.5),
        above: z.number().min(1).default(2),
        last: z.int().min(3).max(100).default(7),
      })
      .prefault({}),
    /** `small` under it, whatever the ones before. */
    size_floor_bytes: z.int().min(0).default(0),
    /** A temporary file that is not written to for longer: the dump hangs, or was left behind. */
    stalled_after: durationMs.default(600_000),
  }),
  families: listingFamilies,
  state: (): State => ({ growth: new GrowthMemory(), types: [] }),
  async collect({ client, config, emit, call, state }) {
    const survey = await client.survey(call);
    const nowMs = call.clock.wallMs();
    const listing = listingOf(survey, {
      address: client.address,
      growing: growingOf(survey.files, state.growth, call),
      limits: {
        ...config.size_band,
        floorBytes: config.size_floor_bytes,
        stalledAfterMs: config.stalled_after,
      },
      nowMs,
    });
    call.board.publish(call.target, listingFact, known(listing, nowMs));
    state.types = listing.types.map(({ type }) => type);
    for (const its of listing.types) {
      emit.maxAge(maxAgeMsOf(client.address, its.type) / 1000, { type: its.type });
      emitType(emit, its);
    }
    emitState((value, of) => { emit.linkState(value, { state: of }); }, linkStates, listing.link); // prettier-ignore
    if (state.types.length === 0) state.types = [mainTypeOf(client.address)];
  },
  unknown({ emit, call, state, why }) {
    call.board.publish(call.target, listingFact, unknown(why));
    for (const type of state.types.length === 0 ? (['full'] as const) : state.types) {
      emitStates(emit, type, { size: 'unknown', schedule: 'unknown', writing: 'unknown' });
    }
    emitState((value, of) => { emit.linkState(value, { state: of }); }, linkStates, 'unknown'); // prettier-ignore
  },
});

function emitStates(
  emit: EmitListing,
  type: BackupType,
  states: {
    readonly size: TypeListing['size']['state'];
    readonly schedule: TypeListing['schedule']['state'];
    readonly writing: TypeListing['writing']['state'];
  },
): void {
  emitState((value, state) => { emit.sizeState(value, { type, state }); }, sizeStates, states.size); // prettier-ignore
  emitState((value, state) => { emit.scheduleState(value, { type, state }); }, scheduleStates, states.schedule); // prettier-ignore
  emitState((value, state) => { emit.writingState(value, { type, state }); }, writingStates, states.writing); // prettier-ignore
}

function emitType(emit: EmitListing, { type, finished, size, schedule, writing, future }: TypeListing): void {
  emitStates(emit, type, { size: size.state, schedule: schedule.state, writing: writing.state });
  if (size.ratio.known) emit.sizeRatio(size.ratio.value, { type });
  emit.kept(finished.length, { type });
  emit.keptBytes(
    finished.reduce((sum, f) => sum + f.sizeBytes, 0),
    { type },
  );
  const oldest = finished.at(-1);
  if (oldest !== undefined) emit.oldest(oldest.modifiedAtMs / 1000, { type });
  if (schedule.nextAtMs.known) emit.nextExpected(schedule.nextAtMs.value / 1000, { type });
  if (schedule.intervalMs.known) emit.interval(schedule.intervalMs.value / 1000, { type });
  emit.growing(writing.growing, { type });
  if (writing.growingSinceMs !== undefined) emit.growingSince(writing.growingSinceMs / 1000, { type });
  emit.temporary(writing.temporary, { type });
  if (writing.temporaryAgeMs !== undefined) emit.temporaryAge(writing.temporaryAgeMs / 1000, { type });
  if (writing.temporaryIdleMs !== undefined) emit.temporaryIdle(writing.temporaryIdleMs / 1000, { type });
  emit.future(future, { type });
}
