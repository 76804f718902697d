// What people are told by one evaluation after the other: the newest of it, once, and also when nothing can be decided.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allow, deny, unsure } from '../../../remediator/guard.ts';
import { policy, withBench, type Bench } from './evaluator-bench.ts';

const open = async (b: Bench, episodeId: string): Promise<(readonly [string | undefined, string | undefined])[]> =>
  (await b.store.escalationsOf(episodeId))
    .filter((e) => e.state === 'open')
    .map((e) => [e.labels['alertname'], e.annotations['run']] as const);

async function failAgain(b: Bench, id: string): Promise<string | undefined> {
  b.clock.aheadMs += policy.pace.cooldownMs + 1;
  await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
  b.service.isSick = true;
  await b.lookTwice(id);
  await b.evaluator.idle();
  return (await b.runs())[0]?.id;
}

test('of two runs that failed, the newest is told, and it is told once', () =>
  withBench(async (b) => {
    b.service.dataMoves = 'no';
    const id = await b.fire();
    const first = await failAgain(b, id);
    assert.deepEqual(await open(b, id), [['RemediationFailed', first]]);
    const second = await failAgain(b, id);
    assert.notEqual(second, first);
    assert.deepEqual(await open(b, id), [['RemediationFailed', second]]);
    const before = await b.store.escalationsOf(id);
    b.clock.aheadMs += 1_000;
    await b.look(id);
    assert.deepEqual(await b.store.escalationsOf(id), before, 'nothing new: nothing is told anew');
  }));

test('what is refused after two runs that failed stays told', () =>
  withBench(async (b) => {
    b.policies = [{ ...policy, pace: { ...policy.pace, maxRuns: 2 } }];
    b.service.dataMoves = 'no';
    const id = await b.fire();
    await failAgain(b, id);
    const second = await failAgain(b, id);
    await failAgain(b, id); // the budget is spent
    const expected = [
      ['RemediationFailed', second],
      ['RemediationRefused', undefined],
    ];
    assert.deepEqual((await open(b, id)).sort(), expected);
    const before = await b.store.escalationsOf(id);
    b.clock.aheadMs += 1_000;
    await b.look(id);
    assert.deepEqual(await b.store.escalationsOf(id), before);
  }));

test('an evaluation that fails again and again is told', () =>
  withBench(async (b) => {
    b.world.upstreams = () => Promise.reject(new Error('a bug'));
    const id = await b.fire();
    assert.equal((await b.look(id)).reasonKey, 'evaluation:fault');
    assert.deepEqual(await b.told(), []);
    b.clock.aheadMs += 61_000;
    await b.look(id);
    assert.deepEqual(await open(b, id), [['RemediationRefused', undefined]]);
    assert.match((await b.store.escalationsOf(id))[0]?.annotations['description'] ?? '', /a bug/);
  }));

test('what is unknown for one reason and then for another, again and again, is told too', () =>
  withBench(async (b) => {
    const id = await b.fire();
    for (let i = 0; i < 6; i++) {
      b.service.precondition = unsure(i % 2 === 0 ? 'rows_unknown' : 'kafka_unknown', 'no answer');
      await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
      await b.look(id);
      b.clock.aheadMs += 15_000;
    }
    assert.deepEqual(await open(b, id), [['RemediationRefused', undefined]]);
  }));

test('an unknown between two clear answers has not lasted', () =>
  withBench(async (b) => {
    const id = await b.fire();
    for (let i = 0; i < 6; i++) {
      b.service.isSick = i % 2 === 0;
      b.service.precondition = unsure('rows_unknown', 'no answer');
      await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
      await b.look(id);
      b.clock.aheadMs += 50_000;
    }
    assert.deepEqual(await open(b, id), []);
  }));

test('a claim that is lost again and again is told once, and counted', () =>
  withBench(async (b) => {
    const { claim } = b.store;
    b.store.claim = () => Promise.resolve({ won: false, code: 'leased', because: 'svc1 is held by h9' });
    const id = await b.fire();
    await b.lookTwice(id);
    assert.deepEqual(
      b.guards.filter((g) => g.startsWith('claim')),
      ['claim:deny'],
    );
    for (let i = 0; i < 6; i++) {
      assert.equal((await b.look(id)).verdict, 'act');
      if (i < 3) assert.deepEqual(await open(b, id), [], 'it may pass by itself');
      b.clock.aheadMs += 15_000;
      await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
    }
    assert.deepEqual(await open(b, id), [['RemediationRefused', undefined]]);
    const [told] = await b.store.escalationsOf(id);
    assert.match(told?.annotations['description'] ?? '', /not begun \d times .* svc1 is held by h9/);
    await b.look(id);
    assert.deepEqual(await b.store.escalationsOf(id), [told]);

    b.store.claim = claim;
    await b.look(id);
    await b.evaluator.idle();
    assert.equal((await b.runs())[0]?.outcome, 'verified');
    assert.ok(b.guards.includes('claim:allow'));
  }));

test('a claim that is lost now and then is nothing to tell', () =>
  withBench(async (b) => {
    b.store.claim = () => Promise.resolve({ won: false, code: 'stale', because: 'the episode has changed' });
    const id = await b.fire();
    await b.lookTwice(id);
    for (let i = 0; i < 8; i++) {
      b.service.precondition = i % 2 === 0 ? deny('binlog_gone', 'no') : allow('fine', 'fine');
      await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
      await b.look(id);
      b.clock.aheadMs += 15_000;
    }
    const told = await b.store.escalationsOf(id);
    assert.deepEqual(
      told.filter((e) => e.annotations['guard']?.startsWith('claim')),
      [],
    );
  }));

test('claims that were lost before and after a run of the same alert are not one fault that lasts', () =>
  withBench(async (b) => {
    b.store.claim = () => Promise.resolve({ won: false, code: 'stale', because: 'the episode has changed' });
    const id = await b.fire();
    await b.lookTwice(id);
    // Another remediator of the store begins it, which this one only sees.
    const { activeRuns } = b.store;
    const theirs = { id: 'r9', episodeId: id, target: 'svc1' } as Awaited<ReturnType<typeof activeRuns>>[number];
    b.store.activeRuns = () => Promise.resolve([theirs]);
    b.clock.aheadMs += 15_000;
    await b.look(id);
    b.store.activeRuns = activeRuns;
    b.clock.aheadMs += 120_000;
    await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
    assert.equal((await b.look(id)).verdict, 'act');
    assert.deepEqual(await open(b, id), []);
  }));
