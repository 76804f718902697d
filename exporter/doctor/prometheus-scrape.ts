// Whether Prometheus scrapes this inventory as the rules and dashboards expect: jobs, intervals, limits.
import type { Finding } from '../findings.ts';
import type { Known } from '../runtime/known.ts';
import type { PrometheusFacts, ScrapeTarget } from './prometheus-facts.ts';
import { relabelLines, seriesFindings, type Expected } from './prometheus-series.ts';
import { cannotKnow, duration, right, some, wrong } from './wording.ts';

/** Where nothing is found that would say a better one. */
const usualAddress = '127.0.0.1:9930';

export function scrapeFindings(facts: PrometheusFacts, expected: Expected): readonly Finding[] {
  const ours = oursOf(facts);
  if (!ours.known) return [cannotKnow('prometheus_jobs', ours.why), ...seriesFindings(facts, [], expected)];
  if (ours.value.length === 0) return [noJob()];
  return [
    ...jobFindings(ours.value),
    ...doorFindings(ours.value),
    ...upFindings(ours.value),
    ...seriesFindings(facts, ours.value, expected),
    ...honourFindings(facts, ours.value),
    ...intervalFindings(facts, ours.value, expected),
    ...limitFindings(facts, ours.value),
    ...droppedFindings(facts, ours.value),
  ];
}

/** The remediator is scraped by a job of its own, and is not looked at here. */
const ownName = /^pipemedic(?!-remediator)/;

/** By what they yield or have yielded; by where they were found; or, where nothing came yet, by the name of the job. */
function oursOf({ targets, jobNames }: PrometheusFacts): Known<readonly ScrapeTarget[]> {
  if (!targets.known) return targets;
  const names = new Set(jobNames.known ? jobNames.value : []);
  const isOurs = ({ discovered, labels, job }: ScrapeTarget): boolean =>
    discovered || names.has(labels['job'] ?? '') || ownName.test(job);
  return { ...targets, value: targets.value.filter(isOurs) };
}

function noJob(): Finding {
  return wrong('prometheus_jobs', 'critical', 'no job scrapes an exporter of pipemedic', metricsJob(usualAddress));
}

function metricsJob(address: string): string {
  return `under scrape_configs:
- job_name: pipemedic
  scrape_interval: 15s
  scrape_timeout: 10s
  static_configs: [{targets: ['${address}']}]
${relabelLines}`;
}

function addressOf(targets: readonly ScrapeTarget[]): string {
  return URL.parse(targets[0]?.url ?? '')?.host ?? usualAddress;
}

function byJob(targets: readonly ScrapeTarget[]): ReadonlyMap<string, readonly ScrapeTarget[]> {
  return Map.groupBy(targets, ({ job }) => job);
}

const doors = { metrics: '/metrics', probe: '/probe', self: '/metrics?self=1' } as const;

/** Names that the rules look for in `up`, by door. */
const expectedNames = {
  metrics: ['pipemedic', 'pipemedic-self'],
  self: ['pipemedic-self', 'pipemedic'],
  probe: ['pipemedic-probe'],
} as const;

function jobFindings(ours: readonly ScrapeTarget[]): readonly Finding[] {
  const check = 'prometheus_jobs';
  return [...byJob(ours)].map(([job, of]) => {
    const [first] = of;
    if (first === undefined) return cannotKnow(check, job);
    const { door, intervalMs, timeoutMs, labels } = first;
    const text = `job ${job}: ${of.length} × ${doors[door]}, every ${duration(intervalMs)}, timeout ${duration(timeoutMs)}`;
    const names: readonly string[] = expectedNames[door];
    const label = labels['job'] ?? '';
    if (names.includes(label)) return right(check, text);
    const why = `the alert PipemedicExporterDown looks for job="${names.join('" or "')}", and this one has job="${label}"`;
    return wrong(check, 'warning', `${text}; ${why}`, `job_name: ${names[0] ?? ''}`);
  });
}

