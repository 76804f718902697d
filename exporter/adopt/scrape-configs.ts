// A Prometheus configuration: which exporters are scraped, and what becomes of `instance` and of other labels.
import { isObject, kindOf, listOf, textOf, type Json } from './found.ts';
import { peersOfJob } from './knowledge.ts';
import type { Peer } from './peers.ts';

/** Through which door pipemedic is scraped. */
export type Door = 'raw' | 'relabelled' | 'probe';

export interface Job {
  readonly job: string;
  readonly path: string;
  /** Several where one job scrapes the exporters of a host together. */
  readonly peers: readonly Peer[];
  /** Set when it scrapes pipemedic's exporter. */
  readonly door: Door | undefined;
  /** Values of `instance`, as far as the file tells them. */
  readonly instances: readonly string[];
  /** The rest of them comes from service discovery, or from relabelling that is not followed here. */
  readonly isOpen: boolean;
  /** Labels that the configuration adds to every series. */
  readonly labels: readonly string[];
  /** Other jobs that it says it is, before the scrape: `up` has them too. */
  readonly jobsOfUp: readonly string[];
  /** Other jobs that it gives its series after the scrape. */
  readonly jobsOfSeries: readonly string[];
  /** It gives metrics other names. */
  readonly renames: boolean;
  /** It drops series by their names. */
  readonly drops: boolean;
}

export function scrapeConfigsIn(document: unknown): readonly unknown[] | undefined {
  if (isObject(document) && Array.isArray(document['scrape_configs'])) return document['scrape_configs'] as unknown[];
  if (!Array.isArray(document)) return undefined;
  const list = document as unknown[];
  return list.length > 0 && list.every((item) => isObject(item) && 'job_name' in item) ? list : undefined;
}

export function jobsOf(configs: readonly unknown[]): {
  readonly jobs: readonly Job[];
  readonly problems: readonly string[];
} {
  const jobs: Job[] = [];
  const problems: string[] = [];
  for (const [i, config] of configs.slice(0, 10_000).entries()) {
    const name = isObject(config) ? textOf(config['job_name']) : undefined;
    if (!isObject(config) || name === undefined) {
      problems.push(`scrape_configs[${i}].job_name: ${kindOf(isObject(config) ? config['job_name'] : config)}`);
    } else jobs.push(jobOf(name, config));
  }
  return { jobs, problems };
}

interface Relabelling {
  readonly sources: readonly string[];
  readonly target: string;
  readonly action: string;
  readonly replacement: string;
}

function relabellings(list: unknown): Relabelling[] {
  return listOf(list)
    .filter(isObject)
    .map((rule) => ({
      sources: listOf(rule['source_labels']).map(String),
      target: textOf(rule['target_label']) ?? '',
      action: (textOf(rule['action']) ?? 'replace').toLowerCase(),
      replacement: textOf(rule['replacement']) ?? '$1',
    }));
}

function jobOf(job: string, config: Json): Job {
  const groups = listOf(config['static_configs']).filter(isObject);
  const before = relabellings(config['relabel_configs']);
  const after = relabellings(config['metric_relabel_configs']);
  const addresses = groups.flatMap((group) => listOf(group['targets']).filter((t) => typeof t === 'string'));
  const fixed = before.find((rule) => rule.target === '__address__' && rule.sources.length === 0)?.replacement;
  const ports = [...(fixed === undefined ? addresses : [fixed])].flatMap((address) => {
    const port = /:(\d{1,5})$/.exec(address)?.[1];
    return port === undefined ? [] : [Number(port)];
  });
  const path = textOf(config['metrics_path']) ?? '/metrics';
  const door = doorOf(job, path, config, ports, after);
  const found = door === undefined ? peersOfJob(job, ports) : [];
  const { instances, isOpen } = instancesOf(config, groups, before, after);
  const added = [
    ...groups.flatMap((group) => Object.keys(isObject(group['labels']) ? group['labels'] : {})),
    ...[...before, ...after].filter(({ action }) => action === 'replace').map(({ target }) => target),
  ];
  return {
    job,
    path,
    peers: found,
    door,
    instances: found.length > 1 ? instances.filter((instance) => isReplaced(instance, found)) : instances,
    isOpen,
    labels: [...new Set(added)].filter(
      (label) => label !== '' && !label.startsWith('__') && !['instance', 'job'].includes(label),
    ),
    jobsOfUp: jobsIn(before),
    jobsOfSeries: jobsIn(after),
    renames: after.some(({ target, action }) => target === '__name__' && action === 'replace'),
    drops: after.some(({ sources, action }) => sources.includes('__name__') && ['drop', 'keep'].includes(action)),
  };
}

/** The values that rules give the label `job`, as far as they stand there. */
function jobsIn(rules: readonly Relabelling[]): readonly string[] {
  return rules
    .filter(({ target, action, replacement }) => target === 'job' && action === 'replace' && !replacement.includes('$'))
    .map(({ replacement }) => replacement);
}

/** Whether an address is one of an exporter that can go; where there is no telling, it may be. */
function isReplaced(instance: string, found: readonly Peer[]): boolean {
  const port = Number(/:(\d{1,5})$/.exec(instance)?.[1] ?? Number.NaN);
  const owner = found.find((peer) => peer.ports.includes(port));
  return owner === undefined || owner.fate === 'program';
}

/** pipemedic's default port is 9930, its service discovery ends in /sd. */
function doorOf(
  job: string,
  path: string,
  config: Json,
  ports: readonly number[],
  after: readonly Relabelling[],
): Door | undefined {
  const discovers = listOf(config['http_sd_configs']).some(
    (sd) =>
      isObject(sd) && /\/sd$/.test(textOf(sd['url']) ?? '') && /:9930\/|pipemedic/.test(`${String(sd['url'])} ${job}`),
  );
  if (discovers) return 'probe';
  const isOurs = (/pipemedic/.test(job) && !/remediator/.test(job)) || ports.includes(9930);
  if (!isOurs) return undefined;
  if (path === '/probe') return 'probe';
  const params = config['params'];
  if (isObject(params) && 'self' in params) return undefined;
  const copies = after.some(({ sources, target }) => sources.includes('target') && target === 'instance');
  return copies ? 'relabelled' : 'raw';
}

function instancesOf(
  config: Json,
  groups: readonly Json[],
  before: readonly Relabelling[],
  after: readonly Relabelling[],
): { readonly instances: readonly string[]; readonly isOpen: boolean } {
  const discovered = Object.keys(config).some((key) => key.endsWith('_sd_configs'));
  const rules = [...before, ...after].filter((rule) => rule.target === 'instance');
  // the multi-target pattern: instance is the address as written
  const plain = rules.every(
    ({ sources, action }) =>
      action === 'replace' && sources.length === 1 && /^__(address|param_target)(__)?$/.test(sources[0] ?? ''),
  );
  if (!plain) return { instances: [], isOpen: true };
  const instances = groups.flatMap((group) => {
    const labels = isObject(group['labels']) ? group['labels'] : {};
    const given = textOf(labels['instance']);
    return given === undefined ? listOf(group['targets']).filter((t) => typeof t === 'string') : [given];
  });
  return { instances: [...new Set(instances)], isOpen: discovered };
}
