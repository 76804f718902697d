import type { z } from 'zod';
import { pathText, valueAt, type Path, type Problem } from './places.ts';
import { keysAt, optionsAt } from './schema-walk.ts';
import { listed, nearest } from './suggest.ts';

/** zod's issues, one line each: the path as it stands in the file, the reason, the fix. */
export function problemsOf(error: z.ZodError, schema: z.ZodType, document: unknown): string[] {
  return issuesOf(error, schema, document).map(({ path, reason }) => `${pathText(path) || 'the file'}: ${reason}`);
}

/** zod's issues in words. */
export function issuesOf(error: z.ZodError, schema: z.ZodType, document: unknown): Problem[] {
  return flatten(error.issues).flatMap((issue) => {
    const path = pathOf(issue);
    if (issue.code !== 'unrecognized_keys') return [{ path, reason: reasonOf(issue, schema, document) }];
    return issue.keys.map((key) => ({ path: [...path, key], reason: unknownKey(key, path, schema, document) }));
  });
}

type Issue = z.core.$ZodIssue;

function pathOf({ path }: Issue): Path {
  return path.map((key) => (typeof key === 'symbol' ? String(key) : key));
}

/** Of a union's alternatives the one that was meant: the one that got farthest. Its paths begin at the union's. */
function flatten(issues: readonly Issue[]): Issue[] {
  return issues.flatMap((issue) => {
    if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [issue];
    const depth = (branch: readonly Issue[]): number =>
      Math.max(
        ...branch.map(
          (i) =>
            i.path.length * 10 +
            (i.code === 'unrecognized_keys' ? 5 : i.code === 'invalid_type' || i.code === 'invalid_value' ? 0 : 1),
        ),
      );
    const meant = [...issue.errors].sort((a, b) => depth(b) - depth(a))[0] ?? [];
    if (meant.every((i) => i.path.length === 0 && (i.code === 'invalid_type' || i.code === 'invalid_value')))
      return [issue];
    return flatten(meant.map((i) => ({ ...i, path: [...issue.path, ...i.path] })));
  });
}

/** Where a password may stand by mistake, in place of a mapping, a file or a variable that holds it: it is not said again. */
const secretKeys: ReadonlySet<unknown> = new Set(['auth', 'password_file', 'password_env']);

function reasonOf(issue: Issue, schema: z.ZodType, document: unknown): string {
  const written = valueAt(document, pathOf(issue));
  const told = openReasonOf(issue, schema, document);
  return secretKeys.has(issue.path.at(-1)) && typeof written === 'string'
    ? told.replaceAll(show(written), 'this value')
    : told;
}

function openReasonOf(issue: Issue, schema: z.ZodType, document: unknown): string {
  const path = pathOf(issue);
  const written = valueAt(document, path);
  switch (issue.code) {
    case 'invalid_type':
      return wrongType(issue, written);
    case 'invalid_value': {
      const told = written === undefined ? 'missing' : `${show(written)} is not known`;
      return `${told}. ${choiceOf(written, issue.values.map(String))}`;
    }
    case 'invalid_union': {
      const kinds = optionsAt(schema, path.slice(0, -1), document);
      if (issue.discriminator !== undefined && kinds.length > 0) {
        return `${written === undefined ? 'missing' : `${show(written)} is not known`}. ${choiceOf(written, kinds)}`;
      }
      return noneOf(issue, written);
    }
    case 'too_small':
      return wrongSize(
        issue.origin,
        written,
        `${issue.inclusive === false ? 'more than' : 'at least'} ${String(issue.minimum)}`,
        ['few', 'short', 'small'],
      );
    case 'too_big':
      return wrongSize(
        issue.origin,
        written,
        `${issue.inclusive === false ? 'less than' : 'at most'} ${String(issue.maximum)}`,
        ['many', 'long', 'large'],
      );
    case 'invalid_key':
      return `${show(path.at(-1))} cannot be a name here. Write ${issue.issues.map(wantedKey).join(', ')}`;
    case 'invalid_format':
    case 'custom': {
      if (written === undefined) return `missing. Write ${issue.message}`;
      // The parts are right in themselves, so it is not their kind that is wrong
      const told = typeof written === 'object' && written !== null ? 'this does not fit together' : undefined;
      return `${told ?? `${show(written)} cannot stand here`}. Write ${issue.message}`;
    }
    case 'not_multiple_of':
    case 'invalid_element':
    case 'unrecognized_keys':
      return `${show(written)} cannot stand here: ${issue.message}. Change it`;
  }
}

