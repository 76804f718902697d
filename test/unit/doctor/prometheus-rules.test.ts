import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  LoadedGroup,
  LoadedRule,
  PrometheusFacts,
  ScrapeTarget,
} from '../../../exporter/doctor/prometheus-facts.ts';
import {
  reallyDiffering,
  ruleFindings,
  shortestRangeMs,
  suspectsIn,
} from '../../../exporter/doctor/prometheus-rules.ts';
import {
  plainExpression,
  rangesMs,
  readShippedRules,
  rulesFolder,
  type ShippedGroup,
} from '../../../exporter/doctor/shipped-rules.ts';
import type { Finding } from '../../../exporter/findings.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { known, unknown, type Known } from '../../../exporter/runtime/known.ts';

const shipped: readonly ShippedGroup[] = [
  {
    name: 'one',
    file: 'one.rules.yml',
    rules: [
      { name: 'Down', expr: 'max by (target) (x == 0)', forSeconds: 60, labels: { severity: 'critical' } },
      { name: 'Down', expr: 'rate(y[10m]) > 1', forSeconds: 0, labels: { severity: 'warning' } },
      { name: 'r:x', expr: "max_over_time(x{a='b'}[5m])", forSeconds: undefined, labels: {} },
    ],
  },
  { name: 'two', file: 'two.rules.yml', rules: [] },
];
const rule = (name: string, query: string, more: Partial<LoadedRule> = {}): LoadedRule => ({
  name,
  query,
  health: 'ok',
  lastError: '',
  forSeconds: undefined,
  labels: {},
  ...more,
});
const rules = [
  rule('Down', 'max by(target) (x == 0)', { forSeconds: 60, labels: { severity: 'critical' } }),
  rule('Down', 'rate(y[10m]) > 1', { forSeconds: 0, labels: { severity: 'warning' } }),
  rule('r:x', 'max_over_time(x{a="b"}[5m])'),
];
const group = (more: Partial<LoadedGroup> = {}): LoadedGroup => ({
  name: 'one',
  file: '/etc/one.rules.yml',
  intervalSeconds: 15,
  lastEvaluationMs: 1_000_000,
  evaluationSeconds: 0.01,
  rules,
  ...more,
});
const two = group({ name: 'two', file: '/etc/two.rules.yml', rules: [] });
const facts = (groups: Known<readonly LoadedGroup[]>): PrometheusFacts => {
  const none = unknown('not asked');
  return {
    version: none, clock: none, targets: none, jobs: none, rules: groups, alertmanagers: none, served: none,
    queued: none, builds: none, inventory: none, jobNames: none, samples: none, dropped: none,
    durations: none,
  }; // prettier-ignore
};
const look = (...groups: LoadedGroup[]): readonly Finding[] =>
  ruleFindings(facts(known(groups, 0)), {
    shipped,
    differing: suspectsIn(shipped, groups),
    version: '1.0.0',
    folder: '/usr/rules',
    nowMs: 1_010_000,
  });
const notRight = (found: readonly Finding[]): readonly Finding[] => found.filter(({ ok }) => ok !== true);

test('all groups, in other white space and quotes: nothing is wrong', () => {
  assert.deepEqual(
    notRight(look(group(), two, group({ name: 'of others', rules: [rule('Z', 'z', { health: 'err' })] }))),
    [],
  );
});

