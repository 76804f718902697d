// The Kafka system on a real broker, its numbers beside those of Kafka's own tool.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Admin as OtherAdmin, Consumer as OtherConsumer } from '@platformatic/kafka';
import { Kafka, logLevel, type Admin, type Consumer, type Producer } from 'kafkajs';
import { ports } from '../../deploy/lab/address.ts';
import { fromCache, program } from '../../deploy/lab/context.ts';
import { startLab, waitFor, type Lab } from '../../deploy/lab/lab.ts';
import { runToEnd } from '../../deploy/lab/processes.ts';
import { TcpProxy } from '../../deploy/lab/tcp-proxy.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { openKafka } from '../../exporter/systems/kafka/client.ts';
import { kafkaLagFact, pingKafka, readEndOffsets } from '../../exporter/systems/kafka/facts-lag.ts';
import { kafka } from '../../exporter/systems/kafka/index.ts';
import { WatchedTarget, type Measured } from '../support/watched-target.ts';

let lab: Lab;
let broker: string;
let admin: Admin;
let producer: Producer;
let library: Kafka;
let committer: OtherAdmin;

before(async () => {
  lab = await startLab({ parts: ['kafka'] });
  broker = `${lab.address}:${ports.kafka}`;
  library = new Kafka({ clientId: 'test', brokers: [broker], logLevel: logLevel.NOTHING });
  admin = library.admin();
  producer = library.producer();
  committer = new OtherAdmin({ clientId: 'test', bootstrapBrokers: [broker] });
  await Promise.all([admin.connect(), producer.connect()]);
});

after(async () => {
  await Promise.allSettled([committer.close(), admin.disconnect(), producer.disconnect()]);
  await lab.stop();
});

function watch(brokers: readonly string[] = [broker], more: object = {}): WatchedTarget {
  return new WatchedTarget(kafka, { address: { brokers }, ...more });
}

async function topic(name: string, partitions: number, records: number): Promise<void> {
  await admin.createTopics({ waitForLeaders: false, topics: [{ topic: name, numPartitions: partitions }] });
  await waitFor(
    async () => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [name] });
      return topics[0]?.partitions.filter((p) => p.leader >= 0).length === partitions;
    },
    {
      what: `topic ${name}`,
    },
  );
  for (let partition = 0; partition < partitions; partition++) await send(name, partition, records);
}

async function send(name: string, partition: number, records: number): Promise<void> {
  const messages = Array.from({ length: records }, (_, i) => ({ partition, value: `record ${i}` }));
  if (records > 0) await producer.send({ topic: name, messages });
}

/** Commits for a group without members (kafkajs would join the group for it, which takes seconds). */
async function commit(groupId: string, name: string, offsets: readonly number[]): Promise<void> {
  const partitionOffsets = offsets.map((offset, partition) => ({ partition, offset: BigInt(offset) }));
  await committer.alterConsumerGroupOffsets({ groupId, topics: [{ name, partitionOffsets }] });
}

/** A member that reads and never commits by itself. */
async function member(groupId: string, name: string): Promise<Consumer> {
  const consumer = library.consumer({ groupId, maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topics: [name] });
  const joined = new Promise<void>((resolve) => {
    consumer.on(consumer.events.GROUP_JOIN, () => {
      resolve();
    });
  });
  await consumer.run({ autoCommit: false, eachMessage: () => Promise.resolve() });
  await joined;
  return consumer;
}

const lagOf = (m: Measured, consumergroup: string, name: string, partition: number): number | undefined =>
  m.value('kafka_consumergroup_lag', { consumergroup, topic: name, partition: String(partition) });

