// A broker that wants a user or a certificate: SASL PLAIN and SCRAM, TLS from one side and from both, ACLs that show a part;
// right and wrong, and no client at all without.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  AclOperations,
  AclPermissionTypes,
  Admin,
  ResourcePatternTypes,
  ResourceTypes,
  type Acl,
} from '@platformatic/kafka';
import { claimAddress, ports, type Claim } from '../../deploy/lab/address.ts';
import { brokerOf } from '../../deploy/lab/kafka.ts';
import { startReaper, type Reaper } from '../../deploy/lab/processes.ts';
import { waitFor } from '../../deploy/lab/ready.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { kafkaLagFact } from '../../exporter/systems/kafka/facts-lag.ts';
import { kafka } from '../../exporter/systems/kafka/index.ts';
import { makeCertificates } from '../support/certificates.ts';
import { FrameCounter } from '../support/kafka-frames.ts';
import { WatchedTarget, type Measured } from '../support/watched-target.ts';

const plainPassword = randomBytes(12).toString('hex');
const scramPassword = randomBytes(12).toString('hex');
const wrongPassword = randomBytes(12).toString('hex');

let claim: Claim;
let dir: string;
let reaper: Reaper;

/** The listener that wants certificates, and the one that wants TLS and a user. */
const certificatePort = 19_194;
const securePort = 19_195;
/** The listener that wants nothing, and the counter of requests that it sends its clients to. */
const openPort = 19_196;
const countedPort = 19_197;

before(async () => {
  claim = await claimAddress();
  dir = mkdtempSync(join(tmpdir(), 'pipemedic-kafka-auth-'));
  reaper = startReaper(dir);
  for (const folder of ['logs', 'tls', 'other-tls']) mkdirSync(join(dir, folder));
  const { address } = claim;
  makeCertificates(join(dir, 'tls'), 'DNS:broker.test');
  makeCertificates(join(dir, 'other-tls'), 'DNS:broker.test');
  const pem = ['server.key', 'server.pem'].map((name) => readFileSync(join(dir, 'tls', name), 'utf8')).join('');
  writeFileSync(join(dir, 'tls', 'keystore.pem'), pem, { mode: 0o600 });
  const login = 'org.apache.kafka.common.security';
  const scramLogin = `${login}.scram.ScramLoginModule required;`;
  const listeners = `SASL_PLAINTEXT://${address}:${ports.kafka},SSL://${address}:${certificatePort},SASL_SSL://${address}:${securePort}`;
  const broker = brokerOf(
    { address, dir, reaper },
    {
      heapMb: 320,
      properties: {
        listeners: `${listeners},COUNTED://${address}:${openPort},CONTROLLER://${address}:${ports.kafkaController}`,
        'advertised.listeners': `${listeners},COUNTED://${address}:${countedPort}`,
        'listener.security.protocol.map':
          'SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,COUNTED:PLAINTEXT,CONTROLLER:PLAINTEXT',
        'inter.broker.listener.name': 'SASL_PLAINTEXT',
        'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-512',
        'sasl.mechanism.inter.broker.protocol': 'PLAIN',
        'listener.name.sasl_plaintext.plain.sasl.jaas.config': `${login}.plain.PlainLoginModule required username="admin" password="${plainPassword}" user_admin="${plainPassword}";`,
        'listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config': scramLogin,
        'listener.name.sasl_ssl.sasl.enabled.mechanisms': 'SCRAM-SHA-256,SCRAM-SHA-512',
        'listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config': scramLogin,
        'listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config': scramLogin,
        'listener.name.ssl.ssl.client.auth': 'required',
        'ssl.keystore.type': 'PEM',
        'ssl.keystore.location': join(dir, 'tls', 'keystore.pem'),
        'ssl.truststore.type': 'PEM',
        'ssl.truststore.location': join(dir, 'tls', 'ca.pem'),
        'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
        'super.users': 'User:ANONYMOUS;User:admin;User:watcher;User:CN=db.test', // ANONYMOUS is the controller too
        'offsets.topic.num.partitions': 1,
      },
      scram: [
        `SCRAM-SHA-512=[name=watcher,password=${scramPassword}]`,
        `SCRAM-SHA-256=[name=watcher,password=${scramPassword}]`,
        `SCRAM-SHA-512=[name=limited,password=${scramPassword}]`,
      ],
      ready: async () => (await measure({ user: 'admin' }, plainPassword, 'PLAIN')).failure === undefined,
    },
  );
  await broker.format();
  await broker.part.start();
});

