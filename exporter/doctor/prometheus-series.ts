// What the series in Prometheus show of labels, coverage and versions: that is so, whatever the configuration says.
import type { Finding } from '../findings.ts';
import type { PrometheusFacts, ScrapeTarget } from './prometheus-facts.ts';
import { cannotKnow, right, some, wrong } from './wording.ts';

/** What the inventory that is examined says. */
export interface Expected {
  readonly targets: ReadonlyMap<string, { readonly instance: string | undefined }>;
  /** Of this program. */
  readonly version: string;
  /** Shortest range of the rules. */
  readonly shortestRangeMs: number | undefined;
}

export const relabelLines = `  metric_relabel_configs:
  - {source_labels: [target], regex: (.+), target_label: instance}`;

export function seriesFindings(
  facts: PrometheusFacts,
  ours: readonly ScrapeTarget[],
  expected: Expected,
): readonly Finding[] {
  return [
    ...labelFindings(facts, ours, expected),
    ...coverFindings(facts, ours, expected),
    ...inventoryFindings(facts, expected),
    ...versionFindings(facts, expected),
  ];
}

function labelFindings(
  { served, queued }: PrometheusFacts,
  ours: readonly ScrapeTarget[],
  { targets }: Expected,
): readonly Finding[] {
  const check = 'prometheus_relabelling';
  if (!served.known) return [cannotKnow(check, served.why)];
  const all = [...served.value, ...(queued.known ? queued.value : [])].map(({ labels }) => labels);
  if (all.length === 0) return [cannotKnow(check, 'no series of a target is there that would show it')];
  const findings: Finding[] = [];
  const renamed = new Set(all.flatMap((labels) => Object.keys(labels).filter((name) => name.startsWith('exported_'))));
  for (const name of renamed) {
    const own = name.replace('exported_', '');
    const text = `the job sets the label ${own} itself, so that what the exporter says stands under ${name}`;
    findings.push(wrong(check, 'critical', text, `take the label ${own} out of static_configs and relabel_configs`));
  }
  const nameless = all.filter((labels) => labels['target'] === undefined && labels['exported_target'] === undefined);
  if (nameless.length > 0) {
    const text = `${nameless.length} of ${all.length} targets have no label target: alerts cannot say whom they mean, and nothing is repaired`;
    const fix = 'take target out of labeldrop; for /probe use http_sd_configs with /sd, which sets it';
    findings.push(wrong(check, 'critical', text, fix));
  }
  const others = all.filter(({ target, instance }) => {
    if (target === undefined) return false;
    return instance !== target && instance !== (targets.get(target)?.instance ?? target);
  });
  if (others.length > 0) {
    const text = `${others.length} of ${all.length} targets stand under an instance that is not theirs (${some(others.map(({ target = '', instance = '' }) => `${target}: ${instance}`))}): rules and dashboards that join on instance cross targets`;
    const isProbe = ours.length > 0 && ours.every(({ door }) => door !== 'metrics');
    const fix = isProbe
      ? 'take instance out of relabel_configs: /sd sets it'
      : `in the job that scrapes /metrics:\n${relabelLines}`;
    findings.push(wrong(check, 'critical', text, fix));
  }
  if (findings.length > 0) return findings;
  return [right(check, `${all.length} targets: instance and target are their own, job is set by Prometheus`)];
}

