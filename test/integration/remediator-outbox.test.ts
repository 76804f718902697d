// Escalations to real Alertmanagers: taken by every peer, kept alive, delivered when a peer is back, ended.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { waitFor } from '../../deploy/lab/ready.ts';
import { createLog } from '../../exporter/runtime/log.ts';
import { openAlertmanager } from '../../remediator/alertmanager.ts';
import { refused } from '../../remediator/escalate.ts';
import { createMetrics } from '../../remediator/metrics.ts';
import { sendDue } from '../../remediator/outbox.ts';
import { openSqlite } from '../../remediator/store/sqlite.ts';
import { alertmanagerProgram, startAlertmanager } from '../support/alertmanager-process.ts';
import { freePort } from '../support/free-port.ts';
import { openEpisode } from '../unit/remediator/store-fixtures.ts';
import { MovableClock } from '../unit/remediator/run-harness.ts';

const present = spawnSync(alertmanagerProgram, ['--version']).error === undefined;
const skip = present
  ? false
  : `${alertmanagerProgram} is not installed: nothing was tested against a real Alertmanager`;
const config = { route: { receiver: 'nobody' }, receivers: [{ name: 'nobody' }] };

/** Alertmanager looks at the true clock. */
class RealWallClock extends MovableClock {
  override readonly wallMs = (): number => Date.now();
}

test(
  'an escalation reaches every peer, outlives a peer that is down, and ends with its episode',
  { skip },
  async () => {
    const dir = await mkdtemp(join(tmpdir(), 'pipemedic-outbox-'));
    try {
      await using store = openSqlite({ file: join(dir, 'store.db') });
      const clock = new RealWallClock();
      const ports = [await freePort(), await freePort()] as const;
      await using first = await startAlertmanager(ports[0], config);
      let second = await startAlertmanager(ports[1], config);
      await using stack = new AsyncDisposableStack();
      stack.defer(() => second[Symbol.asyncDispose]());
      const peers = await Promise.all(
        ports.map((port) => openAlertmanager({ url: `http://127.0.0.1:${port}`, auth: undefined, tls: undefined })),
      );
      stack.defer(() => {
        for (const peer of peers) peer[Symbol.dispose]();
      });
      const metrics = createMetrics('test');
      const send = (): Promise<void> =>
        sendDue(
          {
            ...{ store, clock, metrics, externalUrl: 'http://remediator:9931', log: createLog('test', 'silent') },
            peers: new Map([['main', peers]]),
          },
          AbortSignal.timeout(20_000),
        );
      const pending = async (): Promise<number> =>
        Number(/^pipemedic_remediator_escalations_pending (\d+)$/m.exec(await metrics.text())?.[1]);

      const episode = await openEpisode(
        store,
        { alertname: 'MaxwellDown', target: 'maxwell1', cluster: 'prod' },
        { nowMs: clock.nowMs() },
      );
      const { decision } = await store.recordDecision(
        {
          ...{ episodeId: episode.id, episodeVersion: 1, policy: 'p', policyHash: 'h', action: 'maxwell.restart' },
          ...{
            target: 'maxwell1',
            params: {},
            verdict: 'refuse',
            reasonKey: 'budget:spent',
            because: '3 of 3 runs used',
          },
          trace: [{ guard: 'budget', result: 'deny', code: 'spent', because: '3 of 3 runs used', inputs: {} }],
          ...{ evidenceHash: undefined, advice: [{ title: 'Look', text: 'SHOW BINARY LOGS' }] },
        },
        clock.nowMs(),
      );
      await store.enqueue(refused(episode, decision), clock.nowMs());
      await send();
      assert.equal(await pending(), 0);
      for (const peer of [first, second]) {
        const [alert] = await peer.alerts();
        assert.deepEqual(alert?.labels, {
          ...{ alertname: 'RemediationRefused', severity: 'warning', priority: 'P2', remediation: 'none' },
          ...{ scope: 'remediation', generator: 'pipemedic', target: 'maxwell1', source_alert: 'MaxwellDown' },
          ...{ cluster: 'prod', episode: episode.id },
        });
        assert.deepEqual(alert.annotations, {
          summary: 'A repair was not begun.',
          description: 'MaxwellDown of maxwell1: 3 of 3 runs used',
          advice: 'Look\nSHOW BINARY LOGS',
          command: `pipemedic-remediator why ${episode.id}`,
          guard: 'budget: spent',
          action: 'maxwell.restart',
          policy: 'p',
        });
        assert.equal(alert.generatorURL, 'http://remediator:9931');
        const lastsMs = Date.parse(alert.endsAt) - Date.now();
        assert.ok(lastsMs > 200_000 && lastsMs <= 240_000, `ends in ${lastsMs} ms`);
      }

      // Not before its time; then again, while one peer is down.
      await second.stop();
      const before = (await first.alerts())[0]?.endsAt ?? '';
      await send();
      assert.equal((await first.alerts())[0]?.endsAt, before);
      clock.aheadMs += 60_000;
      await send();
      assert.ok(((await first.alerts())[0]?.endsAt ?? '') > before, 'its end was moved on');
      const [stored] = await store.escalationsOf(episode.id);
      assert.match(stored?.lastError ?? '', /ECONNREFUSED|refused/);
      assert.equal(stored?.tries, 1);
      assert.equal(await pending(), 0, 'people are told by the other one');

      // Both down: it counts, and it is not lost.
      await first.stop();
      clock.aheadMs += 200_000;
      await send();
      assert.equal(await pending(), 1);

      await second[Symbol.asyncDispose]();
      second = await startAlertmanager(ports[1], config);
      clock.aheadMs += 60_000;
      await send();
      assert.equal((await second.alerts()).length, 1);
      assert.equal(await pending(), 0);

      // Ended with the episode: gone from the peer that is there, tried again for the other one.
      await store.endEscalations(episode.id, clock.nowMs());
      await send();
      await waitFor(async () => (await second.alerts()).length === 0, { what: 'the alert to end' });
      assert.equal((await store.escalationsOf(episode.id))[0]?.state, 'ending');
      for (let i = 0; i < 25; i++) {
        clock.aheadMs += 60_000;
        await send();
      }
      assert.equal((await store.escalationsOf(episode.id))[0]?.state, 'done');
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  },
);
