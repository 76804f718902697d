// From stored notifications to episodes: what was answered with 2xx is never given up for a fault of the store.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog } from '../../../exporter/runtime/log.ts';
import { processPending } from '../../../remediator/intake.ts';
import { createMetrics } from '../../../remediator/metrics.ts';
import { LostCommitError } from '../../../remediator/store/db.ts';
import { StoreError } from '../../../remediator/store/store.ts';
import { payload, sent } from '../../support/remediator-serve.ts';
import { harness } from './run-harness.ts';

for (const error of [new StoreError('busy', 'busy'), new LostCommitError('the answer to COMMIT was lost')]) {
  test(`a notification whose processing fails with ${error.name} waits and is processed later`, async () => {
    await using h = await harness();
    const { store, clock } = h;
    await store.appendWebhook({
      source: 'main',
      receivedMs: 1,
      receivedBy: 'p',
      body: Buffer.from(JSON.stringify(payload([sent({ alertname: 'MaxwellDown', target: 'maxwell1' })]))),
      alertCount: 1,
      truncatedCount: 0,
    });
    let fails = true;
    const processWebhook: typeof store.processWebhook = async (...args) => {
      if (!fails) return store.processWebhook(...args);
      fails = false;
      throw error;
    };
    const context = {
      store: { ...store, processWebhook },
      clock,
      metrics: createMetrics('test'),
      log: createLog('test', 'silent'),
      changed: () => undefined,
    };
    await assert.rejects(processPending(context), error);
    assert.equal((await store.pendingWebhooks(9)).length, 1);
    assert.equal(await processPending(context), 1);
    assert.equal((await store.openEpisodes()).length, 2, 'with the one of the harness');
  });
}

test('pending notifications are processed in one transaction; one that cannot be holds up nobody', async () => {
  await using h = await harness();
  const { store, clock } = h;
  const append = (name: string): Promise<number> =>
    store.appendWebhook({
      ...{ source: 'main', receivedMs: 1, receivedBy: 'p', alertCount: 1, truncatedCount: 0 },
      body: Buffer.from(name === '' ? '{' : JSON.stringify(payload([sent({ alertname: name, target: 'maxwell1' })]))),
    });
  const calls: string[] = [];
  const told: number[] = [];
  let bad = 0;
  const context = {
    store: {
      ...store,
      processWebhooks: (...args: Parameters<typeof store.processWebhooks>) => {
        calls.push(`together ${String(args[0].length)}`);
        if (args[0].some((hook) => hook.id === bad)) return Promise.reject(new TypeError('of one of them'));
        return store.processWebhooks(...args);
      },
      processWebhook: (...args: Parameters<typeof store.processWebhook>) => {
        calls.push(args[1] === undefined ? 'poison' : 'alone');
        if (args[0] === bad && args[1] !== undefined) return Promise.reject(new TypeError('of this one'));
        return store.processWebhook(...args);
      },
    },
    clock,
    metrics: createMetrics('test'),
    log: createLog('test', 'silent'),
    changed: (_source: string, changes: readonly unknown[]) => void told.push(changes.length),
  };
  for (const name of ['A', 'B', '', 'C']) await append(name);
  assert.equal(await processPending(context), 4);
  assert.deepEqual(calls.splice(0), ['together 4']);
  assert.deepEqual(told.splice(0), [1, 1, 1]);

  await append('D');
  bad = await append('E');
  await append('F');
  assert.equal(await processPending(context), 3);
  assert.deepEqual(calls.splice(0), ['together 3', 'alone', 'alone', 'poison', 'alone']);
  assert.deepEqual(told.splice(0), [1, 1]);
  assert.deepEqual(await store.pendingWebhooks(9), []);

  const many = Array.from({ length: 150 }, (_, i) => sent({ alertname: `M${String(i)}`, target: 'maxwell1' }));
  for (let i = 0; i < 2; i++) {
    await store.appendWebhook({
      ...{ source: 'main', receivedMs: 1, receivedBy: 'p', alertCount: 150, truncatedCount: 0 },
      body: Buffer.from(JSON.stringify(payload(many))),
    });
  }
  await processPending(context);
  assert.deepEqual(calls, ['alone', 'alone'], 'no transaction is large');
  const open = (await store.openEpisodes()).map((e) => e.labels['alertname'] ?? '').filter((n) => n.length === 1);
  assert.deepEqual(open.sort(), ['A', 'B', 'C', 'D', 'F']);
});