const wrongs: readonly (readonly [string, LoadedGroup[], check: string, severity: string, text: RegExp])[] = [
  ['none', [group({ name: 'of others' })], 'prometheus_rules', 'critical', /none of the 2 groups/],
  ['a group is missing', [group()], 'prometheus_rules', 'warning', /1 of 2 groups are not loaded: two \(two\.rules\.yml\)/],
  ['a rule is missing', [group({ rules: rules.slice(1) }), two], 'prometheus_rules', 'warning', /1 rules are missing .*: Down$/],
  ['a group is there twice', [group(), group({ file: '/old.yml' }), two], 'prometheus_rules', 'warning', /one from \/etc\/one\.rules\.yml and \/old\.yml/],
  ['another expression', [group({ rules: [...rules.slice(0, 2), rule('r:x', 'x')] }), two], 'prometheus_rules_version', 'warning', /1 rules are not as those of 1\.0\.0: r:x\./],
  ['another duration', [group({ rules: rules.map((r) => ({ ...r, forSeconds: 5 })) }), two], 'prometheus_rules_version', 'warning', /1 rules are not as .*: Down\./],
  ['another label', [group({ rules: [...rules.slice(0, 2), rule('r:x', rules[2]?.query ?? ''), rule('New', 'x')] }), two], 'prometheus_rules_version', 'warning', /1 are unknown to 1\.0\.0: New\./],
  ['a rule fails', [group({ rules: [...rules.slice(0, 2), rule('r:x', rules[2]?.query ?? '', { health: 'err', lastError: 'many-to-many matching not allowed' })] }), two], 'prometheus_rules_health', 'critical', /1 rules fail \(r:x\): many-to-many/],
  ['slow', [group({ evaluationSeconds: 20 }), two], 'prometheus_rules_evaluation', 'warning', /one 20s of 15s/],
  ['rarely evaluated', [group({ intervalSeconds: 300 }), two], 'prometheus_rules_evaluation', 'warning', /too rarely, so that alerts come late: one every 5m$/],
  ['late', [group({ lastEvaluationMs: 900_000 }), two], 'prometheus_rules_evaluation', 'critical', /one was evaluated 110s ago, each 15s/],
]; // prettier-ignore
for (const [name, groups, check, severity, text] of wrongs) {
  test(`wrong: ${name}`, () => {
    const found = notRight(look(...groups));
    assert.deepEqual(
      found.map((f) => [f.check, f.ok, f.severity]),
      [[check, false, severity]],
    );
    assert.match(found[0]?.text ?? '', text);
    assert.notEqual(found[0]?.fix, undefined);
  });
}

test('rules on the remediator are wanted where there is one, and only there', () => {
  const withIt: readonly ShippedGroup[] = [...shipped, { name: 'pipemedic-remediator', file: 'r.yml', rules: [] }];
  const of = (job: string | undefined, ...groups: LoadedGroup[]): readonly string[] => {
    const targets = job === undefined ? unknown('403') : known([{ labels: { job } } as unknown as ScrapeTarget], 0);
    const how = { shipped: withIt, differing: [], version: '', folder: '', nowMs: 1_010_000 };
    return notRight(ruleFindings({ ...facts(known(groups, 0)), targets }, how)).map(({ text }) => text);
  };
  const its = group({ name: 'pipemedic-remediator', rules: [] });
  assert.deepEqual(of('pipemedic', group(), two), []);
  assert.match(of('pipemedic', group(), two, its)[0] ?? '', /RemediatorAbsent fires for ever/);
  assert.match(of('pipemedic-remediator', group(), two)[0] ?? '', /1 of 3 groups are not loaded: pipemedic-remediator/);
  assert.deepEqual(of('pipemedic-remediator', group(), two, its), []);
  assert.deepEqual(of(undefined, group(), two), []);
  assert.deepEqual(of(undefined, group(), two, its), []);
});

test('what was not evaluated yet, or cannot be asked, is unknown', () => {
  const fresh = rules.map((r) => ({ ...r, health: 'unknown' }));
  const found = notRight(look(group({ lastEvaluationMs: undefined, rules: fresh }), two));
  assert.deepEqual(
    found.map(({ check, ok }) => [check, ok]),
    [
      ['prometheus_rules_health', 'unknown'],
      ['prometheus_rules_evaluation', 'unknown'],
    ],
  );
  const denied = ruleFindings(facts(unknown('403')), { shipped, differing: [], version: '', folder: '', nowMs: 0 });
  assert.deepEqual(denied, [{ check: 'prometheus_rules', ok: 'unknown', text: '403' }]);
});

