// A whole healthy pipeline: everything is seen, nothing fires, and what is drawn has data.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { dashboardQueries } from '../../dashboards/queries.ts';
import { query, scalar } from '../../deploy/demo/observe.ts';
import { waitFor, type Lab } from '../../deploy/lab/lab.ts';
import { changeArrives, scrape, startHealthyLab, targetNames } from '../support/e2e-lab.ts';

let lab: Lab;

/** Limits that a user has set, so that there is something to draw them by; none of them is near. */
const limits: Readonly<Record<string, readonly string[]>> = {
  backup1: ['backup_max_age_seconds', 'backup_recovery_point_age_seconds'],
  db2: ['mysql_replication_lag_seconds'],
  kafka1: ['kafka_consumergroup_lag_seconds', 'kafka_consumergroup_commit_unmoved_seconds'],
  maxwell1: ['maxwell_heartbeat_lag_seconds', 'jvm_heap_after_gc_ratio'],
  redis1: ['redis_replica_lag_seconds'],
};

before(async () => {
  lab = await startHealthyLab({
    configure: (document) => {
      for (const target of document['targets'] as { name: string; thresholds?: object }[]) {
        target.thresholds = Object.fromEntries(
          (limits[target.name] ?? []).map((name) => [name, { warning: 9_000, critical: 10_000 }]),
        );
      }
      return document;
    },
  });
  await lab.redis('redis', (redis) => redis.config('SET', 'maxmemory', '1gb'));
});
after(async () => {
  await lab.stop();
});

test('all targets are up, and a change on the source reaches the Redis replica', async () => {
  // On a busy machine a target may miss a scrape: what goes on failing is not healthy
  await waitFor(
    async () => {
      const up = await query(lab, 'pipemedic_target_up == 1');
      assert.deepEqual(up.map((series) => series.labels['target']).sort(), [...targetNames]);
      assert.deepEqual(await query(lab, 'pipemedic_collector_success == 0'), []);
      return true;
    },
    { what: 'a scrape in which everything succeeds' },
  );
  const begun = performance.now();
  await changeArrives(lab, 'through all of it');
  const tookSeconds = (performance.now() - begun) / 1000;
  // The lag that is measured is of the order of the one that was seen just now
  const lagQuery = 'pipeline_lag_seconds{pipeline="orders",method="computed"}';
  // Not told at the first scrapes: how late the stages before were when a change came into the next is not known then
  const { lag } = await waitFor(
    async () => {
      const found = await scalar(lab, lagQuery);
      return found !== undefined && { lag: found };
    },
    { what: 'the lag to be known' },
  );
  assert.ok(lag >= 0 && lag < tookSeconds + 10, `lag ${String(lag)} s, seen ${tookSeconds} s`);
});

interface RuleGroups {
  readonly data: {
    readonly groups: readonly {
      readonly name: string;
      readonly rules: readonly { readonly name: string; readonly health: string; readonly lastError?: string }[];
    }[];
  };
}

test('Prometheus evaluates every shipped rule without an error', async () => {
  const rules = await waitFor(
    async () => {
      const answer = await fetch(`${lab.urls.prometheus}/api/v1/rules`, { signal: AbortSignal.timeout(10_000) });
      const { data } = (await answer.json()) as RuleGroups;
      const all = data.groups.flatMap((group) => group.rules.map((rule) => ({ group: group.name, ...rule })));
      return all.every((rule) => rule.health !== 'unknown') && all; // unknown: not evaluated yet
    },
    { what: 'the first evaluation of all rules' },
  );
  assert.ok(rules.length > 50, `${rules.length} rules`);
  assert.deepEqual(
    rules.filter((rule) => rule.health !== 'ok' || (rule.lastError ?? '') !== ''),
    [],
  );
});

function of(row: string, why: string, panels: readonly string[]): Record<string, string> {
  return Object.fromEntries(panels.map((panel) => [`${row} / ${panel}`, why]));
}

/** Queries to which a healthy pipeline has no answer, and why that is right. */
const emptyWhenHealthy: Readonly<Record<string, string>> = {
  'Is data flowing from end to end? / Firing alerts / A': 'nothing fires',
  'annotation alerts': 'nothing fires',
  ...of('Remediator', 'nobody holds anything back', [
    'What holds repairs back / B',
    'What holds repairs back / C',
    'What holds repairs back / D',
  ]),
  'Remediator / From the alert to its repair / A': 'nothing was repaired',
  'annotation repairs': 'nothing was repaired',
  'Remediator / Guards that did not allow / A': 'no guard was asked',
  'Exporter / Why a target or a collector fails / A': 'an info that is there only for a target that fails',
  ...Object.fromEntries(
    ['State of the CDC service / A', 'Lag of the CDC service / A', 'Lag of the CDC service / B']
      .concat(['Queue of the CDC service / A', 'Queue of the CDC service / B'])
      .concat(['Changes that fail / A', 'Changes that fail / B'])
      .map((panel) => [`CDC service and Debezium / ${panel}`, 'this pipeline has Maxwell instead']),
  ),
  'Maxwell / Lines in its log per minute, by level / A': 'the lab names no log file',
  ...of('Host', 'the lab watches no host: how full its disks are is not the matter of the pipeline', [
    'Folders / A',
    'Free space / A',
    'Free space / B',
    'Full in / A',
    'Memory available / A',
    'Memory of watched processes / A',
    'Watched processes / A',
  ]),
  ...of('Are the copies right?', 'the lab compares nothing', [
    'Rows that differ / A',
    'Rows that differ / B',
    'Rows that differ / C',
    'Tables / A',
    'What the comparison does / A',
  ]),
  ...of('Kafka in depth', 'the lab has no Kafka Connect', ['Connectors / A', 'Tasks of connectors / A']),
  ...of('Measured from end to end', 'the lab has no canary', [
    'Canaries at each end / A',
    'Way of a canary, and what is still on it / A',
    'Way of a canary, and what is still on it / B',
    'Way of a canary, and what is still on it / C',
    'Writing of canaries / A',
  ]),
  ...of('Backups: can they be restored?', 'no test restores are configured', [
    'Test restores / A',
    'Time of a restore / A',
    'Time of a restore / B',
  ]),
  'Redis replication in depth / How long a link may be broken / C': 'a limit that is not near cannot be set here',
  'Redis replication in depth / Kept of the data set / A': 'the data set is too small to be judged',
  'Exporter / Why a target or a collector fails / B': 'an info that is there only for a collector that fails',
};

