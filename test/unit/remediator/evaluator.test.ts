// From an open episode to a stored decision, to what people are told, and to a run: with a real store and a fake service.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Inventory, Target } from '../../../exporter/config/inventory.ts';
import { known, unknown } from '../../../exporter/runtime/known.ts';
import { createLog } from '../../../exporter/runtime/log.ts';
import { createEvaluator, type Evaluator, type EvaluatorDeps } from '../../../remediator/evaluator.ts';
import { deny, unsure, type PlanInput, type Policy } from '../../../remediator/guard.ts';
import type { Decision } from '../../../remediator/model.ts';
import { candidatesOf } from '../../../remediator/situation.ts';
import { openSqlite } from '../../../remediator/store/sqlite.ts';
import type { Store } from '../../../remediator/store/store.ts';
import { eventually } from '../../support/wait.ts';
import { FakeService, fakeAction } from './fake-service.ts';
import { MovableClock, policy as runPolicy } from './run-harness.ts';

interface World {
  upstreams: () => Promise<PlanInput['upstreams']>;
}

const policy: Policy = { ...runPolicy, match: { alertname: 'ServiceSick' } };
const symptomMs = 50;

class Bench {
  readonly clock = new MovableClock();
  readonly service = new FakeService();
  readonly world: World = { upstreams: () => Promise.resolve([]) };
  readonly dir: string;
  readonly store: Store;
  readonly guards: string[] = [];
  policies: readonly Policy[] = [policy];
  readonly evaluator: Evaluator;

  constructor(dir: string, change: Partial<EvaluatorDeps<World>> = {}) {
    this.dir = dir;
    this.store = openSqlite({ file: join(dir, 'store.db') });
    this.evaluator = createEvaluator<World>({
      store: this.store,
      inventory: inventoryWith(['svc1', 'svc2']),
      policies: () => this.policies,
      settings: { switchFile: join(dir, 'PAUSED'), evidenceDir: join(dir, 'evidence'), require: {} },
      actions: [fakeAction(this.service)],
      world: this.world,
      clock: this.clock,
      log: createLog('test', 'silent'),
      metrics: { decision: (guard, result) => this.guards.push(`${guard}:${result}`), run: () => undefined },
      holder: 'h1',
      symptomMs,
      ...change,
    });
  }

  async fire(labels: Readonly<Record<string, string>> = { alertname: 'ServiceSick', target: 'svc1' }): Promise<string> {
    const hook = { source: 'main', receivedMs: this.clock.nowMs(), receivedBy: 't', body: Buffer.from('{}') };
    const id = await this.store.appendWebhook({ ...hook, alertCount: 1, truncatedCount: 0 });
    const alert = {
      status: 'firing',
      labels,
      annotations: {},
      startsWallMs: this.clock.wallMs(),
      endsWallMs: undefined,
      fingerprint: 'f',
    } as const;
    const [opened] = await this.store.processWebhook(id, [alert], false, this.clock.nowMs());
    assert.ok(opened);
    await this.store.setAlertState(opened.episodeId, 'active', '', this.clock.nowMs());
    return opened.episodeId;
  }

  /** One evaluation now, whatever was planned. */
  async look(episodeId: string): Promise<Decision> {
    const episode = await this.store.episode(episodeId);
    await this.store.scheduleEval(episodeId, episode?.nextEvalMs, this.clock.nowMs());
    await this.evaluator.tick();
    const decision = (await this.store.decisionsOf(episodeId)).at(-1);
    assert.ok(decision);
    return decision;
  }

  /** Two looks, far enough apart. */
  async lookTwice(episodeId: string): Promise<Decision> {
    await this.look(episodeId);
    this.clock.aheadMs += symptomMs;
    return await this.look(episodeId);
  }

  async told(): Promise<readonly string[]> {
    return (await this.store.dueEscalations(Number.MAX_SAFE_INTEGER)).map((e) => e.labels['alertname'] ?? '');
  }

  runs(): ReturnType<Store['runsOf']> {
    return this.store.runsOf({ limit: 10 });
  }
}

async function withBench(
  work: (bench: Bench) => Promise<void>,
  change: Partial<EvaluatorDeps<World>> = {},
): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'pipemedic-evaluator-'));
  const bench = new Bench(dir, change);
  try {
    await work(bench);
  } finally {
    await bench.evaluator.idle();
    await bench.store[Symbol.asyncDispose]();
    await rm(dir, { recursive: true });
  }
}

