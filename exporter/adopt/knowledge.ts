// What is known of a metric's name: whether pipemedic serves it and what must be on for that, or who else does.
import { catalogue } from '../catalogue.ts';
import { seriesOf, type Family } from '../families.ts';
import { systems } from '../systems/index.ts';
import { groupOf } from '../systems/mysql/facts-status.ts';
import { statusFamilies } from '../systems/mysql/families-status.ts';
import { aliasOf, type Alias } from './aliases.ts';
import { peerOf, peers, type Peer } from './peers.ts';

/** A collector that serves a name. */
export interface Origin {
  readonly kind: string;
  readonly collector: string;
  readonly defaultOn: boolean;
  /** An option of the collector that the name needs: `also: [name]`. */
  readonly option?: string;
}

export type Known =
  | {
      readonly is: 'served';
      /** Any one of them is enough; none: served from the inventory, or by the program about itself. */
      readonly origins: readonly Origin[];
      /** Own labels; undefined where they are the target's own business. */
      readonly labels: readonly string[] | undefined;
      readonly level: Family['level'];
      /** The state family that says why a sample is absent. */
      readonly state: string | undefined;
      /** Who serves the same name. */
      readonly peer: Peer | undefined;
    }
  | { readonly is: 'prometheus' }
  | { readonly is: 'renamed'; readonly alias: Alias; readonly peer: Peer | undefined }
  | {
      readonly is: 'elsewhere';
      readonly peer: Peer;
      /** False where only the beginning of the name is like its names. */
      readonly isSure: boolean;
    }
  | { readonly is: 'unknown' };

/** Prometheus makes these itself (https://prometheus.io/docs/concepts/jobs_instances/). */
const ofPrometheus = new Set([
  'up',
  'scrape_duration_seconds',
  'scrape_samples_scraped',
  'scrape_samples_post_metric_relabeling',
  'scrape_series_added',
  'scrape_timeout_seconds',
  'scrape_sample_limit',
  'scrape_body_size_bytes',
  'ALERTS',
  'ALERTS_FOR_STATE',
]);

/** Names beyond the catalogue that one collector serves when it is asked for them. */
const onDemand: readonly { readonly prefix: string; readonly option: (rest: string) => string }[] = [
  { prefix: 'mysql_global_status_', option: (rest) => `also: [${rest}]` },
  { prefix: 'mysql_global_variables_', option: (rest) => `also: [${rest}]` },
];

/** The default `metrics_prefix` of Maxwell; with another one its names cannot be known. */
const maxwellPrefix = 'MaxwellMetrics_';
const maxwellOrigin: Origin = { kind: 'maxwell', collector: 'http', defaultOn: false, option: 'own_names: true' };

interface Exact {
  readonly family: Family;
  readonly origins: Origin[];
}

const exact: ReadonlyMap<string, Exact> = indexOf();

interface Open {
  readonly prefix: string;
  readonly labels: readonly string[] | undefined;
  readonly origin: Origin;
}

const open: readonly Open[] = systems.flatMap(({ kind, collectors }) =>
  collectors.flatMap((collector) =>
    Object.values(collector.open)
      .filter(({ prefix }) => prefix !== '')
      .map((group) => ({
        prefix: group.prefix,
        labels: 'passed' in group ? undefined : group.labels,
        origin: { kind, collector: collector.name, defaultOn: collector.defaultOn },
      })),
  ),
);

function indexOf(): ReadonlyMap<string, Exact> {
  const index = new Map<string, Exact>();
  for (const family of catalogue.values()) {
    for (const [name] of seriesOf(family)) index.set(name, { family, origins: [] });
  }
  for (const { kind, collectors, up } of systems) {
    // `…_up` comes of the connection itself, which every collector needs
    if (up !== undefined) index.get(up.name)?.origins.push({ kind, collector: '', defaultOn: true });
    for (const { name: collector, families, defaultOn } of collectors) {
      for (const family of Object.values(families)) {
        for (const [name] of seriesOf(family)) index.get(name)?.origins.push({ kind, collector, defaultOn });
      }
    }
  }
  return index;
}