test('every query of the dashboard has data in Prometheus', async () => {
  // At least four scrape intervals, as Grafana would choose it
  const queries = dashboardQueries({ pipeline: ['orders'], target: targetNames, rateInterval: '10s' });
  assert.ok(queries.length > 40, `${queries.length} queries`);
  const names = new Set(queries.map(({ where }) => where));
  assert.equal(names.size, queries.length, 'two queries of one name');
  assert.deepEqual(
    Object.keys(emptyWhenHealthy).filter((name) => !names.has(name)),
    [],
    'names of the table above that the dashboard does not have',
  );
  // Those with data once need not have it again: some tell of a moment. Those that are to be empty are asked until
  // they all are: on a busy machine a target may miss a scrape, which the dashboard is right to show. What goes on
  // failing never gets there, and what fails for long has fired, which the last test here looks at.
  const toBeEmpty = queries.filter((q) => q.where in emptyWhenHealthy);
  let missing = queries.filter((q) => !toBeEmpty.includes(q));
  let unexpected: { readonly where: string; readonly series: readonly unknown[] }[] = [];
  await waitFor(
    async () => {
      const results = await Promise.all(missing.map((q) => query(lab, q.expr)));
      missing = missing.filter((_, i) => results[i]?.length === 0);
      const answers = await Promise.all(
        toBeEmpty.map(async ({ where, expr }) => ({ where, series: await query(lab, expr) })),
      );
      unexpected = answers.filter(({ series }) => series.length > 0);
      return missing.length === 0 && unexpected.length === 0;
    },
    { deadlineMs: 60_000, what: 'data for every query, and none where a healthy pipeline has none', intervalMs: 1_000 },
  ).catch(() => undefined);
  const fired = await firedBefore();
  assert.deepEqual(
    { missing, unexpected },
    { missing: [], unexpected: [] },
    JSON.stringify({ missing, unexpected, fired }),
  );
  // The dashboard says of these itself that they may be empty
  assert.deepEqual(
    toBeEmpty.filter(({ emptyWhen }) => emptyWhen === undefined),
    [],
  );
});

/** Names that others have given: kept as they are, so that rules and dashboards of their users go on working. */
const namesOfOthers = [
  /^jvm_gc_collection_seconds_(count|sum) /, // client_java
  /^kafka_consumergroup_(current_offset|lag)_sum /, // danielqsj/kafka_exporter
  /^maxwell_replication_lag_milliseconds /, // Maxwell's own
  /^mysql_slave_status_skip_counter /, // mysqld_exporter: the column Skip_Counter
  /^mysql_global_(status|variables)_/, // mysqld_exporter: the server's own names
  // redis_exporter
  /^redis_(aof|rdb|cluster_messages|current_eviction|eviction|expire_cycle|io_threaded|migrate|total)_\w+ /,
  /^redis_(dump_payload_sanitizations|memory_used_vm_total|unexpected_error_replies) /,
];

test('promtool reads the exposition', async () => {
  const { text } = await scrape(lab, 10);
  const checked = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8', timeout: 30_000 });
  // 3: it can be read, and there are remarks on style
  assert.ok(checked.status === 0 || checked.status === 3, `${String(checked.status)}: ${checked.stderr}`);
  const remarks = checked.stderr.split('\n').filter((line) => line !== '');
  assert.deepEqual(
    remarks.filter((line) => !namesOfOthers.some((name) => name.test(line))),
    [],
  );
});

test('nothing but the watchdog has ever fired, and nobody was told anything', async () => {
  // Twice the `for` of 2 m that most alerts of what is broken have, by the lab's factor
  const watchedSeconds = 25;
  await waitFor(
    async () =>
      ((await scalar(lab, 'time() - min(ALERTS_FOR_STATE{alertname="PipemedicWatchdog"})')) ?? 0) > watchedSeconds,
    { deadlineMs: 90_000, what: `${watchedSeconds} s of Prometheus`, intervalMs: 500 },
  );
  assert.equal(await firedBefore(), '');
  assert.deepEqual(lab.pages, []);
});

/** What has fired so far, with all labels, how long, and when last; empty if it is the watchdog alone. */
async function firedBefore(): Promise<string> {
  const watchdog = '{alertname="PipemedicWatchdog",alertstate="firing"}';
  assert.equal((await query(lab, `max_over_time(ALERTS${watchdog}[1h])`)).length, 1, 'the watchdog has fired');
  const others = 'ALERTS{alertname!="PipemedicWatchdog",alertstate="firing"}[1h]';
  const now = Date.now() / 1000;
  const samples = await query(lab, `count_over_time(${others})`);
  const last = await query(lab, `max_over_time((timestamp(${others.replace('[1h]', '')}))[1h:500ms])`);
  return [
    ...samples.map(({ labels, value }) => `${JSON.stringify(labels)} for ${value} evaluations`),
    ...last.map(({ labels, value }) => `${labels['alertname'] ?? ''} last ${(now - value).toFixed(0)} s ago`),
  ].join('\n');
}
