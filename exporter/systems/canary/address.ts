import { z } from 'zod';
import { durationMs } from '../../fields.ts';
import { targetName, type Reference } from '../../system.ts';

/** Where a canary is written: a row of a table, or a key. */
export type WritePlace =
  | {
      readonly kind: 'mysql';
      readonly target: string;
      readonly table: string;
      /** Also while the server replicates from another one. */
      readonly onReplica: boolean;
    }
  | { readonly kind: 'redis'; readonly target: string; readonly key: string };

/** Where it is looked for. */
export type SeenPlace =
  | { readonly kind: 'mysql'; readonly target: string; readonly table: string }
  | { readonly kind: 'redis'; readonly target: string; readonly key: string }
  | { readonly kind: 'redis'; readonly target: string; readonly key: string; readonly field: string }
  | { readonly kind: 'kafka'; readonly target: string; readonly topic: string };

export interface CanaryAddress {
  readonly write: WritePlace;
  /** Each target once. */
  readonly seenAt: readonly SeenPlace[];
  /** Between two writes. */
  readonly everyMs: number;
  /** Not seen after this time, a token counts as late. */
  readonly lateAfterMs: number;
  /** Not seen after this time, a token counts as lost. */
  readonly giveUpAfterMs: number;
}

const table = z.string().regex(/^[^`\0.]{1,64}\.[^`\0.]{1,64}$/, 'DATABASE.TABLE, without backticks');
const key = z.string().min(1).max(512);

const every = durationMs.refine((ms) => ms >= 1000 && ms <= 3_600_000, 'a duration from 1s to 1h');

/** `table` stands for mysql, `key` for redis, `topic` for kafka; without one of them it is the place that is written to. */
export const canaryAddress = z
  .strictObject({
    write: z.strictObject({
      target: targetName,
      table: table.optional(),
      key: key.optional(),
      /** For servers that replicate from each other: a row on a mere replica is an errant transaction. */
      on_replica: z.boolean().optional(),
    }),
    seen_at: z
      .array(
        z.strictObject({
          target: targetName,
          table: table.optional(),
          key: key.optional(),
          field: key.optional(),
          topic: key.optional(),
        }),
      )
      .min(1)
      .max(20),
    every: every.prefault('10s'),
    late_after: durationMs.optional(),
    give_up_after: durationMs.prefault('5m'),
  })
  .transform((a, context): CanaryAddress => {
    const wrong = (path: (string | number)[], message: string): void => {
      context.addIssue({ code: 'custom', path, message });
    };
    const write = writePlace(a.write);
    if (write === undefined) {
      wrong(['write'], 'either table (of a target of kind mysql) or key (of one of kind redis)');
      return z.NEVER;
    }
    const seenAt = a.seen_at.map((place, i) => {
      if (a.seen_at.findIndex(({ target }) => target === place.target) < i) {
        wrong(['seen_at', i, 'target'], 'each target once: the series bear its name');
      }
      const found = seenPlace(place, write);
      if (found === undefined) wrong(['seen_at', i], 'one of table, key (with field, or without) and topic');
      return found;
    });
    if (a.give_up_after < a.every) wrong(['give_up_after'], 'a duration that is not shorter than every');
    const places = seenAt.filter((place) => place !== undefined);
    if (places.length < seenAt.length) return z.NEVER;
    return {
      write,
      seenAt: places,
      everyMs: a.every,
      lateAfterMs: Math.min(a.late_after ?? a.every, a.give_up_after),
      giveUpAfterMs: a.give_up_after,
    };
  });

interface Written {
  readonly target: string;
  readonly table?: string | undefined;
  readonly key?: string | undefined;
  readonly field?: string | undefined;
  readonly topic?: string | undefined;
  readonly on_replica?: boolean | undefined;
}

function writePlace({ target, table: inTable, key: atKey, on_replica: onReplica }: Written): WritePlace | undefined {
  if (inTable !== undefined && atKey === undefined) {
    return { kind: 'mysql', target, table: inTable, onReplica: onReplica === true };
  }
  if (atKey !== undefined && inTable === undefined && onReplica === undefined) {
    return { kind: 'redis', target, key: atKey };
  }
  return undefined;
}

function seenPlace(place: Written, write: WritePlace): SeenPlace | undefined {
  const { target, table: inTable, key: atKey, field, topic } = place;
  const named = [inTable, atKey, topic].filter((name) => name !== undefined);
  if (named.length === 0 && field === undefined) return samePlace(write, target);
  if (named.length > 1 || (field !== undefined && atKey === undefined)) return undefined;
  if (topic !== undefined) return { kind: 'kafka', target, topic };
  if (atKey !== undefined && field !== undefined) return { kind: 'redis', target, key: atKey, field };
  if (inTable !== undefined) return { kind: 'mysql', target, table: inTable };
  return atKey === undefined ? undefined : { kind: 'redis', target, key: atKey };
}

function samePlace(write: WritePlace, target: string): SeenPlace {
  return write.kind === 'mysql'
    ? { kind: 'mysql', target, table: write.table }
    : { kind: 'redis', target, key: write.key };
}

export function canaryReferences({ write, seenAt }: CanaryAddress): readonly Reference[] {
  return [
    { path: 'write.target', target: write.target, kind: write.kind },
    ...seenAt.map(({ target, kind }, i) => ({ path: `seen_at[${String(i)}].target`, target, kind })),
  ];
}
