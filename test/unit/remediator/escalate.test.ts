import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failed, needsApproval, refused, stormy } from '../../../remediator/escalate.ts';
import type { Approval, Decision, Episode, Run, Storm } from '../../../remediator/model.ts';

const episode: Episode = {
  ...{ id: 'e1', source: 'main', ident: 'i', version: 1, startsWallMs: 0, firstSeenMs: 0, lastFiringMs: 0 },
  labels: { alertname: 'MaxwellDown', target: 'maxwell1', cluster: 'prod', severity: 'critical', priority: 'P0' },
  annotations: { summary: 'the alert’s own' },
  ...{ resolvedHintMs: undefined, truncated: false, alertState: 'active', alertDetail: '', alertSeenMs: 0 },
  ...{ state: 'open', attempts: 0, relapseOf: undefined, nextEvalMs: 0, closedMs: undefined, outcome: undefined },
};
const decision: Decision = {
  ...{ id: 'd1', episodeId: 'e1', episodeVersion: 1, policy: 'p', policyHash: 'h', action: 'maxwell.restart' },
  ...{ target: 'maxwell1', params: {}, verdict: 'refuse', reasonKey: 'error_class:position_lost' },
  because: 'the binlog file that it needs is gone',
  trace: [
    { guard: 'clock', result: 'allow', code: 'steady', because: '', inputs: {} },
    { guard: 'error_class', result: 'deny', code: 'position_lost', because: '', inputs: { secret: 'x' } },
  ],
  advice: [
    { title: 'Set the position', text: 'UPDATE maxwell.positions SET …;' },
    { title: 'Undo', text: 'UPDATE …;' },
  ],
  ...{ evidenceHash: undefined, firstMs: 0, lastMs: 0, repeats: 0 },
};
const run: Run = {
  ...{ id: 'r1', episodeId: 'e1', attempt: 1, decisionId: 'd1', action: 'maxwell.restart', planHash: 'h', policy: {} },
  ...{ params: {}, target: 'maxwell1', actor: 'auto', fence: 1, state: 'ended', claimedMs: 0, firstMutationMs: 0 },
  ...{
    endedMs: 0,
    cooldownUntilMs: 0,
    outcome: 'outcome_unknown',
    because: 'no answer in 15 s',
    evidencePath: '/e/r1',
  },
};

const common = {
  ...{ remediation: 'none', scope: 'remediation', generator: 'pipemedic', episode: 'e1' },
  ...{ target: 'maxwell1', source_alert: 'MaxwellDown', cluster: 'prod' },
};

test('a refusal: labels that never change with the reason, the reason in words, the prepared statements, the command', () => {
  const { labels, annotations, dedupeKey } = refused(episode, decision);
  assert.deepEqual(labels, { ...common, alertname: 'RemediationRefused', severity: 'warning', priority: 'P2' });
  assert.deepEqual(annotations, {
    summary: 'A repair was not begun.',
    description: 'MaxwellDown of maxwell1: the binlog file that it needs is gone',
    advice: 'Set the position\nUPDATE maxwell.positions SET …;\n\nUndo\nUPDATE …;',
    command: 'pipemedic-remediator why e1',
    guard: 'error_class: position_lost',
    action: 'maxwell.restart',
    policy: 'p',
  });
  assert.deepEqual(refused(episode, { ...decision, reasonKey: 'other', because: 'x' }).labels, labels);
  assert.notEqual(refused(episode, { ...decision, reasonKey: 'other' }).dedupeKey, dedupeKey);
  assert.equal(refused(episode, { ...decision, id: 'd2', repeats: 5 }).dedupeKey, dedupeKey);
});

test('inputs of guards are not told: they may hold what is not for every channel', () => {
  assert.ok(!JSON.stringify(refused(episode, decision)).includes('secret'));
});

test('a failure is critical, names the run and its outcome, and is one per run', () => {
  const { labels, annotations, dedupeKey } = failed(episode, run, decision.advice);
  assert.deepEqual(labels, { ...common, alertname: 'RemediationFailed', severity: 'critical', priority: 'P1' });
  assert.equal(
    annotations['description'],
    'MaxwellDown of maxwell1: maxwell.restart of maxwell1: outcome_unknown. no answer in 15 s',
  );
  assert.deepEqual(
    [annotations['run'], annotations['outcome'], annotations['evidence'], annotations['command']],
    ['r1', 'outcome_unknown', '/e/r1', 'pipemedic-remediator why r1'],
  );
  assert.notEqual(failed(episode, { ...run, id: 'r2' }).dedupeKey, dedupeKey);
});

test('what is not there is left out: no empty labels', () => {
  const bare = { ...episode, labels: { alertname: 'X' } };
  const { labels, annotations } = refused(bare, {
    ...decision,
    target: undefined,
    policy: undefined,
    advice: [],
  });
  assert.deepEqual([labels['target'], labels['cluster']], [undefined, undefined]);
  assert.equal(labels['alertname'], 'RemediationRefused');
  assert.ok(!('advice' in annotations) && !('policy' in annotations));
  for (const value of [...Object.values(labels), ...Object.values(annotations)]) assert.notEqual(value, '');
});

test('a question names who may answer, how long it stands, and the exact commands', () => {
  const approval: Approval = {
    ...{ id: 'a1', episodeId: episode.id, decisionId: decision.id, policy: 'p', action: 'maxwell.restart' },
    ...{ target: 'maxwell1', policyHash: 'p', evidenceHash: 'e', paramsHash: 'x', role: 'dba' },
    ...{ planHash: 'h', plan: null },
    ...{ requestedMs: 0, expiresMs: 1_800_000, state: 'requested', decidedBy: undefined, decidedMs: undefined },
    ...{ comment: undefined, usedByRun: undefined },
  };
  const { labels, annotations, dedupeKey } = needsApproval(episode, decision, approval, 1_800_000);
  assert.deepEqual([labels['alertname'], labels['severity']], ['RemediationNeedsApproval', 'warning']);
  assert.deepEqual(
    [annotations['command'], annotations['reject_command'], annotations['approval'], annotations['role']],
    ['pipemedic-remediator approve a1', 'pipemedic-remediator reject a1', 'a1', 'dba'],
  );
  assert.match(
    annotations['description'] ?? '',
    /maxwell\.restart of maxwell1 begins when somebody with the role dba agrees within 30 min/,
  );
  // Alertmanager tells people of a new alert at once; of new words of an old one only after repeat_interval.
  const next = needsApproval(episode, decision, { ...approval, id: 'a2' }, 1);
  assert.notEqual(next.dedupeKey, dedupeKey);
  assert.deepEqual([labels['approval'], next.labels], ['a1', { ...labels, approval: 'a2' }]);
});

test('a storm is one message, without a target', () => {
  const inputs = { firing: ['a', 'b', 'c'], truncated: [], of: 5 };
  const storm: Storm = { state: 'active', enteredMs: 7, cooldownUntilMs: undefined, inputs };
  const { labels, annotations, dedupeKey } = stormy(storm);
  assert.deepEqual(
    [labels['alertname'], labels['severity'], labels['target']],
    ['RemediationStorm', 'critical', undefined],
  );
  assert.match(annotations['description'] ?? '', /3 of 5 targets alert: a, b, c\./);
  assert.equal(stormy({ ...storm, cooldownUntilMs: 9 }).dedupeKey, dedupeKey);
  const cut = stormy({ ...storm, inputs: { ...inputs, truncated: ['a'] } });
  assert.match(cut.annotations['description'] ?? '', /has cut groups of alerts: a\./);
});
