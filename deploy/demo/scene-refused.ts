import { waitFor, type Lab } from '../lab/lab.ts';
import { alertmanagerAlerts, firing } from './observe.ts';
import { starts, story, why } from './records.ts';
import type { Timeline } from './timeline.ts';

/** The binlog that Maxwell needs is purged while it is down: a restart cannot help, and a person must decide. */
export async function refused(lab: Lab, timeline: Timeline): Promise<void> {
  timeline.section('3. Maxwell is killed, and the binlog that it needs is purged');
  const before = await story(lab, 'MaxwellDown');
  const startsBefore = starts(lab).length;
  await lab.part('maxwell').kill();
  timeline.event('kill -9 of Maxwell');
  const left = await lab.purgeBinlogs();
  timeline.event(`binlogs purged on the source, as an expiry set too short does`, `oldest one left: ${left}`);

  const alerts = await waitFor(
    async () => {
      const names = new Set((await firing(lab)).map((a) => a.labels['alertname']));
      return names.has('MaxwellPositionLost') && names.has('MaxwellDown');
    },
    { deadlineMs: 60_000, what: 'MaxwellDown and MaxwellPositionLost', intervalMs: 300 },
  ).catch(() => false);
  timeline.expect('MaxwellDown and MaxwellPositionLost fire', alerts);

  const decided = await waitFor(
    async () => {
      const now = await story(lab, 'MaxwellDown');
      if (now === undefined || now.episode.id === before?.episode.id) return undefined;
      return now.decisions.find((d) => d.reasonKey.includes('binlog_purged'));
    },
    { deadlineMs: 60_000, what: 'a refusal', intervalMs: 500 },
  ).catch(() => undefined);
  timeline.expect(
    'the remediator refuses, and says why',
    decided?.verdict === 'refuse',
    decided?.verdict ?? 'no decision',
  );
  timeline.event(decided?.because ?? 'no decision');
  timeline.expect(
    'the statement for a person is prepared, with its undo',
    decided?.advice.some((a) => /UPDATE|init_position/.test(a.text)) === true,
  );

  const escalated = await waitFor(
    async () => (await alertmanagerAlerts(lab)).find((a) => a.labels['alertname'] === 'RemediationRefused'),
    { deadlineMs: 60_000, what: 'RemediationRefused in Alertmanager', intervalMs: 500 },
  ).catch(() => undefined);
  timeline.expect('the refusal is in Alertmanager', escalated !== undefined);
  const paged = await waitFor(
    () => lab.pages.find((p) => p.labels['alertname'] === 'RemediationRefused' && p.status === 'firing'),
    { deadlineMs: 60_000, what: 'a page', intervalMs: 500 },
  ).catch(() => undefined);
  timeline.expect('people are told', paged !== undefined);
  timeline.expect(
    'Maxwell was not started',
    starts(lab).length === startsBefore,
    `${starts(lab).length - startsBefore} starts`,
  );
  timeline.event('what a person reads: pipemedic-remediator why MaxwellDown');
  timeline.block(await why(lab, 'MaxwellDown'));
}
