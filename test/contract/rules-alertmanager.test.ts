// What a real Alertmanager makes of deploy/alertmanager.yml: which of the alerts that fire together stay loud.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { waitFor } from '../../deploy/lab/ready.ts';
import { readBundle, repo } from '../../rules/bundle.ts';
import {
  alertmanagerProgram,
  startAlertmanager,
  type AlertmanagerProcess,
  type ListedAlert,
} from '../support/alertmanager-process.ts';
import { freePort } from '../support/free-port.ts';

const skip =
  spawnSync(alertmanagerProgram, ['--version']).error !== undefined && `${alertmanagerProgram} is not installed`;
const bundle = readBundle();
let alertmanager: AlertmanagerProcess | undefined;

before(async () => {
  if (skip !== false) return;
  const [port, nobody] = [await freePort(), await freePort()];
  const shipped = await readFile(join(repo, 'deploy/alertmanager.yml'), 'utf8');
  // Nobody listens there: whoever runs on the shipped ports of this machine gets nothing of this test.
  const config = shipped.replaceAll(/127\.0\.0\.1:\d+/g, `127.0.0.1:${nobody}`);
  alertmanager = await startAlertmanager(port, config, { 'remediator-webhook.token': 'x' });
});

after(async () => {
  await alertmanager?.[Symbol.asyncDispose]();
});

type Labels = Readonly<Record<string, string>>;

/** As the rule would send it. A second word is the severity, where an alert has two. */
function alert(name: string, labels: Labels): Labels {
  const [alertname = '', severity] = name.split(' ');
  const rule = bundle.alerts.find(
    (a) => a.alert === alertname && (severity ?? a.labels.severity) === a.labels.severity,
  );
  assert.ok(rule, name);
  return { alertname, ...rule.labels, ...labels };
}

function posted(alertname: string, labels: Labels): Labels {
  return {
    alertname,
    severity: alertname === 'RemediationFailed' ? 'critical' : 'warning',
    remediation: 'none',
    scope: 'remediation',
    generator: 'pipemedic',
    ...labels,
  };
}

/** The scenario is their cluster: every inhibit rule compares it, so scenarios do not touch each other. */
async function expectLoud(scenario: string, alerts: readonly Labels[], expected: readonly string[]): Promise<void> {
  assert.ok(alertmanager);
  const { post, alerts: list } = alertmanager;
  const now = Date.now();
  await post(
    alerts.map((labels) => ({
      labels: { ...labels, cluster: scenario },
      startsAt: new Date(now).toISOString(),
      endsAt: new Date(now + 300_000).toISOString(),
    })),
  );
  // Alertmanager takes an alert into account for inhibition a moment after it answers.
  const isAsExpected = async (): Promise<true> => {
    assert.deepEqual(loud(await list(), scenario), expected);
    return true;
  };
  await waitFor(isAsExpected, { deadlineMs: 5_000, what: `what is loud in ${scenario}` });
}

function loud(alerts: readonly ListedAlert[], scenario: string): string[] {
  return alerts
    .filter((a) => a.labels['cluster'] === scenario)
    .filter((a) => a.status.state !== 'suppressed' && a.labels['scope'] !== 'inhibitor')
    .map(({ labels }) =>
      [
        labels['alertname'],
        labels['severity'],
        labels['target'] ?? labels['pipeline'],
        labels['channel_name'] ?? labels['topic'] ?? labels['source_alert'],
      ]
        .filter((part) => part !== undefined)
        .join(' '),
    )
    .sort();
}

const client = { client_id: 'maxwell' };

test('a source that stops pages MysqlDown alone; what does not hang on it stays loud', { skip }, async () => {
  await expectLoud(
    'source',
    [
      ...['maxwell1', 'db2', 'b1'].map((target) => alert('PipemedicUpstreamFault', { target, upstream: 'db1' })),
      alert('PipemedicMemberFault', { pipeline: 'orders' }),
      alert('MysqlDown', { target: 'db1' }),
      alert('MysqlReplicationUnknown', { target: 'db1' }),
      alert('MysqlReplicationBroken', { target: 'db2' }),
      alert('MysqlReplicationLag warning', { target: 'db2' }),
      alert('MaxwellDown', { target: 'maxwell1', ...client }),
      alert('MaxwellHeartbeatLag critical', { target: 'maxwell1', ...client }),
      alert('MaxwellUnknown', { target: 'maxwell1', ...client }),
      alert('JvmUnknown', { target: 'maxwell1' }),
      alert('BackupUnknown', { target: 'b1', type: 'full' }),
      alert('PipelineLag', { pipeline: 'orders' }),
      alert('PipelineLagUnknown', { pipeline: 'orders' }),
      alert('PipelineStageUnknown', { pipeline: 'orders', target: 'maxwell1' }),
      alert('PipelineStageUnknown', { pipeline: 'orders', target: 'db2' }),
      alert('MysqlReplicationLag warning', { target: 'db9' }),
      alert('BackupStale critical', { target: 'b9', type: 'full' }),
      alert('PipelineLag', { pipeline: 'other' }),
    ],
    [
      'BackupStale critical b9',
      'MysqlDown critical db1',
      'MysqlReplicationLag warning db9',
      'PipelineLag critical other',
    ],
  );
});

