// Scrape configurations, the inventory, and what the summary makes of all of it.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { load } from 'js-yaml';
import { adopt, exitStatusOf } from '../../../exporter/adopt/adopt.ts';
import { jobsOf, scrapeConfigsIn, type Job } from '../../../exporter/adopt/scrape-configs.ts';
import { adoptText } from '../../../exporter/adopt/text.ts';
import { loadInventory } from '../../../exporter/config/loader.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'adopt-scrape-'));
});
after(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, content: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

function jobOf(yaml: string): Job {
  const configs = scrapeConfigsIn(load(`scrape_configs: [${yaml}]`));
  assert.ok(configs !== undefined);
  const { jobs, problems } = jobsOf(configs);
  assert.deepEqual(problems, []);
  const [job] = jobs;
  assert.ok(job !== undefined);
  return job;
}

for (const [yaml, exporter] of [
  ["{job_name: mysql, static_configs: [{targets: ['db1:9104']}]}", 'mysqld_exporter'],
  ["{job_name: x, static_configs: [{targets: ['r1:9121', 'r2:9121']}]}", 'redis_exporter'],
  ["{job_name: kafka, static_configs: [{targets: ['k:9308']}]}", 'kafka_exporter'],
  ["{job_name: kafka-lag-exporter, static_configs: [{targets: ['k:8000']}]}", 'kafka-lag-exporter'],
  [
    "{job_name: kafka-jmx, static_configs: [{targets: ['k:7071']}]}",
    'the JVM agent (jmx_exporter, client_java, Micrometer)',
  ],
  ["{job_name: kafka-jmx, static_configs: [{targets: ['k:8080']}]}", 'jmx_exporter in Kafka'],
  ["{job_name: node, static_configs: [{targets: ['h:9100']}]}", 'node_exporter'],
  ['{job_name: prod/redis-main, kubernetes_sd_configs: [{role: pod}]}', 'redis_exporter'],
  ['{job_name: mysqldexporter, file_sd_configs: [{files: [a.yml]}]}', 'mysqld_exporter'],
  ["{job_name: maxwell, metrics_path: /prometheus, static_configs: [{targets: ['m:8080']}]}", 'Maxwell'],
  ["{job_name: shop, static_configs: [{targets: ['s:80']}]}", undefined],
  [
    "{job_name: dbs, metrics_path: /probe, static_configs: [{targets: ['db1:3306']}], relabel_configs: [{source_labels: [__address__], target_label: __param_target}, {source_labels: [__param_target], target_label: instance}, {target_label: __address__, replacement: 'exporter:9104'}]}",
    'mysqld_exporter',
  ],
] as const) {
  test(`${String(exporter)}: ${yaml.slice(0, 70)}`, () => {
    assert.deepEqual(
      jobOf(yaml).peers.map(({ name }) => name),
      exporter === undefined ? [] : [exporter],
    );
  });
}

for (const [yaml, door] of [
  ["{job_name: pipemedic, static_configs: [{targets: ['p:9930']}]}", 'raw'],
  ["{job_name: anything, static_configs: [{targets: ['p:9930']}]}", 'raw'],
  [
    "{job_name: pipemedic, static_configs: [{targets: ['p:9930']}], metric_relabel_configs: [{source_labels: [target], regex: (.+), target_label: instance}]}",
    'relabelled',
  ],
  ["{job_name: pipemedic-probe, http_sd_configs: [{url: 'http://p:9930/sd'}]}", 'probe'],
  ["{job_name: pipemedic-self, params: {self: ['1']}, static_configs: [{targets: ['p:9930']}]}", undefined],
  ["{job_name: pipemedic-remediator, static_configs: [{targets: ['p:9931']}]}", undefined],
] as const) {
  test(`door ${String(door)}: ${yaml.slice(0, 60)}`, () => {
    assert.equal(jobOf(yaml).door, door);
  });
}

test('what becomes of instance, labels and names', () => {
  const job = jobOf(
    "{job_name: mysql, static_configs: [{targets: ['db1:9104'], labels: {env: prod}}, {targets: ['10.0.0.2:9104'], labels: {instance: db2}}], metric_relabel_configs: [{source_labels: [__name__], regex: 'mysql_(.*)', target_label: __name__, replacement: 'db_$1'}, {source_labels: [__name__], regex: 'go_.*', action: drop}]}",
  );
  assert.deepEqual(job.instances, ['db1:9104', 'db2']);
  assert.deepEqual([job.labels, job.renames, job.drops, job.isOpen], [['env'], true, true, false]);
  const discovered = jobOf(
    "{job_name: redis, consul_sd_configs: [{server: 'c:8500'}], relabel_configs: [{source_labels: [__meta_consul_node], target_label: instance}]}",
  );
  assert.deepEqual([discovered.instances, discovered.isOpen], [[], true]);
});

test("the job that pipemedic's own series are given, before the scrape and after it", () => {
  const before = jobOf(
    "{job_name: pipemedic-probe, http_sd_configs: [{url: 'http://p:9930/sd'}], relabel_configs: [{source_labels: [__meta_pipemedic_kind], regex: mysql, target_label: job, replacement: mysql}, {target_label: job, replacement: $1}]}",
  );
  assert.deepEqual([before.door, before.jobsOfUp, before.jobsOfSeries, before.labels], ['probe', ['mysql'], [], []]);
  const after1 = jobOf(
    "{job_name: pipemedic, static_configs: [{targets: ['p:9930']}], metric_relabel_configs: [{source_labels: [__name__], regex: 'redis_.*', target_label: job, replacement: redis}]}",
  );
  assert.deepEqual([after1.jobsOfUp, after1.jobsOfSeries], [[], ['redis']]);
});

test('one job for all exporters of a host: each of them, and the addresses of those that can go', async () => {
  const yaml =
    "{job_name: db-hosts, static_configs: [{targets: ['db1:9104', 'db1:9100', 'db1:9121', 'db1.example'], labels: {env: prod}}]}";
  const job = jobOf(yaml);
  assert.deepEqual(job.peers.map(({ name }) => name).sort(), ['mysqld_exporter', 'node_exporter', 'redis_exporter']);
  assert.deepEqual(job.instances, ['db1:9104', 'db1:9121', 'db1.example']);
  const report = await adopt([await file('hosts.yml', `scrape_configs: [${yaml}]`)]);
  assert.deepEqual(
    report.summary.exporters.map(({ exporter, fate }) => [exporter, fate]),
    [
      ['mysqld_exporter', 'ready'],
      ['redis_exporter', 'ready'],
      ['node_exporter', 'stays'],
    ],
  );
  assert.match(adoptText(report, false), /job db-hosts: mysqld_exporter, redis_exporter, node_exporter/);
  const found = await adopt([await file('sd.yml', 'scrape_configs: [{job_name: pods, kubernetes_sd_configs: []}]')]);
  assert.match(adoptText(found, false), /job pods: what service discovery finds/);
});

test('a name that its exporter is not known to have keeps no exporter, but must be looked at', async () => {
  const report = await adopt([
    await file(
      'doubt.yml',
      'groups: [{name: g, rules: [{alert: A, expr: mysql_up == 0}, {alert: B, expr: mysql_orders_total > 1}]}]',
    ),
  ]);
  const [mysqld] = report.summary.exporters;
  assert.deepEqual([mysqld?.fate, mysqld?.missing, mysqld?.doubtful], ['after_changes', [], ['mysql_orders_total']]);
  assert.match(adoptText(report, false), /after 1 change: .*g \/ B; it is not known to have mysql_orders_total/);
});

test('a job without a name is told, the others are read; a list of jobs is a configuration too', () => {
  const configs = scrapeConfigsIn([{ job_name: 'mysql' }]);
  assert.equal(jobsOf(configs ?? []).jobs.length, 1);
  const { jobs, problems } = jobsOf([7, { job_name: ['x'] }, { job_name: 'redis' }]);
  assert.equal(jobs.length, 1);
  assert.deepEqual(problems, ['scrape_configs[0].job_name: the number 7', 'scrape_configs[1].job_name: a list']);
});

const prometheus = (line: string): string => `
rule_files: [rules/*.yml]
scrape_configs:
- {job_name: mysql, static_configs: [{targets: ['db1:9104', 'db2:9104'], labels: {env: prod}}]}
- {job_name: redis, static_configs: [{targets: ['r1:9121']}]}
- {job_name: kafka, static_configs: [{targets: ['k1:9308']}]}
- {job_name: node, static_configs: [{targets: ['h1:9100']}]}
- {job_name: pipemedic, static_configs: [{targets: ['p:9930']}]${line}}
`;
const copies = ', metric_relabel_configs: [{source_labels: [target], regex: (.+), target_label: instance}]';
const rules = `groups:
- name: g
  rules:
  - {alert: Lag, expr: mysql_slave_status_seconds_behind_master > 30}
  - {alert: Size, expr: mysql_info_schema_table_size > 1e9}
  - {alert: Gone, expr: 'up{job="redis"} == 0'}
  - {alert: Join, expr: redis_up == 0 and on (instance) redis_instance_info}
  - {alert: Group, expr: kafka_consumergroup_lag > 100}
  - {alert: Disk, expr: node_filesystem_avail_bytes < 1e9}
`;

test('which exporters can be switched off, and in which order', async () => {
  const names = [await file('prometheus.yml', prometheus(copies)), await file('g.rules.yml', rules)];
  const report = await adopt(names);
  assert.deepEqual(
    report.summary.exporters.map(({ exporter, fate, jobs }) => [exporter, fate, ...jobs]),
    [
      ['kafka_exporter', 'ready', 'kafka'],
      ['redis_exporter', 'after_changes', 'redis'],
      ['mysqld_exporter', 'needed', 'mysql'],
      ['node_exporter', 'stays', 'node'],
    ],
  );
  const redis = report.summary.exporters.find(({ exporter }) => exporter === 'redis_exporter');
  assert.deepEqual(redis?.changes, [`${names[1] ?? ''}: g / Gone`]);
  assert.deepEqual(report.summary.exporters.find(({ fate }) => fate === 'needed')?.missing, [
    'mysql_info_schema_table_size',
  ]);
  assert.deepEqual(
    report.summary.instances.map(({ instance }) => instance),
    ['db1:9104', 'db2:9104', 'r1:9121', 'k1:9308'],
  );
  assert.match(report.summary.warnings.join('\n'), /the job mysql adds the labels env/);
  const text = adoptText(report, false);
  for (const part of [
    /kafka_exporter \(job kafka\): can be switched off: the one name in use is served/,
    /redis_exporter \(job redis\): can be switched off after 1 change: .*g \/ Gone/,
    /mysqld_exporter \(job mysql\): still needed for mysql_info_schema_table_size/,
    /further files are not followed; name them too: rules\/\*\.yml/,
    /NOT SERVED: g \/ Size \(line 5\)/,
    /BREAKS: g \/ Gone \(line 6\)/,
    /exporter\/MIGRATION\.md/,
  ]) {
    assert.match(text, part);
  }
  assert.doesNotMatch(text, /g \/ Lag/);
  assert.match(adoptText(report, true), /served: g \/ Lag/);
});

test('a bare /metrics in the configuration makes a fault of what needs the other door', async () => {
  const join1 = await file(
    'join.yml',
    'groups: [{name: g, rules: [{alert: J, expr: redis_up and on (instance) redis_instance_info}]}]',
  );
  assert.equal(exitStatusOf(await adopt([join1])), 0);
  assert.equal(exitStatusOf(await adopt([join1, await file('copies.yml', prometheus(copies))])), 0);
  const bare = await adopt([join1, await file('bare.yml', prometheus(''))]);
  assert.equal(exitStatusOf(bare), 1);
  assert.match(adoptText(bare, false), /WITHOUT the line that copies target to instance/);
});

test('with an inventory: what is off at which target, and whose instance is kept', async () => {
  const inventory = await loadInventory(
    await file(
      'pipemedic.yml',
      `targets:
- {name: db1, kind: mysql, address: {host: db1}, instance: 'db1:9104', collectors: {gtid: false, global_status: {also: [Innodb_mutex_os_waits]}}}
- {name: db2, kind: mysql, address: {host: db2}, collectors: {gtid: false, global_variables: {all: true}}}
`,
    ),
  );
  const file1 = await file(
    'off.yml',
    `groups: [{name: g, rules: [
      {alert: A, expr: mysql_up == 0},
      {alert: B, expr: mysql_heartbeat_now_timestamp_seconds},
      {alert: C, expr: mysql_gtid_errant_transactions > 0},
      {alert: D, expr: mysql_global_status_innodb_mutex_os_waits},
      {alert: E, expr: mysql_global_variables_anything},
      {alert: F, expr: redis_up == 0},
      {alert: G, expr: mysql_global_status_other}]}]`,
  );
  const bySd = prometheus('').replace(
    "static_configs: [{targets: ['p:9930']}]",
    "http_sd_configs: [{url: 'http://p:9930/sd'}]",
  );
  const report = await adopt([file1, await file('with.yml', bySd)], { inventory });
  assert.deepEqual(
    report.files.flatMap((f) => f.expressions.map((e) => e.verdict)),
    ['served', 'off', 'off', 'served', 'served', 'off', 'off'],
  );
  assert.deepEqual(report.summary.toSwitchOn, [
    'collectors: {heartbeat: {}} at db1, db2, for mysql_heartbeat_now_timestamp_seconds',
    'collectors: {gtid: {}} at db1, db2, for mysql_gtid_errant_transactions',
    'add a target of kind redis, for redis_up',
    'collectors: {global_status: {also: [other]}} at db1, db2, for mysql_global_status_other',
  ]);
  assert.deepEqual(
    report.summary.instances.map(({ instance }) => instance),
    ['db2:9104', 'r1:9121', 'k1:9308'],
  );
  assert.equal(exitStatusOf(report), 1);
  // /metrics has no other instance than the name of the target
  const byLine = await adopt([await file('line.yml', prometheus(copies))], { inventory });
  assert.deepEqual(byLine.summary.instances[0], { job: 'mysql', instance: 'db1:9104' });
});

for (const [what, yaml, instances, address] of [
  ['a constant instance', '{target_label: instance, replacement: shop}', ['shop'], 'db1:9104'],
  [
    'the host alone',
    "{source_labels: [__address__], regex: '([^:]+):.*', target_label: instance}",
    ['db1'],
    'db1:9104',
  ],
  [
    'one that is made after the scrape',
    '{source_labels: [__address__], target_label: instance}',
    ['db1:9104'],
    'db1:9104',
  ],
  ['one that somebody else fills in', '{target_label: x}', [], '{{ db }}:9104'],
  ['one of the environment', '{target_label: x}', [], '${DB}:9104'],
] as const) {
  test(`instance: ${what}`, () => {
    const job = jobOf(`{job_name: m, static_configs: [{targets: ['${address}']}], relabel_configs: [${yaml}]}`);
    assert.deepEqual(job.instances, instances);
    assert.deepEqual(
      job.peers.map(({ name }) => name),
      ['mysqld_exporter'],
    );
    assert.deepEqual(job.placeholders, address === 'db1:9104' ? [] : [address]);
  });
}

test('targets that rules drop are no instances; ports of service discovery tell the exporter; a label job is a job of it', () => {
  const dropped = jobOf(
    "{job_name: m, static_configs: [{targets: ['a:9104'], labels: {env: test}}, {targets: ['b:9104']}], relabel_configs: [{source_labels: [env], regex: test, action: drop}]}",
  );
  assert.deepEqual(dropped.instances, ['b:9104']);
  const found = jobOf('{job_name: dns, dns_sd_configs: [{names: [tasks.cache], type: A, port: 9121}]}');
  assert.deepEqual([found.peers.map(({ name }) => name), found.byName], [['redis_exporter'], false]);
  const named = jobOf("{job_name: all, static_configs: [{targets: ['a:9104'], labels: {job: mysql}}]}");
  assert.deepEqual(named.jobsOfUp, ['mysql']);
  const later = jobOf(
    "{job_name: m, static_configs: [{targets: ['a:9104']}], metric_relabel_configs: [{source_labels: [host], target_label: instance}]}",
  );
  assert.deepEqual([later.instances, later.isOpen], [[], true], 'of a label of the series');
});

for (const [yaml, said] of [
  [
    "{job_name: order-mysql, metrics_path: /actuator/prometheus, static_configs: [{targets: ['o:8080']}]}",
    'no exporter that is known',
  ],
  ["{job_name: kafka, static_configs: [{targets: ['k:9092']}]}", 'no exporter that is known'],
  ["{job_name: mysql, static_configs: [{targets: ['db:3306']}]}", 'no exporter that is known'],
  ["{job_name: mysql, static_configs: [{targets: ['db:9999']}]}", 'mysqld_exporter, going by the name of the job'],
  [
    "{job_name: kafka-connect, static_configs: [{targets: ['c:8083']}]}",
    'jmx_exporter in Kafka, going by the name of the job',
  ],
  [
    "{job_name: all, metrics_path: /federate, static_configs: [{targets: ['p:9090']}]}",
    'another Prometheus: name its configuration too',
  ],
] as const) {
  test(`${yaml.slice(0, 60)}: ${said}`, async () => {
    const report = await adopt([await file('one.yml', `scrape_configs: [${yaml}]`)]);
    assert.ok(
      adoptText(report, false)
        .split('\n')
        .some((line) => line.endsWith(`: ${said}`)),
      adoptText(report, false),
    );
    assert.ok(said.includes('mysqld') || report.summary.exporters.every(({ fate }) => fate === 'stays'));
  });
}

test('an exporter that one job asks for its targets and another for itself: its own page is no target', async () => {
  const asks =
    "relabel_configs: [{source_labels: [__address__], target_label: __param_target}, {source_labels: [__param_target], target_label: instance}, {target_label: __address__, replacement: 'exp:9121'}]";
  const report = await adopt([
    await file(
      'pair.yml',
      `scrape_configs: [{job_name: caches, metrics_path: /scrape, static_configs: [{targets: ['redis://a:6379']}], ${asks}}, {job_name: itself, static_configs: [{targets: ['exp:9121']}]}]`,
    ),
  ]);
  assert.deepEqual(report.summary.instances, [{ job: 'caches', instance: 'redis://a:6379' }]);
  assert.match(adoptText(report, false), /job itself: redis_exporter, its own page/);
  assert.match(adoptText(report, false), /redis_exporter \(jobs caches, itself\): can be replaced; name the rules/);
});

test('a configuration without jobs is one, and what Prometheus would refuse in it is told', async () => {
  for (const [text, said, status] of [
    ['rule_files: [r/*.yml]\nremote_write: []', /name them too: r\/\*\.yml\n {2}it has no scrape_configs/, 0],
    ['scrape_configs:', /scrape configuration\n {2}it has no scrape_configs/, 0],
    ['scrape_configs: {job_name: x}', /! scrape_configs: a mapping, not a list/, 2],
    [
      "scrape_configs: [{job_name: x, static_configs: [{targets: 'a:1'}]}]",
      /! scrape_configs\[0\] \(x\)\.static_configs\[0\]\.targets: the string "a:1", not a list/,
      2,
    ],
    [
      'scrape_configs: [{job_name: x, static_configs: {targets: []}}]',
      /\(x\)\.static_configs: a mapping, not a list/,
      2,
    ],
    ['{global: {}, route: {}}', /! neither rules/, 2],
    ["[{targets: ['a:1']}]", /! a list of targets for file_sd_configs/, 2],
    ['rule_files: [r.yml]\ntests: []', /! tests of rules/, 2],
    ['kind: Prometheus\nspec: {}', /! a Prometheus of the Prometheus Operator is not read/, 2],
  ] as const) {
    const report = await adopt([await file('config.yml', text)]);
    assert.match(adoptText(report, false), said);
    assert.equal(exitStatusOf(report), status, text);
  }
});

test('few lines that stand for more addresses than are worked out say so', async () => {
  const targets = Array.from({ length: 500 }, (_, i) => `a${String(i)}:9104`).join(', ');
  const lines = [`x: &t [{targets: [${targets}]}]`, 'scrape_configs:'];
  for (let i = 0; i < 300; i += 1) lines.push(`- {job_name: j${String(i)}, static_configs: *t}`);
  const [found] = (await adopt([await file('many.yml', lines.join('\n'))])).files;
  assert.equal(found?.jobs.length, 300);
  assert.match(found.problems.join(), /^more addresses and relabelling/);
});
