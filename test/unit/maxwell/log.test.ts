// What Maxwell 1.44.1 wrote in each of these situations, and how its supervisor recorded the end.
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { openMaxwell, type MaxwellClient } from '../../../exporter/systems/maxwell/client.ts';
import { maxwellAddress } from '../../../exporter/systems/maxwell/address.ts';
import { logCollector } from '../../../exporter/systems/maxwell/collector-log.ts';
import { endClass } from '../../../exporter/systems/maxwell/facts-end.ts';
import { endClassOf, LogReader, type LogClass } from '../../../exporter/systems/maxwell/facts-log.ts';
import { processByWitness, witnessOf, type ServiceEnd } from '../../../exporter/systems/maxwell/facts-witness.ts';
import { runner, statesOf, testCall, type Series } from '../mysql/fake-client.ts';

function logOf(name: string, release = '1.44.1'): string {
  return readFileSync(new URL(`fixtures/maxwell-${release}-log-${name}.txt`, import.meta.url), 'utf8');
}

function read(text: string): LogReader {
  const reader = new LogReader();
  for (const line of text.split('\n').slice(0, -1)) reader.onLine(line);
  reader.settle();
  return reader;
}

const cases: readonly (readonly [name: string, end: LogClass, counted: Partial<Record<LogClass, number>>])[] = [
  ['password', 'configuration', { configuration: 1 }],
  ['option', 'configuration', { configuration: 2 }],
  ['refused', 'connection', { connection: 1 }],
  ['purged', 'position_lost', { position_lost: 3 }],
  ['duplicate', 'duplicate', { duplicate: 3 }],
];
for (const [name, end, counted] of cases) {
  test(`the log of a Maxwell that ended: ${name}`, () => {
    const reader = read(logOf(name));
    const found = Object.fromEntries(Object.entries(reader.events).filter(([, n]) => n > 0));
    assert.deepEqual(found, counted);
    assert.equal(reader.lastClass, end);
    assert.equal(endClassOf(reader.life), end);
  });
}

test('1.22.6 writes another layout, and ends with code 1 where 1.44.1 ends with 2', () => {
  const purged = read(logOf('purged', '1.22.6'));
  assert.equal(endClass(end({ exitCode: 1 }), purged.life), 'position_lost');
  assert.equal(endClassOf(read(logOf('duplicate', '1.22.6')).life), 'duplicate');
});

test('no memory, and a server id that two readers fight for', () => {
  assert.equal(endClassOf(read(logOf('oom')).life), 'memory');
  assert.ok(read(logOf('oom')).events.memory >= 3);
  assert.equal(endClassOf(read(logOf('server-id')).life), 'duplicate', 'though it says last that it reconnects');
});

test('one log of two lives: each has its own classes', () => {
  const reader = read(logOf('source-lost'));
  assert.equal(endClassOf(reader.lifeBefore ?? { classes: [] }), 'duplicate');
  assert.equal(endClassOf(reader.life), 'connection', 'the topic that does not exist is a consequence');
});

test('an event is a line with its stack trace; rows and INFO lines are none', () => {
  const reader = read(
    [
      '2026-11-21 15:14:42 INFO  ProducerConfig - values: ',
      '\tsasl.note = Access denied, OutOfMemoryError',
      '{"database":"shop","table":"t","type":"insert","data":{"note":"ERROR OutOfMemoryError"}}',
      '2026-11-21 15:14:42 INFO  Thing - Access denied is only mentioned here',
      '2026-11-21 15:14:43 ERROR Thing - something else broke',
      '\tat a.b.C(D.java:1)',
      '2026-11-21 15:14:43 INFO  BinlogConnectorReplicator - Reconnection attempt: 7 of unlimited',
      '15:14:44,123 WARN  Old - Communications link failure',
      'Caused by: java.net.ConnectException: Connection refused',
      '{"ts":1,"level":"ERROR","msg":"layout of one’s own: Expiring 3 record(s) for maxwell-0"}',
      '{"time":"x","level":"ERROR","msg":"Expiring 3 record(s) for maxwell-0"}',
      'Exception in thread "blc-x" java.lang.OutOfMemoryError: Java heap space',
      '',
    ].join('\n'),
  );
  const found = Object.fromEntries(Object.entries(reader.events).filter(([, n]) => n > 0));
  assert.deepEqual(found, { connection: 2, delivery: 2, memory: 1, other: 1 });
  assert.deepEqual(reader.lines, { error: 3, warn: 1, info: 3, debug: 0, none: 1 });
});

