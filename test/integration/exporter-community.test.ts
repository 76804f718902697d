// Rules of the community and our own in a real Prometheus that scrapes either door, and what `doctor` says of it.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { z } from 'zod';
import { waitFor } from '../../deploy/lab/ready.ts';
import { inventoryOf, type Inventory } from '../../exporter/config/inventory.ts';
import { prometheusAddress } from '../../exporter/doctor/prometheus-config.ts';
import { examinePrometheus } from '../../exporter/doctor/prometheus.ts';
import { doctorText, type TargetReport } from '../../exporter/doctor/report.ts';
import { rulesFolder } from '../../exporter/doctor/shipped-rules.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { playedSystem } from '../support/played-targets.ts';
import { noPrometheus, startPrometheus, type PrometheusProcess } from '../support/prometheus-process.ts';
import { document, firing, kinds, startExporter, version, type Exporter } from './exporter-community-room.ts';

const deadlineMs = 120_000;
/** Each look costs the machine that is waited for. */
const intervalMs = 500;

const rulesData = z.object({
  groups: z.array(
    z.object({
      name: z.string(),
      lastEvaluation: z.string(),
      rules: z.array(z.object({ name: z.string(), health: z.string(), lastError: z.string().optional() })),
    }),
  ),
});
type Groups = z.output<typeof rulesData>['groups'];

async function groupsOf(prometheus: PrometheusProcess): Promise<Groups> {
  return rulesData.parse(await prometheus.api('rules')).groups;
}

async function firingIn(prometheus: PrometheusProcess): Promise<readonly string[]> {
  const found = await prometheus.query(
    'ALERTS{alertstate="firing",alertname=~"(Mixin|Samber|Pmm|Doc|Observ|Strimzi|Common).*"}',
  );
  return found
    .map(({ labels: { alertname, instance, target = instance, topic, consumergroup } }) =>
      [alertname, target, topic, consumergroup].filter((part) => part !== undefined && part !== '').join(' '),
    )
    .sort();
}

/** Their durations take minutes: what is shown here is who fires, not when. */
const community = readFileSync(join(import.meta.dirname, '../contract/compat.rules.yml'), 'utf8').replaceAll(
  /\n +for: .*/g,
  '',
);

function configOf(scrapeConfigs: readonly object[], withOurs: boolean): object {
  return {
    global: { scrape_interval: '4s', scrape_timeout: '4s', evaluation_interval: '2s' },
    // Without a remediator, as the README has it.
    rule_files: [
      'community.rules.yml',
      ...(withOurs ? shipped.filter((file) => !file.endsWith('remediator.rules.yml')) : []),
    ],
    // Nobody listens there: that one is configured is what counts.
    ...(withOurs ? { alerting: { alertmanagers: [{ static_configs: [{ targets: ['127.0.0.1:1'] }] }] } } : {}),
    scrape_configs: scrapeConfigs,
  };
}

const shipped = globSync(join(rulesFolder(), '*.rules.yml'));
const relabelling = [{ source_labels: ['target'], regex: '(.+)', target_label: 'instance' }];
const files = { 'community.rules.yml': community };

/** How fast this machine is just now is no finding here. */
const ofSpeed = new Set(['prometheus_timeout', 'prometheus_rules_evaluation', 'prometheus_clock', 'prometheus_up']);

async function doctorOf(prometheus: PrometheusProcess, inventory: Inventory): Promise<TargetReport> {
  return await examinePrometheus(await prometheusAddress(prometheus.url, undefined, {}), inventory, {
    clock: systemClock,
    deadlineMs: 30_000,
    version,
    rulesFolder: rulesFolder(),
  });
}

function wrongOf({ down, findings }: TargetReport): readonly string[] {
  if (down !== undefined) return [`down: ${down.why}`];
  return findings.filter(({ ok, check }) => ok !== true && !ofSpeed.has(check)).map((f) => `${f.check} ${String(f.ok)}: ${f.text}`); // prettier-ignore
}