test('an empty group with a backlog: its numbers are those of Kafka’s own tool', async () => {
  await topic('backlog', 3, 30);
  await commit('backlog-group', 'backlog', [30, 12, 0]);
  await using target = watch();
  const measured = await target.measure();
  assert.equal(measured.failure, undefined);
  const group = { consumergroup: 'backlog-group' };
  assert.equal(measured.state('kafka_consumergroup_state', group), 'empty');
  assert.equal(measured.value('kafka_consumergroup_members', group), 0);
  assert.equal(measured.value('kafka_consumergroup_lag_sum', group), 48);
  assert.equal(measured.value('kafka_consumergroup_current_offset_sum', group), 42);
  assert.equal(measured.value('kafka_consumergroup_uncommitted_partitions', group), 0);
  assert.equal(measured.value('kafka_consumergroup_lag_seconds', { ...group, partition: '0' }), 0);
  assert.equal(measured.value('kafka_consumergroup_lost_records', { ...group, partition: '2' }), 0);
  assert.equal(measured.value('kafka_brokers'), 1);
  assert.equal(measured.value('kafka_broker_info', { address: broker }), 1);
  assert.equal(measured.value('kafka_topic_partitions', { topic: 'backlog' }), 3);
  assert.equal(measured.value('kafka_topic_partition_leader_is_preferred', { topic: 'backlog', partition: '0' }), 1);

  const output = await runToEnd(
    [program('java'), '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', `${fromCache('kafka_2.13-4.1.1')}/lib/*`, 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand', '--bootstrap-server', broker, '--describe', '--group', 'backlog-group'], // prettier-ignore
    { deadlineMs: 60_000, cwd: lab.dir },
  );
  const theirs = output
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([name]) => name === 'backlog-group')
    .map(([, name, partition, current, end, lag]) => ({ name, partition, current, end, lag }));
  assert.equal(theirs.length, 3, output);
  for (const { name = '', partition = '', current, end, lag } of theirs) {
    const labels = { topic: name, partition };
    assert.equal(measured.value('kafka_consumergroup_lag', { ...group, ...labels }), Number(lag));
    assert.equal(measured.value('kafka_consumergroup_current_offset', { ...group, ...labels }), Number(current));
    assert.equal(measured.value('kafka_topic_partition_current_offset', labels), Number(end));
  }
});

test('lag in seconds grows with the time that the oldest record waits, and the commit is seen not to move', async () => {
  await topic('waiting', 1, 5);
  await commit('waiting-group', 'waiting', [5]);
  await using target = watch();
  const caughtUp = await target.measure();
  const group = { consumergroup: 'waiting-group' };
  assert.equal(caughtUp.value('kafka_consumergroup_lag_seconds', group), 0);
  const sentAtMs = performance.now();
  await send('waiting', 0, 7);
  const late = await waitFor(
    async () => {
      const m = await target.measure();
      return (m.value('kafka_consumergroup_lag_seconds', group) ?? 0) > 2 && m;
    },
    { what: 'two seconds of lag', intervalMs: 300 },
  );
  const trueSeconds = (performance.now() - sentAtMs) / 1_000;
  const seconds = late.value('kafka_consumergroup_lag_seconds', group) ?? 0;
  assert.ok(Math.abs(seconds - trueSeconds) < 1, `${seconds} s, true ${trueSeconds} s`);
  assert.equal(late.value('kafka_consumergroup_lag', group), 7);
  const fact = late.board.read(target.name, kafkaLagFact);
  assert.ok(fact.known);
  const lag = fact.value.groups.get('waiting-group');
  assert.ok(lag?.topics.known === true);
  const unmoved = lag.topics.value.get('waiting')?.partitions.get(0)?.unmovedSeconds;
  assert.ok(unmoved?.known === true && unmoved.value > 1 && unmoved.value <= trueSeconds);
});

test('an exporter that starts late still knows how long the oldest record has waited', async () => {
  await topic('old', 1, 0);
  const hourAgo = Date.now() - 3_600_000;
  await producer.send({
    topic: 'old',
    messages: [0, 1, 2].map((i) => ({ partition: 0, value: 'x', timestamp: String(hourAgo + i) })),
  });
  await send('old', 0, 3);
  await commit('old-group', 'old', [1]);
  await using target = watch();
  const seconds = (await target.measure()).value('kafka_consumergroup_lag_seconds', { consumergroup: 'old-group' });
  // within a third of the hour
  assert.ok(seconds !== undefined && seconds >= 2_400 && seconds <= 4_900, String(seconds));
});

