// What is shipped must be served by what is shipped; and the community's idioms come out as promtool proved them to be.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { adopt, exitStatusOf } from '../../../exporter/adopt/adopt.ts';
import { aliases } from '../../../exporter/adopt/aliases.ts';
import { judge, metricsOf } from '../../../exporter/adopt/judge.ts';
import { knownOf } from '../../../exporter/adopt/knowledge.ts';
import { peers } from '../../../exporter/adopt/peers.ts';
import type { Setting } from '../../../exporter/adopt/setting.ts';
import { worst, type Verdict } from '../../../exporter/adopt/verdict.ts';
import { catalogue, openCatalogue } from '../../../exporter/catalogue.ts';
import { seriesOf } from '../../../exporter/families.ts';

const repo = join(import.meta.dirname, '../../..');

test('the shipped rules and the dashboard are served, every expression of them', async () => {
  const report = await adopt([join(repo, 'rules/*.rules.yml'), join(repo, 'dashboards')]);
  const expressions = report.files.flatMap((file) => file.expressions);
  assert.ok(expressions.length > 250);
  assert.deepEqual(
    expressions.filter(({ verdict }) => verdict !== 'served').map(({ place, verdict }) => `${verdict} ${place}`),
    [],
  );
  assert.deepEqual(
    report.files.flatMap((file) => file.problems),
    [],
  );
  assert.equal(exitStatusOf(report), 0);
});

test('the shipped scrape configuration has its doors', async () => {
  const { summary } = await adopt([join(repo, 'deploy/prometheus.yml')]);
  assert.deepEqual(summary.doors, [{ job: 'pipemedic', door: 'relabelled' }]);
});

test('every name of the catalogue is known as served, under a prefix too', () => {
  for (const family of catalogue.values()) {
    for (const [name] of seriesOf(family)) assert.equal(knownOf(name).is, 'served', name);
  }
  for (const { prefix } of openCatalogue) if (prefix !== '') assert.equal(knownOf(`${prefix}zzz`).is, 'served', prefix);
});

test('an alias is no name of ours, stands there once, and what it sends to is served', () => {
  assert.equal(new Set(aliases.map(({ name }) => name)).size, aliases.length);
  const alone: Setting = {
    inventory: undefined,
    recorded: () => undefined,
    sourcesOf: (name) => [name],
    peersOfJob: () => [],
    ownJobs: [],
    ownUpJobs: [],
    doors: [],
  };
  for (const { name, instead, source } of aliases) {
    assert.equal(knownOf(name).is, 'renamed', name);
    assert.ok(metricsOf(instead).length > 0, instead);
    assert.equal(worst(judge(instead, alone).reasons), 'served', `${name}: ${instead}`);
    assert.ok(source.length > 0);
  }
});

test('no two peers claim the same beginning of a name', () => {
  const prefixes = peers.flatMap((peer) => peer.prefixes);
  assert.equal(new Set(prefixes).size, prefixes.length);
});

/**
 * What promtool shows of these against a Prometheus that scrapes pipemedic: joins on instance cross targets on the bare
 * /metrics and are right with instance = target; `without (instance, job)` is silent once series have the label target.
 */
const community: readonly (readonly [name: string, expr: string, verdict: Verdict])[] = [
  ['lag as a record', 'mysql_slave_status_seconds_behind_master - mysql_slave_status_sql_delay', 'served'],
  ['lag that grows', '(instance:lag > 30) and on (instance) (predict_linear(instance:lag[5m], 60 * 2) > 0)', 'raw'],
  [
    'lag of what is a replica',
    '((mysql_slave_status_seconds_behind_master - mysql_slave_status_sql_delay) and ON (instance) mysql_slave_status_master_server_id > 0) > 30',
    'raw',
  ],
  [
    'memory of what has a limit',
    'redis_memory_used_bytes / redis_memory_max_bytes * 100 > 90 and on (instance) redis_memory_max_bytes > 0',
    'raw',
  ],
  [
    'replicas that are not connected',
    'count without (instance, job) (redis_connected_slaves) - sum without (instance, job) (redis_connected_slaves) - 1 > 0',
    'breaks',
  ],
  ['lag of a group', 'sum (kafka_consumergroup_lag) by (consumergroup) > 10000', 'served'],
  ['server down', 'mysql_up != 1', 'served'],
  ['lag unknown', 'mysql_slave_status_slave_io_running unless instance:lag', 'served'],
];

test("the community's idioms", () => {
  const lag = 'mysql_slave_status_seconds_behind_master';
  const setting: Setting = {
    inventory: undefined,
    recorded: (name) => (name === 'instance:lag' ? [] : undefined),
    sourcesOf: (name) => (name === 'instance:lag' ? [lag] : [name]),
    peersOfJob: () => [],
    ownJobs: [],
    ownUpJobs: [],
    doors: [],
  };
  for (const [name, expr, verdict] of community) {
    const { reasons } = judge(expr, setting);
    assert.equal(worst(reasons), verdict, `${name}: ${reasons.map((r) => r.text).join('; ')}`);
  }
});