after(async () => {
  await reaper.end();
  claim.release();
});

interface Way {
  readonly port?: number;
  readonly tls?: object;
}

async function measure(
  auth: { user: string } | undefined,
  password: string,
  sasl: string,
  { port = ports.kafka, tls }: Way = {},
): Promise<Measured> {
  const file = join(dir, 'password');
  writeFileSync(file, `${password}\n`, { mode: 0o600 });
  const target = {
    address: { brokers: [`${claim.address}:${port}`], sasl },
    ...(auth === undefined ? {} : { auth: { ...auth, password_file: file } }),
    ...(tls === undefined ? {} : { tls }),
  };
  await using watched = new WatchedTarget(kafka, target);
  return await watched.measure(4_000);
}

const inTls = (name: string): string => join(dir, 'tls', name);
const right = (): object => ({ ca_file: inTls('ca.pem'), server_name: 'broker.test' });
const ownCertificate = (): object => ({ cert_file: inTls('server.pem'), key_file: inTls('server.key') });

for (const [what, user, password, sasl, expected] of [
  ['PLAIN', 'admin', plainPassword, 'PLAIN', undefined],
  ['PLAIN, wrong password', 'admin', wrongPassword, 'PLAIN', 'auth'],
  ['SCRAM', 'watcher', scramPassword, 'SCRAM-SHA-512', undefined],
  ['SCRAM, wrong password', 'watcher', wrongPassword, 'SCRAM-SHA-512', 'auth'],
  ['SCRAM, unknown user', 'nobody', scramPassword, 'SCRAM-SHA-512', 'auth'],
  ['a mechanism that is not enabled', 'watcher', scramPassword, 'SCRAM-SHA-256', 'auth'],
] as const) {
  test(`${what}: ${expected ?? 'up'}`, async () => {
    const { failure, tookMs, ...measured } = await measure({ user }, password, sasl);
    assert.equal(failure?.class, expected, failure?.why);
    assert.ok(tookMs < 3_500, `${tookMs} ms`);
    assert.equal(measured.value('kafka_brokers'), expected === undefined ? 1 : undefined);
    for (const secret of [plainPassword, scramPassword, wrongPassword]) {
      assert.equal(failure?.why.includes(secret) ?? false, false);
    }
  });
}

test('no user at all: an error, in time', async () => {
  const { failure, tookMs } = await measure(undefined, '', 'PLAIN');
  assert.ok(failure !== undefined && ['unreachable', 'auth'].includes(failure.class), failure?.class);
  assert.ok(tookMs < 3_500, `${tookMs} ms`);
});

test('TLS with certificates on both sides: up', async () => {
  const way = { port: certificatePort, tls: { ...right(), ...ownCertificate() } };
  const { failure, ...measured } = await measure(undefined, '', 'PLAIN', way);
  assert.equal(failure, undefined, failure?.why);
  assert.equal(measured.value('kafka_brokers'), 1);
});

for (const sasl of ['SCRAM-SHA-256', 'SCRAM-SHA-512']) {
  test(`TLS and ${sasl}: up`, async () => {
    const way = { port: securePort, tls: right() };
    const { failure, ...measured } = await measure({ user: 'watcher' }, scramPassword, sasl, way);
    assert.equal(failure, undefined, failure?.why);
    assert.equal(measured.value('kafka_brokers'), 1);
  });
}

