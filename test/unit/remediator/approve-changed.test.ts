// A yes to a plan that has changed since it was asked for: who gives it is told so, at once and with what has changed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Action } from '../../../remediator/action.ts';
import type { Policy } from '../../../remediator/guard.ts';
import type { Approval, Json } from '../../../remediator/model.ts';
import type { Actor, PeopleContext } from '../../../remediator/people-context.ts';
import { Refusal } from '../../../remediator/people-context.ts';
import { changes } from '../../../remediator/people.ts';
import { takenText } from '../../../remediator/commands-people.ts';
import { stillAsked } from '../../../remediator/still-asked.ts';
import { takenOf } from '../../../remediator/taken.ts';
import { inventoryWith, policy, withBench, type Bench, type World } from './evaluator-bench.ts';
import { fakeAction } from './fake-service.ts';

const asking: Policy = { ...policy, mode: 'approve', approval: { role: 'dba', expiresMs: 1_800_000 } };
const ann: Actor = { name: 'ann', via: 'api', may: () => true };

async function asked(b: Bench): Promise<Approval> {
  b.policies = [asking];
  const id = await b.fire();
  assert.equal((await b.lookTwice(id)).reasonKey, 'approval:needs_approval');
  const [newest] = await b.store.approvals({ nowMs: b.clock.nowMs(), limit: 1 });
  assert.ok(newest);
  return newest;
}

async function answer(
  b: Bench,
  verb: 'approve' | 'reject',
  { id }: Approval,
  change: Partial<PeopleContext> = {},
): Promise<Json> {
  const context: PeopleContext = {
    ...{ store: b.store, clock: b.clock, switchFile: 'none', inventory: inventoryWith(['svc1']) },
    ...{ changed: () => undefined, stillAsked: b.evaluator.stillAsked },
    ...change,
  };
  const found = changes.find((c) => c.path === `approvals/:id/${verb}`);
  assert.ok(found);
  return await found.run(context, ann, { id, comment: '' });
}

function refusalOf(pattern: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof Refusal && error.status === 409 && pattern.test(error.message);
}

const others: readonly (readonly [what: string, change: (b: Bench) => void, told: RegExp])[] = [
  [
    'other facts',
    (b) => void (b.service.running = 7),
    /^not approved: the plan has changed since \S+ was asked for: facts\.seq was 1, is 7\. /,
  ],
  [
    'another policy',
    (b) => void (b.policies = [{ ...asking, soakMs: 31 }]),
    /asked for: policy\.soakMs was 30, is 31\. /,
  ],
  ['no policy any more', (b) => void (b.policies = []), /asked for: no policy answers this alert any more\. /],
];
for (const [what, change, told] of others) {
  test(`${what} since the question: a yes is refused with what has changed, and is none later on`, () =>
    withBench(async (b) => {
      const question = await asked(b);
      change(b);
      let woken = 0;
      await assert.rejects(answer(b, 'approve', question, { changed: () => (woken += 1) }), refusalOf(told));
      assert.equal((await b.store.approval(question.id))?.state, 'requested', 'nothing was decided');
      assert.equal((await b.store.auditOf({ object: question.id, limit: 1 })).length, 0);
      const episode = await b.store.episode(question.episodeId);
      assert.deepEqual([episode?.nextEvalMs !== undefined && episode.nextEvalMs <= b.clock.nowMs(), woken], [true, 1]);
      await b.lookTwice(question.episodeId);
      await b.evaluator.idle();
      assert.deepEqual(b.service.witness, []);
    }));
}

test('the same plan still: a yes says so, and the run begins', () =>
  withBench(async (b) => {
    const question = await asked(b);
    const { plan } = (await answer(b, 'approve', question)) as { plan?: Json };
    assert.equal(plan, 'unchanged');
    assert.equal((await b.look(question.episodeId)).verdict, 'act');
  }));

test('facts that cannot be read in time: the yes is taken with that said, and begins nothing by itself', () =>
  withBench(
    async (b) => {
      const question = await asked(b);
      hangs = true;
      const episode = await b.store.episode(question.episodeId);
      assert.ok(episode);
      const deps = {
        ...{ store: b.store, inventory: inventoryWith(['svc1']), world: b.world, actions: [hanging(b)] },
        policies: () => b.policies,
      };
      const seen = await stillAsked(deps, question, episode, 10);
      assert.ok(seen.is === 'unknown' && /no answer in time/.test(seen.why));
      const { plan } = (await answer(b, 'approve', question, { stillAsked: () => Promise.resolve(seen) })) as {
        plan?: string;
      };
      assert.match(plan ?? '', /^unknown: .*no answer in time/);
      assert.equal((await b.store.approval(question.id))?.state, 'approved');
      hangs = false;
      b.service.running = 7;
      assert.equal((await b.lookTwice(question.episodeId)).reasonKey, 'approval:needs_approval', 'bound to its plan');
      await b.evaluator.idle();
      assert.deepEqual(b.service.witness, []);
    },
    (b) => ({ actions: [hanging(b)] }),
  ));

let hangs = false;
function hanging(b: Bench): Action<World> {
  const inner = fakeAction(b.service);
  return { ...inner, look: (...args) => (hangs ? new Promise(() => undefined) : inner.look(...args)) };
}

test('a no needs no look: what is not wanted is not done, whatever it has become', () =>
  withBench(async (b) => {
    const question = await asked(b);
    b.service.running = 7;
    await answer(b, 'reject', question);
    assert.equal((await b.store.approval(question.id))?.state, 'rejected');
  }));

test('written beside the remediators that serve: what they make of it is waited for', () =>
  withBench(async (b) => {
    const question = await asked(b);
    const quick = { timeoutMs: 60_000, everyMs: 5 };
    const yes = async ({ id }: Approval): Promise<void> => {
      assert.ok((await b.store.decideApproval(id, 'approved', 'ann', '', b.clock.nowMs())).decided);
    };
    await yes(question);
    const none = await takenOf(b.store, question.id, { ...quick, timeoutMs: 0 });
    assert.ok(none.is === 'waiting');
    assert.match(
      takenText('x of svc1', none),
      /^approved: x of svc1 has not begun yet: the policy asks dba in mode approve\. $/,
    );
    b.service.running = 7;
    const [late] = await Promise.all([takenOf(b.store, question.id, quick), b.lookTwice(question.episodeId)]);
    assert.ok(late.is === 'void');
    assert.throws(
      () => takenText('x of svc1', late),
      /^Error: not approved after all: it is void; .*facts\.seq was 1, is 7$/,
    );

    const [anew] = await b.store.approvals({ nowMs: b.clock.nowMs(), limit: 1, open: true });
    assert.ok(anew);
    await yes(anew);
    const [begun] = await Promise.all([takenOf(b.store, anew.id, quick), b.look(question.episodeId)]);
    const [run] = await b.runs();
    assert.deepEqual(begun, { is: 'begun', run: run?.id });
    assert.match(takenText('x of svc1', begun), /^approved: x of svc1 has begun, run /);
  }));
