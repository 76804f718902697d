// Which topics and groups are looked at, from the collector's options. Pure.
import { z } from 'zod';
import { messageOf } from '../../runtime/errors.ts';
import { patternOf, type Pattern } from '../../runtime/pattern.ts';

/** A regular expression that has to match the whole name; ids of groups may hold line breaks. */
const pattern = z.string().min(1).transform((text, context): Pattern => {
  try {
    return patternOf(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: `a regular expression; this is none: ${messageOf(error)}` });
    return z.NEVER;
  }
}); // prettier-ignore

const names = z
  .strictObject({
    /** One of them must match; without it every name does. */
    include: z.array(pattern).min(1).optional(),
    /** None of them may match. */
    exclude: z.array(pattern).default([]),
  })
  .prefault({});

/** Options of a collector: `topics: {include: [REGEX], exclude: [REGEX]}`, `groups: {…}`. */
export const selectionFields = { topics: names, groups: names };

export type Names = z.output<typeof names>;

export interface Selection {
  readonly topics: Names;
  readonly groups: Names;
}

export const everything: Selection = { topics: { exclude: [] }, groups: { exclude: [] } };

export function isSelected({ include, exclude }: Names, name: string): boolean {
  return (include?.some((p) => p.matches(name)) ?? true) && !exclude.some((p) => p.matches(name));
}

/** The patterns that match no name, as written. */
export function idlePatterns({ include = [], exclude }: Names, found: readonly string[]): readonly string[] {
  return [...include, ...exclude].filter((p) => !found.some((name) => p.matches(name))).map((p) => p.source);
}
