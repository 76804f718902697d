// Pending notifications are processed together, and what is wrong with one of them stays its own matter.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog } from '../../../exporter/runtime/log.ts';
import { processPending } from '../../../remediator/intake.ts';
import { createMetrics } from '../../../remediator/metrics.ts';
import { payload, sent } from '../../support/remediator-serve.ts';
import { harness } from './run-harness.ts';

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
