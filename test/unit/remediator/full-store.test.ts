// A store that is full of notifications which are done with makes room for new ones at once, not with the next cleaning.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../../deploy/lab/ready.ts';
import { loadInventory } from '../../../exporter/config/loader.ts';
import { createLog } from '../../../exporter/runtime/log.ts';
import { defaultLimits } from '../../../remediator/policies.ts';
import { serve } from '../../../remediator/serve.ts';
import { settingsOf } from '../../../remediator/settings.ts';
import { idleEvaluator } from '../../support/idle-evaluator.ts';
import { makeHome, payload, sent, token } from '../../support/remediator-serve.ts';
import { portOf } from '../../support/serving-port.ts';
import { policy } from './evaluator-bench.ts';

test('a flood of notifications is refused while the store is full, and not for longer', async (t) => {
  const home = await makeHome();
  t.after(() => home[Symbol.asyncDispose]());
  const inventory = await loadInventory(home.configFile);
  const settings = settingsOf(inventory, home.configFile);
  const remediator = await serve({
    inventory,
    // twice that is the most it takes
    settings: { ...settings, retention: { ...settings.retention, webhookBytes: 8_000 } },
    policyFile: { policies: [policy], limits: defaultLimits, rules: [] },
    reloadPolicies: () => Promise.reject(new Error('not here')),
    ...{ listen: [{ host: '127.0.0.1', port: 0 }], version: '1', log: createLog('test', 'silent'), actions: [] },
    createEvaluator: () => idleEvaluator,
  });
  t.after(() => remediator.stop());
  const post = async (): Promise<number> => {
    const response = await fetch(`http://127.0.0.1:${String(portOf(remediator))}/webhook/main`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}` },
      body: JSON.stringify(payload([sent({ alertname: 'Flood', noise: 'x'.repeat(900) })])),
    });
    await response.arrayBuffer();
    return response.status;
  };
  const answers: number[] = [];
  for (let i = 0; i < 30; i++) answers.push(await post());
  assert.ok(answers.includes(200) && answers.includes(503), answers.join(' '));
  await waitFor(async () => (await post()) === 200, { what: 'one to be taken again' });
});
