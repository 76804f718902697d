// cdc-service.restart: classes of ends, movement, and what keeps it from acting, on stand-ins of the engine and of the
// service. The witness of each refusal is what the engine was asked.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { inventoryOf } from '../../../exporter/config/inventory.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { readPage } from '../../../exporter/runtime/exposition-text.ts';
import { known, unknown, type Known } from '../../../exporter/runtime/known.ts';
import { systems } from '../../../exporter/systems/index.ts';
import type { Look, StepRun } from '../../../remediator/action.ts';
import { cdcServiceRestart } from '../../../remediator/actions/cdc-service-restart.ts';
import { classify, classifyEnd, neverCodes } from '../../../remediator/actions/cdc-service/classify.ts';
import { countersOf, sampleOf, type CdcFacts } from '../../../remediator/actions/cdc-service/facts.ts';
import { judgeCdcMovement, type CdcSample } from '../../../remediator/actions/cdc-service/movement.ts';
import { examineRights } from '../../../remediator/doctor-rights.ts';
import type { ServiceEnd, ServiceLog } from '../../../remediator/supervisors/supervisor.ts';
import { createWorld, type World } from '../../../remediator/world.ts';
import { json, startStandIn, text, type StandIn } from '../../support/cdc-stand-in.ts';
import { end, startEngine, type EngineStandIn } from '../../support/engine-stand-in.ts';

function log(of: string): Known<ServiceLog> {
  return known({ text: of, complete: true, why: null }, 1);
}

function ended(exitCode: number | null, signal: string | null = null, more: Partial<ServiceEnd> = {}): ServiceEnd {
  const incarnation = { id: 'docker:a:b', pid: null, startedAtMs: 1 };
  return { incarnation, exit: known({ exitCode, signal }, 1), endedAtMs: 2, asked: null, ...more };
}

const ends: readonly (readonly [what: string, end: ServiceEnd, text: Known<ServiceLog>, expected: string])[] = [
  ['SIGTERM', ended(143), log(''), 'deny stopped_on_purpose'],
  ['Ctrl-C', ended(null, 'SIGINT'), log(''), 'deny stopped_on_purpose'],
  ['a person', ended(1, null, { asked: { by: 'person:ann', fence: 1 } }), log(''), 'deny stopped_on_purpose'],
  ['an earlier run', ended(143, null, { asked: { by: 'run:r', fence: 1 } }), log(''), 'allow stopped_by_us'],
  ['its own will', ended(0), log(''), 'deny ended_in_order'],
  ['kill -9', ended(137), log(''), 'allow killed'],
  ['the kernel for memory', ended(137, null, { oomKilled: true }), log(''), 'deny memory'],
  ['a full heap', ended(3), log('java.lang.OutOfMemoryError: Java heap space'), 'deny memory'],
  ['a wrong password', ended(1), log("Access denied for user 'cdc'@'h'"), 'deny access_denied'],
  [
    'purged binary logs',
    ended(1),
    log('Could not find first log file name in binary log index file'),
    'deny binlog_purged',
  ],
  ['wrong options', ended(78), log(''), 'deny bad_options'],
  ['a program that is not there', ended(127), log(''), 'deny not_executable'],
  ['a crash', ended(null, 'SIGSEGV'), log(''), 'allow crashed'],
  ['any other code', ended(1), log('oops'), 'allow crashed'],
  ['a code with a log that cannot be read', ended(1), unknown('gone'), 'unknown log_unknown'],
  ['nobody knows what', ended(1, null, { exit: unknown('its parent died') }), log(''), 'unknown exit_unknown'],
];
for (const [what, last, said, expected] of ends) {
  test(`an end by ${what}: ${expected}`, () => {
    const { is, code } = classifyEnd(last, said);
    assert.equal(`${is} ${code}`, expected);
    assert.equal(
      neverCodes.has(code),
      ['access_denied', 'binlog_purged', 'bad_options', 'not_executable'].includes(code),
    );
  });
}

test('one that has never run is not started, one that is unseen not either', () => {
  const none = { running: null, processState: unknown('none'), orphan: false, last: null, maxFence: null };
  assert.equal(classify(known(none, 1), log('')).code, 'never_ran');
  assert.equal(classify(unknown('no engine'), log('')).is, 'unknown');
});

const sample = (n: number, more: Partial<CdcSample> = {}): CdcSample => ({
  delivered: { cdc_rows_applied_total: { all: n } },
  sourceEnd: 'binlog.1:100',
  lagSeconds: 3,
  queued: undefined,
  works: true,
  ...more,
});
const topics = (...ends: readonly number[]): CdcSample =>
  sample(1, { delivered: { kafka: Object.fromEntries(ends.map((end, p) => [`orders/${p}`, end])) } });
