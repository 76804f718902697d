// A broker that wants a user: SASL PLAIN and SCRAM, right and wrong passwords, and no client at all without.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { claimAddress, ports, type Claim } from '../../deploy/lab/address.ts';
import { fromCache, program } from '../../deploy/lab/context.ts';
import { waitFor } from '../../deploy/lab/lab.ts';
import { runToEnd, startReaper, type Reaper } from '../../deploy/lab/processes.ts';
import { kafka } from '../../exporter/systems/kafka/index.ts';
import { WatchedTarget, type Measured } from '../support/watched-target.ts';

const plainPassword = randomBytes(12).toString('hex');
const scramPassword = randomBytes(12).toString('hex');
const wrongPassword = randomBytes(12).toString('hex');
const jvm = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xmx320m'];

let claim: Claim;
let dir: string;
let reaper: Reaper;

before(async () => {
  claim = await claimAddress();
  dir = mkdtempSync(join(tmpdir(), 'pipemedic-kafka-auth-'));
  reaper = startReaper(dir);
  const { address } = claim;
  const login = 'org.apache.kafka.common.security';
  const properties = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@${address}:${ports.kafkaController}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `SASL_PLAINTEXT://${address}:${ports.kafka},CONTROLLER://${address}:${ports.kafkaController}`,
    'listener.security.protocol.map': 'SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'SASL_PLAINTEXT',
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-512',
    'sasl.mechanism.inter.broker.protocol': 'PLAIN',
    'listener.name.sasl_plaintext.plain.sasl.jaas.config': `${login}.plain.PlainLoginModule required username="admin" password="${plainPassword}" user_admin="${plainPassword}";`,
    'listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config': `${login}.scram.ScramLoginModule required;`,
    'log.dirs': join(dir, 'data'),
    'offsets.topic.num.partitions': 1,
    'offsets.topic.replication.factor': 1,
  };
  const file = join(dir, 'server.properties');
  writeFileSync(file, Object.entries(properties).map(([k, v]) => `${k}=${v}\n`).join(''), { mode: 0o600 }); // prettier-ignore
  const classPath = ['-cp', join(fromCache('kafka_2.13-4.1.1'), 'lib', '*')];
  const id = randomBytes(16).toString('base64url');
  const scram = `SCRAM-SHA-512=[name=watcher,password=${scramPassword}]`;
  await runToEnd([program('java'), ...jvm, ...classPath, 'kafka.tools.StorageTool', 'format', `--cluster-id=${id}`, '-c', file, '--add-scram', scram], { deadlineMs: 60_000, cwd: dir }); // prettier-ignore
  const argv = [...jvm, ...classPath, 'kafka.Kafka', file];
  const { pid } = spawn(program('java'), argv, { cwd: dir, stdio: 'ignore', detached: true });
  assert.ok(pid !== undefined);
  reaper.group(pid);
  await waitFor(async () => (await measure({ user: 'admin' }, plainPassword, 'PLAIN')).failure === undefined, {
    deadlineMs: 60_000,
    what: 'the broker to answer',
  });
});

after(async () => {
  await reaper.end();
  claim.release();
});

async function measure(auth: { user: string } | undefined, password: string, sasl: string): Promise<Measured> {
  const file = join(dir, 'password');
  writeFileSync(file, `${password}\n`, { mode: 0o600 });
  const address = { brokers: [`${claim.address}:${ports.kafka}`], sasl };
  const target = { address, ...(auth === undefined ? {} : { auth: { ...auth, password_file: file } }) };
  await using watched = new WatchedTarget(kafka, target);
  return await watched.measure(4_000);
}

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
