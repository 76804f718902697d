// Every query of the dashboard and every rule in a real Prometheus: no error, and data. Two exporters serve one sample of
// every family of the catalogues through /metrics, and the same targets come by the probe job: that is where rules and
// panels that do not drop the transport labels fail ("many-to-many matching not allowed").
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { dump, load } from 'js-yaml';
import { z } from 'zod';
import { dashboardQueries } from '../../dashboards/queries.ts';
import { waitFor } from '../../deploy/lab/ready.ts';
import { catalogue } from '../../exporter/catalogue.ts';
import { seriesOf, type Family } from '../../exporter/families.ts';
import { remediatorCatalogue } from '../../remediator/catalogue.ts';
import { readBundle, repo, rulesFiles } from '../../rules/bundle.ts';
import { freePort } from '../support/free-port.ts';

const skip = spawnSync('prometheus', ['--version']).error === undefined ? false : 'prometheus is not installed';
const bundle = readBundle();

/** States, limits and the like that rules or panels ask for, by family. */
const asked = new Map<string, Set<string>>();
const texts = [...bundle.alerts, ...bundle.records].map((rule) => rule.expr);
for (const text of [...texts, ...dashboardQueries().map((q) => q.expr)]) {
  const matchers = [...text.matchAll(/([\w:]+)\{([^}]+)\}/g)].flatMap(([, name = '', inner = '']) =>
    [...inner.matchAll(/\b(state|threshold|class|kind|memtype)=~?"([\w|]+)"/g)].map(
      ([, label = '', value = '']) => [name, label, value] as const,
    ),
  );
  for (const [name, label, value] of matchers) {
    const family =
      { 'pipemedic:mysql_replica_state': 'mysql_replication_state', 'pipemedic:threshold': 'pipemedic_threshold' }[
        name
      ] ?? name;
    const all = asked.get(`${family} ${label}`) ?? new Set();
    for (const one of value.split('|')) all.add(one);
    asked.set(`${family} ${label}`, all);
  }
}

/** Values that some labels must have for joins to find each other: an upstream that is down, for one. */
const fixed: Readonly<Record<string, readonly string[]>> = {
  role: ['source', 'replica', 'cache_replica'],
  // one for each alert that asks for a check of its own, and one for the rest
  'redis_replication_config_state check': ['replica_read_only', 'min_replicas', 'backlog_size'],
  'redis_replication_topology_state check': ['role', 'chain', 'dataset'],
  'redis_log_events_total class': ['sync_failed'],
  'redis_replication_syncs_total kind': ['full'],
  'mysql_semi_sync_state role': ['source'],
  level: ['error'],
  kind: ['jvm'],
  upstream: ['t1', 't2'],
  area: ['heap'],
  severity: ['warning', 'critical'],
  consumergroup: ['consumergroup1'],
};

/** What is wrong when it is 0. All states are 1 at once: no server is like that, but every alert meets its joins. */
const zero =
  /^(mysql|kafka|kafka_connect|redis|maxwell_http)_up$|_cdc_ready$|sql_delay$|collector_success$|headroom_(files|seconds)$|last_reload_successful$|sweep_complete$|data_flowing$|full_in_seconds$|folder_avail_bytes$|MemAvailable_bytes$/;

function numberOf(family: Family, round: number): number {
  const isCounted = family.type === 'counter' || family.type === 'summary' || family.name === 'node_vmstat_oom_kill';
  if (isCounted) return round * 100; // past every limit within seconds
  if (family.name === 'pipemedic_threshold' || family.name === 'pipeline_lag_objective_seconds') return 0.5;
  if (family.name === 'mysql_binlog_files') return 3;
  return zero.test(family.name) ? 0 : 1;
}

function exposition(families: Iterable<Family>, withTarget: boolean, round: number): string {
  const lines: string[] = [];
  for (const family of families) {
    const own = family.level === 'target' && withTarget ? ['target'] : [];
    lines.push(`# TYPE ${family.name} ${family.type}`);
    // every combination of the values of its labels
    let sets = [''];
    for (const label of [...own, ...family.labels]) {
      const values = fixed[`${family.name} ${label}`] ??
        fixed[label] ?? [...(asked.get(`${family.name} ${label}`) ?? [valueOf(label)])];
      sets = sets.flatMap((set) => values.map((value) => `${set}${label}="${value}",`));
    }
    for (const set of sets) {
      for (const [name] of seriesOf(family)) lines.push(`${name}{${set}} ${numberOf(family, round)}`);
    }
  }
  if (withTarget) lines.push('pipemedic_target_up{target="t2"} 0');
  return `${lines.join('\n')}\n`;
}

/** Another Maxwell and CDC service, which move: what is said of lag is said of no other. */
function moving(target: string | undefined): string {
  const labels = (text: string): string => (target === undefined ? text : `target="${target}",${text}`);
  const limits = ['maxwell_heartbeat_lag_seconds', 'cdc_service_lag_seconds'].flatMap((threshold) =>
    ['warning', 'critical'].map(
      (severity) =>
        `pipemedic_threshold{${labels(`consumergroup="",threshold="${threshold}",severity="${severity}"`)}} 0.5`,
    ),
  );
  const client = labels('client_id="maxwell"');
  const service = labels('').replace(/,$/, '');
  return `${[
    ...limits,
    `maxwell_heartbeat_lag_seconds{${client}} 1`,
    `maxwell_state{${client},state="running"} 1`,
    `cdc_service_lag_seconds{${service}} 1`,
    `cdc_service_state{${labels('state="running"')}} 1`,
  ].join('\n')}\n`;
}

