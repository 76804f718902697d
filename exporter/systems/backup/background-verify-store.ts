// What was found in each backup, kept over a restart of the exporter: reading terabytes anew would take days.
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { codeOf, messageOf } from '../../runtime/errors.ts';
import { jsonOf, keepJson } from '../../runtime/kept-file.ts';
import { rungNames, verdictClasses } from './facts-verdict.ts';
import type { BackupMemory, Verified } from './facts-verifying.ts';

/** Raised when the ladder judges otherwise than before: verdicts of an older one are made anew. */
const ladder = 1;

const optionalText = z.string().optional();
const optionalNumber = z.number().optional();

const verified = z.object({
  verifiedAtMs: z.number(),
  verdict: z.object({
    class: z.enum(verdictClasses),
    why: z.string(),
    rungs: z.array(
      z.object({ rung: z.enum(rungNames), ok: z.union([z.boolean(), z.literal('unknown')]), why: z.string() }),
    ),
    told: z.object({
      tool: optionalText,
      toolVersion: optionalText,
      serverVersion: optionalText,
      characterSet: optionalText,
      startedAtMs: optionalNumber,
      finishedAtMs: optionalNumber,
      tables: optionalNumber,
      lsn: z.object({ from: z.number(), to: z.number() }).optional(),
      type: z.enum(['full', 'incremental']).optional(),
      coordinates: z
        .object({
          position: z
            .object({ file: z.string(), position: z.number() })
            .optional()
            .transform((p) => p),
          gtid: optionalText,
          of: z.enum(['server', 'its_source']),
          from: z.string(),
        })
        .transform(({ position, gtid, ...rest }) => ({ position, gtid, ...rest }))
        .optional(),
    }),
    readBytes: z.number(),
    contentBytes: z.number(),
    tookSeconds: z.number(),
  }),
});

const stored = z.object({ ladder: z.literal(ladder), verdicts: z.record(z.string(), verified) });

/**
 * Takes over what was kept. A file that is not there, or not ours to read, is no fault: everything is read anew.
 * @returns why it could not be used; undefined when all is well
 */
export async function loadVerdicts(path: string, memory: BackupMemory): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? undefined : messageOf(error);
  }
  const parsed = stored.safeParse(jsonOf(text));
  if (!parsed.success) return 'it is not of this version, or damaged';
  for (const [version, found] of Object.entries(parsed.data.verdicts)) {
    if (!memory.verdicts.has(version)) memory.verdicts.set(version, found satisfies Verified);
  }
  return undefined;
}

/** All or nothing: a crash, or a disk that is full, leaves what was there before. @throws what writing throws */
export async function saveVerdicts(path: string, memory: BackupMemory): Promise<void> {
  await keepJson(path, { ladder, verdicts: Object.fromEntries(memory.verdicts) });
}
