import { z } from 'zod';
import { absolutePath } from '../../fields.ts';

/** Where the JVM leaves its performance file: a local JVM in the same process namespace and with the same /tmp. */
export interface HsperfdataAddress {
  /** Holds the process id. */
  readonly pidFile: string | undefined;
  /** First word of the java command: the main class, or the jar. */
  readonly mainClass: string | undefined;
  /** The folder that holds hsperfdata_USER. */
  readonly dir: string;
  /** Only this user's files; anybody's when left out. */
  readonly user: string | undefined;
}

/** Maxwell's own HTTP server: `url` with its http_path_prefix, `prefix` its metrics_prefix (found when left out). */
export interface MaxwellHttpAddress {
  readonly url: string;
  readonly prefix: string | undefined;
}

export type JvmAddress = { readonly hsperfdata: HsperfdataAddress } | { readonly maxwellHttp: MaxwellHttpAddress };

const userName = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$/, 'a user name');

/** @param mainClass used when the inventory names neither a pid file nor a class */
export function hsperfdataFieldOf(mainClass?: string): z.ZodType<HsperfdataAddress> {
  return z
    .strictObject({
      pid_file: absolutePath.optional(),
      main_class: z.string().regex(/^\S+$/, 'a class name or the path of a jar').optional(),
      dir: absolutePath.default('/tmp'),
      user: userName.optional(),
    })
    .transform((a, context): HsperfdataAddress => {
      const named = a.main_class ?? (a.pid_file === undefined ? mainClass : undefined);
      if ((a.pid_file === undefined) === (named === undefined)) {
        context.addIssue({ code: 'custom', message: 'either pid_file or main_class' });
        return z.NEVER;
      }
      return { pidFile: a.pid_file, mainClass: named, dir: a.dir, user: a.user };
    });
}

const httpUrl = z.string().refine((text) => {
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) return false;
  return url.username === '' && url.password === '' && url.search === '' && url.hash === '';
}, 'an http or https URL without user, password, query and fragment');

export const maxwellHttpField = z
  .strictObject({ url: httpUrl, prefix: z.string().min(1).optional() })
  .transform((a): MaxwellHttpAddress => ({ url: a.url.replace(/\/+$/, ''), prefix: a.prefix }));

export const jvmAddress = z
  .strictObject({ hsperfdata: hsperfdataFieldOf().optional(), maxwell_http: maxwellHttpField.optional() })
  .transform((a, context): JvmAddress => {
    if (a.hsperfdata !== undefined && a.maxwell_http === undefined) return { hsperfdata: a.hsperfdata };
    if (a.maxwell_http !== undefined && a.hsperfdata === undefined) return { maxwellHttp: a.maxwell_http };
    context.addIssue({ code: 'custom', message: 'either hsperfdata or maxwell_http' });
    return z.NEVER;
  });