function valueOf(label: string): string {
  return label === 'target' ? 't1' : `${label}1`;
}

let folder = '';
let prometheus: ChildProcess | undefined;
let url = '';
const servers: Server[] = [];

async function listen(text: (query: URLSearchParams, round: number) => string): Promise<string> {
  let round = 0;
  const server = createServer((request, response) => {
    round += 1;
    response.setHeader('content-type', 'text/plain; version=0.0.4');
    response.end(text(new URL(request.url ?? '/', 'http://x').searchParams, round));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  servers.push(server);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `127.0.0.1:${address.port}`;
}

before(async () => {
  if (skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), 'pipemedic-dashboard-'));
  const ofTargets = [...catalogue.values()].filter((f) => f.level === 'target');
  const all = (_: URLSearchParams, round: number): string =>
    `${exposition(catalogue.values(), true, round)}${moving('t3')}`;
  const [first, second] = [await listen(all), await listen(all)];
  const probe = await listen((_, round) => exposition(ofTargets, false, round));
  const probeOfMoving = await listen(() => moving(undefined));
  const remediator = await listen((_, round) => exposition(remediatorCatalogue.values(), false, round));

  const shipped = load(await readFile(join(repo, 'deploy/prometheus.yml'), 'utf8')) as Record<string, unknown>;
  const jobs = z.array(z.looseObject({ job_name: z.string() })).parse(shipped['scrape_configs']);
  const targets: Readonly<Record<string, unknown>> = {
    pipemedic: [
      { targets: [first], labels: { exporter: 'pm-1' } },
      { targets: [second], labels: { exporter: 'pm-2' } },
    ],
    'pipemedic-remediator': [{ targets: [remediator] }],
  };
  await writeFile(
    join(folder, 'prometheus.yml'),
    dump({
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: rulesFiles(),
      scrape_configs: [
        ...jobs.map((job) => ({ ...job, static_configs: targets[job.job_name] })),
        {
          job_name: 'pipemedic-probe',
          metrics_path: '/probe',
          static_configs: [
            { targets: [probe], labels: { target: 't1', instance: 't1' } },
            { targets: [probeOfMoving], labels: { target: 't3', instance: 't3' } },
          ],
        },
      ],
    }),
  );
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  prometheus = spawn(
    'prometheus',
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  );
  // Everything scraped at least twice, and the rules evaluated on it.
  const scraped = async (): Promise<boolean> => (await sample('min(sum_over_time(up[1m]))')) >= 3;
  await waitFor(scraped, { deadlineMs: 60_000, what: 'three scrapes of each' });
  const firing =
    'count(count by (alertname) (ALERTS{alertname=~"MysqlReplicationLag|MaxwellMessagesFailed|RedisReplicaLag"}))';
  await waitFor(async () => (await sample(firing)) === 3, { deadlineMs: 60_000, what: 'alerts of what moves' });
});

after(async () => {
  if (prometheus?.exitCode === null) {
    prometheus.kill('SIGKILL');
    await once(prometheus, 'exit');
  }
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  if (folder !== '') await rm(folder, { recursive: true });
});

const answer = z.object({ status: z.string(), error: z.string().optional(), data: z.unknown() });
const vector = z.object({
  result: z.array(z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) })),
});

async function query(expr: string): Promise<z.output<typeof vector>['result']> {
  const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expr)}`);
  const { status, error, data } = answer.parse(await response.json());
  assert.equal(status, 'success', `${expr}: ${error ?? ''}`);
  return vector.parse(data).result;
}

async function sample(expr: string): Promise<number> {
  return Number((await query(expr))[0]?.value[1]);
}

for (const { where, expr, emptyWhen } of dashboardQueries({ rateInterval: '1m' })) {
  test(`dashboard: ${where}`, { skip }, async () => {
    const result = await query(expr);
    if (emptyWhen === undefined) assert.ok(result.length > 0, `no data: ${expr}`);
  });
}

const ruleList = z.object({
  groups: z.array(
    z.object({ rules: z.array(z.object({ name: z.string(), health: z.string(), lastError: z.string().optional() })) }),
  ),
});

test('every rule evaluates without an error, with two exporters and both doors', { skip }, async () => {
  const response = await fetch(`${url}/api/v1/rules`);
  const rules = ruleList.parse(answer.parse(await response.json()).data).groups.flatMap((group) => group.rules);
  assert.equal(rules.length, bundle.alerts.length + bundle.records.length);
  assert.deepEqual(
    rules.filter((rule) => rule.health !== 'ok'),
    [],
  );
});

test('one thing that is wrong is one alert, whatever the number of doors and exporters', { skip }, async () => {
  const counts = await query('count by (alertname, severity) (ALERTS{scope=~"target|pipeline|inhibitor"})');
  assert.deepEqual(
    counts.filter(({ value }) => value[1] !== '1'),
    [],
  );
  // The rest cannot be true beside the others (a JVM that is visible is not gone, a link that is down is not silent) or
  // needs ten minutes of history
  const seen = new Set(counts.map(({ metric }) => metric['alertname']));
  const scopes = new Set(['target', 'pipeline', 'inhibitor']);
  assert.deepEqual(
    bundle.alerts.filter((a) => scopes.has(a.labels.scope) && !seen.has(a.alert)).map((a) => a.alert),
    ['JvmDown', 'JvmUnknown', 'KafkaConsumerUncommitted', 'PipelineLagUnknown', 'RedisReplicationLinkSilent'],
  );
});