/** Who is scraped, against who is in the inventory. */
function coverFindings(
  { served, queued }: PrometheusFacts,
  ours: readonly ScrapeTarget[],
  { targets }: Expected,
): readonly Finding[] {
  const check = 'prometheus_targets';
  if (!served.known) return [cannotKnow(check, served.why)];
  if (!queued.known) return [cannotKnow(check, queued.why)];
  const named = [...served.value, ...queued.value].map(({ labels }) => ({ name: nameOf(labels), labels }));
  if (named.some(({ name }) => name === ''))
    return [cannotKnow(check, 'series without the label target say not whom they mean')];
  const found = Map.groupBy(named, ({ name }) => name);
  const absent = [...targets.keys()].filter((name) => !found.has(name));
  const unseen = absent.filter((name) => ours.some((scrape) => isHiddenBy(scrape, name)));
  const missing = absent.filter((name) => !unseen.includes(name));
  const twice = [...found].filter(([name, of]) => targets.has(name) && of.length > 1);
  const strange = [...found.keys()].filter((name) => !targets.has(name));
  const waiting = [...targets.keys()].filter((name) => queued.value.some(({ labels }) => nameOf(labels) === name));
  const findings: Finding[] = [];
  if (missing.length > 0) {
    const text = `${missing.length} of ${targets.size} targets of the inventory are scraped by nobody: ${some(missing)}`;
    const fix = 'let the exporter read this inventory (SIGHUP), and Prometheus scrape it: see prometheus_jobs';
    findings.push(wrong(check, 'critical', text, fix));
  }
  if (twice.length > 0) {
    const places = twice.map(([name, of]) => `${name}: ${of.map(({ labels }) => placeOf(labels)).join(' and ')}`);
    const jobs = new Set(twice.flatMap(([, of]) => of.map(({ labels }) => labels['job'])));
    const text = `${twice.length} targets are scraped more than once (${some(places)})`;
    findings.push(
      jobs.size > 1
        ? wrong(check, 'warning', `${text}: sums over their series are too high`, 'leave each target to one job')
        : cannotKnow(check, `${text}: right for a pair of exporters, whose collectors that hold state differ`),
    );
  }
  if (strange.length > 0) {
    findings.push(cannotKnow(check, `${strange.length} targets are not in this inventory: ${some(strange)}`));
  }
  if (waiting.length > 0) {
    const what = 'are scraped, and wait: the exporter had no time to ask them in its last scrape';
    const text = `${waiting.length} of ${targets.size} targets ${what} (where that goes on: more processors, a higher --max-sweeps, or shards): ${some(waiting)}`;
    findings.push(cannotKnow(check, text));
  }
  if (unseen.length > 0) {
    const text = `${unseen.length} of ${targets.size} targets are not seen, as the scrape that has them fails, or has not been made yet (prometheus_up): ${some(unseen)}`;
    findings.push(cannotKnow(check, text));
  }
  if (absent.length === 0 && twice.length === 0) {
    findings.push(right(check, `each of the ${targets.size} targets of the inventory is scraped once`));
  }
  return findings;
}

/** A scrape that fails, or has not been made yet, shows nothing of what it is for. */
function isHiddenBy({ health, door, labels }: ScrapeTarget, name: string): boolean {
  return health !== 'up' && (door === 'metrics' || (door === 'probe' && labels['target'] === name));
}

function nameOf(labels: Readonly<Record<string, string>>): string {
  return labels['exported_target'] ?? labels['target'] ?? '';
}

function placeOf(labels: Readonly<Record<string, string>>): string {
  const shown = ['job', 'exporter', 'pod', 'instance'].filter((name) => labels[name] !== undefined);
  return shown.map((name) => `${name}=${labels[name] ?? ''}`).join(' ');
}

function inventoryFindings({ inventory }: PrometheusFacts, { targets }: Expected): readonly Finding[] {
  const check = 'prometheus_inventory';
  if (!inventory.known) return [cannotKnow(check, inventory.why)];
  if (inventory.value.length === 0) return []; // told by prometheus_doors or prometheus_up
  const names = new Set(inventory.value.map(({ labels }) => labels['target']));
  const missing = [...targets.keys()].filter((name) => !names.has(name));
  if (missing.length === 0) return [right(check, 'the exporter that is scraped knows all targets of this inventory')];
  const text = `the exporter that is scraped has another inventory, without ${some(missing)}`;
  return [wrong(check, 'critical', text, 'let it read this one: SIGHUP, or POST /-/reload')];
}

function versionFindings({ builds }: PrometheusFacts, { version }: Expected): readonly Finding[] {
  const check = 'prometheus_exporter_version';
  if (!builds.known) return [cannotKnow(check, builds.why)];
  const others = builds.value.filter(({ labels }) => labels['version'] !== version);
  if (others.length === 0) {
    return builds.value.length === 0 ? [] : [right(check, `the exporter that is scraped is ${version}, as this one`)];
  }
  const text = `the exporter that is scraped is ${some(others.map(({ labels }) => labels['version'] ?? ''))}, this one is ${version}`;
  return [wrong(check, 'warning', text, 'restart it with this version, or ask with the doctor of that one')];
}
