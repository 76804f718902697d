// policies.yml beyond a single policy: hours, chains, limits, maintenance, and the rules that it answers.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { pathText } from '../../../exporter/config/places.ts';
import { ConfigError } from '../../../exporter/runtime/errors.ts';
import { defaultLimits, loadPolicies, longestWindowMs, policyFileOf } from '../../../remediator/policies.ts';
import { unansweredAlerts } from '../../../remediator/policy-rules.ts';
import { windowAt, windowText } from '../../../remediator/windows.ts';
import { inventoryWith } from './evaluator-bench.ts';

const actions = [
  { name: 'a.one', kinds: ['fake'], params: z.strictObject({}) },
  {
    ...{ name: 'a.channel', kinds: ['fake'], objectLabels: { channel: 'channel_name' } },
    params: z.strictObject({ channel: z.string().min(1), force: z.boolean().default(false) }),
  },
  { name: 'a.last', kinds: ['fake'], params: z.strictObject({}), highestMode: 'approve' as const },
];
const policy = { name: 'p', match: { alertname: 'Sick' }, action: 'a.one' };
const nights = { days: ['mon', 'fri'], from: '22:00', to: '06:00', timezone: 'Europe/Berlin' };

function problems(document: object): readonly string[] {
  try {
    policyFileOf(document, 'policies.yml', actions, inventoryWith(['svc1']));
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems;
  }
  return [];
}

test('everything that may stand in it is read', () => {
  const read = policyFileOf(
    {
      policies: [
        {
          ...policy,
          mode: 'approve',
          pace: { max_runs: 2, max_runs_total: 5, max_relapses: 1 },
          windows: [nights, { from: '00:00', to: '24:00', timezone: 'UTC' }],
          approval: { role: 'dba', expires: '30m' },
          then: [
            { action: 'a.channel', params: { force: true } },
            { action: 'a.last', mode: 'observe' },
          ],
        },
      ],
      limits: { global: { max_runs: 4, window: '2h', max_concurrent: 2 }, storm: { min_targets: 5, percent: 30 } },
      maintenance: [{ scope: 'target:svc1', windows: [nights], reason: 'backup' }],
      rules: ['rules/*.yml'],
    },
    '/etc/policies.yml',
    actions,
    inventoryWith(['svc1']),
  );
  const berlin = { days: [1, 5], fromMinute: 1320, toMinute: 360, timezone: 'Europe/Berlin' };
  const [only] = read.policies;
  assert.deepEqual(only?.windows, [
    berlin,
    { days: [1, 2, 3, 4, 5, 6, 7], fromMinute: 0, toMinute: 1440, timezone: 'UTC' },
  ]);
  assert.deepEqual(only.pace, {
    ...{ maxRuns: 2, windowMs: 3_600_000, cooldownMs: 300_000, maxRelapses: 1, maxRunsTotal: 5 },
  });
  assert.deepEqual(only.approval, { role: 'dba', expiresMs: 1_800_000 });
  assert.deepEqual(only.chain, [
    { action: 'a.channel', params: { force: true }, mode: 'approve' },
    { action: 'a.last', params: {}, mode: 'observe' },
  ]);
  assert.deepEqual(read.limits.global, { maxRuns: 4, windowMs: 7_200_000, maxConcurrent: 2 });
  assert.deepEqual([read.limits.storm.minTargets, read.limits.storm.percent], [5, 30]);
  assert.deepEqual(read.limits.maintenance, [{ scope: 'target:svc1', windows: [berlin], reason: 'backup' }]);
  assert.deepEqual(read.rules, ['/etc/rules/*.yml']);
  assert.equal(longestWindowMs(read.policies, read.limits), 7_200_000);
});

test('what is left out is safe: little, one at a time, a storm from 3 targets and 40 % on', () => {
  assert.deepEqual(defaultLimits, {
    global: { maxRuns: 10, windowMs: 3_600_000, maxConcurrent: 1 },
    storm: { minTargets: 3, percent: 40, windowMs: 600_000, cooldownMs: 600_000 },
    maintenance: [],
  });
});

