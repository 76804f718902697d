// Two Alertmanagers that do not know each other: each delivers the same alert, at the same time and long afterwards. It is
// one incident all the same, and one repair.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DatabaseSync } from 'node:sqlite';
import { gunzipSync } from 'node:zlib';
import { waitFor, type Lab } from '../../deploy/lab/lab.ts';
import type { Decision, Run } from '../../remediator/model.ts';
import type { Story } from '../../remediator/runs-view.ts';
import {
  account,
  heldBy,
  peerUrl,
  quickPolicies,
  runsOf,
  startHealthyLab,
  startsIn,
  storyOf,
  witnessOf,
} from '../support/e2e-lab.ts';

let lab: Lab;

before(async () => {
  lab = await startHealthyLab({
    parts: ['source', 'kafka', 'maxwell', 'writer', 'prometheus', 'alertmanager', 'exporter', 'remediator'],
    alertmanagers: 2,
    gossip: false,
    policies: quickPolicies({ maxRuns: 10 }), // the budget is not what must keep it from a second run
  });
});
after(async () => {
  await lab.stop();
});

interface Delivery {
  /** URL of the Alertmanager that sent it: its own word, in the stored body. */
  readonly peer: string;
  readonly status: string;
  readonly receivedMs: number;
}

/** What is stored of the alert, read past the remediator. */
function deliveries(alertname: string): readonly Delivery[] {
  using db = new DatabaseSync(join(lab.dir, 'remediator', 'remediator.db'), { readOnly: true });
  const rows = db.prepare('SELECT received_ms AS receivedMs, body_gz AS body FROM webhook ORDER BY id').all();
  return rows.flatMap(({ receivedMs, body }) => {
    const document = JSON.parse(gunzipSync(body as Uint8Array).toString('utf8')) as {
      externalURL: string;
      alerts: readonly { status: string; labels: Readonly<Record<string, string>> }[];
    };
    return document.alerts
      .filter((alert) => alert.labels['alertname'] === alertname)
      .map(({ status }) => ({ peer: document.externalURL, status, receivedMs: Number(receivedMs) }));
  });
}

function firingFrom(peer: number, afterMs = 0): readonly Delivery[] {
  const url = peerUrl(lab, peer);
  return deliveries('MaxwellDown').filter((d) => d.peer === url && d.status === 'firing' && d.receivedMs > afterMs);
}

async function nextRunEnds(known: readonly Run[]): Promise<Run> {
  return await waitFor(
    async () => (await runsOf(lab)).find((run) => run.state === 'ended' && !known.some((k) => k.id === run.id)),
    { deadlineMs: 120_000, what: 'the end of a run', intervalMs: 300 },
  ).catch(async (error: unknown) => {
    throw new Error(await account(lab), { cause: error });
  });
}

test('both deliver the same alert: two deliveries are stored, one run, one start', async () => {
  const before = witnessOf(lab).length;
  await lab.part('maxwell').kill();
  const run = await nextRunEnds([]);
  assert.equal(run.outcome, 'verified', run.because);
  await waitFor(() => firingFrom(0).length > 0 && firingFrom(1).length > 0, {
    what: 'a stored delivery from each of them',
    detail: () => JSON.stringify(deliveries('MaxwellDown')),
  });
  const story = await storyOf(lab, 'MaxwellDown');
  assert.ok((story?.deliveries.filter((d) => d.status === 'firing').length ?? 0) >= 2, await account(lab));
  assert.equal(story?.others, 0, 'both belong to one incident');
  assert.deepEqual(
    (await runsOf(lab)).map((r) => r.id),
    [run.id],
  );
  assert.deepEqual(
    startsIn(witnessOf(lab).slice(before)).map((line) => line.by),
    [`run:${run.id}`],
  );
});

test('one of them hangs, and delivers when the run has ended and its cooldown is over: still one run', async () => {
  // Else it would take the second incident for the first one, of which it has told already
  const resolved = (peer: number): boolean =>
    deliveries('MaxwellDown').some((d) => d.peer === peerUrl(lab, peer) && d.status === 'resolved');
  await waitFor(() => resolved(0) && resolved(1), { deadlineMs: 60_000, what: 'the end of the first incident' });
  const known = await runsOf(lab);
  const lines = witnessOf(lab).length;
  const late = lab.part('alertmanager2');
  late.freeze();
  let run: Run;
  let alert: Awaited<ReturnType<typeof heldBy>>[number];
  try {
    await lab.part('maxwell').kill();
    alert = await waitFor(async () => (await heldBy(lab, 0)).find((a) => a.labels['alertname'] === 'MaxwellDown'), {
      deadlineMs: 60_000,
      what: 'MaxwellDown at the first Alertmanager',
      intervalMs: 200,
    });
    run = await nextRunEnds(known);
    assert.equal(run.outcome, 'verified', run.because);
    assert.equal(firingFrom(1, run.claimedMs).length, 0);
    // It delivers what it holds as soon as it goes on: that shall be late enough too
    const cooledMs = run.cooldownUntilMs ?? 0;
    await waitFor(() => Date.now() > cooledMs, { what: 'the end of the cooldown' });
  } finally {
    late.thaw();
  }
  const endedMs = run.endedMs ?? 0;
  assert.ok(endedMs > 0);
  const cooledMs = run.cooldownUntilMs ?? 0;
  // What hung on the way to it: the alert as Prometheus had sent it to both, with the same start
  const delivered = await waitFor(
    async () => {
      const answer = await fetch(`${peerUrl(lab, 1)}/api/v2/alerts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify([
          {
            labels: alert.labels,
            annotations: alert.annotations,
            startsAt: alert.startsAt,
            endsAt: new Date(Date.now() + 60_000).toISOString(),
          },
        ]),
        signal: AbortSignal.timeout(10_000),
      });
      await answer.arrayBuffer();
      return firingFrom(1, Math.max(endedMs, cooledMs)).at(-1);
    },
    { deadlineMs: 60_000, what: 'the late delivery', intervalMs: 1_000 },
  );
  assert.ok(delivered.receivedMs > endedMs);
  // Either it was looked at, and what was seen is why nothing was done, or its incident had been closed meanwhile: then it
  // is kept as a late copy of what is over.
  const newestOf = (story: Story | undefined): Decision | undefined =>
    story?.decisions.toSorted((a, b) => b.lastMs - a.lastMs)[0];
  const story = await waitFor(
    async () => {
      const now = await storyOf(lab, 'MaxwellDown');
      const wasLookedAt = (newestOf(now)?.lastMs ?? 0) > delivered.receivedMs;
      const isKept = now?.deliveries.some((d) => d.receivedMs === delivered.receivedMs) ?? false;
      return (wasLookedAt || (now?.episode.state === 'closed' && isKept)) && now;
    },
    { deadlineMs: 60_000, what: 'the late delivery to be looked at, or kept with what is closed', intervalMs: 500 },
  ).catch(async (error: unknown) => {
    throw new Error(await account(lab), { cause: error });
  });
  const newest = newestOf(story);
  assert.equal(newest?.verdict, 'hold');
  if (newest.lastMs > delivered.receivedMs) {
    assert.equal(newest.trace.find((g) => g.guard === 'already_fixed')?.result, 'deny', await account(lab));
  }
  assert.equal((await runsOf(lab)).length, known.length + 1);
  assert.deepEqual(
    startsIn(witnessOf(lab).slice(lines)).map((line) => line.by),
    [`run:${run.id}`],
  );
});
