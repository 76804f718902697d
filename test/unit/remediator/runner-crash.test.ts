// The process dies at every write to the store, once just before and once just after it: whatever was under way, the next
// one carries the run through, and the service is stopped once and started once.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LostCommitError } from '../../../remediator/store/db.ts';
import { StoreError, type Store } from '../../../remediator/store/store.ts';
import { FakeService, fakeAction, type Answer } from './fake-service.ts';
import { harness, story } from './run-harness.ts';

const writes = ['appendJournal', 'renewLease', 'setRun', 'endRun'] as const;

/**
 * Dead from the n-th write on: nothing is written any more, as far as the store sees. `answer`: only the answer to that
 * COMMIT is lost, and the process goes on.
 */
function dyingStore(
  store: Store,
  n: number,
  when: 'before' | 'after',
  what: 'process' | 'answer' = 'process',
): { store: Store; isDead: () => boolean } {
  let count = 0;
  const crash = (): StoreError => (what === 'answer' ? new LostCommitError('lost') : new StoreError('broken', 'crash'));
  const wrap = <A extends readonly unknown[], R>(work: (...args: A) => Promise<R>) => {
    return async (...args: A): Promise<R> => {
      count += 1;
      if ((count > n && what === 'process') || (count === n && when === 'before')) throw crash();
      const result = await work(...args);
      if (count === n) throw crash();
      return result;
    };
  };
  const dying: Store = {
    ...store,
    appendJournal: wrap(store.appendJournal),
    renewLease: wrap(store.renewLease),
    setRun: wrap(store.setRun),
    endRun: wrap(store.endRun),
  };
  return { store: dying, isDead: () => count >= n };
}

describe('a crash at every write', { concurrency: 4 }, () => {
  for (const [what, answers] of [
    ['every call is answered', {}],
    ['the answers are lost', { stop: ['late'], start: ['late'] }],
  ] as const) {
    for (const when of ['before', 'after'] as const) {
      test(`dies ${when} each of the writes of ${writes.join(', ')}; ${what}`, async () => {
        for (let n = 1; ; n++) {
          await using h = await harness();
          const service = new FakeService();
          const lost: Record<string, Answer[]> = Object.fromEntries(
            Object.entries(answers).map(([k, v]) => [k, [...v]]),
          );
          Object.assign(service.answers, lost);
          const action = fakeAction(service);
          const { run, hold, evidenceHash } = await h.claim(action);
          const dying = dyingStore(h.store, n, when);
          const first = h.runner(action, { store: dying.store });
          first.begin(run, hold, evidenceHash);
          await first.idle();
          if (!dying.isDead()) {
            assert.equal((await h.onlyRun()).outcome, 'verified');
            assert.ok(n > 12, `only ${n - 1} writes`);
            return;
          }
          const second = h.runner(action);
          await second.resume();
          await second.idle();
          const told = `write ${n}: ${story(await h.journal())}`;
          assert.equal((await h.onlyRun()).outcome, 'verified', told);
          assert.deepEqual(
            service.witness.filter((l) => l !== 'unlock'),
            ['stop 1', 'start 2'],
            told,
          );
          assert.equal((await h.journal()).filter((e) => e.kind === 'ended').length, 1, told);
        }
      });
    }
  }

  for (const when of ['before', 'after'] as const) {
    test(`the answer to COMMIT is lost, ${when} it was carried out: gone on with by looking, at each of the writes`, async () => {
      for (let n = 1; ; n++) {
        await using h = await harness();
        const service = new FakeService();
        const action = fakeAction(service);
        const { run, hold, evidenceHash } = await h.claim(action);
        const losing = dyingStore(h.store, n, when, 'answer');
        const runner = h.runner(action, { store: losing.store });
        runner.begin(run, hold, evidenceHash);
        await runner.idle();
        if (!losing.isDead()) {
          assert.ok(n > 12, `only ${n - 1} writes`);
          return;
        }
        h.clock.aheadMs += 6_000;
        await runner.resume();
        await runner.idle();
        const told = `write ${n}: ${story(await h.journal())}`;
        assert.equal((await h.onlyRun()).outcome, 'verified', told);
        assert.deepEqual(
          service.witness.filter((l) => l !== 'unlock'),
          ['stop 1', 'start 2'],
          told,
        );
      }
    });
  }
});