test('where nobody can compare two expressions it is not said that they differ', async () => {
  const loaded = [
    rule('Down', 'max(x == 0) by (target)', { forSeconds: 60, labels: { severity: 'critical' } }),
    rule('Down', 'rate(y[10m]) > 2', { forSeconds: 0, labels: { severity: 'warning' } }),
    rule('r:x', 'max_over_time(x{a="c"}[5m])'),
  ];
  const groups = [group({ rules: loaded }), two];
  const suspects = suspectsIn(shipped, groups);
  assert.equal(suspects.length, 3);
  const call = { clock: systemClock, signal: new AbortController().signal };
  /** Answers so many questions, two for each rule. */
  const judging = async (answers: number): Promise<readonly Finding[]> => {
    let asked = 0;
    const get = (path: string): Promise<never> => {
      asked += 1;
      if (asked > answers) return Promise.reject(new TargetError('unsupported', '404'));
      // The first of them is the same in other words
      return Promise.resolve((/target/.test(path) ? 'max' : path) as never);
    };
    const compared = await reallyDiffering({ get }, suspects, call);
    const how = { ...compared, shipped, version: '1.2.3', folder: '/r', nowMs: 1_010_000 };
    return ruleFindings(facts(known(groups, 0)), how).filter(({ check }) => check === 'prometheus_rules_version');
  };
  const told = async (answers: number) => (await judging(answers)).map(({ ok, text }) => [ok, text]);
  assert.deepEqual(await told(0), [
    ['unknown', 'whether 3 rules are those of 1.2.3 cannot be told (Down, Down, r:x): 404'],
  ]);
  assert.deepEqual(await told(4), [
    [false, '1 rules are not as those of 1.2.3: Down. They were edited, or are of another version'],
    ['unknown', 'whether 1 rules are those of 1.2.3 cannot be told (r:x): 404'],
  ]);
  assert.deepEqual(await told(6), [
    [false, '2 rules are not as those of 1.2.3: Down, r:x. They were edited, or are of another version'],
  ]);
});

test('the shortest range, of what is loaded or else of what is shipped', () => {
  assert.equal(shortestRangeMs(shipped, facts(unknown('403'))), 300_000);
  const faster = group({ rules: [rule('r:x', 'rate(x[90s])'), rule('s', '"[1s]"')] });
  assert.equal(shortestRangeMs(shipped, facts(known([faster], 0))), 90_000);
});

test('ranges of an expression: subqueries too, never in strings or comments', () => {
  assert.deepEqual(rangesMs('rate(x{a=~"[5s]"}[5m]) + max_over_time(y[1h30m:1m]) # [1s]'), [300_000, 5_400_000]);
});

for (const [a, b] of [
  ['sum by (a, b) (x{c="d",})', 'sum by(a, b) (x{c="d"})'],
  ['x{a=\'say "hi"\'}', 'x{a="say \\"hi\\""}'],
  ['x{} # comment with "quote\n  > 1', 'x > 1'],
  ['x{a="# no  comment"}', 'x{a="# no  comment"}'],
] as const) {
  test(`one expression: ${JSON.stringify(a)} and ${JSON.stringify(b)}`, () => {
    assert.equal(plainExpression(a), plainExpression(b));
  });
}

test('two expressions', () => {
  assert.notEqual(plainExpression('x{a="b c"}'), plainExpression('x{a="bc"}'));
  assert.notEqual(plainExpression('x > 1'), plainExpression('x > 10'));
});

test('the shipped rules can be read, and every range of theirs is seen', () => {
  const all = readShippedRules(rulesFolder());
  assert.ok(all.length >= 16);
  assert.ok(all.every((g) => g.rules.length > 0 && g.rules.every(({ name }) => name !== '')));
  assert.equal(shortestRangeMs(all, facts(unknown(''))), 300_000);
});
