import { z } from 'zod';
import { absolutePath, durationMs } from '../../fields.ts';

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

/**
 * A Prometheus page that the JVM itself serves: client_java, jmx_exporter's agent, Micrometer, OpenTelemetry, Maxwell's
 * /prometheus. Not the page of jmx_exporter's standalone server, whose jvm_* are its own. An agent that has many beans to
 * tell answers sooner when the URL names what is wanted: `?name[]=jvm_memory_used_bytes&name[]=…`. `prefix` is Maxwell's metrics_prefix (found when left out).
 */
export interface PrometheusAddress {
  readonly url: string;
  readonly prefix: string | undefined;
  readonly timeoutMs: number;
}

/** A Jolokia agent in the JVM: its whole URL, with its context. */
export interface JolokiaAddress {
  readonly url: string;
  readonly timeoutMs: number;
}

/** One JVM may be looked at in several ways: the best one tells its numbers, each tells whether it is there. */
export interface JvmAddress {
  readonly hsperfdata: HsperfdataAddress | undefined;
  readonly maxwellHttp: MaxwellHttpAddress | undefined;
  readonly prometheus: PrometheusAddress | undefined;
  readonly jolokia: JolokiaAddress | undefined;
}

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

function isHttp(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) return false;
  return url.username === '' && url.password === '' && url.hash === '';
}

const httpUrlText = 'an http or https URL without user, password, query and fragment';
const httpUrl = z
  .string({ error: httpUrlText })
  .refine((text) => isHttp(text) && URL.parse(text)?.search === '', httpUrlText);

/** Some pages are chosen by their query: `?format=prometheus`. */
const pageUrl = z.string().refine(isHttp, 'an http or https URL without user, password and fragment');

export const maxwellHttpField = z
  .strictObject({ url: httpUrl, prefix: z.string().min(1).optional() })
  .transform((a): MaxwellHttpAddress => ({ url: a.url.replace(/\/+$/, ''), prefix: a.prefix }));

/** Beyond the time of the whole scrape it has no effect: then nothing is known of this JVM, whatever else tells of it. */
const timeout = durationMs.refine((ms) => ms > 0 && ms <= 60_000, 'a duration up to 1m').default(2000);

const prometheusField = z
  .strictObject({ url: pageUrl, prefix: z.string().min(1).optional(), timeout })
  .transform((a): PrometheusAddress => ({ url: a.url, prefix: a.prefix, timeoutMs: a.timeout }));

// Without the slash behind its context Jolokia answers with a redirect
const jolokiaField = z
  .strictObject({ url: httpUrl, timeout })
  .transform((a): JolokiaAddress => ({ url: `${a.url.replace(/\/+$/, '')}/`, timeoutMs: a.timeout }));

export const jvmAddress = z
  .strictObject({
    hsperfdata: hsperfdataFieldOf().optional(),
    maxwell_http: maxwellHttpField.optional(),
    prometheus: prometheusField.optional(),
    jolokia: jolokiaField.optional(),
  })
  .refine((a) => Object.values(a).some((way) => way !== undefined), {
    message: 'at least one of hsperfdata, maxwell_http, prometheus and jolokia',
  })
  .transform((a): JvmAddress => ({
    hsperfdata: a.hsperfdata,
    maxwellHttp: a.maxwell_http,
    prometheus: a.prometheus,
    jolokia: a.jolokia,
  }));
