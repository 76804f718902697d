// A question and its answer are for one repair: when that is begun without them, neither carries another one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Policy } from '../../../remediator/guard.ts';
import type { Approval } from '../../../remediator/model.ts';
import { policy, withBench, type Bench } from './evaluator-bench.ts';

/** In UTC: today and tomorrow, or two days that are neither, nor yesterday. */
function hours(b: Bench, are: 'now' | 'never'): Policy {
  const today = (new Date(b.clock.wallMs()).getUTCDay() + 6) % 7;
  const days = (are === 'now' ? [0, 1] : [3, 4]).map((ahead) => ((today + ahead) % 7) + 1);
  return { ...policy, windows: [{ days, fromMinute: 0, toMinute: 1440, timezone: 'UTC' }] };
}

async function asked(b: Bench): Promise<Approval> {
  const [newest] = await b.store.approvals({ nowMs: b.clock.nowMs(), limit: 10 });
  assert.ok(newest);
  return newest;
}

for (const answered of [true, false]) {
  test(`what was asked outside its hours, and ${answered ? 'allowed' : 'not answered'} before they began, is over with the run of its own`, () =>
    withBench(async (b) => {
      // one policy through the day: its hours are what changes
      const always = hours(b, 'now');
      b.policies = [always];
      const id = await b.fire();
      let isInside = false;
      const { wallMs } = b.clock;
      Object.assign(b.clock, { wallMs: () => wallMs() + (isInside ? 0 : 3 * 86_400_000) });
      assert.equal((await b.lookTwice(id)).reasonKey, 'approval:needs_approval');
      const before = await asked(b);
      if (answered) await b.store.decideApproval(before.id, 'approved', 'ann', '', b.clock.nowMs());
      isInside = true;
      assert.equal((await b.look(id)).verdict, 'act');
      await b.evaluator.idle();
      assert.deepEqual(
        (await b.runs()).map((r) => [r.actor, r.outcome]),
        [['auto', 'verified']],
      );
      assert.equal((await b.store.approval(before.id))?.state, 'void');
      const late = await b.store.decideApproval(before.id, 'approved', 'bob', '', b.clock.nowMs());
      assert.equal(late.decided, false, 'nobody can say yes to what is done already');

      // its hours are over, and the same trouble is back
      isInside = false;
      b.service.isSick = true;
      b.clock.aheadMs += policy.pace.cooldownMs + 15_001;
      await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
      assert.equal((await b.lookTwice(id)).reasonKey, 'approval:needs_approval');
      assert.notEqual((await asked(b)).id, before.id);
      assert.equal((await b.runs()).length, 1);
    }));
}
