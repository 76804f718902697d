import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { durationMs } from '../../fields.ts';
import { searchStreams, type StreamSearch } from './background-streams.ts';
import type { RedisClient } from './client.ts';
import { mostCounted } from './facts-info.ts';
import {
  readStreams,
  streamStates,
  type Stream,
  type StreamGroup,
  type StreamName,
  type StreamState,
} from './facts-streams.ts';
import { searchStates, streamFamilies } from './families-streams.ts';

type StreamEmit = Emit<typeof streamFamilies>;

const db = z.int().min(0).default(0);
const config = z
  .strictObject({
    /** Keys, by name: of the first database, or `{db, key}`. */
    streams: z
      .array(z.union([z.string().min(1).transform((key) => ({ db: 0, key })), z.strictObject({ db, key: z.string().min(1) })]))
      .default([]),
    /** Keys to look for beside the scrapes, as SCAN matches them. */
    patterns: z
      .array(
        z.union([
          z.string().min(1).transform((pattern) => ({ db: 0, pattern })),
          z.strictObject({ db, pattern: z.string().min(1) }),
        ]),
      )
      .default([]),
    /** How often they are looked for. */
    search_every: durationMs.default(300_000),
    /** Of those that are found. */
    max_streams: z.int().min(1).max(1_000).default(50),
    /** Of each group, those with the most pending messages; 0 for none. */
    max_consumers: z.int().min(0).default(100),
  })
  .refine((c) => c.streams.length + c.patterns.length > 0, 'streams or patterns, with at least one'); // prettier-ignore

type Config = z.output<typeof config>;

export const redisStreams = collectorOf<RedisClient>()({
  name: 'redis_streams',
  help: 'Streams that are named, or match a pattern: length, groups, what was not delivered, what was not acknowledged.',
  keeps: 'the streams that a search beside the scrapes has found',
  defaultOn: false,
  config,
  families: streamFamilies,
  state: (): StreamSearch => ({ found: undefined, isCut: false }),
  background: ({ config: options, state, work }) =>
    searchStreams(
      { patterns: options.patterns, everyMs: options.search_every, maxStreams: options.max_streams },
      state,
      work,
    ),
  async collect({ client, config: options, emit, call, state }) {
    for (const { name, state: found, stream } of await readStreams(client, call, namesOf(options, state))) {
      emitStreamState(emit, name, found);
      if (stream !== undefined) emitStream(emit, labelsOf(name), stream, options.max_consumers);
    }
    emitSearch(emit, options, state);
  },
  unknown({ config: options, emit, state }) {
    for (const name of namesOf(options, state)) emitStreamState(emit, name, 'unknown');
    emitSearch(emit, options, state);
  },
});

/** Those that are named, then those that were found. */
function namesOf(options: Config, search: StreamSearch): readonly StreamName[] {
  const names = new Map<string, StreamName>();
  for (const name of [...options.streams, ...(search.found ?? [])]) names.set(`${String(name.db)} ${name.key}`, name);
  return [...names.values()];
}

type StreamLabels = Readonly<Record<'db' | 'stream', string>>;

function labelsOf({ db: number, key }: StreamName): StreamLabels {
  return { db: `db${String(number)}`, stream: key };
}

function emitStream(emit: StreamEmit, labels: StreamLabels, stream: Stream, maxConsumers: number): void {
  emit.length(stream.length, labels);
  if (stream.radixTreeKeys !== undefined) emit.radixTreeKeys(stream.radixTreeKeys, labels);
  if (stream.radixTreeNodes !== undefined) emit.radixTreeNodes(stream.radixTreeNodes, labels);
  if (stream.groupCount !== undefined) emit.groups(stream.groupCount, labels);
  if (stream.lastGeneratedIdMs !== undefined) emit.lastGeneratedId(stream.lastGeneratedIdMs, labels);
  if (stream.maxDeletedIdMs !== undefined) emit.maxDeletedId(stream.maxDeletedIdMs, labels);
  if (stream.firstIdMs !== undefined) emit.firstId(stream.firstIdMs, labels);
  if (stream.lastIdMs !== undefined) emit.lastId(stream.lastIdMs, labels);
  for (const group of stream.groups) emitGroup(emit, labels, group, maxConsumers);
}

function emitGroup(emit: StreamEmit, of: StreamLabels, group: StreamGroup, maxConsumers: number): void {
  const labels = { ...of, group: group.name };
  emit.groupConsumers(group.consumerCount, labels);
  emit.groupPending(group.pending, labels);
  if (group.lastDeliveredIdMs !== undefined) emit.groupLastDelivered(group.lastDeliveredIdMs, labels);
  if (group.entriesRead !== undefined) emit.groupEntriesRead(group.entriesRead, labels);
  if (group.lag !== undefined) emit.groupLag(group.lag, labels);
  const lagState = group.lag === undefined ? 'unknown' : 'known';
  emitState((value, state) => { emit.groupLagState(value, { ...labels, state }); }, ['known', 'unknown'], lagState); // prettier-ignore
  for (const consumer of mostCounted(group.consumers, (c) => c.pending, maxConsumers)) {
    const named = { ...labels, consumer: consumer.name };
    emit.consumerPending(consumer.pending, named);
    emit.consumerIdle(consumer.idleSeconds, named);
  }
}

function emitStreamState(emit: StreamEmit, name: StreamName, current: StreamState): void {
  emitState((value, state) => { emit.streamState(value, { ...labelsOf(name), state }); }, streamStates, current); // prettier-ignore
}

function emitSearch(emit: StreamEmit, options: Config, search: StreamSearch): void {
  const current =
    options.patterns.length === 0 ? 'off' : search.found === undefined ? 'unknown' : search.isCut ? 'cut' : 'complete';
  emitState((value, state) => { emit.searchState(value, { state }); }, searchStates, current); // prettier-ignore
}