const wrong: readonly (readonly [change: object, path: RegExp])[] = [
  [{ windows: [{ ...nights, timezone: 'Mars/Base' }] }, /^policies\[0\]\.windows\[0\]\.timezone: .*Europe\/Berlin/],
  [{ windows: [{ ...nights, from: '25:00' }] }, /^policies\[0\]\.windows\[0\]\.from: .*time of day/],
  [{ windows: [{ ...nights, from: 1320 }] }, /^policies\[0\]\.windows\[0\]\.from: .*quoted/],
  [{ windows: [{ ...nights, to: '22:00' }] }, /^policies\[0\]\.windows\[0\]: .*differ/],
  [{ windows: [{ ...nights, days: ['someday'] }] }, /^policies\[0\]\.windows\[0\]\.days\[0\]: "someday" is not known/],
  [{ windows: [{ ...nights, zone: 'UTC' }] }, /^policies\[0\]\.windows\[0\]\.zone: no such key/],
  [{ action: 'a.last', mode: 'auto' }, /^policies\[0\]\.mode: a\.last is never done without a person/],
  [{ then: [{ action: 'a.gone' }] }, /^policies\[0\]\.then\[0\]\.action: there is no action a\.gone/],
  [{ then: [{ action: 'a.one', mode: 'auto' }] }, /^policies\[0\]\.then\[0\]\.mode: auto is above the policy's own/],
  [{ then: [{ action: 'a.one', params: { x: 1 } }] }, /^policies\[0\]\.then\[0\]\.params/],
  [{ action: 'a.channel', params: { channel: 1 } }, /^policies\[0\]\.params\.channel/],
  [{ pace: { max_runs: 5, max_runs_total: 3 } }, /^policies\[0\]\.pace\.max_runs_total: 3 is less/],
  [{ approval: { expires: '0s' } }, /^policies\[0\]\.approval\.expires/],
  [{ polcy: 1 }, /^policies\[0\]\.polcy: no such key/],
];
for (const [change, path] of wrong) {
  test(`named with its path and the fix: ${JSON.stringify(change)}`, () => {
    const found = problems({ policies: [{ ...policy, ...change }] });
    assert.ok(
      found.some((p) => path.test(p)),
      JSON.stringify(found),
    );
  });
}

test('limits and maintenance are named with their paths too', () => {
  const at = (more: object): string => problems({ policies: [policy], ...more }).join('\n');
  assert.match(at({ limits: { storm: { min_targets: 1 } } }), /^limits\.storm\.min_targets: 1 is too small/);
  assert.match(at({ limits: { global: { max_concurrent: 0 } } }), /^limits\.global\.max_concurrent/);
  const work = { windows: [nights], reason: 'x' };
  assert.match(
    at({ maintenance: [{ ...work, scope: 'target:gone' }] }),
    /^maintenance\[0\]\.scope: .* Name one of: svc1/,
  );
  assert.match(at({ maintenance: [{ ...work, scope: 'all' }] }), /^maintenance\[0\]\.scope: .*pipeline:NAME/);
});

test('a parameter that names the object may be left to the labels of the alert', () => {
  assert.deepEqual(problems({ policies: [{ ...policy, action: 'a.channel' }] }), []);
});

const berlinNights = { days: [1], fromMinute: 1320, toMinute: 360, timezone: 'Europe/Berlin' };
const hours: readonly (readonly [at: string, inside: boolean])[] = [
  ['2026-03-23T20:59:59Z', false], // Monday 21:59:59, UTC+1
  ['2026-03-23T21:00:00Z', true],
  ['2026-03-24T04:59:59Z', true], // Tuesday 05:59:59: the night of Monday
  ['2026-03-24T05:00:00Z', false],
  ['2026-03-24T21:30:00Z', false], // Tuesday evening
  ['2026-03-30T20:00:00Z', true], // summer time since the day before: 22:00 at UTC+2
  ['2026-03-30T19:59:59Z', false],
];
for (const [at, inside] of hours) {
  test(`the night of Monday in Berlin at ${at}: ${inside ? 'inside' : 'outside'}`, () => {
    assert.equal(windowAt([berlinNights], Date.parse(at), 'every') !== undefined, inside);
  });
}

test('a window by day, and as text', () => {
  const days = { days: [6, 7], fromMinute: 480, toMinute: 1440, timezone: 'UTC' };
  assert.equal(windowAt([days], Date.parse('2026-11-21T23:59:59Z'), 'every'), days); // Saturday
  assert.equal(windowAt([days], Date.parse('2026-11-23T09:00:00Z'), 'every'), undefined);
  assert.equal(windowText(days), 'Sat,Sun 08:00-24:00 UTC');
});

test('policies are compared with the rules that they answer', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'pipemedic-policies-'));
  try {
    const rules = `groups:
- name: g
  rules:
  - alert: Sick
    expr: up == 0
    labels: {severity: critical, team: '{{ $labels.team }}'}
  - record: x
    expr: up
`;
    await writeFile(join(dir, 'one.rules.yml'), rules);
    const file = join(dir, 'policies.yml');
    const check = async (policies: readonly object[], globs = ['*.rules.yml']): Promise<string> => {
      await writeFile(file, JSON.stringify({ policies, rules: globs }));
      const found = await unansweredAlerts(await loadPolicies(file, actions));
      return found.map(({ path, reason }) => `${pathText(path)}: ${reason}`).join('\n');
    };
    const fine = { ...policy, match: { alertname: 'Sick', severity: 'critical', team: 'a', target: 'svc1' } };
    assert.equal(await check([fine]), '');
    assert.equal(await check([{ ...policy, match: { alertname: 'Gone' } }], []), '');
    assert.match(
      await check([fine, { ...policy, name: 'q', match: { alertname: 'Sik' } }]),
      /^policies\[1\]\.match\.alertname: no rule raises Sik\. Name one of: Sick$/,
    );
    const many = Array.from({ length: 100 }, (_, i) => `  - {alert: Other${String(i)}, expr: up}\n`).join('');
    await writeFile(join(dir, 'many.rules.yml'), `groups:\n- name: more\n  rules:\n${many}`);
    assert.match(
      await check([fine, { ...policy, name: 'q', match: { alertname: 'Sik' } }]),
      /no rule raises Sik\. Name one of: Sick, .{1,200} and 89 more$/,
    );
    await rm(join(dir, 'many.rules.yml'));
    assert.match(
      await check([{ ...policy, match: { alertname: 'Sick', severity: 'warning' } }]),
      /^policies\[0\]\.match\.severity: warning is never the value of this label of Sick: it is critical/,
    );
    assert.match(await check([fine], ['*.rules.yml', 'none/*.yml']), /^rules\[1\]: no file fits .*none\/\*\.yml/);
    assert.match(await check([fine], ['none/*.yml']), /^rules\[0\]: no file fits [^\n]*$/, 'policies are not blamed');
    await writeFile(
      join(dir, 'two.rules.yml'),
      rules.replace('Sick', 'Left').replace('severity', 'remediation: human, severity'),
    );
    assert.match(
      await check([fine, { ...policy, name: 'q', match: { alertname: 'Left' } }]),
      /^policies\[1\]\.match\.alertname: Left has the label remediation: human, so the route [^\n]* never brings it here\. Write [^\n]*$/,
    );
    await writeFile(join(dir, 'two.rules.yml'), 'groups: 7');
    assert.match(await check([fine]), /^rules\[0\]: .*two\.rules\.yml: it does not hold groups with rules/);
  } finally {
    await rm(dir, { recursive: true });
  }
});

test('a policy that can never be reached, and a label that can never fit, are said', () => {
  const narrow = { ...policy, name: 'narrow', match: { alertname: 'Sick', target: 'svc1' }, mode: 'observe' };
  const wide = { ...policy, name: 'wide', mode: 'auto' };
  assert.deepEqual(problems({ policies: [narrow, wide] }), []);
  assert.deepEqual(problems({ policies: [wide, narrow] }), [
    'policies[1].match: policy wide above takes every alert that fits here. Write narrow before it, or match other labels',
  ]);
  const [empty = ''] = problems({ policies: [{ ...policy, match: { alertname: 'Sick', channel_name: '' } }] });
  assert.match(empty, /policies\[0\]\.match\.channel_name: .*never fits/);
  const never = { ...nights, from: '24:00', to: '00:00' };
  const [hours = ''] = problems({
    policies: [policy],
    maintenance: [{ scope: 'global', windows: [never], reason: 'x' }],
  });
  assert.match(hours, /maintenance\[0\]\.windows\[0\]\.from: .*midnight is "00:00"/);
});