function doorFindings(ours: readonly ScrapeTarget[]): readonly Finding[] {
  const check = 'prometheus_doors';
  const has = (door: ScrapeTarget['door']): boolean => ours.some((t) => t.door === door);
  if (has('probe') && has('metrics')) {
    const text = 'one job takes everything by /metrics and another each target by /probe: every series is there twice';
    return [
      wrong(check, 'warning', text, "keep one door; beside /probe the other job takes params: {self: ['1']} only"),
    ];
  }
  if (has('probe') && !has('self')) {
    const text =
      'targets are probed, but nobody asks for the inventory: alerts that go by pipelines and dependencies are silent';
    return [wrong(check, 'critical', text, selfJob(addressOf(ours)))];
  }
  if (has('self') && !has('probe') && !has('metrics')) {
    const text = 'the inventory is asked for, but no target: /probe and /metrics are not scraped';
    return [wrong(check, 'critical', text, probeJob(addressOf(ours)))];
  }
  return [
    right(check, has('probe') ? 'one door: /probe, and /metrics?self=1 for the inventory' : 'one door: /metrics'),
  ];
}

function selfJob(address: string): string {
  return `under scrape_configs:
- job_name: pipemedic-self
  metrics_path: /metrics
  params: {self: ['1']}
  static_configs: [{targets: ['${address}']}]`;
}

function probeJob(address: string): string {
  return `under scrape_configs:
- job_name: pipemedic-probe
  http_sd_configs: [{url: 'http://${address}/sd'}]`;
}

function upFindings(ours: readonly ScrapeTarget[]): readonly Finding[] {
  const check = 'prometheus_up';
  const down = ours.filter(({ health }) => health === 'down');
  const waiting = ours.filter(({ health }) => health !== 'up' && health !== 'down');
  if (down.length === 0 && waiting.length === 0) return [right(check, `all ${ours.length} scrapes succeed`)];
  const reasons = Map.groupBy(down, ({ lastError }) => lastError);
  return [
    ...[...reasons].map(([why, of]) => {
      const text = `${of.length} of ${ours.length} scrapes fail (${some(of.map(({ url }) => url))}): ${why}`;
      return wrong(check, 'critical', text, mendScrape(why));
    }),
    ...(waiting.length === 0
      ? []
      : [cannotKnow(check, `${waiting.length} of ${ours.length} were not scraped yet; ask again in a moment`)]),
  ];
}

function mendScrape(why: string): string {
  if (/sample limit exceeded/.test(why))
    return 'raise sample_limit of the job, or switch collectors off in the inventory';
  if (/status.*40[13]/.test(why))
    return 'basic_auth or tls_config of the job, as --web.config.file of the exporter has it';
  if (/status.*400/.test(why)) return 'the exporter has no such target: let it read the inventory again (SIGHUP)';
  if (/deadline exceeded|timeout/i.test(why)) return 'scrape_timeout: 10s, or more; /probe takes each target alone';
  if (/refused|no such host|no route/.test(why)) return 'start the exporter, or mend the address in the job';
  return 'the reason is Prometheus’ own: see /targets there';
}

function honourFindings({ jobs }: PrometheusFacts, ours: readonly ScrapeTarget[]): readonly Finding[] {
  const check = 'prometheus_honor_labels';
  if (!jobs.known) return [cannotKnow(check, jobs.why)];
  return [...byJob(ours).keys()].flatMap((job): Finding[] => {
    const config = jobs.value.get(job);
    if (config === undefined)
      return [cannotKnow(check, `job ${job} is not in the configuration that Prometheus shows`)];
    const { honorLabels, honorTimestamps } = config;
    const text = `job ${job}: honor_labels is ${String(honorLabels)}`;
    return [
      honorLabels
        ? wrong(check, 'warning', `${text}: labels of a page that is passed on could take the place of job and instance`, 'honor_labels: false') // prettier-ignore
        : right(check, text),
      right('prometheus_honor_timestamps', `job ${job}: ${String(honorTimestamps)}; the exporter writes no timestamps`),
    ];
  });
}

/** A range that has fewer samples is empty after one or two scrapes that fail. */
const samplesPerRange = 4;
/** Of the timeout. */
const nearly = 0.8;

