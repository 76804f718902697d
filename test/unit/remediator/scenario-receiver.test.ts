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
/** Only so that a test that fails does not hang: what counts is the order. */
const deadlineMs = 30_000;

/** @param waits the mutant: a receiver that answers when what it has set off is over */
async function play(waits: boolean): Promise<void> {
  await withBench(
    async (b) => {
      const metrics = createMetrics('test');
      let stuck = (): void => undefined;
      const isStuck = new Promise<void>((resolve) => {
        stuck = resolve;
      });
      const waiting: typeof b.store = {
        ...b.store,
        appendWebhook: async (hook) => {
          const id = await b.store.appendWebhook(hook);
          stuck();
          await b.evaluator.idle();
          return id;
        },
      };
      const app = express();
      app.use(
        webhookRouter({
          ...{ store: waits ? waiting : b.store, clock: b.clock, metrics, log, stored: () => undefined },
          sources: [{ name: 'main', alertmanagers: [], watchdogMs: 0 }],
          admit: () => Promise.resolve({ is: 'admitted' }),
        }),
      );
      const server = createServer(app);
      const { port } = await listen(server, { host: '127.0.0.1', port: 0 });
      const body = JSON.stringify(payload([sent({ alertname: 'ServiceSick', target: 'svc1' })]));
      const post = async (): Promise<number> => {
        const response = await fetch(`http://127.0.0.1:${port}/webhook/main`, {
          ...{ method: 'POST', body, headers: { 'Content-Type': 'application/json' } },
          signal: AbortSignal.timeout(deadlineMs),
        });
        return response.status;
      };
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
        let answered = 0;
        const all = (async (): Promise<void> => {
          for (let n = 0; n < 5; n++) {
            assert.equal(await post(), 200);
            answered += 1;
          }
        })();
        // either all of them are answered while the call is under way, or the first one hangs
        await (waits ? isStuck : all);
        assert.equal(answered, waits ? 0 : 5);
        assert.deepEqual(b.service.witness, [], 'all of this while the first call was under way');
        if (!waits) {
          await processPending({ store: b.store, clock: b.clock, metrics, log, changed: () => undefined });
          assert.equal((await b.store.webhooksOf(id)).length, 6, 'each is kept, and all are of one episode');
          await b.evaluator.tick(); // does not wait for it either
          assert.deepEqual(
            (await b.runs()).map((r) => r.state),
            ['running'],
          );
        }
        release();
        await all;
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
  );
}

test('scenario 2: the receiver answers while an action takes long, and Alertmanager has nothing to repeat', () =>
  play(false));

test('scenario 2; mutant that answers when all is done: the notification hangs as long as the action', () =>
  play(true));
