// The receiver does not wait for what it sets off.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import express from 'express';
import { closeServer, listen } from '../../../exporter/runtime/http.ts';
import { createServer } from 'node:http';
import { createLog } from '../../../exporter/runtime/log.ts';
import { processPending } from '../../../remediator/intake.ts';
import { createMetrics } from '../../../remediator/metrics.ts';
import { webhookRouter } from '../../../remediator/webhook.ts';
import { payload, sent } from '../../support/remediator-serve.ts';
import { withBench } from './evaluator-bench.ts';
import { fakeAction } from './fake-service.ts';

const log = createLog('test', 'silent');
/** Far below the time after which Alertmanager would give up (10 s), far above what a loaded machine needs. */
const answersMs = 3_000;

test('scenario 2: the receiver answers while an action takes long, and Alertmanager has nothing to repeat', () =>
  withBench(
    async (b) => {
      const metrics = createMetrics('test');
      const app = express();
      app.use(
        webhookRouter({
          ...{ store: b.store, clock: b.clock, metrics, log, stored: () => undefined },
          sources: [{ name: 'main', alertmanagers: [], watchdogMs: 0 }],
          admit: () => Promise.resolve({ is: 'admitted' }),
        }),
      );
      const server = createServer(app);
      const { port } = await listen(server, { host: '127.0.0.1', port: 0 });
      try {
        const id = await b.fire();
        let release = (): void => undefined;
        const long = new Promise<void>((resolve) => {
          release = resolve;
        });
        const begun = new Promise<void>((resolve) => {
          b.service.onCall = () => {
            resolve();
            return long;
          };
        });
        assert.equal((await b.lookTwice(id)).verdict, 'act');
        await begun;
        const body = JSON.stringify(payload([sent({ alertname: 'ServiceSick', target: 'svc1' })]));
        for (let n = 0; n < 5; n++) {
          const response = await fetch(`http://127.0.0.1:${port}/webhook/main`, {
            ...{ method: 'POST', body, headers: { 'Content-Type': 'application/json' } },
            signal: AbortSignal.timeout(answersMs),
          });
          assert.equal(response.status, 200);
        }
        await processPending({ store: b.store, clock: b.clock, metrics, log, changed: () => undefined });
        assert.equal((await b.store.webhooksOf(id)).length, 6, 'each is kept, and all are of one episode');
        await b.evaluator.tick(); // does not wait for it either
        assert.deepEqual(
          (await b.runs()).map((r) => r.state),
          ['running'],
        );
        assert.deepEqual(b.service.witness, [], 'all of this while the first call was under way');
        release();
        await b.evaluator.idle();
        assert.deepEqual(b.service.witness, ['stop 1', 'start 2', 'unlock']);
      } finally {
        await closeServer(server, 0);
      }
    },
    (b) => {
      const inner = fakeAction(b.service);
      const steps: typeof inner.steps = (...args) => inner.steps(...args).map((s) => ({ ...s, deadlineMs: 20_000 }));
      return { actions: [{ ...inner, steps }] };
    },
  ));
