import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inventoryOf } from '../../exporter/config/inventory.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { createLog } from '../../exporter/runtime/log.ts';
import { serve } from '../../exporter/serve.ts';
import { fakeSystem, script } from '../support/fake-system.ts';
import { flood } from '../support/flood.ts';
import { portOf } from '../support/serving-port.ts';

test('10,000 random requests: each is refused, and the heap is what it was', async (t) => {
  const a = script();
  let loads = 0;
  const serving = await serve({
    load: () => {
      loads += 1;
      const targets = [{ name: 'a', kind: 'fake', address: { id: 'a' } }];
      return Promise.resolve(inventoryOf({ targets }, 'test.yml', [fakeSystem({ a })]));
    },
    listen: [{ host: '127.0.0.1', port: 0 }],
    ...{ version: '1', clock: systemClock, log: createLog('test', 'silent'), pipelines: () => undefined },
  });
  t.after(() => serving.stop());
  const routes = ['/', '/metrics', '/probe', '/sd', '/-/healthy', '/-/ready'];
  const parameters = ['/probe?target=', '/probe?pipeline=', '/probe?target=a&collect[]=', '/metrics?self='];
  await flood({ host: '127.0.0.1', port: portOf(serving) }, routes, parameters);
  assert.deepEqual([loads, a.opens], [1, 1]);
});
