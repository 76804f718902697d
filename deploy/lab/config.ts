// pipemedic.yml and policies.yml of a lab, from its addresses.
import { join } from 'node:path';
import { dump } from 'js-yaml';
import { ports } from './address.ts';
import { folderIn, type LabContext } from './context.ts';
import { topic } from './kafka.ts';
import { clientId, maxwellPidFile } from './maxwell.ts';
import type { PartName } from './parts.ts';
import { logFileOf } from './processes.ts';
import { consumerGroup, backupFolder } from './programs.ts';
import { alertmanagerPort } from './prometheus.ts';
import { serviceName, supervisorFiles } from './supervised.ts';

export interface ConfigOptions {
  readonly parts: ReadonlySet<PartName>;
  readonly alertmanagers: number;
  readonly backupEverySeconds: number;
}

interface Entry {
  readonly name: string;
  readonly part: PartName;
  readonly kind: string;
  readonly address: Readonly<Record<string, unknown>>;
  readonly auth?: Readonly<Record<string, unknown>>;
}

function entries(lab: LabContext, options: ConfigOptions): Entry[] {
  const host = lab.address;
  const auth = { user: 'exporter', password_file: lab.secretFile('exporter') };
  return [
    { name: 'db1', part: 'source', kind: 'mysql', address: { host, port: ports.source }, auth },
    { name: 'db2', part: 'replica', kind: 'mysql', address: { host, port: ports.replica }, auth },
    {
      name: serviceName,
      part: 'maxwell',
      kind: 'maxwell',
      address: {
        mysql: 'db1',
        client_id: clientId,
        http: { url: `http://${host}:${ports.maxwellHttp}` },
        hsperfdata: { pid_file: maxwellPidFile(lab) },
      },
    },
    { name: 'kafka1', part: 'kafka', kind: 'kafka', address: { brokers: [`${host}:${ports.kafka}`] } },
    redisEntry(lab, 'redis1', 'redis'),
    redisEntry(lab, 'redis2', 'redisReplica'),
    {
      name: 'backup1',
      part: 'backup',
      kind: 'backup',
      address: {
        directory: backupFolder(lab),
        pattern: 'orders-*.sql.gz',
        max_age: `${options.backupEverySeconds * 3}s`,
      },
    },
  ];
}

function redisEntry(lab: LabContext, name: string, part: 'redis' | 'redisReplica'): Entry {
  const address = { host: lab.address, port: ports[part], log_file: logFileOf(lab, part) };
  return { name, part, kind: 'redis', address };
}

/** Only what this lab has. The document, so that a test can change it before it is written. */
export function pipemedicConfig(lab: LabContext, options: ConfigOptions): Record<string, unknown> {
  const has = (part: PartName): boolean => options.parts.has(part);
  const targets = entries(lab, options)
    .filter(({ part }) => has(part))
    .map(({ part: _part, ...target }) => target);
  const pipeline = {
    name: 'orders',
    objective: '30s',
    source: 'db1',
    ...(has('replica') ? { replicas: ['db2'] } : {}),
    ...(has('maxwell') ? { cdc: serviceName } : {}),
    ...(has('kafka') ? { bus: { target: 'kafka1', topics: [topic] } } : {}),
    ...(has('sink') ? { consumers: [{ group: consumerGroup }] } : {}),
    ...(has('redis') ? { cache: { primary: 'redis1', replicas: has('redisReplica') ? ['redis2'] : [] } } : {}),
    ...(has('backup') ? { backups: ['backup1'] } : {}),
  };
  return {
    targets,
    ...(has('source') ? { pipelines: [pipeline] } : {}),
    ...(has('remediator') ? { remediation: remediationConfig(lab, options) } : {}),
  };
}

function remediationConfig(lab: LabContext, options: ConfigOptions): Record<string, unknown> {
  const home = folderIn(lab, 'remediator');
  const auth = { user: 'remediator', password_file: lab.secretFile('remediator') };
  // the schema wants one at least, also where none runs
  const alertmanagers = Array.from({ length: Math.max(1, options.alertmanagers) }, (_, i) => ({
    url: `http://${lab.address}:${alertmanagerPort(i)}`,
  }));
  return {
    store: join(home, 'remediator.db'),
    evidence_dir: folderIn(lab, 'remediator', 'evidence'),
    switch_file: join(home, 'PAUSED'),
    webhook: { token_files: [lab.secretFile('remediator-webhook.token')] },
    sources: [{ name: 'main', alertmanagers, watchdog: '2m' }],
    auth: {
      ...(options.parts.has('source') ? { db1: auth } : {}),
      ...(options.parts.has('replica') ? { db2: auth } : {}),
    },
    supervisors:
      options.parts.has('supervisor') && options.parts.has('maxwell')
        ? { [serviceName]: { kind: 'process', socket: supervisorFiles(lab).socket } }
        : {},
  };
}

export const policies = {
  policies: [
    {
      name: 'maxwell-down',
      match: { alertname: 'MaxwellDown' },
      action: 'maxwell.restart',
      mode: 'auto',
      pace: { max_runs: 3, window: '1h', cooldown: '30s' },
      soak: '10s',
      relapse: '2m',
    },
  ],
};

export function yaml(document: unknown): string {
  return dump(document, { lineWidth: -1, noRefs: true });
}
