// Streams, their consumer groups and consumers: https://redis.io/docs/latest/commands/xinfo-stream/, xinfo-groups, xinfo-consumers
import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { RedisClient } from './client.ts';
import { isRefusal } from './facts-refused.ts';

type Asked = Pick<RedisClient, 'send'>;

export interface StreamName {
  readonly db: number;
  readonly key: string;
}

export const streamStates = ['read', 'missing', 'not_a_stream', 'elsewhere', 'refused', 'unknown'] as const;
/** `missing`: no such key. `elsewhere`: another node of the cluster has the slot. */
export type StreamState = (typeof streamStates)[number];

export interface StreamRead {
  readonly name: StreamName;
  readonly state: StreamState;
  /** Undefined unless it was read. */
  readonly stream: Stream | undefined;
}

/** What a server's version does not tell, or cannot know, is undefined. Ids are told by their milliseconds. */
export interface Stream {
  readonly length: number;
  readonly radixTreeKeys: number | undefined;
  readonly radixTreeNodes: number | undefined;
  readonly groupCount: number | undefined;
  readonly lastGeneratedIdMs: number | undefined;
  readonly maxDeletedIdMs: number | undefined;
  /** Undefined when the stream is empty. */
  readonly firstIdMs: number | undefined;
  readonly lastIdMs: number | undefined;
  readonly groups: readonly StreamGroup[];
}

export interface StreamGroup {
  readonly name: string;
  readonly consumerCount: number;
  /** Delivered and not acknowledged. */
  readonly pending: number;
  readonly lastDeliveredIdMs: number | undefined;
  readonly entriesRead: number | undefined;
  /** Entries not yet delivered. The server does not know it once entries were deleted or ids skipped (nil). */
  readonly lag: number | undefined;
  readonly consumers: readonly StreamConsumer[];
}

export interface StreamConsumer {
  readonly name: string;
  readonly pending: number;
  readonly idleSeconds: number;
}

/**
 * Everything is sent at once, in two rounds. A database is chosen in the same breath as what is asked of it, and the first
 * one again at the end: commands of other collectors on this connection never see another database.
 *
 * @throws TargetError when the server cannot be asked at all
 */
export async function readStreams(
  client: Asked,
  call: Call,
  names: readonly StreamName[],
): Promise<readonly StreamRead[]> {
  const heads = await askEach(client, call, names, (name) => [
    client.send(call, 'XINFO', 'STREAM', name.key),
    client.send(call, 'XINFO', 'GROUPS', name.key),
  ]);
  const found = heads.map(({ name, replies, error }): StreamRead & { groups: readonly Fields[] } => {
    if (replies === undefined) return { name, state: stateOf(error), stream: undefined, groups: [] };
    const [head, groups] = replies;
    const all = listOf(groups).map(fieldsOf);
    return { name, state: 'read', stream: streamOf(fieldsOf(head)), groups: all };
  });
  const groups = found.flatMap(({ name, groups: of }) => of.map((group) => ({ ...name, group: text(group, 'name') })));
  const consumers = await askEach(client, call, groups, (name) => [
    client.send(call, 'XINFO', 'CONSUMERS', name.key, name.group),
  ]);
  // A group that was destroyed between the two rounds has no consumers
  const byGroup = new Map(consumers.map(({ name, replies }) => [idOf(name, name.group), replies?.[0] ?? []]));
  return found.map(({ name, state, stream, groups: of }) => ({
    name,
    state,
    stream: stream && {
      ...stream,
      groups: of.map((group) =>
        groupOf(group, listOf(byGroup.get(idOf(name, text(group, 'name'))) ?? []).map(fieldsOf)),
      ),
    },
  }));
}

function idOf({ db, key }: StreamName, group: string): string {
  return `${String(db)} ${key}\0${group}`;
}

interface Answer<N> {
  readonly name: N;
  /** Undefined when one of them failed. */
  readonly replies: readonly unknown[] | undefined;
  readonly error: unknown;
}