test('counters only grow, wherever a look falls', () => {
  const reader = new LogReader();
  let before = Object.values(reader.events);
  for (const line of logOf('source-lost').split('\n')) {
    reader.onLine(line);
    const now = Object.values(reader.events);
    assert.ok(now.every((n, i) => n >= (before[i] ?? 0)));
    before = now;
  }
});

const end = (of: Partial<ServiceEnd>): ServiceEnd => ({
  endedAtMs: 0,
  exitCode: null,
  signal: null,
  why: null,
  isAsked: false,
  isFollowed: false,
  ...of,
});

test('the class of an end: code and signal first, then what it wrote', () => {
  const life = (...classes: LogClass[]) => ({ classes });
  assert.equal(endClass(end({ exitCode: 143 }), life('connection')), 'stopped');
  assert.equal(endClass(end({ signal: 'SIGKILL', isAsked: true }), undefined), 'stopped');
  assert.equal(endClass(end({ signal: 'SIGKILL' }), life('connection')), 'killed');
  assert.equal(endClass(end({ exitCode: 137 }), life('memory')), 'memory');
  assert.equal(endClass(end({ exitCode: 2 }), life('connection', 'duplicate', 'other')), 'duplicate');
  assert.equal(endClass(end({ exitCode: 2 }), life('position_lost', 'connection')), 'position_lost');
  assert.equal(endClass(end({ exitCode: 1 }), life('other')), 'other');
  assert.equal(endClass(end({ exitCode: 1 }), life()), 'unclassified');
  assert.equal(endClass(end({ exitCode: 1 }), undefined), 'unclassified');
});

const record = (event: string, more: Record<string, unknown> = {}): string =>
  `${JSON.stringify({ n: 1, at: '2026-11-21T15:14:30.959Z', event, seq: 1, pid: 1, startTicks: 7, fence: null, by: null, outcome: null, signal: null, exitCode: null, why: null, ...more })}\n`;

test('the supervisor’s record: starts, the last end, who runs; a torn or foreign line is no line', () => {
  assert.deepEqual(witnessOf('', true), { starts: 0, running: undefined, last: undefined, isReadWhole: true });
  const first = record('start') + record('exit', { exitCode: 1 });
  const ended = witnessOf(`${first}not json\n{"event":"start"}\n${record('start', { seq: 2 }).slice(0, 50)}`, true);
  assert.deepEqual(
    [ended.starts, ended.running, ended.last?.exitCode, ended.last?.isFollowed],
    [1, undefined, 1, false],
  );
  const again = witnessOf(first + record('start', { seq: 2, pid: 9 }), true);
  assert.deepEqual([again.starts, again.running?.pid, again.last?.isFollowed], [2, 9, true]);
  const asked = witnessOf(
    record('start') + record('stop-request', { outcome: 'accepted' }) + record('exit', { signal: 'SIGTERM' }),
    true,
  );
  assert.equal(asked.last?.isAsked, true);
  const unknownEnd = witnessOf(record('orphan-found') + record('exit', { why: 'not its parent' }), true);
  assert.equal(unknownEnd.last?.why, 'not its parent');
});

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'maxwell-log-'));
  t.after(() => {
    rmSync(dir, { recursive: true });
  });
  return dir;
}

test('a process by the record: recorded as running is believed only when it is there', async (t) => {
  const file = join(folder(t), 'witness.jsonl');
  const state = async (): Promise<string> => {
    const found = await processByWitness(file, testCall());
    return found.known ? found.value : 'unknown';
  };
  assert.equal(await state(), 'unknown', 'no record');
  writeFileSync(file, record('start', { pid: process.pid, startTicks: 1 }));
  assert.equal(await state(), 'unknown', 'another process has this number now');
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const startTicks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
  appendFileSync(file, record('start', { pid: process.pid, startTicks, seq: 2 }));
  assert.equal(await state(), 'alive');
  appendFileSync(file, record('exit', { exitCode: 1, seq: 2 }));
  assert.equal(await state(), 'gone');
});