const selfNames = /^(pipemedic_remediator_|pipemedic_exporter_|nodejs_)/;

export function knownOf(name: string): Known {
  const found = exact.get(name);
  const peer = peerOf(name);
  if (found !== undefined) {
    const { family, origins } = found;
    return {
      is: 'served',
      origins,
      labels: family.labels,
      level: family.level,
      state: family.state,
      peer: name.startsWith('kafka_connect_') ? undefined : peer,
    };
  }
  if (ofPrometheus.has(name)) return { is: 'prometheus' };
  const alias = aliasOf.get(name) ?? labelledStatus(name);
  if (alias !== undefined) return { is: 'renamed', alias, peer };
  if (selfNames.test(name)) return own;
  if (name.startsWith(maxwellPrefix)) return served([maxwellOrigin], undefined, peer);
  const group = open.find(({ prefix }) => name.startsWith(prefix) && name.length > prefix.length);
  if (group !== undefined) {
    const wanted = onDemand.find(({ prefix }) => prefix === group.prefix);
    const option = wanted?.option(name.slice(group.prefix.length));
    return served([{ ...group.origin, ...(option === undefined ? {} : { option }) }], group.labels, peer);
  }
  if (peer === undefined) return { is: 'unknown' };
  return { is: 'elsewhere', peer, isSure: peer.has?.test(name) ?? true };
}

/** Served here in the place of an exporter that can go. What stays goes on serving its names, under its own job. */
export function isTaken(known: Known): known is Known & { readonly is: 'served' } {
  return known.is === 'served' && known.peer?.fate !== 'stays';
}

const statusPrefix = 'mysql_global_status_';
/** Status variables that are a label of a family, and no name: `Com_commit`, `Innodb_rows_read`. */
function labelledStatus(name: string): Alias | undefined {
  const group = name.startsWith(statusPrefix) ? groupOf(name.slice(statusPrefix.length)) : undefined;
  if (group === undefined || group.family === 'none') return undefined;
  const family = statusFamilies[group.family];
  const label = family.labels.at(0);
  const instead = `${family.name}${label === undefined ? '' : `{${label}="${group.label}"}`}`;
  return { name, instead, but: 'as in mysqld_exporter', source: 'mysqld_exporter, collector/global_status.go' };
}

/** Of the program itself, through whatever door. */
const own: Known = { is: 'served', origins: [], labels: undefined, level: 'graph', state: undefined, peer: undefined };

function served(origins: readonly Origin[], labels: readonly string[] | undefined, peer: Peer | undefined): Known {
  return { is: 'served', origins, labels, level: 'target', state: undefined, peer };
}

/** Whether the catalogue has the very name, not only the prefix of a group. */
export function isOurName(name: string): boolean {
  return exact.has(name);
}

/** How many names of the catalogue begin so, and whose names they are. */
export function namesBeginning(prefix: string): number {
  return [...exact.keys()].filter((name) => name.startsWith(prefix)).length;
}

/** The exporters that a scrape job is for, by the ports of its targets. */
export function peersAt(ports: readonly number[]): readonly Peer[] {
  return peers.filter((peer) => ports.some((port) => peer.ports.includes(port)));
}

/** … by its name: at most one. */
export function peersNamed(job: string): readonly Peer[] {
  const text = job.toLowerCase();
  const words = text.split(/[^a-z0-9]+/);
  let best: { peer: Peer; length: number } | undefined;
  for (const peer of peers) {
    for (const word of peer.words) {
      const fits =
        words.includes(word) || words.includes(`${word}exporter`) || (/[-_]/.test(word) && text.includes(word));
      if (fits && word.length > (best?.length ?? 0)) best = { peer, length: word.length };
    }
  }
  return best === undefined ? [] : [best.peer];
}