test('a member that has committed nothing: members, uncommitted partitions, and no lag', async () => {
  await topic('fresh', 2, 4);
  const consumer = await member('fresh-group', 'fresh');
  try {
    await using target = watch();
    const measured = await target.measure();
    const group = { consumergroup: 'fresh-group' };
    assert.equal(measured.state('kafka_consumergroup_state', group), 'stable');
    assert.equal(
      measured.value('kafka_consumergroup_info', { ...group, type: 'classic', protocol_type: 'consumer' }),
      1,
    );
    assert.equal(measured.value('kafka_consumergroup_members', group), 1);
    assert.equal(measured.value('kafka_consumergroup_uncommitted_partitions', { ...group, topic: 'fresh' }), 2);
    assert.equal(lagOf(measured, 'fresh-group', 'fresh', 0), undefined);
    assert.equal(measured.value('kafka_consumergroup_lag_sum', group), undefined);
    assert.equal(measured.value('kafka_consumergroup_current_offset_sum', group), undefined);

    await consumer.commitOffsets([{ topic: 'fresh', partition: 0, offset: '1' }]);
    const half = await target.measure();
    assert.equal(lagOf(half, 'fresh-group', 'fresh', 0), 3);
    assert.equal(lagOf(half, 'fresh-group', 'fresh', 1), undefined);
    assert.equal(half.value('kafka_consumergroup_current_offset', { ...group, partition: '1' }), -1);
    assert.equal(half.value('kafka_consumergroup_uncommitted_partitions', group), 1);
    // nothing was committed at the look before: this is the first commit, and it was made since
    assert.equal(half.value('kafka_consumergroup_last_commit_age_seconds', group), 0);
    const later = await target.measure();
    assert.ok((later.value('kafka_consumergroup_last_commit_age_seconds', group) ?? 0) > 0);
  } finally {
    await consumer.disconnect();
  }
});

test('a group of the new protocol (KIP-848), which DescribeGroups calls dead', async () => {
  await topic('modern', 2, 5);
  const consumer = new OtherConsumer({
    clientId: 'test',
    bootstrapBrokers: [broker],
    groupId: 'modern-group',
    groupProtocol: 'consumer',
    maxWaitTime: 100,
  });
  try {
    const stream = await consumer.consume({ topics: ['modern'], autocommit: false });
    stream.resume();
    await consumer.commit({ offsets: [{ topic: 'modern', partition: 1, offset: 2n, leaderEpoch: 0 }] });
    await using target = watch();
    const group = { consumergroup: 'modern-group' };
    const measured = await waitFor(
      async () => {
        const m = await target.measure();
        return m.state('kafka_consumergroup_state', group) === 'stable' && m;
      },
      { what: 'the group to be stable' },
    );
    assert.equal(
      measured.value('kafka_consumergroup_info', { ...group, type: 'consumer', protocol_type: 'consumer' }),
      1,
    );
    assert.equal(measured.value('kafka_consumergroup_members', group), 1);
    assert.equal(measured.value('kafka_consumergroup_lag', group), 3);
    assert.equal(measured.value('kafka_consumergroup_uncommitted_partitions', group), 1);
  } finally {
    await consumer.close(true);
  }
});

test('a group that was deleted is dead, its lag is gone', async () => {
  await topic('ended', 1, 3);
  await commit('ended-group', 'ended', [1]);
  await using target = watch();
  assert.equal(lagOf(await target.measure(), 'ended-group', 'ended', 0), 2);
  await admin.deleteGroups(['ended-group']);
  const measured = await target.measure();
  assert.equal(measured.state('kafka_consumergroup_state', { consumergroup: 'ended-group' }), 'dead');
  assert.equal(lagOf(measured, 'ended-group', 'ended', 0), undefined);
});

test('records deleted before they were read are lost, and lag counts from the start of the log', async () => {
  await topic('deleted', 1, 20);
  await commit('deleted-group', 'deleted', [5]);
  await admin.deleteTopicRecords({ topic: 'deleted', partitions: [{ partition: 0, offset: '12' }] });
  await using target = watch();
  const measured = await target.measure();
  const group = { consumergroup: 'deleted-group' };
  assert.equal(measured.value('kafka_consumergroup_lost_records', group), 7);
  assert.equal(measured.value('kafka_consumergroup_lag', group), 8);
  assert.equal(measured.value('kafka_topic_partition_oldest_offset', { topic: 'deleted' }), 12);
});