async function askEach<N extends StreamName>(
  client: Asked,
  call: Call,
  names: readonly N[],
  ask: (name: N) => readonly Promise<unknown>[],
): Promise<readonly Answer<N>[]> {
  const selects = names.some(({ db }) => db !== 0);
  const sent = names.map((name) => ({
    name,
    asked: Promise.allSettled([
      ...(selects ? [client.send(call, 'SELECT', String(name.db))] : [Promise.resolve('OK')]),
      ...ask(name),
    ]),
  }));
  if (selects) await client.send(call, 'SELECT', '0').catch(() => undefined); // nothing but a lost connection
  return await Promise.all(
    sent.map(async ({ name, asked }): Promise<Answer<N>> => {
      const settled = await asked;
      const failed = settled.find((s) => s.status === 'rejected');
      if (failed !== undefined) return { name, replies: undefined, error: failed.reason };
      return {
        name,
        replies: settled.slice(1).map((s) => (s.status === 'fulfilled' ? s.value : undefined)),
        error: undefined,
      };
    }),
  );
}

/** @throws the error, when it is not about this key */
function stateOf(error: unknown): StreamState {
  if (isRefusal(error)) return 'refused';
  const message = error instanceof TargetError ? error.message : '';
  if (/\bno such key\b/.test(message)) return 'missing';
  if (/\bWRONGTYPE\b/.test(message)) return 'not_a_stream';
  if (/\b(MOVED|ASK|CROSSSLOT|CLUSTERDOWN)\b/.test(message)) return 'elsewhere';
  throw error;
}

type Fields = ReadonlyMap<string, unknown>;

function listOf(reply: unknown): readonly unknown[] {
  if (!Array.isArray(reply)) throw new TargetError('protocol', 'XINFO: the reply is not a list');
  return reply as readonly unknown[];
}

/** A flat list of names and values. */
function fieldsOf(reply: unknown): Fields {
  const list = listOf(reply);
  const found = new Map<string, unknown>();
  for (let i = 0; i + 1 < list.length; i += 2) found.set(String(list[i]), list[i + 1]);
  return found;
}

function number(fields: Fields, name: string): number | undefined {
  const value = fields.get(name);
  return typeof value === 'number' ? value : undefined;
}

function text(fields: Fields, name: string): string {
  const value = fields.get(name);
  return typeof value === 'string' ? value : '';
}

/** Of `1526569495631-0`. */
function idMs(value: unknown): number | undefined {
  const ms = typeof value === 'string' ? /^(\d+)-\d+$/.exec(value)?.[1] : undefined;
  return ms === undefined ? undefined : Number(ms);
}

/** An entry is its id and its fields; nil in an empty stream. */
function entryMs(value: unknown): number | undefined {
  return Array.isArray(value) ? idMs(value[0]) : undefined;
}

function streamOf(fields: Fields): Stream {
  const length = number(fields, 'length');
  if (length === undefined) throw new TargetError('protocol', 'XINFO STREAM: the reply has no length');
  return {
    length,
    radixTreeKeys: number(fields, 'radix-tree-keys'),
    radixTreeNodes: number(fields, 'radix-tree-nodes'),
    groupCount: number(fields, 'groups'),
    lastGeneratedIdMs: idMs(fields.get('last-generated-id')),
    maxDeletedIdMs: idMs(fields.get('max-deleted-entry-id')),
    firstIdMs: entryMs(fields.get('first-entry')),
    lastIdMs: entryMs(fields.get('last-entry')),
    groups: [],
  };
}

function groupOf(fields: Fields, consumers: readonly Fields[]): StreamGroup {
  return {
    name: text(fields, 'name'),
    consumerCount: number(fields, 'consumers') ?? 0,
    pending: number(fields, 'pending') ?? 0,
    lastDeliveredIdMs: idMs(fields.get('last-delivered-id')),
    entriesRead: number(fields, 'entries-read'),
    lag: number(fields, 'lag'),
    consumers: consumers.map((of) => ({
      name: text(of, 'name'),
      pending: number(of, 'pending') ?? 0,
      idleSeconds: (number(of, 'idle') ?? 0) / 1e3,
    })),
  };
}