function inventoryWith(names: readonly string[]): Inventory {
  const targets = names.map((name) => [name, { name, kind: 'fake', instance: `${name}:1` } as Target] as const);
  return { targets: new Map(targets), pipelines: [], members: [], upstreams: new Map(), remediation: undefined };
}

test('acts on the second look that says the same, not on the first', () =>
  withBench(async (b) => {
    const id = await b.fire();
    const first = await b.look(id);
    assert.equal(first.reasonKey, 'evidence:not_held_yet');
    assert.deepEqual(await b.runs(), []);
    b.clock.aheadMs += symptomMs;
    assert.equal((await b.look(id)).verdict, 'act');
    await b.evaluator.idle();
    const [run] = await b.runs();
    assert.equal(run?.outcome, 'verified');
    assert.deepEqual(b.service.witness, ['stop 1', 'start 2', 'unlock']);
    assert.equal((await b.look(id)).reasonKey, 'already_fixed:healthy');
    assert.deepEqual(await b.told(), []);
  }));

test('a symptom that changes between two looks starts over', () =>
  withBench(async (b) => {
    const id = await b.fire();
    await b.look(id);
    b.service.running = 5; // another incarnation: other facts
    b.clock.aheadMs += symptomMs;
    assert.equal((await b.look(id)).reasonKey, 'evidence:not_held_yet');
    b.service.isSick = false;
    assert.equal((await b.look(id)).reasonKey, 'already_fixed:healthy');
    b.service.isSick = true;
    b.clock.aheadMs += symptomMs;
    assert.equal((await b.look(id)).reasonKey, 'evidence:not_held_yet');
  }));

const unanswered: readonly (readonly [
  what: string,
  prepare: (b: Bench) => unknown,
  expected: string,
  told: readonly string[],
])[] = [
  ['observe', (b) => void (b.policies = [{ ...policy, mode: 'observe' }]), 'would_act mode:observe', []],
  [
    'approve',
    (b) => void (b.policies = [{ ...policy, mode: 'approve' }]),
    'hold mode:needs_approval',
    ['RemediationNeedsApproval'],
  ],
  ['no policy', (b) => void (b.policies = [{ ...policy, match: { alertname: 'Other' } }]), 'refuse mode:no_policy', []],
  ['the switch file', (b) => writeFile(join(b.dir, 'PAUSED'), ''), 'refuse switch:paused_by_file', []],
  [
    'the switch in the store',
    (b) => b.store.setPause({ scope: 'global', paused: true, by: 'ann', reason: 'x', setMs: 1, untilMs: undefined }),
    'refuse switch:paused',
    [],
  ],
  [
    'a precondition',
    (b) => void (b.service.precondition = deny('binlog_purged', 'gone')),
    'refuse preconditions:binlog_purged',
    ['RemediationRefused'],
  ],
  [
    'an unknown fact',
    (b) => void (b.service.precondition = unsure('rows_unknown', '?')),
    'hold evidence:rows_unknown',
    [],
  ],
  [
    'an upstream that is down',
    (b) => void (b.world.upstreams = () => Promise.resolve([{ target: 'db1', up: known(false, 1), why: 'refused' }])),
    'hold dependency:upstream_down',
    [],
  ],
  [
    'an upstream that is not seen',
    (b) => void (b.world.upstreams = () => Promise.resolve([{ target: 'db1', up: unknown('no answer'), why: '' }])),
    'hold dependency:upstream_unknown',
    [],
  ],
  [
    'a fault of our own',
    (b) => void (b.world.upstreams = () => Promise.reject(new Error('bug'))),
    'hold evaluation:fault',
    [],
  ],
];
for (const [what, prepare, expected, told] of unanswered) {
  test(`${what}: ${expected}, nothing is done`, () =>
    withBench(async (b) => {
      await prepare(b);
      const id = await b.fire();
      const decision = await b.lookTwice(id);
      assert.equal(`${decision.verdict} ${decision.reasonKey}`, expected);
      assert.deepEqual(await b.told(), told);
      await b.look(id); // the same reason again is not told again
      assert.deepEqual(await b.told(), told);
      await b.evaluator.idle();
      assert.deepEqual(await b.runs(), []);
      assert.deepEqual(b.service.witness, []);
    }));
}

