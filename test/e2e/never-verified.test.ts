// A restart that brings nothing back must not be called a success, however alive Maxwell looks: through the whole chain,
// from Prometheus's alert to what people receive.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scalar } from '../../deploy/demo/observe.ts';
import { waitFor, type Lab } from '../../deploy/lab/lab.ts';
import type { Page } from '../../deploy/lab/pager.ts';
import type { Run } from '../../remediator/model.ts';
import { account, quickPolicies, runsOf, startHealthyLab, startsIn, witnessOf } from '../support/e2e-lab.ts';

const parts = ['source', 'kafka', 'maxwell', 'writer', 'prometheus', 'alertmanager', 'exporter', 'remediator'] as const;

async function until<T>(lab: Lab, what: string, condition: () => Promise<T | undefined | false>): Promise<T> {
  try {
    return await waitFor(condition, { deadlineMs: 150_000, what, intervalMs: 300 });
  } catch (error) {
    throw new Error(await account(lab), { cause: error });
  }
}

function firstEnded(lab: Lab): Promise<Run> {
  return until(lab, 'the end of a run', async () => (await runsOf(lab)).find((run) => run.state === 'ended'));
}

function toldOf(lab: Lab, run: Run): Promise<Page> {
  return until(lab, 'RemediationFailed at people', () =>
    Promise.resolve(
      lab.pages.find(
        (page) =>
          page.labels['alertname'] === 'RemediationFailed' &&
          page.status === 'firing' &&
          page.receiver === 'critical' &&
          page.annotations['run'] === run.id,
      ),
    ),
  );
}

async function heartbeatMs(lab: Lab): Promise<number> {
  const [row] = await lab.sql('source', "SELECT heartbeat FROM maxwell.heartbeats WHERE client_id = 'maxwell'");
  return Number(row?.['heartbeat']);
}

test('Maxwell runs and reads nothing: its link to MySQL swallows everything', async (t) => {
  await using lab = await startHealthyLab({
    parts,
    policies: quickPolicies({ params: { verifySeconds: 8, stopSeconds: 3 }, maxRuns: 1 }),
  });
  const lines = witnessOf(lab).length;
  await lab.part('maxwell').kill();
  await lab.link('maxwell->source').blackhole();
  const run = await firstEnded(lab);
  assert.equal(run.outcome, 'failed', await account(lab));
  // It was started, its process lived on, and that was not enough
  assert.deepEqual(
    startsIn(witnessOf(lab).slice(lines)).map((line) => line.by),
    [`run:${run.id}`],
  );
  assert.match(run.because ?? '', /^verify_data: the data was not seen to move within 8 s/);
  assert.notEqual(lab.part('maxwell').pid, undefined);
  const page = await toldOf(lab, run);
  assert.equal(page.labels['target'], 'maxwell1');
  assert.match(page.annotations['description'] ?? '', /the data was not seen to move/);
  assert.notEqual(await scalar(lab, 'maxwell_state{state="running"}'), 1);

  // The budget is used up: nothing more is started, and nothing that is seen later makes it a success
  await lab.link('maxwell->source').restore();
  await until(lab, 'Maxwell to read again', async () => (await scalar(lab, 'maxwell_state{state="running"}')) === 1);
  const runs = await runsOf(lab);
  assert.deepEqual(
    runs.map(({ id, outcome }) => ({ id, outcome })),
    [{ id: run.id, outcome: 'failed' }],
  );
  t.diagnostic(run.because ?? '');
});

test('Maxwell ends again and again, each time with a fresh heartbeat', async (t) => {
  await using lab = await startHealthyLab({ parts, policies: quickPolicies({ maxRuns: 2 }) });
  const lines = witnessOf(lab).length;
  const maxwell = lab.part('maxwell');
  await maxwell.kill();
  // Each life of a real Maxwell is ended as soon as it has written its heartbeat, which it does at every start
  let lives = 0;
  const stopped = new AbortController();
  const killing = (async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      const started = startsIn(witnessOf(lab).slice(lines)).at(-1);
      if (
        maxwell.pid !== undefined &&
        started?.pid === maxwell.pid &&
        (await heartbeatMs(lab)) > Date.parse(started.at)
      ) {
        await maxwell.kill();
        lives += 1;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  try {
    const first = await firstEnded(lab);
    assert.equal(first.outcome, 'failed', await account(lab));
    assert.match(first.because ?? '', /it has ended again \(killed\)/);
    const page = await toldOf(lab, first);
    assert.match(page.annotations['description'] ?? '', /it has ended again/);
    const runs = await until(lab, 'the end of the next run', async () => {
      const ended = (await runsOf(lab)).filter((run) => run.state === 'ended');
      return ended.length === 2 && ended;
    });
    assert.deepEqual(
      runs.map((run) => run.outcome),
      ['failed', 'failed'],
    );
    assert.equal(startsIn(witnessOf(lab).slice(lines)).length, 2);
    assert.equal(lives, 2);
    // The heartbeat is as fresh as that of a healthy one
    const last = startsIn(witnessOf(lab).slice(lines)).at(-1);
    assert.ok((await heartbeatMs(lab)) > Date.parse(last?.at ?? ''));
    t.diagnostic(first.because ?? '');
  } finally {
    stopped.abort();
    await killing;
  }
});
