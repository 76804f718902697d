import { z } from 'zod';
import { durationMs } from '../fields.ts';
import { targetName, type System } from '../system.ts';

const pipelineName = z
  .string()
  .max(100)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'letters, digits and . _ -, beginning with a letter or digit');

const consumer = z.strictObject({
  group: z.string().min(1),
  /** Which topics of the group count for this pipeline; the bus topics when left out. */
  topics: z.array(z.string().min(1)).min(1).optional(),
});

const pipeline = z
  .strictObject({
    name: pipelineName,
    /** The lag that is still all right, end to end. */
    objective: durationMs,
    /** kind mysql */
    source: targetName,
    /** kind mysql: replicas of the source */
    replicas: z.array(targetName).default([]),
    /** kind maxwell, cdc-service or debezium */
    cdc: targetName.optional(),
    /** kind kafka, with the topics that carry this pipeline's changes */
    bus: z.strictObject({ target: targetName, topics: z.array(z.string().min(1)).min(1) }).optional(),
    consumers: z.array(consumer).default([]),
    /** kind redis */
    cache: z.strictObject({ primary: targetName, replicas: z.array(targetName).default([]) }).optional(),
    /** kind backup */
    backups: z.array(targetName).default([]),
    /** kind canary: written to the source and looked for at the end */
    canary: targetName.optional(),
  })
  .refine((p) => p.bus !== undefined || p.consumers.length === 0, {
    path: ['consumers'],
    message: 'no consumers, or beside them the bus that they read from',
  });
export type PipelineConfig = z.output<typeof pipeline>;

/** Files, folders and globs, relative to the file that they stand in. */
export const includeField = z
  .array(z.string({ error: 'the name of a file or folder, or a glob' }).min(1), {
    error: 'a list of files, folders or globs',
  })
  .optional();

const lists = {
  include: includeField,
  targets: z.array(z.unknown()).optional(),
  pipelines: z.array(z.unknown()).optional(),
};

/** pipemedic.yml before the others are joined to it: whether they can be. */
export const firstFile = z.object(lists);

const byTarget = z.record(z.string(), z.unknown()).optional();

/** A team's part has its own accounts for repairs, too. */
export const includedFile = z.strictObject({
  ...lists,
  remediation: z.strictObject({ auth: byTarget, supervisors: byTarget }).optional(),
});

/** Validates only; each system parses its own targets again, typed. `remediation` is opaque here: its secrets are never read. */
export function configSchemaOf(systems: readonly System[]): z.ZodType<{
  readonly targets: readonly { readonly kind: string }[];
  readonly pipelines: readonly PipelineConfig[];
  readonly remediation?: unknown;
}> {
  const [first, ...rest] = systems.map((s) => s.schema);
  if (first === undefined) throw new Error('no system is registered');
  return z.strictObject({
    /** Taken out by the loader, which reads the files; here so that it is named among the keys. */
    include: z.never().optional(),
    targets: z.array(z.discriminatedUnion('kind', [first, ...rest])).min(1),
    pipelines: z.array(pipeline).default([]),
    remediation: z.unknown().optional(),
  });
}