test('an unknown that lasts is told', () =>
  withBench(async (b) => {
    b.service.precondition = unsure('rows_unknown', 'no grant');
    const id = await b.fire();
    await b.look(id);
    b.clock.aheadMs += 61_000;
    await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
    await b.look(id);
    assert.deepEqual(await b.told(), ['RemediationRefused']);
  }));

test('a failed run is told, and cools down', () =>
  withBench(async (b) => {
    b.service.dataMoves = 'no';
    const id = await b.fire();
    await b.lookTwice(id);
    await b.evaluator.idle();
    assert.equal((await b.runs())[0]?.outcome, 'failed');
    assert.deepEqual(await b.told(), ['RemediationFailed']);
    b.service.isSick = true;
    const decision = await b.lookTwice(id);
    assert.equal(decision.reasonKey, 'cooldown:cooldown');
  }));

test('the budget ends after so many runs', () =>
  withBench(async (b) => {
    b.service.dataMoves = 'no';
    const id = await b.fire();
    for (let i = 0; i < policy.pace.maxRuns; i++) {
      b.service.isSick = true;
      await b.lookTwice(id);
      await b.evaluator.idle();
      b.clock.aheadMs += policy.pace.cooldownMs + 1;
      await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
    }
    b.service.isSick = true;
    assert.equal((await b.lookTwice(id)).reasonKey, 'budget:spent');
    assert.equal((await b.runs()).length, policy.pace.maxRuns);
  }));

test('two alerts of one target: one run; of two targets: one at a time', () =>
  withBench(async (b) => {
    let release: (() => void) | undefined;
    b.service.onCall = (step) =>
      step === 'stop' ? new Promise<void>((resolve) => void (release = resolve)) : undefined;
    try {
      assert.equal((await b.lookTwice(await b.fire())).verdict, 'act');
      await eventually('the call of stop', () => release, 30_000);
      // Only now: an evaluation takes whatever is due, so with all three open another one might have been the first.
      const two = await b.fire({ alertname: 'ServiceSick', target: 'svc1', extra: 'x' });
      const other = await b.fire({ alertname: 'ServiceSick', target: 'svc2' });
      assert.equal((await b.lookTwice(two)).reasonKey, 'active_run:active_run');
      assert.equal((await b.lookTwice(other)).reasonKey, 'active_run:busy_elsewhere');
    } finally {
      release?.();
    }
    await b.evaluator.idle();
    assert.equal((await b.runs()).length, 1);
  }));

test('an episode that changes between the decision and the claim: not acted upon', () =>
  withBench(async (b) => {
    const id = await b.fire();
    await b.look(id);
    b.clock.aheadMs += symptomMs;
    const { recordDecision } = b.store;
    // what a resolved notification, or another evaluator, does in between
    Object.assign(b.store, {
      recordDecision: async (...args: Parameters<typeof recordDecision>) => {
        await b.store.setAlertState(id, 'absent', '', b.clock.nowMs() + 1);
        return await recordDecision(...args);
      },
    });
    assert.equal((await b.look(id)).verdict, 'act');
    await b.evaluator.idle();
    assert.deepEqual(await b.runs(), []);
    assert.deepEqual(b.service.witness, []);
  }));

test('every guard of every evaluation is counted', () =>
  withBench(async (b) => {
    await b.look(await b.fire());
    assert.equal(b.guards.length, 13);
    assert.ok(b.guards.includes('evidence:unknown'));
  }));

test('candidates: the exact label target, else only a hint', () => {
  const inventory = inventoryWith(['svc1', 'svc2']);
  const names = (labels: Record<string, string>): string[] =>
    candidatesOf(inventory, labels).map((c) => `${c.name} by ${c.by}`);
  assert.deepEqual(names({ target: 'svc1' }), ['svc1 by target']);
  assert.deepEqual(names({ target: 'svc9', instance: 'svc1:1' }), []);
  assert.deepEqual(names({ instance: 'svc1:1' }), ['svc1 by instance']);
  assert.deepEqual(names({ instance: 'svc2', target: '' }), ['svc2 by instance']);
  assert.deepEqual(names({}), []);
});