function clientOf(files: Record<string, string>): MaxwellClient {
  return openMaxwell({
    target: 'm',
    address: maxwellAddress.parse({ mysql: 'db', ...files }),
    auth: undefined,
    tls: undefined,
    resolve: () => {
      throw new Error('no MySQL here');
    },
  });
}

const only = (samples: Series, name: string): string =>
  statesOf(samples, name)
    .map((key) => /="(\w+)"/.exec(key)?.[1] ?? key)
    .join();

test('collector: counts are kept over a lost client, a log that is away and a restart of the exporter', async (t) => {
  const dir = folder(t);
  const [log_file, log_state_file, witness_file] = ['m.log', 'm.state', 'witness.jsonl'].map((name) => join(dir, name));
  assert.ok(log_file !== undefined && log_state_file !== undefined && witness_file !== undefined);
  writeFileSync(log_file, logOf('purged'));
  writeFileSync(witness_file, record('start') + record('exit', { exitCode: 2 }));
  const files = { log_file, log_state_file, witness_file };
  const run = runner(logCollector);

  const first = clientOf(files);
  const began = await run(first);
  assert.equal(began.error, undefined);
  assert.equal(only(began.samples, 'maxwell_log_read_state'), 'reading_from_end');
  assert.equal(
    began.samples.get('maxwell_log_events_total{class="position_lost"}'),
    0,
    'what was there is not counted',
  );
  assert.equal(only(began.samples, 'maxwell_last_exit_class_info'), 'position_lost', 'but tells of the last end');
  assert.equal(began.samples.get('maxwell_last_exit_code{}'), 2);
  assert.equal(began.samples.get('maxwell_starts_total{}'), 1);

  appendFileSync(log_file, logOf('password'));
  await first[Symbol.asyncDispose]();
  appendFileSync(
    witness_file,
    record('start', { seq: 2 }) + record('exit', { seq: 2, exitCode: 1, at: '2026-11-21T15:16:00Z' }),
  );
  renameSync(log_file, `${log_file}.1`);
  const second = clientOf(files);
  const rotated = await run(second);
  assert.equal(rotated.samples.get('maxwell_log_events_total{class="configuration"}'), 1);
  assert.equal(only(rotated.samples, 'maxwell_last_exit_class_info'), 'configuration');
  assert.equal(rotated.samples.get('maxwell_log_gaps_total{}'), 0);

  writeFileSync(log_file, logOf('refused'));
  const created = await run(second);
  assert.equal(created.samples.get('maxwell_log_events_total{class="connection"}'), 1);
  await second[Symbol.asyncDispose]();

  appendFileSync(log_file, logOf('duplicate'));
  const third = clientOf(files);
  t.after(() => third[Symbol.asyncDispose]());
  const restarted = await runner(logCollector)(third);
  assert.equal(only(restarted.samples, 'maxwell_log_read_state'), 'reading');
  const counted = (of: string): number | undefined => restarted.samples.get(`maxwell_log_events_total{class="${of}"}`);
  assert.deepEqual([counted('duplicate'), counted('connection'), counted('configuration')], [3, 0, 0]);

  rmSync(witness_file);
  const unreadable = await runner(logCollector)(third);
  assert.equal(only(unreadable.samples, 'maxwell_last_exit_state'), 'unreadable');
  assert.match(String(unreadable.error), /the supervisor's record/);
  assert.ok(!unreadable.samples.has('maxwell_last_exit_code{}'));
});

test('collector: nothing configured is said, and so is a log that is not there', async (t) => {
  const nothing = await runner(logCollector)(clientOf({}));
  assert.equal(only(nothing.samples, 'maxwell_log_read_state'), 'not_configured');
  assert.equal(only(nothing.samples, 'maxwell_last_exit_state'), 'not_configured');
  assert.equal(nothing.samples.size, 7 + 5);
  const client = clientOf({ log_file: join(folder(t), 'none.log') });
  const away = await runner(logCollector)(client);
  assert.equal(only(away.samples, 'maxwell_log_read_state'), 'absent');
  assert.equal(away.samples.get('maxwell_log_events_total{class="memory"}'), 0);
});
