// The remediator and two real Alertmanagers that do not know each other: both deliver, both are asked.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { waitFor } from '../../deploy/lab/ready.ts';
import type { Episode } from '../../remediator/model.ts';
import { alertmanagerProgram, routeTo, startAlertmanager } from '../support/alertmanager-process.ts';
import { freePort } from '../support/free-port.ts';
import { makeHome, startRemediator } from '../support/remediator-serve.ts';

const present = spawnSync(alertmanagerProgram, ['--version']).error === undefined;
const skip = present
  ? false
  : `${alertmanagerProgram} is not installed: nothing was tested against a real Alertmanager`;

test(
  'two real Alertmanagers: one episode, both deliveries; silenced, inhibited, active, absent as they say',
  { skip },
  async () => {
    const ports = [await freePort(), await freePort()] as const;
    await using home = await makeHome({ alertmanagers: ports.map((p) => `http://127.0.0.1:${p}`) });
    await using remediator = await startRemediator(home);
    const config = routeTo(`${remediator.url}/webhook/main`, home.file('token'));
    await using first = await startAlertmanager(ports[0], config);
    await using second = await startAlertmanager(ports[1], config);
    const labels = { alertname: 'Sick', target: 'nothing1', severity: 'critical' };
    const now = (): string => new Date().toISOString();
    const alert = { labels, annotations: { summary: 's' }, startsAt: now() };
    await first.post([alert]);
    await second.post([{ ...alert, startsAt: new Date(Date.now() - 900).toISOString() }]);

    const episode = async (): Promise<Episode | undefined> => {
      await using store = home.store();
      return (await store.openEpisodes()).find((e) => e.labels['alertname'] === 'Sick');
    };
    const id = await waitFor(
      async () => {
        await using store = home.store();
        const [one, ...more] = await store.openEpisodes();
        assert.deepEqual(more, []);
        return one !== undefined && (await store.webhooksOf(one.id)).length >= 2 ? one.id : undefined;
      },
      { what: 'both deliveries in one episode' },
    );
    const state = (wanted: Episode['alertState'], detail: RegExp): Promise<Episode> =>
      waitFor(
        async () => {
          const e = await episode();
          return e?.alertState === wanted && detail.test(e.alertDetail) ? e : undefined;
        },
        { deadlineMs: 60_000, what: `the alert to be ${wanted}` },
      );
    assert.deepEqual((await episode())?.labels, labels);
    await state('active', /^$/); // a poll has said so: a webhook leaves its own word
    for (const peer of [0, 1]) {
      assert.equal(await remediator.metric(`pipemedic_remediator_alertmanager_up{source="main",peer="${peer}"}`), 1);
    }

    // One peer that silences it is enough, whatever the other one says.
    const silence = await second.silence({ target: 'nothing1' });
    const silenced = await state('silenced', new RegExp(silence));
    assert.equal(silenced.id, id);
    await fetch(`${second.url}/api/v2/silence/${silence}`, { method: 'DELETE' });
    await state('active', /^$/);

    await first.post([{ labels: { alertname: 'Upstream', target: 'nothing1' }, startsAt: now() }]);
    await second.post([{ labels: { alertname: 'Upstream', target: 'nothing1' }, startsAt: now() }]);
    await state('inhibited', /[0-9a-f]{16}/);

    await second.stop();
    const gone = [labels, { alertname: 'Upstream', target: 'nothing1' }].map((l) => ({
      labels: l,
      startsAt: now(),
      endsAt: now(),
    }));
    await first.post(gone);
    const absent = await state('absent', /not every peer/);
    assert.equal(absent.state, 'open', 'without facts it stays open for a while');
    assert.equal(await remediator.metric('pipemedic_remediator_alertmanager_up{source="main",peer="1"}'), 0);
  },
);
