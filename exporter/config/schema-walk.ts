// What a zod schema knows at a place of a document.
import { z } from 'zod';
import { valueAt, type Path } from './places.ts';

/** The keys that the schema knows at this place of this document. */
export function keysAt(schema: z.ZodType, path: Path, document: unknown): string[] {
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
export function optionsAt(schema: z.ZodType, path: Path, document: unknown): string[] {
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