test('a commit beyond the end: the lag is not known, and the partition is counted', async () => {
  await topic('anew', 1, 2);
  await commit('anew-group', 'anew', [100]);
  await using target = watch();
  const measured = await target.measure();
  const group = { consumergroup: 'anew-group' };
  assert.equal(measured.value('kafka_consumergroup_current_offset', group), 100);
  assert.equal(measured.value('kafka_consumergroup_lag', group), undefined);
  assert.equal(measured.value('kafka_consumergroup_lag_sum', group), undefined);
  assert.equal(measured.value('kafka_consumergroup_beyond_end_partitions', group), 1);
  const fact = measured.board.read(target.name, kafkaLagFact);
  const topics = fact.known ? fact.value.groups.get('anew-group')?.topics : undefined;
  assert.equal(topics?.known === true && topics.value.get('anew')?.partitions.get(0)?.truncated, true);
});

test('a topic that was made anew: Kafka drops its commits, and the old history is not used', async () => {
  await topic('remade', 1, 0);
  const hourAgo = Date.now() - 3_600_000;
  await producer.send({
    topic: 'remade',
    messages: Array.from({ length: 5 }, () => ({ partition: 0, value: 'x', timestamp: String(hourAgo) })),
  });
  await commit('remade-group', 'remade', [1]);
  await using target = watch();
  const group = { consumergroup: 'remade-group' };
  assert.ok(((await target.measure()).value('kafka_consumergroup_lag_seconds', group) ?? 0) > 900);
  await admin.deleteTopics({ topics: ['remade'] });
  await waitFor(
    async () => (await target.measure()).value('kafka_topic_partitions', { topic: 'remade' }) === undefined,
    {
      what: 'the topic to be gone',
    },
  );
  await topic('remade', 1, 30);
  const without = await target.measure();
  assert.equal(without.value('kafka_consumergroup_lag', group), undefined);
  assert.equal(without.value('kafka_topic_partition_current_offset', { topic: 'remade' }), 30);
  await commit('remade-group', 'remade', [1]);
  const measured = await target.measure();
  assert.equal(measured.value('kafka_consumergroup_lag', group), 29);
  assert.ok((measured.value('kafka_consumergroup_lag_seconds', group) ?? Infinity) < 120);
});

test('a transaction that is open: the gap to the last stable offset, until it ends', async () => {
  await topic('ledger', 1, 4);
  await commit('ledger-group', 'ledger', [4]);
  const transactional = library.producer({
    transactionalId: 'ledger-writer',
    maxInFlightRequests: 1,
    idempotent: true,
  });
  await transactional.connect();
  try {
    await using target = watch();
    const of = { topic: 'ledger' };
    const before = await target.measure();
    assert.equal(before.value('kafka_topic_partition_last_stable_offset', of), 4);
    assert.equal(before.value('kafka_topic_partition_last_stable_offset_gap', of), 0);
    assert.equal(before.value('kafka_topic_open_transaction_seconds', of), 0);
    const transaction = await transactional.transaction();
    await transaction.send({ topic: 'ledger', messages: [{ partition: 0, value: 'a' }, { partition: 0, value: 'b' }] }); // prettier-ignore
    await send('ledger', 0, 3); // behind it, and as far out of reach
    const open = await target.measure();
    assert.equal(open.value('kafka_topic_partition_current_offset', of), 9);
    assert.equal(open.value('kafka_topic_partition_last_stable_offset', of), 4);
    assert.equal(open.value('kafka_topic_partition_last_stable_offset_gap', of), 5);
    assert.equal(open.value('kafka_consumergroup_lag', { consumergroup: 'ledger-group' }), 5);
    const longer = await target.measure();
    assert.ok((longer.value('kafka_topic_open_transaction_seconds', of) ?? 0) > 0);
    await transaction.commit();
    const ended = await waitFor(
      async () => {
        const m = await target.measure();
        return m.value('kafka_topic_partition_last_stable_offset_gap', of) === 0 && m;
      },
      { what: 'the gap to close' },
    );
    assert.equal(ended.value('kafka_topic_partition_last_stable_offset', of), 10); // with the marker of its end
    assert.equal(ended.value('kafka_topic_open_transaction_seconds', of), 0);
  } finally {
    await transactional.disconnect();
  }
});