const movements: readonly (readonly [what: string, samples: readonly CdcSample[], expected: string])[] = [
  ['not looked at', [], 'not_yet'],
  ['grown once', [sample(1), sample(2), sample(2)], 'not_yet'],
  ['grown twice', [sample(1), sample(2), sample(2), sample(5)], 'moves'],
  ['counted anew in between', [sample(8), sample(9), sample(1), sample(2)], 'not_yet'],
  ['grown twice, and it says that it does not work', [sample(1), sample(2), sample(3, { works: false })], 'not_yet'],
  ['nothing to write, and it is at its end', [1, 1, 1].map((n) => sample(n, { lagSeconds: 0 })), 'idle'],
  [
    'at its end, and it says nothing of itself',
    [1, 1, 1].map((n) => sample(n, { lagSeconds: 0, works: undefined })),
    'not_yet',
  ],
  [
    'at its end, and the source goes on',
    [1, 2, 3].map((n) => sample(1, { lagSeconds: 0, sourceEnd: `b:${n}` })),
    'not_yet',
  ],
  ['an unseen source', [1, 1, 1].map((n) => sample(n, { lagSeconds: 0, sourceEnd: undefined })), 'not_yet'],
  [
    'at its end, and what it has read is still in its queue',
    [1, 1, 1].map((n) => sample(n, { lagSeconds: 0, queued: 3 })),
    'not_yet',
  ],
  ['nobody tells what it delivers', [1, 2, 3].map((n) => sample(n, { delivered: {} })), 'unknown'],
  [
    'nobody tells what it delivers, and there is nothing to deliver',
    [1, 1, 1].map((n) => sample(n, { delivered: {}, lagSeconds: 0, queued: 0 })),
    'idle',
  ],
  ['one partition and then another', [topics(1, 5), topics(2, 5), topics(2, 6)], 'moves'],
  ['a partition that was not seen for a while', [topics(1, 5), topics(1), topics(1, 6), topics(1, 6)], 'not_yet'],
  ['a topic that was made anew', [topics(1, 5), topics(2, 0), topics(3, 0)], 'not_yet'],
  ['topics that are not there', [sample(1, { delivered: { kafka: {} } })], 'not_yet'],
  ['a lag while nothing grows', [sample(1), sample(1), sample(1)], 'not_yet'],
];
for (const [what, samples, expected] of movements) {
  test(`movement: ${what}: ${expected}`, () => {
    assert.equal(judgeCdcMovement(samples).is, expected);
  });
}

test('movement: what could not be seen is not said to stand still', () => {
  const unseen = judgeCdcMovement([sample(1, { delivered: { 'the ends of its topics': {} } })]);
  assert.deepEqual(unseen, { is: 'not_yet', because: 'the ends of its topics could not be seen' });
});

test('what was read, or grows without a row, is no evidence', async () => {
  const page = await pageOf([
    'cdc_rows_applied_total{t="a"} 3',
    'cdc_rows_applied_total{t="b"} 4',
    'cdc_events_published_total 5',
    'cdc_rows_total 9',
    'cdc_events_processed_total 9',
    'cdc_rows_read_total 9',
    'cdc_binlog_events_written_total 9',
    'cdc_offsets_committed_total 9',
    'cdc_sent_bytes_total 9',
    'cdc_send_errors_sent_total 9',
    'cdc_http_requests_sent_total 7',
    'cdc_process_cpu_seconds_total 8',
    'cdc_polls_total 9',
    'cdc_gc_runs_total 9',
    'cdc_rows_sent 9',
    'cdc_lag 1',
  ]);
  assert.deepEqual(countersOf(page, Date.now()), { cdc_rows_applied_total: 7, cdc_events_published_total: 5 });
});

test('where its topics are known, what it says of itself is no evidence', () => {
  const facts = {
    delivered: { cdc_rows_sent_total: { all: 7 } },
    source: undefined,
    reading: { queueDepth: unknown('?'), works: unknown('?') },
    health: { lagSeconds: unknown('?') },
  } as unknown as CdcFacts;
  const of = (kafka: CdcFacts['kafka']): CdcSample['delivered'] => sampleOf({ ...facts, kafka }).delivered;
  assert.deepEqual(of({}), facts.delivered);
  assert.deepEqual(of({ bus: known({ orders: { '0': 4, '1': 9 } }, 1) }), {
    'the end of its topics in bus': { 'orders/0': 4, 'orders/1': 9 },
  });
  assert.deepEqual(of({ bus: unknown('no answer') }), { 'the end of its topics in bus': {} });
});

function pageOf(lines: readonly string[]): ReturnType<typeof readPage> {
  return readPage(`${lines.join('\n')}\n`, systemClock, {
    contentType: 'text/plain; version=0.0.4',
    maxSamples: 100,
    wanted: () => true,
  });
}

let engine: EngineStandIn;
let stand: StandIn;
let world: World;
const params = { startingSeconds: 0, startStableSeconds: 1, verifySeconds: 20 };
const soon = (): AbortSignal => AbortSignal.timeout(30_000);

