import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { durationMs } from '../../fields.ts';
import type { RedisClient } from './client.ts';
import { readUnlessSentinel } from './facts-replication.ts';
import { DatasetMemory, datasetStates, shrinkCauses, type DatasetState } from './facts-replication-dataset.ts';
import { datasetFamilies } from './families-replication.ts';

type DatasetEmit = Emit<typeof datasetFamilies>;

/** Replication copies a loss as faithfully as anything else: only the size of the data set shows it. */
export const datasetCollector = collectorOf<RedisClient>()({
  name: 'dataset',
  help: 'Whether the data set has shrunk at once, on a primary or on a replica, and by what.',
  keeps: 'earlier sizes of the data set: whether it shrank, and how often',
  config: z.strictObject({
    /** How far back the largest data set counts, and how long a loss is told. */
    window: durationMs.default(1_800_000),
    /** The part that may be lost within it. */
    share: z.number().gt(0).lt(1).default(0.5),
    /** Data sets with less than this of both are not judged. */
    min_keys: z.int().min(1).default(1_000),
    min_bytes: z.int().min(1).default(67_108_864),
  }),
  families: datasetFamilies,
  state: () => new DatasetMemory(),
  async collect({ client, config, emit, call, state }) {
    const found = await readUnlessSentinel(client, call);
    if (found === undefined) {
      emitDataset(emit, 'none');
      return;
    }
    const now = { monoMs: call.clock.monoMs(), wallMs: call.clock.wallMs() };
    const dataset = state.see(found, now, {
      windowMs: config.window,
      share: config.share,
      leastKeys: config.min_keys,
      leastBytes: config.min_bytes,
    });
    emitDataset(emit, dataset.state);
    if (dataset.state === 'steady' || dataset.state === 'shrank') emit.shrank(dataset.state === 'shrank' ? 1 : 0);
    if (dataset.kept.known) emit.kept(dataset.kept.value);
    for (const cause of shrinkCauses) emit.shrinks(state.shrinks[cause], { cause });
  },
  unknown({ emit, state }) {
    emitDataset(emit, 'unknown');
    if (!state.hasLooked) return;
    for (const cause of shrinkCauses) emit.shrinks(state.shrinks[cause], { cause });
  },
});

function emitDataset(emit: DatasetEmit, state: DatasetState): void {
  emitState(
    (value, of) => {
      emit.state(value, { state: of });
    },
    datasetStates,
    state,
  );
}
