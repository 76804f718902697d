// What a Prometheus knows of this exporter: its jobs, what they yield, the rules, where alerts go.
import { load } from 'js-yaml';
import { z } from 'zod';
import type { Call } from '../collector.ts';
import { durationMs } from '../fields.ts';
import { known, mapKnown, unknown, type Known } from '../runtime/known.ts';
import { askKnown, type PrometheusApi, type Series } from './prometheus-api.ts';

export type Door = 'metrics' | 'probe' | 'self';

/** One address that Prometheus scrapes. */
export interface ScrapeTarget {
  readonly job: string;
  readonly url: string;
  readonly door: Door;
  /** As on its series, `job` and `instance` among them. */
  readonly labels: Readonly<Record<string, string>>;
  /** It comes from /sd. */
  readonly discovered: boolean;
  readonly health: string;
  readonly lastError: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** What the configuration says of one job. */
export interface ScrapeJob {
  readonly honorLabels: boolean;
  readonly honorTimestamps: boolean;
  /** 0: no limit. */
  readonly sampleLimit: number;
}

export interface LoadedRule {
  readonly name: string;
  readonly query: string;
  readonly health: string;
  readonly lastError: string;
  /** Of an alert. */
  readonly forSeconds: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

export interface LoadedGroup {
  readonly name: string;
  readonly file: string;
  readonly intervalSeconds: number;
  /** Undefined before the first time. */
  readonly lastEvaluationMs: number | undefined;
  readonly evaluationSeconds: number;
  readonly rules: readonly LoadedRule[];
}

export interface PrometheusFacts {
  readonly version: Known<string>;
  /** Prometheus' clock less ours. */
  readonly clock: Known<{ readonly offsetMs: number; readonly uncertaintyMs: number }>;
  readonly targets: Known<readonly ScrapeTarget[]>;
  readonly jobs: Known<ReadonlyMap<string, ScrapeJob>>;
  readonly rules: Known<readonly LoadedGroup[]>;
  readonly alertmanagers: Known<{ readonly active: number; readonly dropped: number }>;
  /** pipemedic_target_up of every target of every exporter. */
  readonly served: Known<readonly Series[]>;
  /** Those that an exporter had no time to ask in its last scrape: they have no pipemedic_target_up then. */
  readonly queued: Known<readonly Series[]>;
  /** pipemedic_exporter_build_info: one series per exporter that is scraped by /metrics. */
  readonly builds: Known<readonly Series[]>;
  /** pipemedic_target_info: the inventory, as Prometheus has it. */
  readonly inventory: Known<readonly Series[]>;
  /** Values of `job` under which an exporter was scraped within the last hour. */
  readonly jobNames: Known<readonly string[]>;
  /** Samples after relabelling, by job and instance: the most of the last hour. */
  readonly samples: Known<readonly Series[]>;
  /** Samples that relabelling took away, by job and instance: those of the last scrape, where there are any. */
  readonly dropped: Known<readonly Series[]>;
  /** Duration of scrapes, by job and instance: the longest of the last hour. */
  readonly durations: Known<readonly Series[]>;
}

const text = z.record(z.string(), z.string());

const targetsData = z.object({
  activeTargets: z.array(
    z.object({
      discoveredLabels: text,
      labels: text,
      scrapePool: z.string(),
      scrapeUrl: z.string(),
      lastError: z.string(),
      health: z.string(),
      scrapeInterval: durationMs,
      scrapeTimeout: durationMs,
    }),
  ),
});

const rulesData = z.object({
  groups: z.array(
    z.object({
      name: z.string(),
      file: z.string(),
      interval: z.number(),
      lastEvaluation: z.string(),
      evaluationTime: z.number(),
      rules: z.array(
        z.object({
          name: z.string(),
          query: z.string(),
          health: z.string(),
          lastError: z.string().default(''),
          duration: z.number().optional(),
          labels: text.optional(),
        }),
      ),
    }),
  ),
});

const configData = z.object({ yaml: z.string() });

const configFile = z.object({
  scrape_configs: z
    .array(
      z.object({
        job_name: z.string(),
        honor_labels: z.boolean().default(false),
        honor_timestamps: z.boolean().default(true),
        sample_limit: z.number().default(0),
      }),
    )
    .default([]),
});

const alertmanagersData = z.object({
  activeAlertmanagers: z.array(z.unknown()),
  droppedAlertmanagers: z.array(z.unknown()).nullish(),
});

/** How far it looks back: one scrape out of the ordinary is seen, and an exporter that has just gone. */
const window = '1h';

/** Asks everything at once; only a server that answers nothing at all is an error. @throws TargetError */
export async function readPrometheus(api: PrometheusApi, call: Call): Promise<PrometheusFacts> {
  const clock = await readClock(api, call); // first: whether there is anybody
  const query = (expression: string): Promise<Known<readonly Series[]>> =>
    askKnown(call, () => api.query(expression, call));
  const [version, targets, jobs, rules, alertmanagers, served, queued, builds, inventory, past] = await Promise.all([
    askKnown(call, () => readVersion(api, call)),
    askKnown(call, () => readTargets(api, call)),
    readJobs(api, call),
    askKnown(call, () => readRules(api, call)),
    askKnown(call, () => readAlertmanagers(api, call)),
    query('pipemedic_target_up'),
    query('pipemedic_target_error_info{class="queue"}'),
    query('pipemedic_exporter_build_info'),
    query('pipemedic_target_info'),
    query(`group by (job) (last_over_time({__name__=~"pipemedic_(target_up|exporter_build_info)"}[${window}]))`),
  ]);
  const jobNames = mapKnown(past, (found) => found.map(({ labels }) => labels['job'] ?? ''));
  const ours = `{job=~"${(jobNames.known ? jobNames.value : []).map(quoted).join('|')}"}`;
  const [samples, dropped, durations] = await Promise.all([
    query(`max_over_time(scrape_samples_post_metric_relabeling${ours}[${window}])`),
    query(`scrape_samples_scraped${ours} - scrape_samples_post_metric_relabeling${ours} > 0`),
    query(`max_over_time(scrape_duration_seconds${ours}[${window}])`),
  ]);
  return {
    version,
    clock,
    targets,
    jobs,
    rules,
    alertmanagers,
    served,
    queued,
    builds,
    inventory,
    jobNames,
    samples,
    dropped,
    durations,
  };
}

/** For a regular expression in a PromQL string. */
function quoted(text: string): string {
  return text.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&').replaceAll(/[\\"]/g, '\\$&');
}

async function readVersion(api: PrometheusApi, call: Call): Promise<string> {
  return (await api.get('/api/v1/status/buildinfo', z.object({ version: z.string() }), call)).version;
}

/** By the time at which it evaluates: the Date header would have whole seconds only. */
async function readClock(api: PrometheusApi, call: Call): Promise<PrometheusFacts['clock']> {
  const begunMs = call.clock.wallMs();
  const scalar = z.object({ result: z.tuple([z.number(), z.string()]) });
  const { result } = await api.get('/api/v1/query?query=time()', scalar, call);
  const endedMs = call.clock.wallMs();
  const offsetMs = Number(result[1]) * 1000 - (begunMs + endedMs) / 2;
  if (!Number.isFinite(offsetMs)) return unknown('it tells no time');
  return known({ offsetMs, uncertaintyMs: (endedMs - begunMs) / 2 + 1 }, endedMs);
}

async function readTargets(api: PrometheusApi, call: Call): Promise<readonly ScrapeTarget[]> {
  const { activeTargets } = await api.get('/api/v1/targets?state=active', targetsData, call);
  return activeTargets.map((t) => ({
    job: t.scrapePool,
    url: t.scrapeUrl,
    door: doorOf(t.scrapeUrl),
    labels: t.labels,
    discovered: Object.keys(t.discoveredLabels).some((name) => name.startsWith('__meta_pipemedic_')),
    health: t.health,
    lastError: t.lastError,
    intervalMs: t.scrapeInterval,
    timeoutMs: t.scrapeTimeout,
  }));
}

export function doorOf(scrapeUrl: string): Door {
  const asked = URL.parse(scrapeUrl)?.searchParams;
  if (asked === undefined) return 'metrics';
  if (asked.has('target') || asked.has('pipeline')) return 'probe';
  return asked.get('self') === '1' ? 'self' : 'metrics';
}

/** The configuration in use, defaults left out. Secrets are hidden by Prometheus. */
async function readJobs(api: PrometheusApi, call: Call): Promise<PrometheusFacts['jobs']> {
  const config = await askKnown(call, () => api.get('/api/v1/status/config', configData, call));
  if (!config.known) return config;
  let document: unknown;
  try {
    document = load(config.value.yaml);
  } catch {
    return unknown('the configuration that it shows is no YAML');
  }
  const parsed = configFile.safeParse(document ?? {});
  if (!parsed.success) return unknown('the configuration that it shows has another form');
  const jobs = parsed.data.scrape_configs.map((job): [string, ScrapeJob] => [
    job.job_name,
    { honorLabels: job.honor_labels, honorTimestamps: job.honor_timestamps, sampleLimit: job.sample_limit },
  ]);
  return known(new Map(jobs), config.observedAtMs);
}

async function readRules(api: PrometheusApi, call: Call): Promise<readonly LoadedGroup[]> {
  const { groups } = await api.get('/api/v1/rules', rulesData, call);
  return groups.map((g) => {
    const atMs = Date.parse(g.lastEvaluation);
    return {
      name: g.name,
      file: g.file,
      intervalSeconds: g.interval,
      lastEvaluationMs: atMs > 0 ? atMs : undefined, // Go's zero time is the year 1
      evaluationSeconds: g.evaluationTime,
      rules: g.rules.map(({ name, query, health, lastError, duration, labels = {} }) => ({
        name,
        query,
        health,
        lastError,
        forSeconds: duration,
        labels,
      })),
    };
  });
}

async function readAlertmanagers(
  api: PrometheusApi,
  call: Call,
): Promise<{ readonly active: number; readonly dropped: number }> {
  const found = await api.get('/api/v1/alertmanagers', alertmanagersData, call);
  return { active: found.activeAlertmanagers.length, dropped: found.droppedAlertmanagers?.length ?? 0 };
}
