// The rules of this version, as they lie beside the program, and how what Prometheus has loaded differs from them.
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { load } from 'js-yaml';
import { z } from 'zod';
import { durationMs } from '../fields.ts';
import { packageFolder } from '../runtime/version.ts';

export interface ShippedRule {
  readonly name: string;
  readonly expr: string;
  /** Undefined for a recording rule. */
  readonly forSeconds: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

export interface ShippedGroup {
  readonly name: string;
  /** Its name without folder. */
  readonly file: string;
  readonly rules: readonly ShippedRule[];
}

const rulesFile = z.object({
  groups: z.array(
    z.object({
      name: z.string(),
      rules: z.array(
        z.object({
          alert: z.string().optional(),
          record: z.string().optional(),
          expr: z.string(),
          for: durationMs.optional(),
          labels: z.record(z.string(), z.string()).default({}),
        }),
      ),
    }),
  ),
});

export const rulesFolder = (): string => join(packageFolder(), 'rules');

/** @param folder with the files `*.rules.yml` */
export function readShippedRules(folder: string): readonly ShippedGroup[] {
  return globSync(join(folder, '*.rules.yml'))
    .sort()
    .flatMap((file) =>
      rulesFile.parse(load(readFileSync(file, 'utf8'), { filename: file })).groups.map((group) => ({
        name: group.name,
        file: basename(file),
        rules: group.rules.map(({ alert, record, expr, for: forMs = 0, labels }) => ({
          name: alert ?? record ?? '',
          expr,
          forSeconds: alert === undefined ? undefined : forMs / 1000,
          labels,
        })),
      })),
    );
}

const token = /("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)|#[^\n]*|\s+/g;

/**
 * An expression without what Prometheus leaves out or writes otherwise when it shows one: comments, white space, the kind
 * of quotes, a comma behind the last matcher, empty braces. Equal texts are equal expressions; others may be all the same.
 */
export function plainExpression(expr: string): string {
  return expr
    .replaceAll(token, (_all, literal?: string) => (literal === undefined ? '' : requoted(literal)))
    .replaceAll(/,(?=[})])/g, '')
    .replaceAll('{}', '');
}

function requoted(literal: string): string {
  if (literal.startsWith('"')) return literal;
  const inner = literal.slice(1, -1);
  if (literal.startsWith("'")) return `"${inner.replaceAll("\\'", "'").replaceAll('"', '\\"')}"`;
  return JSON.stringify(inner);
}

/** Every range and subquery of an expression, in milliseconds. */
export function rangesMs(expr: string): readonly number[] {
  const plain = plainExpression(expr).replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
  return [...plain.matchAll(/\[((?:\d+(?:ms|[smhdwy]))+)(?::[^\]]*)?\]/g)].flatMap(([, range = '']) => {
    const parsed = durationMs.safeParse(range);
    return parsed.success ? [parsed.data] : [];
  });
}
