// promtool and amtool are the judges of what Prometheus and Alertmanager take.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { repo, rulesFiles, testFiles } from '../../rules/bundle.ts';

function run(tool: string, args: readonly string[]): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(tool, args, { encoding: 'utf8', timeout: 60_000 });
  return { status, output: `${stdout}${stderr}` };
}

function missing(tool: string, ask = '--version'): string | false {
  return spawnSync(tool, [ask]).error === undefined ? false : `${tool} is not installed`;
}

const noPromtool = missing('promtool');
const noAmtool = missing('amtool');
const alertmanagerFile = join(repo, 'deploy/alertmanager.yml');

test('promtool check rules, every lint fatal', { skip: noPromtool }, () => {
  const { status, output } = run('promtool', ['check', 'rules', '--lint=all', '--lint-fatal', ...rulesFiles()]);
  assert.equal(status, 0, output);
});

for (const file of testFiles()) {
  test(`promtool test rules: ${basename(file)}`, { skip: noPromtool }, () => {
    const { status, output } = run('promtool', ['test', 'rules', file]);
    assert.equal(status, 0, output);
  });
}

test('promtool check config: deploy/prometheus.yml', { skip: noPromtool }, () => {
  const { status, output } = run('promtool', ['check', 'config', join(repo, 'deploy/prometheus.yml')]);
  assert.equal(status, 0, output);
  // The glob of rule_files finds all of them.
  assert.match(output, new RegExp(`${rulesFiles().length} rule files found`));
});

test('amtool check-config: deploy/alertmanager.yml', { skip: noAmtool }, () => {
  const { status, output } = run('amtool', ['check-config', alertmanagerFile]);
  assert.equal(status, 0, output);
});

test('pint finds nothing', { skip: missing('pint', 'version') }, () => {
  const { status, output } = run('pint', [
    '--offline',
    '--no-color',
    'lint',
    '--min-severity=info',
    '--fail-on=info',
    ...rulesFiles(),
  ]);
  assert.equal(status, 0, output);
});

const routes: readonly (readonly [what: string, labels: string, receivers: string])[] = [
  [
    'an alert that may be repaired goes to both',
    'alertname=MaxwellDown target=m1 severity=critical remediation=auto scope=target',
    'remediator,people-critical',
  ],
  [
    'one that waits for approval too',
    'alertname=X target=m1 severity=warning remediation=approve scope=target',
    'remediator,people-warning',
  ],
  [
    'one for people alone',
    'alertname=MysqlDown target=db1 severity=critical remediation=human scope=target',
    'people-critical',
  ],
  ['without a target nothing can be repaired', 'alertname=X severity=critical remediation=auto', 'people-critical'],
  ['information', 'alertname=RemediatorPaused severity=info remediation=human scope=self', 'people'],
  ['no severity at all', 'alertname=Foreign', 'people'],
  [
    'the heartbeat goes to the remediator alone',
    'alertname=PipemedicWatchdog severity=none remediation=none scope=none',
    'remediator',
  ],
  [
    'inhibitors go nowhere',
    'alertname=PipemedicUpstreamFault target=db2 severity=none remediation=none scope=inhibitor',
    'null',
  ],
  ...['RemediationFailed', 'RemediationRefused', 'RemediationNeedsApproval', 'RemediationStorm'].map(
    (name) =>
      [
        `${name} goes to people, never back`,
        `alertname=${name} target=m1 source_alert=MaxwellDown severity=warning remediation=none scope=remediation generator=pipemedic`,
        'people-warning',
      ] as const,
  ),
  [
    'what the remediator posts never goes back, whatever else it says',
    'alertname=X target=m1 severity=critical remediation=auto scope=target generator=pipemedic',
    'people-critical',
  ],
];

for (const [what, labels, receivers] of routes) {
  test(`route: ${what}`, { skip: noAmtool }, () => {
    const { status, output } = run('amtool', [
      'config',
      'routes',
      'test',
      `--config.file=${alertmanagerFile}`,
      `--verify.receivers=${receivers}`,
      ...labels.split(' '),
    ]);
    assert.equal(status, 0, output);
  });
}