const expectedChecks = [
  'prometheus_alertmanagers',
  'prometheus_honor_labels',
  'prometheus_relabelling',
  'prometheus_rules',
];

function wrongChecks({ findings }: TargetReport): readonly string[] {
  return findings
    .filter(({ ok, check }) => ok === false && !ofSpeed.has(check))
    .map(({ check }) => check)
    .sort();
}

async function evaluatedAgain(prometheus: PrometheusProcess): Promise<void> {
  const before = new Map((await groupsOf(prometheus)).map((g) => [g.name, g.lastEvaluation]));
  await waitFor(async () => (await groupsOf(prometheus)).every((g) => g.lastEvaluation !== before.get(g.name)), {
    deadlineMs,
    intervalMs,
    what: 'every group to be evaluated once more',
  });
}

/** One job that has neither the line of relabelling nor rules of ours: community rules cross targets, and doctor says so. */
async function crossing(u: TestContext, { inventory, port }: Exporter): Promise<void> {
  const jobs = [{ job_name: 'pipemedic', honor_labels: true, static_configs: [{ targets: [`127.0.0.1:${port}`] }] }];
  const prometheus = await startPrometheus(u, configOf(jobs, false), { files });
  // db-a catches up and r1 has no limit: only by what another one says of the same instance do these fire.
  const crossed = ['MixinReplicationLag db-a', 'SamberRedisMaxmemory r1'];
  await waitFor(
    async () => {
      const seen = await firingIn(prometheus);
      return crossed.every((alert) => seen.includes(alert));
    },
    { deadlineMs, intervalMs, what: 'alerts that cross targets' },
  );
  // A scrape that came too late on a busy machine takes the series away for a moment: so each look may be repeated.
  let report = await doctorOf(prometheus, inventory);
  await waitFor(
    async () => {
      report = await doctorOf(prometheus, inventory);
      return wrongChecks(report).join() === expectedChecks.join();
    },
    { deadlineMs, intervalMs, what: expectedChecks.join(), detail: () => wrongChecks(report).join() },
  );
  const relabel = report.findings.find(({ check }) => check === 'prometheus_relabelling');
  assert.match(relabel?.text ?? '', /^11 of 11 targets stand under an instance that is not theirs/);
  assert.match(
    doctorText([report]),
    /\n {12} {2}- \{source_labels: \[target\], regex: \(\.\+\), target_label: instance\}\n/,
  );
  const others = inventoryOf(
    { targets: [...document.targets, { name: 'nobody', kind: 'jvm', address: {} }] },
    'test.yml',
    Object.keys(kinds).map((kind) => playedSystem(kind, () => undefined)),
  );
  await waitFor(
    async () => {
      const { findings } = await doctorOf(prometheus, others);
      return ['prometheus_targets', 'prometheus_inventory'].every((check) =>
        findings.some((f) => f.check === check && f.ok === false && f.text.endsWith('nobody')),
      );
    },
    { deadlineMs, intervalMs, what: 'the target that is not scraped to be named' },
  );
}