before(async () => {
  stand = await startStandIn();
});
after(async () => {
  await stand.close();
  await engine[Symbol.asyncDispose]();
});
beforeEach(async (t) => {
  if (!('name' in t) || !t.name.startsWith('look:')) return;
  await (engine as EngineStandIn | undefined)?.[Symbol.asyncDispose]();
  engine = await startEngine();
  const address = { http: stand.url, metrics: `${stand.url}/metrics` };
  world = createWorld({
    inventory: inventoryOf({ targets: [{ name: 'cdc1', kind: 'cdc-service', address }] }, 'test', systems),
    settings: {
      auth: new Map(),
      supervisors: new Map([['cdc1', { kind: 'docker', socket: engine.socket, container: 'cdc', stop_seconds: 5 }]]),
    },
    clock: systemClock,
  });
});

function look(): Promise<Look<unknown>> {
  return cdcServiceRestart.look('cdc1', params, world, soon());
}

function runOf(change: Partial<StepRun<unknown>>): StepRun<unknown> {
  const run = { before: null, memo: {}, fence: 1, runId: 'r', attempt: 1, signal: soon(), note: () => undefined };
  return { ...run, ...change };
}

function stand200(): void {
  stand.replies.set('/health', json({ status: 'UP' }));
  stand.replies.set('/metrics', text('cdc_binlog_lag_seconds 0\ncdc_rows_total 1\n'));
}

test('look: a service that works is left alone', async () => {
  stand200();
  assert.equal((await look()).alreadyFixed.code, 'healthy');
});

test('look: one that says that it does not work is broken, and its process is not known from here', async () => {
  stand.replies.set('/health', json({ status: 'DOWN' }, 503));
  const seen = await look();
  assert.equal(seen.alreadyFixed.code, 'stalled');
  // the process of the stand-in's container does not exist, so nobody can say that it is not held
  assert.equal(seen.preconditions['error_class']?.code, 'process_state_unknown');
});

test('look: down by its engine, and yet somebody answers: another one, and nothing is started', async () => {
  stand200();
  end(engine.container, 137);
  const seen = await look();
  assert.equal(seen.preconditions['owner']?.code, 'second_owner');
  const [gate] = cdcServiceRestart.steps('cdc1', params, world).filter((s) => s.name === 'gate');
  const checked = await gate?.verify(runOf({ before: seen.before }));
  assert.equal(checked?.is, 'no');
  assert.ok(checked.never !== undefined);
  assert.deepEqual(
    engine.asked.filter((line) => line.startsWith('POST')),
    [],
  );
});

test('look: a container of Kubernetes, and one that its engine starts again, are their owner’s', async () => {
  stand200();
  engine.container.labels = { 'io.kubernetes.pod.uid': 'x' };
  assert.equal((await look()).owner?.code, 'foreign_owner');
  engine.container.labels = {};
  Object.assign(engine.container, {
    running: false,
    restarting: true,
    policy: { Name: 'always', MaximumRetryCount: 0 },
  });
  assert.equal((await look()).owner?.code, 'owner_busy');
});

test('look: without a supervisor nothing is known, and nothing is frozen for steps', async () => {
  const without = { ...world, supervisor: () => undefined };
  const seen = await cdcServiceRestart.look('cdc1', params, without, soon());
  assert.equal(seen.preconditions['error_class']?.is, 'unknown');
  assert.equal(seen.before, undefined);
});

const told: readonly (readonly [what: string, page: string, expected: string, because: RegExp])[] = [
  ['only what it has read', 'cdc_rows_read_total 7\ncdc_rows_total 7\n', 'unknown', /nothing tells what it delivers/],
  ['what it has sent, and that stands still', 'cdc_rows_sent_total 7\n', 'no', /cdc_rows_sent_total has grown 2 times/],
];
for (const [what, page, expected, because] of told) {
  test(`look: after a start, of one that tells ${what}: ${expected}, not verified`, async () => {
    stand200();
    stand.replies.set('/metrics', text(page));
    const state = await world.supervisor('cdc1')?.state(soon());
    assert.ok(state?.known && state.value.running !== null);
    const { id, startedAtMs } = state.value.running;
    // the time that it is given is over after the first look
    let aheadMs = 0;
    const clock = { ...systemClock, monoMs: () => systemClock.monoMs() + (aheadMs += 60_000) };
    const [step] = cdcServiceRestart.steps('cdc1', params, { ...world, clock }).filter((s) => s.name === 'verify_data');
    const checked = await step?.verify(runOf({ memo: { start: { id, startedAtMs, pid: null } } }));
    assert.equal(checked?.is, expected, JSON.stringify(checked));
    assert.match(checked.because, because);
  });
}

test('look: doctor says whether anything tells what it delivers', async () => {
  stand200();
  const found = (): ReturnType<typeof examineRights> =>
    examineRights(world, 'cdc-service.restart', 'cdc1', { signal: soon(), clock: systemClock });
  const [without] = await found();
  assert.equal(without?.ok, 'unknown');
  assert.match(without.fix ?? '', /cdc_rows_applied_total/);
  stand.replies.set('/metrics', text('cdc_rows_applied_total 1\n'));
  const [told] = await found();
  assert.deepEqual([told?.check, told?.ok], ['delivery', true]);
  assert.match(told?.text ?? '', /seen by cdc_rows_applied_total$/);
});