test('topics and groups that are not selected have no series', async () => {
  await topic('chosen', 2, 5);
  await commit('chosen-group', 'chosen', [1, 2]);
  await commit('other-group', 'chosen', [1, 2]);
  const options = { topics: { include: ['chosen'] }, groups: { exclude: ['other-.*'] }, granularity: 'topic' };
  await using target = watch([broker], { collectors: { kafka_lag: options } });
  const measured = await target.measure();
  const named = (label: string): string[] => [
    ...new Set(measured.series.flatMap((key) => new RegExp(`[{,]${label}="([^"]*)"`).exec(key)?.[1] ?? [])),
  ];
  assert.deepEqual(named('topic'), ['chosen']);
  assert.equal(named('consumergroup').includes('other-group'), false);
  assert.equal(measured.value('kafka_consumergroup_lag', { consumergroup: 'chosen-group', partition: '' }), 7);
  assert.deepEqual(named('partition'), ['']);
});

test('end offsets and a sign of life, for guards', async () => {
  await topic('guarded', 2, 6);
  const opening = {
    target: 'k',
    address: { brokers: [broker], sasl: 'PLAIN' as const },
    auth: undefined,
    tls: undefined,
  };
  await using client = await openKafka({ ...opening, resolve: () => assert.fail('no other target') });
  const call = { signal: AbortSignal.timeout(5_000), clock: systemClock };
  await pingKafka(client, call);
  const ends = await readEndOffsets(client, ['guarded', 'not-there'], call);
  assert.deepEqual([...ends.keys()], ['guarded']);
  assert.deepEqual(
    [...(ends.get('guarded') ?? [])].map(([p, end]) => [p, end.known && end.value]),
    [[0, 6], [1, 6]], // prettier-ignore
  );
});

test('doctor: release, permission, patterns', async () => {
  const kafkaLag = { topics: { include: ['.*', 'no-such-topic'] } };
  const target = { name: 'k', kind: 'kafka', address: { brokers: [broker] }, collectors: { kafka_lag: kafkaLag } };
  const bound = kafka.bind(target, () => assert.fail('no other target'));
  const call = { signal: AbortSignal.timeout(20_000), clock: systemClock };
  await using client = await bound.open(call);
  const findings = await bound.examine(client, call);
  const of = (check: string): unknown[] => findings.filter((f) => f.check === check).map((f) => f.ok);
  assert.match(findings.find((f) => f.check === 'kafka_version')?.text ?? '', /Kafka 4\.\d or newer/);
  assert.deepEqual(of('kafka_brokers'), [true]);
  assert.deepEqual(of('kafka_acl_cluster'), [true]);
  assert.deepEqual(of('kafka_offline_partitions'), [true]);
  assert.deepEqual(of('kafka_lag_topics'), ['unknown']);
  // of the tests before
  assert.match(findings.find((f) => f.check === 'kafka_commits_beyond_end')?.text ?? '', /^anew-group has committed/);
});

test('nobody listens: refused at once', async () => {
  await using target = watch([`${lab.address}:1`]);
  const measured = await target.measure();
  assert.equal(measured.failure?.class, 'refused');
  assert.ok(measured.tookMs < 1_500, `${measured.tookMs} ms`);
});

test('the first of two brokers does not listen: the second is asked', async () => {
  await using target = watch([`${lab.address}:1`, broker]);
  assert.equal((await target.measure()).failure, undefined);
});

