// Two Alertmanagers that know each other, and two that do not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startLab, waitFor } from '../../deploy/lab/lab.ts';

interface Status {
  readonly cluster: { readonly status: string; readonly peers?: readonly unknown[] };
}

const statusOf = async (url: string): Promise<Status> =>
  (await fetch(`${url}/api/v2/status`)).json() as Promise<Status>;

async function page(url: string): Promise<void> {
  const alert = { labels: { alertname: 'Twice', severity: 'critical' } };
  await fetch(`${url}/api/v2/alerts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify([alert]),
  });
}

test('with gossip they find each other', async () => {
  await using lab = await startLab({ parts: ['alertmanager'], alertmanagers: 2 });
  assert.equal(lab.urls.alertmanagers.length, 2);
  for (const url of lab.urls.alertmanagers) {
    await waitFor(async () => (await statusOf(url)).cluster.peers?.length === 2, {
      what: 'the peers',
    });
  }
});

test('without gossip each sends its own page', async () => {
  await using lab = await startLab({ parts: ['alertmanager'], alertmanagers: 2, gossip: false });
  for (const url of lab.urls.alertmanagers) {
    assert.equal((await statusOf(url)).cluster.status, 'disabled');
    await page(url);
  }
  await waitFor(() => lab.pages.length === 2, { what: 'both pages' });
  assert.notEqual(lab.part('alertmanager').pid, lab.part('alertmanager2').pid);
});
