// A Prometheus configuration: which exporters are scraped, and what becomes of `instance` and of other labels.
import { isObject, kindOf, listOf, textOf, type Json } from './found.ts';
import { peersAt, peersNamed } from './knowledge.ts';
import type { Peer } from './peers.ts';
import { relabelled, relabellings, type Labels, type Relabelling } from './relabelling.ts';

/** Through which door pipemedic is scraped. */
export type Door = 'raw' | 'relabelled' | 'probe';

export interface Job {
  readonly job: string;
  readonly path: string;
  /** Several where one job scrapes the exporters of a host together. */
  readonly peers: readonly Peer[];
  /** Only the name of the job says so. */
  readonly byName: boolean;
  /** It scrapes the page of an exporter that another job asks for its targets. */
  readonly ofItself: boolean;
  /** Set when it scrapes pipemedic's exporter. */
  readonly door: Door | undefined;
  /** Values of `instance`, as far as the file tells them. */
  readonly instances: readonly string[];
  /** Those that somebody else is to fill in. */
  readonly placeholders: readonly string[];
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

/** https://prometheus.io/docs/prometheus/latest/configuration/configuration/#configuration-file */
const ofPrometheus = new Set([
  ...['global', 'runtime', 'rule_files', 'scrape_config_files', 'alerting', 'remote_write', 'remote_read'],
  ...['storage', 'tracing', 'otlp'],
]);

/** The scrape configurations of a document; undefined when it is no configuration of Prometheus. */
export function scrapeConfigsIn(document: unknown): readonly unknown[] | undefined {
  if (isObject(document)) {
    const configs = document['scrape_configs'];
    if (Array.isArray(configs)) return configs as unknown[];
    if ('scrape_configs' in document) return [];
    const keys = Object.keys(document);
    return keys.length > 0 && keys.every((key) => ofPrometheus.has(key)) ? [] : undefined;
  }
  if (!Array.isArray(document)) return undefined;
  const list = document as unknown[];
  return list.length > 0 && list.every((item) => isObject(item) && 'job_name' in item) ? list : undefined;
}

export function jobsOf(configs: readonly unknown[]): {
  readonly jobs: readonly Job[];
  readonly problems: readonly string[];
} {
  const read: Read[] = [];
  const problems: string[] = [];
  const work = { left: maxSteps };
  for (const [i, config] of configs.slice(0, 10_000).entries()) {
    const name = isObject(config) ? textOf(config['job_name']) : undefined;
    if (!isObject(config) || name === undefined) {
      problems.push(`scrape_configs[${i}].job_name: ${kindOf(isObject(config) ? config['job_name'] : config)}`);
      continue;
    }
    problems.push(...problemsIn(config, `scrape_configs[${i}] (${name})`));
    read.push(readJob(name, config, work));
  }
  if (work.left < 0) problems.push('more addresses and relabelling than a person keeps: not all of it is worked out');
  // Addresses of exporters that are asked for other targets: what is scraped of them by itself is their own page.
  const asked = new Set(read.flatMap(({ isMultiTarget, addresses }) => (isMultiTarget ? addresses : [])));
  return { jobs: read.map((one) => jobOf(one, asked)), problems };
}

/** What Prometheus would refuse, and what nothing is known of because of it. */
function problemsIn(config: Json, at: string): string[] {
  const groups: unknown = config['static_configs'] ?? [];
  if (!Array.isArray(groups)) return [`${at}.static_configs: ${kindOf(groups)}, not a list`];
  return groups.flatMap((group: unknown, i) => {
    const targets: unknown = isObject(group) ? (group['targets'] ?? []) : [];
    return Array.isArray(targets) ? [] : [`${at}.static_configs[${i}].targets: ${kindOf(targets)}, not a list`];
  });
}

/** A job as it is written, and what becomes of the addresses in it. */
interface Read {
  readonly job: string;
  readonly config: Json;
  readonly before: readonly Relabelling[];
  readonly after: readonly Relabelling[];
  readonly groups: readonly Json[];
  /** Labels of each address, after all relabelling. */
  readonly targets: readonly Labels[];
  /** What is scraped, as far as it is known. */
  readonly addresses: readonly string[];
  readonly ports: readonly number[];
  /** One exporter that is told by a parameter whom to ask. */
  readonly isMultiTarget: boolean;
}

/** Addresses times the rules for them, some seconds of work; aliases of YAML make many of few. */
const maxSteps = 100_000;

function readJob(job: string, config: Json, work: { left: number }): Read {
  const before = relabellings(config['relabel_configs']);
  const after = relabellings(config['metric_relabel_configs']);
  const groups = listOf(config['static_configs']).filter(isObject);
  const parameters = Object.entries(isObject(config['params']) ? config['params'] : {});
  const base = parameters.map(([name, value]) => [`__param_${name}`, textOf(listOf(value)[0])] as const);
  const found = groups.flatMap((group) => {
    const labels = Object.entries(isObject(group['labels']) ? group['labels'] : {});
    return listOf(group['targets']).flatMap((address) => {
      if (typeof address !== 'string' || work.left < 0) return [];
      work.left -= 1 + before.length + after.length;
      const given = [
        ...base,
        ['job', job],
        ...labels.map(([name, value]) => [name, String(value)]),
        ['__address__', address],
      ];
      const made = relabelled(before, new Map(given as [string, string | undefined][]), false);
      return made === undefined ? [] : [made];
    });
  });
  const addresses = found.flatMap((labels) => labels.get('__address__') ?? []);
  const rewritten = before.filter(({ target }) => target === '__address__').map(({ replacement }) => replacement);
  const discovered = Object.entries(config)
    .filter(([key]) => key.endsWith('_sd_configs'))
    .flatMap(([, list]) => listOf(list).filter(isObject))
    .flatMap(({ port }) => (typeof port === 'number' ? [port] : []));
  const written = [...(found.length > 0 ? addresses : rewritten)].flatMap((address) => portOf(address) ?? []);
  return {
    ...{ job, config, before, after, groups, addresses },
    targets: found.map((labels) => relabelledAfter(labels, after)),
    ports: [...new Set([...written, ...(found.length === 0 && written.length === 0 ? discovered : [])])],
    isMultiTarget: before.some(({ target }) => target === '__param_target'),
  };
}

/** Prometheus gives `instance` the address where nothing else did; of a series' own labels nothing is known. */
function relabelledAfter(labels: Labels, after: readonly Relabelling[]): Labels {
  const kept = new Map([...labels].filter(([name]) => !name.startsWith('__')));
  if (!kept.has('instance')) kept.set('instance', labels.get('__address__'));
  const about = after.filter(({ target, action }) => action === 'replace' && ['instance', 'job'].includes(target));
  return relabelled(about, kept, true) ?? kept;
}

function portOf(address: string): number | undefined {
  const port = /:(\d{1,5})$/.exec(address)?.[1];
  return port === undefined ? undefined : Number(port);
}

/** Ports of what exporters look at: who scrapes these has another program there. */
const serverPorts = [3306, 5432, 6379, 8083, 9092, 9094, 26379];

/** Pages of applications, whose jobs are named after what they use. */
const ofApplications = /\/(actuator|management|federate|q)\b/;

/** By the ports that are scraped; by the name of the job where they are not known, or not telling. */
function exportersOf(
  { job, ports }: Read,
  path: string,
): { readonly peers: readonly Peer[]; readonly byName: boolean } {
  const byPort = peersAt(ports);
  if (byPort.length > 0) return { peers: byPort, byName: false };
  const isServer = ports.length > 0 && ports.every((port) => serverPorts.includes(port));
  const named = peersNamed(job).filter(({ fate }) => fate !== 'program' || !(isServer || ofApplications.test(path)));
  return { peers: named, byName: true };
}

function jobOf(read: Read, asked: ReadonlySet<string>): Job {
  const { job, config, before, after, groups, targets, addresses, ports, isMultiTarget } = read;
  const path = textOf(config['metrics_path']) ?? '/metrics';
  const door = doorOf(job, path, config, ports, after);
  const { peers: found, byName } = door === undefined ? exportersOf(read, path) : { peers: [], byName: false };
  const ofItself = !isMultiTarget && addresses.length > 0 && addresses.every((address) => asked.has(address));
  const made = targets.map((labels) => labels.get('instance'));
  const known = [...new Set(made.filter((instance) => instance !== undefined))];
  const instances = ofItself ? [] : known.filter((instance) => !isPlaceholder(instance));
  const discovers = Object.keys(config).some((key) => key.endsWith('_sd_configs'));
  const jobs = targets.flatMap((labels) => labels.get('job') ?? []);
  const added = [
    ...groups.flatMap((group) => Object.keys(isObject(group['labels']) ? group['labels'] : {})),
    ...[...before, ...after].filter(({ action }) => action === 'replace').map(({ target }) => target),
  ];
  return {
    job,
    path,
    peers: found,
    byName,
    ofItself,
    door,
    instances: found.length > 1 ? instances.filter((instance) => isReplaced(instance, found)) : instances,
    placeholders: known.filter(isPlaceholder),
    isOpen: discovers || made.includes(undefined),
    labels: [...new Set(added)].filter(
      (label) => label !== '' && !label.startsWith('__') && !['instance', 'job'].includes(label),
    ),
    jobsOfUp: [...new Set([...jobsIn(before), ...jobs])].filter((name) => name !== job),
    jobsOfSeries: jobsIn(after),
    renames: after.some(({ target, action }) => target === '__name__' && action === 'replace'),
    drops: after.some(({ sources, action }) => sources.includes('__name__') && ['drop', 'keep'].includes(action)),
  };
}

/** `{{ host }}`, `${HOST}`, `<HOST>`: what somebody else fills in. */
function isPlaceholder(text: string): boolean {
  return /[<>{}]|\$|%\w+%/.test(text);
}

/** The values that rules give the label `job`, as far as they stand there. */
function jobsIn(rules: readonly Relabelling[]): readonly string[] {
  return rules
    .filter(({ target, action, replacement }) => target === 'job' && action === 'replace' && !replacement.includes('$'))
    .map(({ replacement }) => replacement);
}

/** Whether an address is one of an exporter that can go; where there is no telling, it may be. */
function isReplaced(instance: string, found: readonly Peer[]): boolean {
  const port = portOf(instance);
  const owner = found.find((peer) => port !== undefined && peer.ports.includes(port));
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