function wrongType(issue: z.core.$ZodIssueInvalidType, written: unknown): string {
  const isOurs = !isZods(issue);
  const wanted = isOurs ? issue.message : article(issue.expected);
  if (issue.expected === 'never') return `${show(written)} cannot stand here. Take it out`;
  if (written === undefined) return `missing. Add it: ${wanted}`;
  if (typeof written === 'object' || typeof written === 'boolean') {
    const quoted = typeof written === 'boolean' && !isOurs && issue.expected === 'string' ? ', in quotes' : '';
    return `${show(written)} cannot stand here. Write ${wanted}${quoted}`;
  }
  const hint = isOurs ? '' : quotesHint(issue.expected, written);
  return `${show(written)} is ${article(typeof written)}. Write ${wanted}${hint}`;
}

/** zod's own words, where the schema has none. */
function isZods({ message }: Issue): boolean {
  return message.startsWith('Invalid input');
}

/** YAML takes 1.10 for a number and "3306" for text. */
function quotesHint(expected: string, written: unknown): string {
  if (expected === 'string') return ', in quotes';
  const isNumber = typeof written === 'string' && /^-?\d+(\.\d+)?$/.test(written);
  return isNumber && ['number', 'int'].includes(expected) ? ', without quotes' : '';
}

function noneOf(issue: z.core.$ZodIssueInvalidUnion, written: unknown): string {
  const wanted = new Set(
    issue.errors
      .flat()
      .map((i) =>
        i.code === 'invalid_type' && isZods(i)
          ? article(i.expected)
          : i.code === 'invalid_value'
            ? i.values.map(String).join(' or ')
            : i.message,
      ),
  );
  // The switch of a collector
  if (written === true && wanted.has('false') && wanted.has('a mapping')) {
    return 'true cannot stand here. Write {} to switch it on, or false to switch it off';
  }
  const told = written === undefined ? 'missing' : `${show(written)} cannot stand here`;
  return `${told}. Write ${[...wanted].join(' or ')}`;
}

function choiceOf(written: unknown, values: readonly string[]): string {
  const near = typeof written === 'string' ? nearest(written, values) : undefined;
  if (near !== undefined) return `Write ${near}${values.length > 1 ? `; there are ${listed(values, near)}` : ''}`;
  return values.length > 2 ? `Write one of: ${listed(values, String(written))}` : `Write ${values.join(' or ')}`;
}

/** What a name should be. */
function wantedKey(issue: Issue): string {
  if (issue.code === 'too_small') return `at least ${characters(issue.minimum)}`;
  if (issue.code === 'too_big') return `at most ${characters(issue.maximum)}`;
  return issue.message;
}

const secretWords = /^(pass(word|wd|phrase)?|pwd|secret|token)$/i;

function unknownKey(key: string, path: Path, schema: z.ZodType, document: unknown): string {
  const known = keysAt(schema, path, document);
  if (key === '<<') return 'merge keys are not read. Write the keys out, or give each value an anchor';
  if (known.length === 0) return 'no such key. Take it out';
  if (secretWords.test(key) && known.includes('password_file')) {
    return 'no such key: a secret never stands in here. Put it into a file of its own, and write password_file';
  }
  const written = valueAt(document, path);
  const free = known.filter((k) => typeof written !== 'object' || written === null || !Object.hasOwn(written, k));
  const near = nearest(key, free);
  if (near !== undefined) return `no such key. Write ${near}`;
  const below = known.find((k) => keysAt(schema, [...path, k], document).includes(key));
  if (below !== undefined) return `no such key here. Put it under ${below}`;
  const above = path.slice(0, -1);
  if (typeof path.at(-1) === 'string' && keysAt(schema, above, document).includes(key)) {
    return `no such key here. Put it beside ${String(path.at(-1))}, not under it`;
  }
  return `no such key. Take it out, or write one of: ${known.join(', ')}`;
}

/** Never a whole block: a mapping under a wrong key may hold anything. Nor who logs in, and with what: `user:secret@host`. */
function show(value: unknown): string {
  if (typeof value === 'string') {
    const open = value.slice(value.lastIndexOf('@') + 1);
    const shown = open.length < value.length ? `…@${open}` : value;
    return JSON.stringify(shown.length > 60 ? `${shown.slice(0, 60)}…` : shown);
  }
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value === null || value === undefined) return 'an empty value';
  return Array.isArray(value) ? 'a list' : 'a mapping';
}

function wrongSize(
  origin: string,
  value: unknown,
  wanted: string,
  [few, short, small]: readonly [string, string, string],
): string {
  if (origin === 'array') return `too ${few} entries. Write ${wanted}`;
  if (origin === 'string') return `${show(value)} is too ${short}. Write ${characters(wanted)}`;
  return `${show(value)} is too ${small}. Write ${wanted}`;
}

function characters(limit: string | number | bigint): string {
  return `${String(limit)} character${/(^|\s)1$/.test(String(limit)) ? '' : 's'}`;
}

const articles: Readonly<Record<string, string>> = {
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};

function article(type: string): string {
  return articles[type] ?? type;
}