test(
  'either door: every rule is healthy, the same alerts fire, and doctor finds nothing wrong',
  { skip: noPrometheus, concurrency: true },
  async (t) => {
    const exporter = await startExporter(t);
    const { inventory, port } = exporter;
    const here = { static_configs: [{ targets: [`127.0.0.1:${port}`], labels: { exporter: 'pm-1' } }] };
    const doors = {
      metrics: [{ job_name: 'pipemedic', sample_limit: 5000, ...here, metric_relabel_configs: relabelling }],
      probe: [
        {
          job_name: 'pipemedic-probe',
          http_sd_configs: [{ url: `http://127.0.0.1:${port}/sd`, refresh_interval: '1s' }],
        },
        { job_name: 'pipemedic-self', metrics_path: '/metrics', params: { self: ['1'] }, ...here },
      ],
    };
    const asKnown = (prometheus: PrometheusProcess): Promise<unknown> => {
      let seen: readonly string[] = [];
      return waitFor(async () => (seen = await firingIn(prometheus)).join() === firing.join(), {
        deadlineMs,
        intervalMs,
        what: 'the alerts that are known to fire, and no others',
        detail: () =>
          `missing: ${firing.filter((f) => !seen.includes(f)).join(', ')}; too many: ${seen.filter((f) => !firing.includes(f)).join(', ')}`,
      });
    };
    const through = async (u: TestContext, jobs: readonly object[]): Promise<void> => {
      const prometheus = await startPrometheus(u, configOf(jobs, true), { files });
      await asKnown(prometheus);
      await evaluatedAgain(prometheus);
      await asKnown(prometheus);
      const rules = (await groupsOf(prometheus)).flatMap((g) => g.rules);
      assert.ok(rules.length > 180, String(rules.length));
      assert.deepEqual(
        rules.filter((r) => r.health !== 'ok'),
        [],
      );
      let report = await doctorOf(prometheus, inventory);
      await waitFor(async () => wrongOf((report = await doctorOf(prometheus, inventory))).length === 0, {
        deadlineMs,
        intervalMs,
        what: 'doctor to find nothing wrong',
        detail: () => wrongOf(report).join('\n'),
      });
      assert.match(
        doctorText([report], true),
        /ok {6}prometheus_relabelling: 11 targets: instance and target are their own/,
      );
    };
    await Promise.all([
      ...Object.entries(doors).map(([door, jobs]) => t.test(`by /${door}`, (u) => through(u, jobs))),
      t.test(
        'by /metrics without its line of relabelling: rules cross targets, and doctor says so with the line',
        (u) => crossing(u, exporter),
      ),
    ]);
  },
);

test(
  'a Prometheus that wants a password: asked for without, with a wrong one, with the right one; one that is not there',
  { skip: noPrometheus },
  async (t) => {
    const { default: bcrypt } = await import('bcryptjs');
    const web = JSON.stringify({ basic_auth_users: { doctor: await bcrypt.hash('right', 4) } });
    const prometheus = await startPrometheus(
      t,
      { scrape_configs: [] },
      {
        files: { 'web.yml': web },
        args: ['--web.config.file=FOLDER/web.yml'],
      },
    );
    const inventory = inventoryOf({ targets: document.targets.slice(0, 1) }, 'test.yml', [
      playedSystem('mysql', () => undefined),
    ]);
    const how = { clock: systemClock, deadlineMs: 30_000, version, rulesFolder: rulesFolder() };
    const login = (password: string) => {
      process.env['PIPEMEDIC_PROMETHEUS_PASSWORD'] = password;
      return prometheusAddress(prometheus.url, undefined, { PIPEMEDIC_PROMETHEUS_USER: 'doctor' });
    };
    t.after(() => delete process.env['PIPEMEDIC_PROMETHEUS_PASSWORD']);
    const right = await waitFor(
      async () => {
        const report = await examinePrometheus(await login('right'), inventory, how);
        return report.down === undefined && report;
      },
      { deadlineMs, intervalMs, what: 'Prometheus to answer' },
    );
    assert.deepEqual(right.findings.filter(({ severity }) => severity === 'critical').map(({ check }) => check), ['prometheus_jobs', 'prometheus_rules', 'prometheus_alertmanagers']); // prettier-ignore
    const wrong = await examinePrometheus(await login('hush-9'), inventory, how);
    const none = await examinePrometheus(await prometheusAddress(prometheus.url, undefined, {}), inventory, how);
    for (const report of [wrong, none]) {
      assert.equal(report.down?.class, 'auth');
      assert.ok(!JSON.stringify(report).includes('hush-9'));
    }
    const nobody = await examinePrometheus(
      await prometheusAddress('http://127.0.0.1:1', undefined, {}),
      inventory,
      how,
    );
    assert.deepEqual([nobody.down?.class, nobody.findings], ['refused', []]);
  },
);
