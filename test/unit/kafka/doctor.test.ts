import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Finding } from '../../../exporter/findings.ts';
import { examineKafka } from '../../../exporter/systems/kafka/facts-doctor.ts';
import { mayDescribe, releaseOf } from '../../../exporter/systems/kafka/facts-release.ts';
import { clientOf, fakeCluster, type FakeCluster } from './fake-cluster.ts';

async function examine(cluster: FakeCluster, written?: unknown): Promise<readonly Finding[]> {
  const clock = { wallMs: () => 10_000_000, monoMs: () => 1_000_000 };
  return await examineKafka(clientOf(cluster), { signal: new AbortController().signal, clock }, written);
}

const healthy = (): FakeCluster =>
  fakeCluster({ topics: { t: [{ end: 5 }] }, groups: { g: { commits: { t: [5] } }, h: { commits: { t: [5] } } } });

const wrong = (findings: readonly Finding[]): readonly Finding[] => findings.filter((f) => f.ok !== true);

test('a healthy cluster: what was looked at, and nothing is wrong', async () => {
  const findings = await examine(healthy());
  assert.deepEqual(wrong(findings), []);
  assert.deepEqual(
    findings.map((f) => f.check),
    ['kafka_version', 'kafka_brokers', 'kafka_acl_cluster', 'kafka_groups', 'kafka_offline_partitions'],
  );
});

test('a user who may not see everything: the exact command', async () => {
  const cluster = healthy();
  cluster.user = 'pipemedic';
  cluster.mayDescribeCluster = false;
  cluster.groups = {
    g: { commits: 'OffsetFetch: GROUP_AUTHORIZATION_FAILED', described: 'GROUP_AUTHORIZATION_FAILED' },
    h: { commits: { t: [5] } },
  };
  const add =
    'kafka-acls.sh --bootstrap-server broker:9092 --add --allow-principal User:pipemedic --operation Describe';
  assert.deepEqual(
    wrong(await examine(cluster)).map(({ check, ok, fix }) => [check, ok, fix]),
    [
      ['kafka_acl_cluster', false, `${add} --cluster`],
      ['kafka_groups', false, `${add} --group '*'`],
    ],
  );
  cluster.topics = {};
  cluster.groups = {};
  assert.deepEqual(
    wrong(await examine(cluster)).map(({ check, fix }) => [check, fix]),
    [
      ['kafka_acl_cluster', `${add} --cluster`],
      ['kafka_acl_topics', `${add} --topic '*'`],
      ['kafka_acl_groups', `${add} --group '*'`],
    ],
  );
});

test('a group that is not answered for is unknown, and permissions do not mend it', async () => {
  const cluster = healthy();
  cluster.groups = { ...cluster.groups, g: { commits: 'OffsetFetch: COORDINATOR_LOAD_IN_PROGRESS' } };
  assert.deepEqual(wrong(await examine(cluster)), [
    { check: 'kafka_groups', ok: 'unknown', text: '1 of 2 groups (g): OffsetFetch: COORDINATOR_LOAD_IN_PROGRESS' },
  ]);
});

test('a broker that cannot be reached under the address that it gives', async () => {
  const cluster = healthy();
  cluster.failedBrokers = [1];
  const [finding] = wrong(await examine(cluster));
  assert.equal(finding?.check, 'kafka_brokers');
  assert.match(finding.text, /^1 of 1 brokers do not answer: 1 at broker:9092: no answer$/);
  assert.match(finding.fix ?? '', /advertised\.listeners/);
});

test('partitions without a leader, with too few replicas, and a commit beyond the end', async () => {
  const cluster = healthy();
  cluster.topics = { t: [{ end: 3 }], u: [{ end: 'the partition has no leader', leader: -1, replicas: [1, 2] }] };
  const findings = wrong(await examine(cluster));
  assert.deepEqual(
    findings.map(({ check, ok }) => [check, ok]),
    [
      ['kafka_offline_partitions', false],
      ['kafka_under_replicated_partitions', false],
      ['kafka_sweep_complete', 'unknown'],
      ['kafka_commits_beyond_end', false],
      ['kafka_commits_beyond_end', false],
    ],
  );
  assert.match(findings[0]?.text ?? '', /\(u\/0\)/);
  assert.match(findings[3]?.fix ?? '', /--group g --topic t --reset-offsets/);
});

test('patterns that match nothing that is there', async () => {
  const findings = wrong(
    await examine(healthy(), { topics: { include: ['t', 'orders'] }, groups: { exclude: ['g', 'console-.*'] }, granularity: 'topic' }),
  ); // prettier-ignore
  assert.deepEqual(
    findings.map(({ check, text }) => [check, text]),
    [
      ['kafka_lag_topics', 'the pattern orders matches none of the 1 topics that are seen'],
      ['kafka_lag_groups', 'the pattern console-.* matches none of the 2 groups that are seen'],
    ],
  );
});

// ApiVersions of the brokers: key -> newest version
for (const [release, versions] of [
  ['Kafka 4.1 or newer', [[2, 11], [16, 5], [69, 1], [89, 0]]],
  ['Kafka 4.0 or newer', [[2, 10], [16, 5], [69, 1]]],
  ['Kafka 3.9 or newer', [[2, 9], [16, 5], [69, 0]]],
  ['Kafka 3.8 or newer', [[2, 8], [16, 5], [69, 0]]],
  ['Kafka 3.7 or newer', [[2, 8], [16, 4], [69, 0]]],
  ['Kafka 3.1 to 3.6', [[2, 7], [16, 4]]],
] as const) {
  test(`release: ${release}`, () => {
    assert.equal(releaseOf(new Map(versions)), release);
  });
} // prettier-ignore

test('the bit of Describe', () => {
  assert.equal(mayDescribe(1 << 8), true);
  assert.equal(mayDescribe(0b1_0000_0000_0000 | (1 << 7)), false);
  assert.equal(mayDescribe(-2_147_483_648), false); // not told
});
