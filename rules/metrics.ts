// Which metrics rules and dashboards may name, and which labels their series may carry once Prometheus has them.
import { seriesOf, type Family } from '../exporter/families.ts';

export interface Metric {
  readonly type: 'gauge' | 'counter' | 'untyped';
  /** Own labels only; what Prometheus and the inventory add is in `labelsIn`. */
  readonly labels: readonly string[];
  readonly level: 'target' | 'pipeline' | 'graph' | 'peer' | 'prometheus';
  /** The state family that says why a sample is absent. */
  readonly state?: string;
}

/** Where a series came from says nothing about what it is about: rules drop these before anything else. */
export const transportLabels = ['instance', 'job', 'exporter', 'pod', 'container', 'endpoint', 'service'] as const;

/** Stands for the labels that a user's inventory adds to every series of a target. */
export const inventoryLabels = '*';

/** Served by Prometheus itself. */
const ofPrometheus: Readonly<Record<string, Metric>> = {
  up: { type: 'gauge', labels: ['target'], level: 'prometheus' },
  scrape_duration_seconds: { type: 'gauge', labels: ['target'], level: 'prometheus' },
  ALERTS: {
    type: 'gauge',
    labels: [
      'alertname',
      'alertstate',
      'severity',
      'priority',
      'remediation',
      'scope',
      'target',
      'pipeline',
      'consumergroup',
      'topic',
      'type',
    ],
    level: 'prometheus',
  },
};

const channel = ['channel_name', 'connection_name', 'master_host', 'master_uuid'] as const;

/**
 * Names that the rules read from a plain peer exporter beside pipemedic (`target=""`), in both spellings of the server.
 * mysqld_exporter 0.14 to 0.20, collector/slave_status.go: the name is the column in lower case.
 */
const ofPeers: Readonly<Record<string, Metric>> = Object.fromEntries(
  [
    'seconds_behind_master',
    'seconds_behind_source',
    'sql_delay',
    'slave_io_running',
    'slave_sql_running',
    'replica_io_running',
    'replica_sql_running',
  ].map((column) => [
    `mysql_slave_status_${column}`,
    { type: 'untyped', labels: channel, level: 'peer' } satisfies Metric,
  ]),
);

/** `catalogues`: the exporter's and the remediator's. */
export function metricsOf(...catalogues: readonly ReadonlyMap<string, Family>[]): ReadonlyMap<string, Metric> {
  const ours = catalogues
    .flatMap((catalogue) => [...catalogue])
    .flatMap(([, family]) =>
      seriesOf(family).map(([name, type]): [string, Metric] => [
        name,
        {
          type,
          labels: family.labels,
          level: family.level,
          ...(family.state === undefined ? {} : { state: family.state }),
        },
      ]),
    );
  return new Map([
    ...Object.entries(ofPrometheus),
    ...Object.entries(ofPeers),
    ...ours, // a peer's name that the exporter serves too has the exporter's labels
  ]);
}

/** Labels that a series of the metric may carry in Prometheus, `cluster` being the usual label of a group of targets. */
export function labelsIn(metric: Metric): ReadonlySet<string> {
  const added = metric.level === 'target' ? ['target', inventoryLabels] : [];
  return new Set([...metric.labels, ...added, ...transportLabels, 'cluster']);
}