test('a dead Maxwell pages MaxwellDown alone, and rows that are already lost', { skip }, async () => {
  await expectLoud(
    'maxwell',
    [
      alert('PipemedicMemberFault', { pipeline: 'orders' }),
      alert('MaxwellDown', { target: 'maxwell1', ...client }),
      alert('MaxwellHeartbeatLag warning', { target: 'maxwell1', ...client }),
      alert('MaxwellHeartbeatLag critical', { target: 'maxwell1', ...client }),
      alert('MaxwellUnknown', { target: 'maxwell1', ...client }),
      alert('MaxwellStalled', { target: 'maxwell1', ...client }),
      alert('MaxwellMessagesFailed', { target: 'maxwell1' }),
      alert('JvmUnknown', { target: 'maxwell1' }),
      alert('JvmHeapHigh warning', { target: 'maxwell1' }),
      alert('PipelineLag', { pipeline: 'orders' }),
      alert('PipelineStageUnknown', { pipeline: 'orders', target: 'maxwell1' }),
    ],
    ['MaxwellDown critical maxwell1', 'MaxwellMessagesFailed critical maxwell1'],
  );
});

test('a bus that stops pages KafkaDown alone: not the Maxwell that waits for it', { skip }, async () => {
  await expectLoud(
    'kafka',
    [
      alert('PipemedicUpstreamFault', { target: 'maxwell1', upstream: 'kafka1' }),
      alert('PipemedicMemberFault', { pipeline: 'orders' }),
      alert('KafkaDown', { target: 'kafka1' }),
      alert('KafkaConsumerGroupUnknown', { target: 'kafka1', consumergroup: 'g' }),
      alert('MaxwellStalled', { target: 'maxwell1', ...client }),
      alert('MaxwellHeartbeatLag critical', { target: 'maxwell1', ...client }),
      alert('PipelineLag', { pipeline: 'orders' }),
      alert('PipelineStageUnknown', { pipeline: 'orders', target: 'kafka1', consumergroup: 'g' }),
    ],
    ['KafkaDown critical kafka1'],
  );
});

test('a second dead server is never hidden by the first', { skip }, async () => {
  await expectLoud(
    'servers',
    [
      alert('PipemedicUpstreamFault', { target: 'db2', upstream: 'db1' }),
      alert('PipemedicUpstreamFault', { target: 'r2', upstream: 'r1' }),
      alert('MysqlDown', { target: 'db1' }),
      alert('MysqlDown', { target: 'db2' }),
      alert('RedisDown', { target: 'r1' }),
      alert('RedisDown', { target: 'r2' }),
      alert('RedisReplicationLinkDown', { target: 'r2' }),
    ],
    ['MysqlDown critical db1', 'MysqlDown critical db2', 'RedisDown critical r1', 'RedisDown critical r2'],
  );
});

test('the cause silences its measure, critical silences warning, each for its own object only', { skip }, async () => {
  const k = { target: 'k1', consumergroup: 'g' };
  await expectLoud(
    'severity',
    [
      alert('MysqlReplicationLag critical', { target: 'db2', channel_name: 'a' }),
      alert('MysqlReplicationLag warning', { target: 'db2', channel_name: 'a' }),
      alert('MysqlReplicationLag warning', { target: 'db2', channel_name: 'b' }),
      alert('MysqlReplicationBroken', { target: 'db3', channel_name: 'a' }),
      alert('MysqlReplicationLag critical', { target: 'db3', channel_name: 'a' }),
      alert('MysqlReplicationLag critical', { target: 'db3', channel_name: 'b' }),
      alert('KafkaConsumerStuck', { ...k, topic: 't' }),
      alert('KafkaConsumerLag critical', { ...k, topic: 't' }),
      alert('KafkaConsumerLag warning', { ...k, topic: 'u' }),
      alert('BackupStale critical', { target: 'b1', type: 'full' }),
    ],
    [
      'BackupStale critical b1',
      'KafkaConsumerLag warning k1 u',
      'KafkaConsumerStuck critical k1 t',
      'MysqlReplicationBroken critical db3 a',
      'MysqlReplicationLag critical db2 a',
      'MysqlReplicationLag critical db3 b',
      'MysqlReplicationLag warning db2 b',
    ],
  );
});

