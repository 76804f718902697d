// Prometheus and Alertmanager, from the configuration files and rules that are shipped.
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { dump, load } from 'js-yaml';
import { ports } from './address.ts';
import { fileIn, folderIn, program, repo, type LabContext } from './context.ts';
import { ProcessPart } from './processes.ts';
import { httpOk } from './ready.ts';
import { mapStrings, scaleAlertmanager, scalePrometheus, scaleRules } from './rules.ts';

export interface MonitoringOptions {
  readonly timeFactor: number;
  /** How many Alertmanagers. */
  readonly alertmanagers: number;
  /** Whether they know each other. */
  readonly gossip: boolean;
  /** Instead of the shipped ones: paths. */
  readonly rules?: readonly string[];
  readonly prometheusFile?: string;
  readonly alertmanagerFile?: string;
}

export function alertmanagerPort(index: number): number {
  return ports.alertmanager + index;
}

/** The addresses in the shipped files, and where these are in a lab. */
function addressesOf(lab: LabContext): ReadonlyMap<string, string> {
  return new Map([
    ['127.0.0.1:9930', `${lab.address}:${ports.exporter}`],
    ['127.0.0.1:9931', `${lab.address}:${ports.remediator}`],
    ['127.0.0.1:9094', `${lab.address}:${ports.pager}`],
  ]);
}

function moved(lab: LabContext, text: string): string {
  let result = text;
  for (const [shipped, here] of addressesOf(lab)) result = result.replaceAll(shipped, here);
  return result;
}

export function prometheusPart(lab: LabContext, options: MonitoringOptions): ProcessPart {
  const home = folderIn(lab, 'prometheus');
  folderIn(lab, 'prometheus', 'rules');
  const files = options.rules ?? globSync(join(repo, 'rules', '*.rules.yml'));
  for (const file of files) {
    fileIn(
      lab,
      join('prometheus', 'rules', basename(file)),
      scaleRules(readFileSync(file, 'utf8'), options.timeFactor),
    );
  }
  const peers = Array.from({ length: options.alertmanagers }, (_, i) => `${lab.address}:${alertmanagerPort(i)}`);
  const shipped = load(readFileSync(options.prometheusFile ?? join(repo, 'deploy', 'prometheus.yml'), 'utf8'));
  const document = mapStrings(scalePrometheus(shipped, options.timeFactor), (text, key) =>
    key === 'rule_files' ? join(home, 'rules', '*.yml') : moved(lab, text),
  ) as Record<string, unknown>;
  const { alerting } = document;
  if (alerting !== undefined) document['alerting'] = { alertmanagers: [{ static_configs: [{ targets: peers }] }] };
  const config = fileIn(lab, 'prometheus/prometheus.yml', dump(document, { lineWidth: -1, noRefs: true }));
  const url = `http://${lab.address}:${ports.prometheus}`;
  return new ProcessPart(lab, {
    name: 'prometheus',
    argv: [
      program('prometheus'),
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(home, 'data')}`,
      '--storage.tsdb.retention.time=6h',
      `--web.listen-address=${lab.address}:${ports.prometheus}`,
      `--web.external-url=${url}`,
      '--web.enable-lifecycle',
      // A notification too: what fired before Prometheus knew its Alertmanagers (5 s) is sent again only after this
      `--rules.alert.resend-delay=${Math.round(60_000 / options.timeFactor)}ms`,
    ],
    cwd: home,
    ready: (signal) => httpOk(`${url}/-/ready`, signal),
  });
}

export function alertmanagerPart(lab: LabContext, index: number, options: MonitoringOptions): ProcessPart {
  const name = alertmanagerName(index);
  const home = folderIn(lab, name);
  const shipped = load(readFileSync(options.alertmanagerFile ?? join(repo, 'deploy', 'alertmanager.yml'), 'utf8'));
  const document = mapStrings(scaleAlertmanager(shipped, options.timeFactor), (text, key) =>
    key === 'credentials_file' ? lab.secretFile(basename(text)) : moved(lab, text),
  );
  const config = fileIn(lab, `${name}/alertmanager.yml`, dump(document, { lineWidth: -1, noRefs: true }));
  const url = `http://${lab.address}:${alertmanagerPort(index)}`;
  return new ProcessPart(lab, {
    name,
    argv: [
      program('prometheus-alertmanager'),
      `--config.file=${config}`,
      `--storage.path=${join(home, 'data')}`,
      `--web.listen-address=${lab.address}:${alertmanagerPort(index)}`,
      `--web.external-url=${url}`,
      ...clusterFlags(lab, index, options),
    ],
    cwd: home,
    ready: (signal) => httpOk(`${url}/-/ready`, signal),
  });
}

/** The first one is just `alertmanager`. */
function alertmanagerName(index: number): string {
  return index === 0 ? 'alertmanager' : `alertmanager${index + 1}`;
}

function clusterFlags(lab: LabContext, index: number, options: MonitoringOptions): string[] {
  if (!options.gossip || options.alertmanagers < 2) return ['--cluster.listen-address='];
  const at = (i: number): string => `${lab.address}:${ports.alertmanagerCluster + i}`;
  const others = Array.from({ length: options.alertmanagers }, (_, i) => i).filter((i) => i !== index);
  return [
    `--cluster.listen-address=${at(index)}`,
    `--cluster.advertise-address=${at(index)}`,
    ...others.map((i) => `--cluster.peer=${at(i)}`),
    // No notification before the cluster has settled: a minute by default
    '--cluster.settle-timeout=2s',
    // How long a peer waits for the one before it to notify: a duration of notifications like group_wait
    `--cluster.peer-timeout=${Math.round(15_000 / options.timeFactor)}ms`,
  ];
}
