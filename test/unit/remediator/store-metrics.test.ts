// The observed store gives what the store gives, and counts it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { observed } from '../../../remediator/store-metrics.ts';
import { StoreError, type Store } from '../../../remediator/store/store.ts';

interface Seen {
  readonly calls: string[];
  readonly errors: string[];
  readonly relapses: string[];
  readonly repairs: [action: string, seconds: number][];
}

/** Only the methods that the test needs. */
function watched(parts: Partial<Record<keyof Store, unknown>>): { readonly store: Store; readonly seen: Seen } {
  const seen: Seen = { calls: [], errors: [], relapses: [], repairs: [] };
  let monoMs = 0;
  const store = observed(parts as unknown as Store, {
    metrics: {
      storeCall: (operation, seconds) => void seen.calls.push(`${operation} ${seconds}`),
      storeError: (code) => void seen.errors.push(code),
      relapse: (target) => void seen.relapses.push(target),
      alertToRepair: (action, seconds) => void seen.repairs.push([action, seconds]),
    },
    clock: {
      monoMs: () => (monoMs += 250),
      wallMs: () => 1_000_000,
    },
    isTarget: (name) => name === 'maxwell1',
  });
  return { store, seen };
}

test('results and errors are those of the store; time and code are counted, a lost lease is no error', async () => {
  const full = new StoreError('full', 'the disk is full');
  const { store, seen } = watched({
    meta: (key: string) => Promise.resolve(`value of ${key}`),
    appendWebhook: () => Promise.reject(full),
    appendJournal: () => Promise.reject(new StoreError('fenced', 'another has the lease')),
    claim: () => Promise.reject(new TypeError('a bug')),
  });
  assert.equal(await store.meta('k'), 'value of k');
  await assert.rejects(store.appendWebhook({} as never), full);
  await assert.rejects(
    store.appendJournal({} as never, {} as never, () => 0),
    /another has the lease/,
  );
  await assert.rejects(
    store.claim({} as never, () => 0),
    TypeError,
  );
  assert.deepEqual(seen.calls, ['other 0.25', 'intake 0.25', 'journal 0.25', 'claim 0.25']);
  assert.deepEqual(seen.errors, ['full', 'other']);
});

test('a relapse counts for targets of the inventory only, a repair from the start of its alert', async () => {
  const episodes: Record<string, object> = {
    again: { relapseOf: 'before', labels: { target: 'maxwell1' }, startsWallMs: 940_000 },
    foreign: { relapseOf: 'before', labels: { target: 'made-up' } },
  };
  const asked: string[] = [];
  const { store, seen } = watched({
    processWebhook: () =>
      Promise.resolve([
        ...['again', 'foreign'].map((episodeId) => ({ episodeId, change: 'opened', relapseOf: 'before' })),
        // thousands of these may come at once: nothing is asked about them
        { episodeId: 'first', change: 'opened' },
        { episodeId: 'again', change: 'refreshed' },
      ]),
    episode: (id: string) => {
      asked.push(id);
      return Promise.resolve(episodes[id]);
    },
    endRun: () => Promise.resolve(),
    run: () => Promise.resolve({ action: 'maxwell.restart', episodeId: 'again' }),
  });
  await store.processWebhook(1, [], false, 0);
  assert.deepEqual(seen.relapses, ['maxwell1']);
  assert.deepEqual(asked, ['again', 'foreign']);
  const hold = { runId: 'r', target: 'maxwell1', holder: 'h', fence: 1 };
  await store.endRun(hold, { outcome: 'failed', because: '', cooldownMs: 0 }, () => 0);
  assert.deepEqual(seen.repairs, []);
  await store.endRun(hold, { outcome: 'verified', because: '', cooldownMs: 0 }, () => 0);
  assert.deepEqual(seen.repairs, [['maxwell.restart', 60]]);
});

test('what the metrics cannot be had for does not fail the write', async () => {
  const { store } = watched({
    reopen: () => Promise.resolve('e2'),
    episode: () => Promise.reject(new StoreError('broken', 'gone')),
  });
  assert.equal(await store.reopen('e1', 0, 0), 'e2');
});