for (const [what, way, expected, text] of [
  ['another CA', () => ({ port: securePort, tls: { ...right(), ca_file: join(dir, 'other-tls', 'ca.pem') } }), 'tls', /tls\.ca_file/],
  ['a name that the certificate does not have', () => ({ port: securePort, tls: { ca_file: inTls('ca.pem') } }), 'tls', /tls\.server_name/],
  ['no certificate where one is wanted', () => ({ port: certificatePort, tls: right() }), 'tls', /tls\.cert_file/],
  ['no TLS where it is wanted', () => ({ port: securePort }), 'tls', /set tls/],
  ['TLS where there is none', () => ({ port: ports.kafka, tls: right() }), 'tls', /take tls away/],
] as const) {
  test(`TLS, ${what}: ${expected}, and what mends it`, async () => {
    const { failure, tookMs } = await measure({ user: 'watcher' }, scramPassword, 'SCRAM-SHA-512', way());
    assert.equal(failure?.class, expected, failure?.why);
    assert.match(failure.why, text);
    assert.ok(tookMs < 4_500, `${tookMs} ms`);
  });
} // prettier-ignore

function asAdmin(): Admin {
  return new Admin({
    clientId: 'test',
    bootstrapBrokers: [`${claim.address}:${ports.kafka}`],
    sasl: { mechanism: 'PLAIN', username: 'admin', password: plainPassword },
  });
}

test('a user whose ACLs show a part: of what it may not see nothing is said, of what it may no longer see that it is unknown', async () => {
  const admin = asAdmin();
  const file = join(dir, 'limited');
  writeFileSync(file, scramPassword, { mode: 0o600 });
  const acl = (type: 'TOPIC' | 'GROUP', resourceName: string): Acl => ({
    resourceType: ResourceTypes[type],
    resourceName,
    resourcePatternType: ResourcePatternTypes.LITERAL,
    principal: 'User:limited',
    host: '*',
    operation: AclOperations.DESCRIBE,
    permissionType: AclPermissionTypes.ALLOW,
  });
  await using watched = new WatchedTarget(kafka, {
    address: { brokers: [`${claim.address}:${ports.kafka}`] },
    auth: { user: 'limited', password_file: file },
  });
  try {
    await admin.createTopics({ topics: ['open', 'closed'], partitions: 1, replicas: 1 });
    const nothing = await watched.measure();
    assert.equal(nothing.failure, undefined, nothing.failure?.why);
    assert.deepEqual(
      nothing.series.filter((s) => /consumergroup=|"open"|"closed"/.test(s)),
      [],
    );

    const bound = kafka.bind(
      {
        name: 'k',
        kind: 'kafka',
        address: { brokers: [`${claim.address}:${ports.kafka}`] },
        auth: { user: 'limited', password_file: file },
      },
      () => assert.fail('no other target'),
    );
    const call = { signal: AbortSignal.timeout(20_000), clock: systemClock };
    await using client = await bound.open(call);
    const command = `kafka-acls.sh --bootstrap-server ${claim.address}:${ports.kafka} --add --allow-principal User:limited --operation Describe`;
    assert.deepEqual(
      (await bound.examine(client, call)).filter((f) => f.ok !== true).map(({ check, ok, fix }) => [check, ok, fix]),
      [
        ['kafka_acl_cluster', false, `${command} --cluster`],
        ['kafka_acl_topics', 'unknown', `${command} --topic '*'`],
        ['kafka_acl_groups', 'unknown', `${command} --group '*'`],
      ],
    );

    await admin.createAcls({ creations: [acl('TOPIC', 'open'), acl('GROUP', 'seen')] });
    for (const groupId of ['seen', 'hidden']) {
      const topics = ['open', 'closed'].map((name) => ({ name, partitionOffsets: [{ partition: 0, offset: 0n }] }));
      await waitFor(
        async () => {
          await admin.alterConsumerGroupOffsets({ groupId, topics });
          return true;
        },
        { what: `a commit of ${groupId}` },
      );
    }
    const part = await waitFor(
      async () => {
        const measured = await watched.measure();
        const lag = measured.value('kafka_consumergroup_lag', { consumergroup: 'seen', topic: 'open', partition: '0' });
        return lag === 0 ? measured : undefined;
      },
      { what: 'the part that may be seen' },
    );
    assert.equal(part.state('kafka_consumergroup_state', { consumergroup: 'seen' }), 'empty');
    assert.deepEqual(
      part.series.filter((s) => /"closed"|"hidden"/.test(s)),
      [],
    );

    const { resourceType, resourceName } = acl('GROUP', 'seen');
    const any = { principal: null, host: null, operation: AclOperations.ANY, permissionType: AclPermissionTypes.ANY };
    const filter = { resourceType, resourceName, resourcePatternType: ResourcePatternTypes.LITERAL, ...any };
    await admin.deleteAcls({ filters: [filter] });
    const denied = await waitFor(
      async () => {
        const measured = await watched.measure();
        return measured.state('kafka_consumergroup_state', { consumergroup: 'seen' }) === 'unknown'
          ? measured
          : undefined;
      },
      { what: 'the group to be denied' },
    );
    assert.deepEqual(
      denied.series.filter((s) => s.includes('"seen"') && !s.includes('_state') && !s.includes('_info')),
      [],
    );
    const fact = denied.board.read(watched.name, kafkaLagFact);
    const group = fact.known ? fact.value.groups.get('seen') : undefined;
    assert.match(group?.why ?? '', /GROUP_AUTHORIZATION_FAILED/);
    assert.ok(group?.topics.known === false && group.topics.why.includes('GROUP_AUTHORIZATION_FAILED'));
  } finally {
    await admin.close();
  }
});

