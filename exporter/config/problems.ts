import { z } from 'zod';

/** zod's issues, one line each: the path as it stands in the file, the reason, the fix. */
export function problemsOf(error: z.ZodError, schema: z.ZodType, document: unknown): string[] {
  return flatten(error.issues).flatMap((issue) => {
    const path = z.core.toDotPath(issue.path) || 'the file';
    if (issue.code === 'unrecognized_keys') {
      const known = keysAt(schema, issue.path, document);
      return issue.keys.map(
        (key) => `${[...(issue.path.length > 0 ? [path] : []), key].join('.')}: ${unknownKey(key, known)}`,
      );
    }
    return [`${path}: ${reasonOf(issue, schema, document)}`];
  });
}

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

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

/** In the place of `auth` a password may stand by mistake: it is not said again. */
function reasonOf(issue: Issue, schema: z.ZodType, document: unknown): string {
  const written = valueAt(document, issue.path);
  const told = openReasonOf(issue, schema, document);
  return issue.path.at(-1) === 'auth' && typeof written === 'string'
    ? told.replaceAll(show(written), 'what stands here')
    : told;
}

function openReasonOf(issue: Issue, schema: z.ZodType, document: unknown): string {
  const written = valueAt(document, issue.path);
  switch (issue.code) {
    case 'invalid_type': {
      const wanted = issue.message.startsWith('Invalid input') ? article(issue.expected) : issue.message; // zod's own words
      if (written === undefined) return `missing. Add it: ${wanted}`;
      return typeof written === 'object'
        ? `${show(written)} cannot stand here. Write ${wanted}`
        : `${show(written)} is ${article(typeof written)}. Write ${wanted}`;
    }
    case 'invalid_value':
      return `${show(written)} is not known. Write ${issue.values.map(String).join(' or ')}`;
    case 'invalid_union': {
      const kinds = optionsAt(schema, issue.path.slice(0, -1), document);
      if (issue.discriminator !== undefined && kinds.length > 0) {
        return `${written === undefined ? 'missing' : `${show(written)} is not known`}. Write one of: ${kinds.join(', ')}`;
      }
      const wanted = issue.errors
        .flat()
        .map((i) =>
          i.code === 'invalid_type'
            ? article(i.expected)
            : i.code === 'invalid_value'
              ? i.values.map(String).join(' or ')
              : i.message,
        );
      return `${show(written)} cannot stand here. Write ${[...new Set(wanted)].join(' or ')}`;
    }
    case 'too_small':
      return `${sizeOf(issue.origin, written, ['few', 'small'])}. Write at least ${String(issue.minimum)}`;
    case 'too_big':
      return `${sizeOf(issue.origin, written, ['many', 'large'])}. Write at most ${String(issue.maximum)}`;
    case 'invalid_key':
      return `${show(issue.path.at(-1))} cannot be a name here. Write ${issue.issues.map((i) => i.message).join(', ')}`;
    case 'invalid_format':
    case 'custom':
      return `${show(written)} cannot stand here. Write ${issue.message}`;
    case 'not_multiple_of':
    case 'invalid_element':
    case 'unrecognized_keys':
      return `${show(written)} cannot stand here: ${issue.message}. Change it`;
  }
}

function unknownKey(key: string, known: readonly string[]): string {
  if (known.length === 0) return 'no such key. Take it out';
  const near = known.find((k) => k.toLowerCase().replace(/[-_]/g, '') === key.toLowerCase().replace(/[-_]/g, ''));
  return near === undefined
    ? `no such key. Take it out, or write one of: ${known.join(', ')}`
    : `no such key. Write ${near}`;
}

/** Never a whole block: a mapping under a wrong key may hold anything. */
function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value === null || value === undefined) return 'an empty value';
  return Array.isArray(value) ? 'a list' : 'a mapping';
}

function sizeOf(origin: string, value: unknown, [few, small]: readonly [string, string]): string {
  if (origin === 'array') return `too ${few} entries`;
  return origin === 'string' ? `${show(value)} has too ${few} characters` : `${show(value)} is too ${small}`;
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

function valueAt(document: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (at, key) =>
      typeof at === 'object' && at !== null ? (at as Readonly<Record<PropertyKey, unknown>>)[key] : undefined,
    document,
  );
}

/** The keys that the schema knows at this place of this document. */
function keysAt(schema: z.ZodType, path: Path, document: unknown): string[] {
  return schemasAt(schema, path, document)
    .flatMap((s) => (s instanceof z.ZodDiscriminatedUnion ? chosen(s, valueAt(document, path)) : [s]))
    .flatMap((s) => (s instanceof z.ZodObject ? Object.keys(s.shape) : []));
}

/** The alternatives that this value names by its discriminator. */
function chosen({ options, def }: z.ZodDiscriminatedUnion, value: unknown): unknown[] {
  const kind = String(valueAt(value, [def.discriminator]));
  return options.filter((option) => discriminators(option, def.discriminator).includes(kind));
}

/** The values that the discriminator of a union at this place may have. */
function optionsAt(schema: z.ZodType, path: Path, document: unknown): string[] {
  return schemasAt(schema, path, document).flatMap((s) =>
    s instanceof z.ZodDiscriminatedUnion ? s.options.flatMap((o) => discriminators(o, s.def.discriminator)) : [],
  );
}

function discriminators(option: unknown, key: string): string[] {
  const field: unknown = option instanceof z.ZodObject ? (option.shape as Record<string, unknown>)[key] : undefined;
  return field instanceof z.ZodLiteral ? [...field.values].map(String) : [];
}

function schemasAt(schema: unknown, path: Path, document: unknown): unknown[] {
  const inner = unwrap(schema);
  const [key, ...rest] = path;
  if (inner instanceof z.ZodDiscriminatedUnion) {
    if (key === undefined) return [inner];
    return chosen(inner, document).flatMap((o) => schemasAt(o, path, document));
  }
  if (inner instanceof z.ZodUnion) return inner.options.flatMap((o: unknown) => schemasAt(o, path, document));
  if (key === undefined) return [inner];
  const below = valueAt(document, [key]);
  if (inner instanceof z.ZodObject) return schemasAt((inner.shape as Record<PropertyKey, unknown>)[key], rest, below);
  if (inner instanceof z.ZodArray) return schemasAt(inner.element, rest, below);
  if (inner instanceof z.ZodRecord) return schemasAt(inner.valueType, rest, below);
  return [];
}

function unwrap(schema: unknown): unknown {
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodReadonly
  )
    return unwrap(schema.unwrap());
  return schema instanceof z.ZodPipe ? unwrap(schema.in) : schema;
}
