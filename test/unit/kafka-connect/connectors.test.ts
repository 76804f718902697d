// What is made of the answers of Kafka Connect. connectors-4.1.1.json is what a real one said of a paused source, of a sink
// whose file cannot be written and of one whose converter fits no record (frames of the traces left out).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { after, before, test } from 'node:test';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { classOf } from '../../../exporter/runtime/errors.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { openKafkaConnect } from '../../../exporter/systems/kafka-connect/client.ts';
import { examineKafkaConnect } from '../../../exporter/systems/kafka-connect/facts-doctor.ts';
import {
  connectorsFact,
  connectorsOf,
  failureClassOf,
  workerOf,
} from '../../../exporter/systems/kafka-connect/facts-connectors.ts';
import { kafkaConnect } from '../../../exporter/systems/kafka-connect/index.ts';
import { WatchedTarget } from '../../support/watched-target.ts';

const worker = '{"version":"4.1.1","commit":"be816b82d25370ce","kafka_cluster_id":"MkU3OEVBNTcwNTJENDM2Qk"}';
const trace = [
  'org.apache.kafka.connect.errors.ConnectException: Tolerance exceeded in error handler',
  '\tat org.apache.kafka.connect.runtime.WorkerTask.doRun(WorkerTask.java:242)',
  '\tat java.base/java.lang.Thread.run(Thread.java:840)',
  'Caused by: org.apache.kafka.connect.errors.DataException: customer 4711 has no field "secret"',
  '\t... 13 more',
  '',
].join('\n');

function connector(state: string, tasks: readonly object[], config: object = {}): object {
  return {
    info: {
      name: 'x',
      config: { 'connector.class': 'org.example.FileSink', 'database.password': 'geheim', ...config },
      tasks: [],
      type: 'sink',
    },
    status: { name: 'x', connector: { state, worker_id: '127.0.0.1:8083' }, tasks, type: 'sink' },
  };
}

const task = (id: number, state: string, more: object = {}): object => ({
  id,
  state,
  worker_id: '127.0.0.1:8083',
  ...more,
});

const all = {
  well: connector('RUNNING', [task(0, 'RUNNING'), task(1, 'RUNNING')]),
  broken: connector('RUNNING', [task(0, 'RUNNING'), task(7, 'FAILED', { trace })]),
  dead: connector('FAILED', [], {}),
  halted: connector('STOPPED', []),
  waits: connector('UNASSIGNED', [task(0, 'PAUSED'), task(1, 'RESTARTING')]),
  lazy: connector('RUNNING', []),
};

let server: Server;
let url: string;
let answers: Record<string, { readonly status: number; readonly body: string }> = {};
let asked: string[] = [];