function intervalFindings(
  { durations }: PrometheusFacts,
  ours: readonly ScrapeTarget[],
  { shortestRangeMs }: Expected,
): readonly Finding[] {
  const check = 'prometheus_interval';
  return [...byJob(ours)].flatMap(([job, of]): Finding[] => {
    const intervalMs = Math.max(...of.map((t) => t.intervalMs));
    const timeoutMs = Math.min(...of.map((t) => t.timeoutMs));
    const text = `job ${job}: every ${duration(intervalMs)}, timeout ${duration(timeoutMs)}`;
    const findings: Finding[] = [];
    if (shortestRangeMs === undefined)
      findings.push(cannotKnow(check, `${text}; the ranges of the rules are not known`));
    else if (intervalMs * samplesPerRange > shortestRangeMs) {
      const most = duration(shortestRangeMs / samplesPerRange);
      const why = `rules look back ${duration(shortestRangeMs)} and want ${samplesPerRange} samples in it: ${most} at most`;
      findings.push(wrong(check, 'warning', `${text}; ${why}`, `in job ${job}: scrape_interval: 15s`));
    } else findings.push(right(check, `${text}; the shortest range of the rules is ${duration(shortestRangeMs)}`));
    const labels = new Set(of.map((t) => t.labels['job']));
    const longest = durations.known
      ? durations.value.filter((d) => labels.has(d.labels['job'])).map(({ value }) => value * 1000)
      : [];
    const longestMs = Math.max(...longest);
    if (longest.length === 0) findings.push(cannotKnow('prometheus_timeout', `job ${job}: how long a scrape takes is not known`)); // prettier-ignore
    else if (longestMs > nearly * timeoutMs) {
      const longer = timeoutMs < intervalMs ? '' : `scrape_interval: ${duration(2 * intervalMs)}, `;
      const allowed = timeoutMs < intervalMs ? intervalMs : 2 * timeoutMs;
      const fix = `in job ${job}: ${longer}scrape_timeout: ${duration(allowed)}; or /probe, which takes each target alone`;
      findings.push(wrong('prometheus_timeout', 'warning', `job ${job}: a scrape took ${duration(longestMs)} of the ${duration(timeoutMs)} that it has`, fix)); // prettier-ignore
    } else findings.push(right('prometheus_timeout', `job ${job}: the slowest scrape of the last hour took ${duration(longestMs)} of ${duration(timeoutMs)}`)); // prettier-ignore
    return findings;
  });
}

function limitFindings({ jobs, samples }: PrometheusFacts, ours: readonly ScrapeTarget[]): readonly Finding[] {
  const check = 'prometheus_sample_limit';
  if (!jobs.known) return [cannotKnow(check, jobs.why)];
  return [...byJob(ours)].map(([job, of]) => {
    const limit = jobs.value.get(job)?.sampleLimit;
    if (limit === undefined) return cannotKnow(check, `job ${job} is not in the configuration that Prometheus shows`);
    const labels = new Set(of.map((t) => t.labels['job']));
    const seen = samples.known
      ? samples.value.filter((s) => labels.has(s.labels['job'])).map(({ value }) => value)
      : [];
    const most = Math.max(...seen);
    if (seen.length === 0) return cannotKnow(check, `job ${job}: how many samples a scrape has is not known`);
    if (limit === 0) return right(check, `job ${job}: ${most} samples at most, without a limit`);
    const text = `job ${job}: ${most} samples at most, of the ${limit} that are allowed`;
    if (most <= nearly * limit) return right(check, text);
    const why = 'beyond it a whole scrape is thrown away';
    return wrong(check, 'warning', `${text}: ${why}`, `in job ${job}: sample_limit: ${Math.ceil(most / 1000) * 2000}`);
  });
}

/** Some drop on purpose what they do not want: only a person can say whether a rule wants it. */
function droppedFindings({ dropped }: PrometheusFacts, ours: readonly ScrapeTarget[]): readonly Finding[] {
  const check = 'prometheus_dropped_samples';
  if (!dropped.known) return [cannotKnow(check, dropped.why)];
  return [...byJob(ours)].map(([job, of]) => {
    const labels = new Set(of.map((t) => t.labels['job']));
    const count = dropped.value.reduce((sum, { labels: l, value }) => sum + (labels.has(l['job']) ? value : 0), 0);
    if (count === 0) return right(check, `job ${job}: relabelling takes no sample away`);
    const text = `job ${job}: metric_relabel_configs take ${count} samples of each round away: a rule that needs them is silent`;
    return cannotKnow(check, text);
  });
}