test('requests of a sweep, as counted on the wire: the same for forty times the partitions and groups', async () => {
  const host = claim.address;
  const admin = asAdmin();
  await using counter = await FrameCounter.listen({ host, port: countedPort }, { host, port: openPort });
  await using watched = new WatchedTarget(kafka, { address: { brokers: [`${host}:${countedPort}`] } });
  const grow = async (topic: string, partitions: number, groups: readonly string[]): Promise<void> => {
    await admin.createTopics({ topics: [topic], partitions, replicas: 1 });
    const offsets = Array.from({ length: partitions }, (_, partition) => ({ partition, offset: 0n }));
    for (const groupId of groups) {
      await waitFor(
        async () => {
          await admin.alterConsumerGroupOffsets({ groupId, topics: [{ name: topic, partitionOffsets: offsets }] });
          return true;
        },
        { what: `a commit of ${groupId}` },
      );
    }
  };
  /** Of the first sweep that shows the lags of the topic. */
  const requests = (topic: string, lags: number): Promise<Readonly<Record<string, number>>> =>
    waitFor(
      async () => {
        counter.take();
        const { failure, series } = await watched.measure(10_000);
        assert.equal(failure, undefined, failure?.why);
        const of = series.filter((s) => s.startsWith('kafka_consumergroup_lag{') && s.includes(`topic="${topic}"`));
        return of.length === lags ? counter.take() : undefined;
      },
      { what: `${lags} lags of ${topic}` },
    );
  try {
    await grow('counted-few', 1, ['counted-0']);
    await requests('counted-few', 1); // asks for the versions too
    const few = await requests('counted-few', 1);
    // One of each per broker or coordinator; Metadata for the sign of life and for the sweep, FindCoordinator for the
    // commits and for the descriptions, ListOffsets for the ends, the beginnings and the last stable offsets
    const expected = {
      DescribeGroups: 1,
      FindCoordinator: 2,
      ListGroups: 1,
      ListOffsets: 3,
      Metadata: 2,
      OffsetFetch: 1,
    };
    assert.deepEqual(few, expected);
    await grow(
      'counted-many',
      40,
      Array.from({ length: 40 }, (_, i) => `counted-many-${i}`),
    );
    const many = await requests('counted-many', 40 * 40);
    assert.deepEqual(many, expected);
  } finally {
    await admin.close();
  }
});