test('of one object, what says most is loud: consumers, Redis, backups, canary, flow', { skip }, async () => {
  const k = { target: 'k1', consumergroup: 'g' };
  await expectLoud(
    'depth',
    [
      alert('KafkaConsumerGone', k),
      alert('KafkaConsumerLag critical', { ...k, topic: 't' }),
      alert('KafkaConsumerLag critical', { target: 'k1', consumergroup: 'h', topic: 't' }),
      alert('KafkaPartitionsOffline', { target: 'k1' }),
      alert('KafkaUnderReplicated', { target: 'k1' }),
      alert('KafkaConnectFailed', { target: 'c1', connector: 'orders' }),
      alert('KafkaConnectIdle', { target: 'c1', connector: 'orders' }),
      alert('KafkaConnectIdle', { target: 'c1', connector: 'users' }),
      alert('RedisReplicationLinkDown', { target: 'r2' }),
      alert('RedisPrimaryEmpty', { target: 'r2' }),
      alert('RedisTopologyWrong critical', { target: 'r2' }),
      alert('RedisPartlyUnknown', { target: 'r2' }),
      alert('RedisPartlyUnknown', { target: 'r3' }),
      alert('BackupIncomplete', { target: 'b1', type: 'full' }),
      alert('BackupSizeUnusual', { target: 'b1', type: 'full' }),
      alert('BackupSizeUnusual', { target: 'b1', type: 'incremental' }),
      alert('CanaryNotWritten', { target: 'canary1' }),
      alert('CanaryUnknown', { target: 'canary1' }),
      alert('CanaryLate critical', { target: 'canary2', seen_at: 'r1' }),
      alert('CanaryLate warning', { target: 'canary2', seen_at: 'r1' }),
      alert('CanaryLate warning', { target: 'canary2', seen_at: 'r2' }),
      alert('PipelineNotFlowing', { pipeline: 'orders' }),
      alert('PipelineLag', { pipeline: 'orders' }),
      alert('PipelineLag', { pipeline: 'users' }),
    ],
    [
      'BackupIncomplete critical b1',
      'BackupSizeUnusual warning b1',
      'CanaryLate critical canary2',
      'CanaryLate warning canary2',
      'CanaryNotWritten warning canary1',
      'KafkaConnectFailed critical c1',
      'KafkaConnectIdle warning c1',
      'KafkaConsumerGone critical k1',
      'KafkaConsumerLag critical k1 t',
      'KafkaPartitionsOffline critical k1',
      'PipelineLag critical users',
      'PipelineNotFlowing critical orders',
      'RedisPartlyUnknown warning r3',
      'RedisPrimaryEmpty critical r2',
      'RedisReplicationLinkDown critical r2',
    ],
  );
});

test('a canary is silent while a member of its pipeline has an alert of its own', { skip }, async () => {
  await expectLoud(
    'canary',
    [
      alert('PipemedicUpstreamFault', { target: 'canary1', upstream: 'maxwell1' }),
      alert('PipemedicMemberFault', { pipeline: 'orders' }),
      alert('MaxwellStalled', { target: 'maxwell1', ...client }),
      alert('CanaryLate critical', { target: 'canary1', seen_at: 'r1' }),
      alert('PipelineNotFlowing', { pipeline: 'orders' }),
      alert('CanaryLate critical', { target: 'canary9', seen_at: 'r1' }),
    ],
    ['CanaryLate critical canary9', 'MaxwellStalled critical maxwell1'],
  );
});

test(
  'what the remediator says is heard, also below a dead upstream; a failure replaces its refusals',
  { skip },
  async () => {
    await expectLoud(
      'remediation',
      [
        alert('PipemedicUpstreamFault', { target: 'maxwell1', upstream: 'db1' }),
        alert('MysqlDown', { target: 'db1' }),
        alert('MaxwellDown', { target: 'maxwell1', ...client }),
        posted('RemediationFailed', { target: 'maxwell1', source_alert: 'MaxwellDown' }),
        posted('RemediationRefused', { target: 'maxwell1', source_alert: 'MaxwellDown' }),
        posted('RemediationRefused', { target: 'maxwell1', source_alert: 'MaxwellStalled' }),
        posted('RemediationNeedsApproval', { target: 'maxwell2', source_alert: 'MaxwellDown', approval: 'a1' }),
        posted('RemediationStorm', {}),
      ],
      [
        'MysqlDown critical db1',
        'RemediationFailed critical maxwell1 MaxwellDown',
        'RemediationNeedsApproval warning maxwell2 MaxwellDown',
        'RemediationRefused warning maxwell1 MaxwellStalled',
        'RemediationStorm warning',
      ],
    );
  },
);