before(async () => {
  server = createServer((req, res) => {
    asked.push(`${req.method ?? ''} ${req.url ?? ''} ${req.headers.authorization ?? ''}`.trim());
    const { status, body } = answers[req.url ?? ''] ?? { status: 404, body: '{}' };
    res.writeHead(status, { 'content-type': 'application/json' }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
});

after(() => {
  server.close();
});

const list = '/connectors?expand=status&expand=info';

function serves(status: number, body: unknown): void {
  asked = [];
  answers = {
    '/': { status: 200, body: worker },
    [list]: { status, body: typeof body === 'string' ? body : JSON.stringify(body) },
  };
}

test('states of connectors and tasks, by one request beside the sign of life', async () => {
  await using watched = new WatchedTarget(kafkaConnect, { address: { url: `${url}/` } });
  serves(200, all);
  const m = await watched.measure();
  assert.equal(m.failure, undefined, m.failure?.why);
  assert.deepEqual(asked, ['GET /', `GET ${list}`]);
  assert.equal(m.state('kafka_connect_worker_state'), 'serving');
  assert.equal(m.value('kafka_connect_connectors'), 6);
  assert.equal(m.value('kafka_connect_worker_info', { version: '4.1.1' }), 1);
  const states = Object.keys(all).map((name) => m.state('kafka_connect_connector_state', { connector: name }));
  assert.deepEqual(states, ['running', 'running', 'failed', 'stopped', 'unassigned', 'running']);
  const tasks = (name: string, ids: readonly string[]): readonly unknown[] =>
    ids.map((id) => m.state('kafka_connect_task_state', { connector: name, task: id }));
  assert.deepEqual(tasks('well', ['0', '1']), ['running', 'running']);
  assert.deepEqual(tasks('broken', ['0', '7']), ['running', 'failed']);
  assert.deepEqual(tasks('waits', ['0', '1']), ['paused', 'restarting']);
  assert.equal(m.value('kafka_connect_connector_tasks', { connector: 'lazy' }), 0);
  const failure = { connector: 'broken', task: '7', exception: 'DataException' };
  assert.equal(m.value('kafka_connect_failure_info', failure), 1);
  assert.equal(m.value('kafka_connect_failure_info', { connector: 'dead', task: '', exception: 'other' }), 1);
  assert.equal(m.value('kafka_connect_connector_info', { connector: 'well', class: 'org.example.FileSink', type: 'sink', worker_id: '127.0.0.1:8083' }), 1); // prettier-ignore
  assert.doesNotMatch(m.series.join('\n'), /geheim|4711|secret|customer/);
  const fact = m.board.read(watched.name, connectorsFact);
  assert.ok(fact.known && fact.value.get('broken')?.tasks[1]?.state === 'FAILED');
});

test('what a real Kafka Connect 4.1.1 said', async () => {
  await using watched = new WatchedTarget(kafkaConnect, { address: { url } });
  serves(200, readFileSync(join(import.meta.dirname, 'connectors-4.1.1.json'), 'utf8'));
  const m = await watched.measure();
  assert.equal(m.failure, undefined, m.failure?.why);
  const seen = ['converts', 'reads-a-file', 'writes a file/1'].map((name) => [
    m.state('kafka_connect_connector_state', { connector: name }),
    m.state('kafka_connect_task_state', { connector: name, task: '0' }),
  ]);
  assert.deepEqual(seen, [['running', 'failed'], ['paused', 'paused'], ['running', 'failed']]); // prettier-ignore
  const failures = m.series.filter((s) => s.startsWith('kafka_connect_failure_info'));
  assert.deepEqual(failures.map((s) => /exception="(\w+)"/.exec(s)?.[1]).sort(), ['NoSuchFileException', 'SerializationException']); // prettier-ignore
});

test('a worker that rebalances or is away: the connectors that were seen are unknown, and none is counted', async () => {
  await using watched = new WatchedTarget(kafkaConnect, { address: { url } });
  serves(200, { well: all.well });
  await watched.measure();
  serves(409, '{"error_code":409,"message":"Cannot complete request momentarily due to stale configuration"}');
  const rebalancing = await watched.measure();
  assert.equal(rebalancing.failure, undefined);
  assert.equal(rebalancing.state('kafka_connect_worker_state'), 'rebalancing');
  answers = {};
  const away = await watched.measure();
  assert.equal(away.failure?.class, 'failed');
  assert.equal(away.state('kafka_connect_worker_state'), 'unknown');
  for (const m of [rebalancing, away]) {
    assert.equal(m.state('kafka_connect_connector_state', { connector: 'well' }), 'unknown');
    assert.equal(m.state('kafka_connect_task_state', { connector: 'well', task: '1' }), 'unknown');
    assert.equal(m.value('kafka_connect_connectors'), undefined);
    assert.equal(m.value('kafka_connect_connector_tasks'), undefined);
    assert.equal(m.board.read(watched.name, connectorsFact).known, false);
  }
  serves(200, {});
  const empty = await watched.measure();
  assert.equal(empty.value('kafka_connect_connectors'), 0);
  assert.equal(empty.state('kafka_connect_connector_state'), undefined, 'what was deleted is gone');
});

for (const [what, status, body, expected] of [
  ['no list', 200, '[]', 'protocol'],
  ['a connector without a status', 200, '{"x": {"info": {}}}', 'protocol'],
  ['a task without an id', 200, '{"x": {"status": {"connector": {"state": "RUNNING"}, "tasks": [{}]}}}', 'protocol'],
  ['a page of a proxy', 200, '<html>', 'protocol'],
  ['no credentials', 401, '', 'auth'],
  ['not allowed', 403, '', 'denied'],
  ['out of order', 500, '{"error_code":500,"message":"Request timed out"}', 'failed'],
] as const) {
  test(`refused: ${what}`, async () => {
    await using watched = new WatchedTarget(kafkaConnect, { address: { url } });
    serves(status, body);
    const { failure } = await watched.measure();
    assert.equal(failure?.class, expected);
    assert.doesNotMatch(failure.why, /<html>/);
  });
}

test('what is no Kafka Connect is told as such', () => {
  for (const text of ['', '[]', '{}', '{"version": 4}']) {
    assert.throws(() => workerOf(text), (error: unknown) => classOf(error) === 'protocol', text);
  }
  assert.equal(workerOf(worker).clusterId, 'MkU3OEVBNTcwNTJENDM2Qk');
}); // prettier-ignore

test('a state that is not known here is unknown, not left out', () => {
  const found = connectorsOf(JSON.stringify({ x: connector('DESTROYED', [task(0, 'NEW')]) })).get('x');
  assert.deepEqual([found?.state, found?.tasks[0]?.state], ['unknown', 'unknown']);
});

test('the class of a failure: the innermost cause, a class name and nothing else', () => {
  for (const [text, expected] of [
    [trace, 'DataException'],
    ['java.lang.OutOfMemoryError: Java heap space\n\tat x.Y.z(Y.java:1)', 'OutOfMemoryError'],
    ['java.lang.NullPointerException\n\tat x.Y.z(Y.java:1)', 'NullPointerException'],
    ['org.apache.kafka.common.errors.RecordTooLargeException: org.example.Secret: 12', 'RecordTooLargeException'],
    ['a sentence of somebody', 'other'],
    ['', 'other'],
    [`java.lang.X${'y'.repeat(500)}: m`, 'other'],
  ] as const) {
    assert.equal(failureClassOf(text), expected);
  }
});

test('doctor names what is broken and the request that mends it', async () => {
  serves(200, all);
  const call = { signal: AbortSignal.timeout(5_000), clock: systemClock };
  const opening = { target: 'x', address: { url }, auth: undefined, tls: undefined, resolve: () => assert.fail() };
  await using client = openKafkaConnect(opening);
  const findings = await examineKafkaConnect(client, call);
  assert.deepEqual(
    findings.map((f) => f.ok),
    [true, true, false, false, 'unknown', 'unknown', false],
  );
  const broken = findings.find((f) => f.text.startsWith('broken'));
  assert.equal(broken?.text, 'broken: task 7 of 2 has failed (DataException)');
  assert.match(broken.fix ?? '', /POST .*\/connectors\/broken\/restart\?includeTasks=true&onlyFailed=true/);
  serves(409, '{}');
  assert.deepEqual((await examineKafkaConnect(client, call)).map((f) => f.ok), [true, 'unknown']); // prettier-ignore
});
