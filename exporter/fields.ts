// Schema fields that several systems share. Every message says what is wanted.
import { isAbsolute } from 'node:path';
import { z } from 'zod';

export const port = z.int().min(1).max(65_535);

export const host = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[^\s/@]+$/, 'a host name or address, without user, scheme or path');

/** Paths in the inventory are absolute: the exporter and the remediator may run in different folders. */
export const absolutePath = z.string({ error: 'an absolute path' }).refine((p) => isAbsolute(p), 'an absolute path');

export const authField = z
  .strictObject({
    user: z.string().min(1).optional(),
    password_file: absolutePath.optional(),
    password_env: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'the name of an environment variable')
      .optional(),
  })
  .refine(
    (a) => a.password_file === undefined || a.password_env === undefined,
    'password_file or password_env, not both',
  );
export type Auth = z.output<typeof authField>;

export const tlsField = z
  .strictObject({
    ca_file: absolutePath.optional(),
    cert_file: absolutePath.optional(),
    key_file: absolutePath.optional(),
    server_name: host.optional(),
  })
  .refine((t) => (t.cert_file === undefined) === (t.key_file === undefined), 'cert_file and key_file, or neither');
export type Tls = z.output<typeof tlsField>;

const units: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

const durationText = 'a duration such as 30s, 5m or 1h30m';

/** `90s`, `1h30m`, `500ms` as Prometheus writes durations; the output is milliseconds. */
export const durationMs = z.string({ error: durationText }).transform((text, context) => {
  const parts = [...text.matchAll(/(\d+)(ms|[smhdw])/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join('') !== text) {
    context.addIssue({ code: 'custom', message: durationText });
    return z.NEVER;
  }
  return parts.reduce((sum, [, n = '0', unit = '']) => sum + Number(n) * (units[unit] ?? 0), 0);
});