test('accepts and is silent: ends at the deadline, not at the library’s', async () => {
  const port = 19_199;
  const proxy = new TcpProxy({ name: 'silent', host: lab.address, port, to: { host: lab.address, port: ports.kafka } });
  await proxy.blackhole();
  try {
    await using target = watch([`${lab.address}:${port}`]);
    const measured = await target.measure(500);
    assert.equal(measured.failure?.class, 'deadline');
    assert.ok(measured.tookMs < 1_500, `${measured.tookMs} ms`);
  } finally {
    proxy.close();
  }
});

test('a user for a broker that wants none is refused as such', async () => {
  process.env['PIPEMEDIC_TEST_PASSWORD'] = 'secret-of-the-test';
  const auth = { user: 'u', password_env: 'PIPEMEDIC_TEST_PASSWORD' };
  await using target = watch([broker], { auth, address: { brokers: [broker], sasl: 'PLAIN' } });
  const measured = await target.measure();
  assert.ok(measured.failure !== undefined);
  assert.doesNotMatch(measured.failure.why, /secret-of-the-test/);
  assert.equal(measured.failure.class, 'auth');
});

test('a broker that is stopped: unknown at the deadline, groups stay; it goes on after it goes on', async () => {
  await topic('frozen', 1, 3);
  await commit('frozen-group', 'frozen', [1]);
  await using target = watch();
  assert.equal((await target.measure()).failure, undefined);
  const part = lab.part('kafka');
  const group = { consumergroup: 'frozen-group' };
  part.freeze();
  try {
    const hung = await target.measure(700);
    assert.equal(hung.failure?.class, 'deadline');
    assert.ok(hung.tookMs < 1_500, `${hung.tookMs} ms`);
    assert.equal(hung.state('kafka_consumergroup_state', group), 'unknown');
    assert.equal(hung.value('kafka_consumergroup_lag', group), undefined);
    assert.equal(hung.board.read(target.name, kafkaLagFact).known, false);
  } finally {
    part.thaw();
  }
  const healed = await waitFor(
    async () => {
      const m = await target.measure();
      return m.failure === undefined && m;
    },
    { what: 'the broker to answer again' },
  );
  assert.equal(healed.value('kafka_consumergroup_lag', group), 2);
});

test('a broker that is killed in the midst of sweeps and started again: failed or partial, never wrong, nothing forgotten', async () => {
  await topic('killed', 1, 3);
  await commit('killed-group', 'killed', [1]);
  await using target = watch();
  assert.equal((await target.measure()).failure, undefined);
  const part = lab.part('kafka');
  const group = { consumergroup: 'killed-group' };
  const seen: Measured[] = [];
  const sweep = async (): Promise<Measured> => {
    const m = await target.measure();
    seen.push(m);
    return m;
  };
  // Swept without a pause, so that it dies in the midst of one
  const killed = new AbortController();
  const during = (async () => {
    while (!killed.signal.aborted) await sweep();
  })();
  await waitFor(() => Promise.resolve(seen.length > 2), { what: 'sweeps' });
  await part.kill();
  await waitFor(() => Promise.resolve(seen.at(-1)?.failure?.class === 'refused'), {
    what: 'the broker to be refused', // first its connections are reset
  });
  killed.abort();
  await during;
  await part.start();
  const healed = await waitFor(
    async () => {
      const m = await sweep();
      return m.value('kafka_consumergroup_lag', group) === 2 && m;
    },
    { what: 'the lag to be known again' },
  );
  assert.equal(healed.state('kafka_consumergroup_state', group), 'empty');
  assert.equal(healed.value('kafka_sweep_complete', { part: 'commits' }), 1);
  for (const m of seen) {
    const state = m.state('kafka_consumergroup_state', group);
    assert.ok(state !== undefined, 'the group was silent for a while');
    const lag = m.value('kafka_consumergroup_lag', group);
    const sum = m.value('kafka_consumergroup_lag_sum', group);
    assert.ok(lag === undefined || lag === 2, `a lag of ${lag}`);
    assert.equal(sum, lag);
    const partial = ['metadata', 'groups', 'descriptions', 'commits', 'offsets'].filter(
      (name) => m.value('kafka_sweep_complete', { part: name }) !== 1,
    );
    assert.ok(lag === 2 || m.failure !== undefined || partial.length > 0, `no lag, and nothing says why: ${state}`);
  }
});
