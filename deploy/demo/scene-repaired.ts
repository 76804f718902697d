import { waitFor, type Lab } from '../lab/lab.ts';
import { firing, scalar } from './observe.ts';
import { newestRun, starts, story, why, type RunView } from './records.ts';
import { stages } from './scene-healthy.ts';
import type { Timeline } from './timeline.ts';

const isFiring = async (lab: Lab, alertname: string): Promise<boolean> =>
  (await firing(lab)).some((a) => a.labels['alertname'] === alertname);

const caught = (): undefined => undefined;

/** Shows the journal as it grows; resolves with the run once it has ended. */
async function follow(lab: Lab, timeline: Timeline): Promise<RunView | undefined> {
  let shown = 0;
  let state = '';
  return waitFor(
    async () => {
      const run = await newestRun(lab, 'MaxwellDown');
      if (run === undefined) return undefined;
      for (const entry of run.journal.slice(shown)) {
        const since = ((entry.atMs - run.claimedMs) / 1000).toFixed(1);
        const what = [entry.kind, entry.step, entry.outcome].filter((w) => w !== '' && w !== undefined && w !== null);
        timeline.event(`  run ${since.padStart(6)} s  ${what.join(' ')}`);
      }
      shown = run.journal.length;
      if (run.state !== state) {
        state = run.state;
        if (state === 'soaking') timeline.event('the data moves: now it is watched for the two minutes of the policy');
      }
      return run.state === 'ended' ? run : undefined;
    },
    { deadlineMs: 300_000, what: 'the end of the run', intervalMs: 700 },
  ).catch(caught);
}

export async function repaired(lab: Lab, timeline: Timeline): Promise<void> {
  timeline.section('2. Maxwell is killed (kill -9)');
  const startsBefore = starts(lab).length;
  const appliedBefore = await applied(lab);
  const pid = lab.part('maxwell').pid;
  await lab.part('maxwell').kill();
  timeline.event(`kill -9 ${pid ?? ''}`);
  const killed = performance.now();
  const seconds = (): string => `${((performance.now() - killed) / 1000).toFixed(1)} s after the kill`;

  const fired = await waitFor(() => isFiring(lab, 'MaxwellDown'), {
    deadlineMs: 60_000,
    what: 'MaxwellDown',
    intervalMs: 300,
  }).catch(caught);
  timeline.expect('MaxwellDown fires', fired === true);
  timeline.event(`alert ${seconds()}`);
  timeline.block(await stages(lab));

  const run = await follow(lab, timeline);
  timeline.expect('one run ended as verified', run?.outcome === 'verified', run?.because ?? 'there is no run');
  timeline.expect(
    "the process supervisor's own record shows exactly one start since",
    starts(lab).length === startsBefore + 1,
    `${starts(lab).length - startsBefore} starts`,
  );
  const resolved = await waitFor(async () => !(await isFiring(lab, 'MaxwellDown')), {
    deadlineMs: 60_000,
    what: 'MaxwellDown to resolve',
    intervalMs: 500,
  }).catch(caught);
  timeline.expect('the alert is resolved', resolved === true);
  const moved = await waitFor(async () => (await applied(lab)) > appliedBefore, {
    what: 'rows in Redis',
  }).catch(caught);
  timeline.expect('changes arrive in Redis again', moved === true);
  const lag = await waitFor(
    async () => {
      const now = await scalar(lab, 'pipeline_lag_seconds{pipeline="orders",method="computed"}');
      return now !== undefined && now < 10 ? { now } : undefined;
    },
    { deadlineMs: 60_000, what: 'a small lag', intervalMs: 500 },
  ).catch(caught);
  timeline.expect('the end-to-end lag is small again', lag !== undefined);
  timeline.block(await stages(lab));
  const closed = await waitFor(
    async () => {
      const { episode } = (await story(lab, 'MaxwellDown')) ?? {};
      return episode?.state === 'closed' ? (episode.outcome ?? 'closed') : undefined;
    },
    { deadlineMs: 90_000, what: 'the incident to close', intervalMs: 1_000 },
  ).catch(caught);
  timeline.expect('the incident is closed as repaired', closed === 'repaired', closed ?? 'still open');
  timeline.event('why it acted, in its own words:');
  timeline.block(await why(lab, 'MaxwellDown'));
}

/** Changes that the sink has applied to the Redis primary. */
async function applied(lab: Lab): Promise<number> {
  return lab.redis('redis', async (redis) => Number((await redis.get('sink:rows')) ?? '0'));
}
