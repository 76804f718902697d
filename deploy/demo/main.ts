// `make demo`: the main job on real servers, in one terminal. Healthy pipeline; Maxwell killed and repaired; a fault that
// must not be repaired. Exit code 0 only if every expectation held.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { startLab, waitFor, type Lab } from '../lab/lab.ts';
import { healthy } from './scene-healthy.ts';
import { refused } from './scene-refused.ts';
import { repaired } from './scene-repaired.ts';
import { createTimeline, type Timeline } from './timeline.ts';

/** The shipped policies, with the changes that a user makes who has come to trust them: by itself, and at any hour. */
function shippedPoliciesOnAuto(): unknown {
  const file = join(import.meta.dirname, '..', 'policies.example.yml');
  const { policies } = load(readFileSync(file, 'utf8')) as { policies: readonly Record<string, unknown>[] };
  return { policies: policies.map(({ windows: _hours, ...policy }) => ({ ...policy, mode: 'auto' })) };
}

function addresses(lab: Lab): string {
  return [
    `exporter      ${lab.urls.exporter}/metrics`,
    `remediator    ${lab.urls.remediator}/metrics`,
    `Prometheus    ${lab.urls.prometheus}/alerts`,
    ...lab.urls.alertmanagers.map((url) => `Alertmanager  ${url}/`),
    `folder        ${lab.dir}`,
    `commands      node_modules/.bin/node remediator/main.ts why MaxwellDown --config.file=${lab.files.pipemedic}`,
  ].join('\n');
}

async function play(lab: Lab, timeline: Timeline): Promise<void> {
  await healthy(lab, timeline);
  await repaired(lab, timeline);
  await refused(lab, timeline);
}

function summary(timeline: Timeline): boolean {
  const failed = timeline.expectations.filter((e) => !e.held);
  timeline.section('Result');
  for (const { what, detail } of failed) timeline.event(`✘ ${what}`, detail);
  timeline.event(
    `${timeline.expectations.length - failed.length} of ${timeline.expectations.length} expectations held`,
  );
  return failed.length === 0 && timeline.expectations.length > 0;
}

const timeline = createTimeline();
const stays = process.stdout.isTTY && process.env['DEMO_EXIT'] !== '1';
const ended = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    ended.abort(new Error(`ended by ${signal}`));
  });
}
const interrupted = new Promise<never>((_, reject) => {
  ended.signal.addEventListener('abort', () => {
    reject(ended.signal.reason as Error);
  });
});
interrupted.catch(() => undefined);

timeline.section('Starting real servers on a loopback address of their own');
let lab: Lab | undefined;
try {
  lab = await Promise.race([
    startLab({
      policies: shippedPoliciesOnAuto(),
      onReady: (name, tookMs) => {
        timeline.event(`${name} is ready`, `${(tookMs / 1000).toFixed(1)} s`);
      },
    }),
    interrupted,
  ]);
  timeline.event(
    `every duration of the shipped rules, and of Prometheus and Alertmanager, is divided by ${lab.timeFactor}; nothing else is changed`,
  );
  timeline.event(
    `Maxwell is ${lab.maxwellRelease ?? 'not there'}; the remediator's policies are the shipped ones, in mode auto, at any hour`,
  );
  await Promise.race([play(lab, timeline), interrupted]);
  process.exitCode = summary(timeline) ? 0 : 1;
  if (stays) {
    timeline.section('It stays up until Ctrl-C');
    timeline.block(addresses(lab));
    await waitFor(() => ended.signal.aborted, { deadlineMs: 2 ** 31 - 1, what: 'Ctrl-C', intervalMs: 200 });
  }
} catch (error) {
  if (!ended.signal.aborted) {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  }
  process.exitCode = ended.signal.aborted ? 130 : 1;
} finally {
  await lab?.stop();
}
// A start that was interrupted halfway is ended by the lab's reaper as soon as this process is gone.
process.exit();
