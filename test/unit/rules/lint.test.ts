// Every check must fail on what it is for: a good bundle is broken in one place each time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Alert, Bundle } from '../../../rules/bundle.ts';
import {
  alertProblems,
  annotationQueries,
  companionProblems,
  expressionProblems,
  inhibitProblems,
  runbookHeadings,
  unknownProblems,
} from '../../../rules/lint.ts';
import { metricsOf } from '../../../rules/metrics.ts';
import { counter, gauge, type Family } from '../../../exporter/families.ts';

const families: readonly Family[] = [
  gauge('x_state', 'State.', ['client_id', 'state']),
  gauge('x_lag_seconds', 'Lag.', ['client_id'], { state: 'x_state' }),
  counter('x_failed_total', 'Failures.', []),
];
const metrics = metricsOf(new Map(families.map((f) => [f.name, f])));

const transport = 'instance, job, exporter, pod, container, endpoint, service';
const lag: Alert = {
  alert: 'XLag',
  expr: `max without (${transport}) (x_lag_seconds) > 30`,
  for: '1m',
  labels: { severity: 'warning', priority: 'P3', remediation: 'human', scope: 'target' },
  annotations: {
    summary: 'X is late.',
    description: '{{ $labels.target }} is {{ $value }} late.',
    runbook_url: 'rules/runbooks/XLag.md',
    dashboard_url: 'dashboards/pipeline-overview.json',
  },
};
const unknown: Alert = {
  ...lag,
  alert: 'XUnknown',
  expr: `max without (${transport}, state) (x_state{state="unknown"}) == 1`,
  annotations: { ...lag.annotations, runbook_url: 'rules/runbooks/XUnknown.md' },
};

const expected = { exp_labels: { severity: 'warning' }, exp_annotations: {} };
const cases = (firing: boolean): Bundle['tests'][number]['alert_rule_test'] =>
  ['XLag', 'XUnknown'].map((alertname) => ({ eval_time: '1m', alertname, exp_alerts: firing ? [expected] : [] }));
const series = { input_series: [] };

const good: Bundle = {
  alerts: [lag, unknown],
  records: [{ record: 'r:x', expr: 'max by (target) (x_lag_seconds)' }],
  matrix: {
    XLag: { remediation: 'human', because: 'x', key: ['target', 'client_id'] },
    XUnknown: { remediation: 'human', because: 'x', key: ['target', 'client_id'] },
  },
  tests: [
    { name: 'firing', ...series, alert_rule_test: cases(true) },
    { name: 'silent', ...series, alert_rule_test: cases(false) },
    { name: 'absent: no data', ...series, alert_rule_test: cases(false) },
  ],
  runbooks: new Map(
    ['XLag', 'XUnknown'].map((name) => [name, `# ${name}\n${runbookHeadings.map((h) => `\n## ${h}\n\nx\n`).join('')}`]),
  ),
  inhibitRules: [
    {
      source_matchers: ['alertname="XUnknown"', 'target=~".+"'],
      target_matchers: ['alertname="XLag"', 'target=~".+"'],
      equal: ['cluster', 'target'],
    },
  ],
  receivers: ['people'],
  scrapeInterval: '15s',
};

function problems(bundle: Bundle): string[] {
  return [
    ...bundle.alerts.flatMap((alert) => alertProblems(alert, bundle, metrics)),
    ...unknownProblems(bundle, metrics),
    ...companionProblems(bundle),
    ...inhibitProblems(bundle, metrics),
  ];
}

test('the good bundle has no problem', () => {
  assert.deepEqual(problems(good), []);
});

const withLag = (change: Partial<Alert>): Bundle => ({ ...good, alerts: [{ ...lag, ...change }, unknown] });
const withLabels = (change: Partial<Alert['labels']>): Bundle => withLag({ labels: { ...lag.labels, ...change } });
const withTexts = (change: Partial<Alert['annotations']>): Bundle =>
  withLag({ annotations: { ...lag.annotations, ...change } });
const withMatrix = (entry: Bundle['matrix'][string]): Bundle => ({ ...good, matrix: { ...good.matrix, XLag: entry } });
const [inhibit] = good.inhibitRules;
assert.ok(inhibit);

const broken: readonly (readonly [what: string, bundle: Bundle, problem: RegExp])[] = [
  ['a metric that nobody serves', withLag({ expr: 'y_lag_seconds > 1' }), /nobody serves y_lag_seconds/],
  ['a label that no series has', withLag({ expr: 'x_lag_seconds{topic="t"} > 1' }), /has no label topic/],
  ['grouping by such a label', withLag({ expr: 'max by (target, topic) (x_lag_seconds) > 1' }), /by \(topic\)/],
  ['a transport label kept', withLag({ expr: 'max without (job) (x_lag_seconds) > 30' }), /instance is not dropped/],
  [
    'a state in the identity',
    withLag({ expr: `max without (${transport}) (x_state{state="stalled"}) == 1` }),
    /state would be part of its identity/,
  ],
  ['the target lost', withLag({ expr: 'max by (client_id) (x_lag_seconds) > 1' }), /without the label target/],
  [
    'a short window',
    withLag({ expr: `max without (${transport}) (avg_over_time(x_lag_seconds[30s])) > 1` }),
    /four scrapes/,
  ],
  [
    'a counter read as it is',
    withLag({ expr: `max without (${transport}) (x_failed_total) > 1` }),
    /without rate or increase/,
  ],
  ['`for` shorter than its upstream needs', withLag({ for: '15s' }), /`for` below 1m/],
  ['a long keep_firing_for', withLag({ keep_firing_for: '5m' }), /above 3m/],
  ['a summary with a value', withTexts({ summary: '{{ $value }} late.' }), /static sentence/],
  ['a text with a label that is not there', withTexts({ description: '{{ $labels.topic }}.' }), /uses topic/],
  [
    'a query in the text that finds nothing',
    withTexts({ description: '{{ with printf `y{target=%q}` $labels.target | query }}x{{ end }}.' }),
    /\(description\): nobody serves y/,
  ],
  ['a foreign runbook', withTexts({ runbook_url: 'https://example.com/XLag' }), /runbook_url/],
  ['another remediation than in the matrix', withLabels({ remediation: 'auto' }), /human in matrix.yml/],
  [
    'automatic without a target in the key',
    {
      ...withMatrix({ remediation: 'auto', action: 'x.restart', key: ['client_id'] }),
      alerts: [{ ...lag, labels: { ...lag.labels, remediation: 'auto' } }, unknown],
    },
    /needs target in the key/,
  ],
  [
    'a key that the alert lacks',
    withMatrix({ remediation: 'human', because: 'x', key: ['target', 'client_id', 'topic'] }),
    /key topic is not/,
  ],
  [
    'a label outside the key',
    withMatrix({ remediation: 'human', because: 'x', key: ['target'] }),
    /client_id is not in its key/,
  ],
  ['no matrix entry', { ...good, matrix: {} }, /XLag: no entry in matrix/],
  ['no alert that says unknown', { ...good, alerts: [lag] }, /no alert says that x_state is unknown/],
  ['no firing test', { ...good, tests: good.tests.filter((t) => t.name !== 'firing') }, /no test in which it fires/],
  [
    'no silent test',
    { ...good, tests: good.tests.filter((t) => t.name !== 'silent') },
    /no test in which it is silent/,
  ],
  [
    'no absent test',
    { ...good, tests: good.tests.filter((t) => !t.name.startsWith('absent')) },
    /no test with absent data/,
  ],
  ['no runbook', { ...good, runbooks: new Map() }, /XLag: no runbook/],
  [
    'a runbook without its parts',
    { ...good, runbooks: new Map([...good.runbooks, ['XLag', '# XLag\n\n## Meaning\n']]) },
    /headings of the runbook: Meaning/,
  ],
  ['a runbook of no alert', { ...good, runbooks: new Map([...good.runbooks, ['Gone', '']]) }, /Gone: a runbook/],
  [
    'inhibition that compares what may be missing on both sides',
    { ...good, inhibitRules: [{ ...inhibit, target_matchers: ['alertname="XLag"'] }] },
    /demanded on both sides/,
  ],
  [
    'inhibition that names no alert',
    { ...good, inhibitRules: [{ ...inhibit, target_matchers: ['alertname=~"XLag|Gone"', 'target=~".+"'] }] },
    /there is no alert Gone/,
  ],
  [
    'two severities told apart by less than their identity',
    {
      ...good,
      alerts: [lag, { ...lag, labels: { ...lag.labels, severity: 'critical' } }, unknown],
      inhibitRules: [
        {
          source_matchers: ['severity="critical"', 'target=~".+"'],
          target_matchers: ['severity="warning"', 'target=~".+"'],
          equal: ['alertname', 'cluster', 'target'],
        },
      ],
    },
    /client_id is not compared/,
  ],
  ['a receiver with a metacharacter', { ...good, receivers: ['people.all'] }, /metacharacter/],
];

for (const [what, bundle, problem] of broken) {
  test(`found: ${what}`, () => {
    const found = problems(bundle);
    assert.ok(
      found.some((line) => problem.test(line)),
      `${String(problem)} is not among: ${found.join('; ')}`,
    );
  });
}

test('a syntax error is one problem, and nothing else is asked of that alert', () => {
  const found = alertProblems({ ...lag, expr: 'max(' }, good, metrics);
  assert.equal(found.length, 1);
  assert.match(found[0] ?? '', /^XLag: PromQL syntax error/);
});

test('records are looked through: their labels, and who serves them', () => {
  assert.deepEqual(expressionProblems('q', 'r:x{target="t"} > 1', good, metrics), []);
  assert.deepEqual(expressionProblems('q', 'r:x{client_id="c"} > 1', good, metrics), ['q: r:x has no label client_id']);
  assert.deepEqual(expressionProblems('q', 'r:y > 1', good, metrics), ['q: nobody serves r:y']);
});

test('queries in templates are found', () => {
  assert.deepEqual(
    annotationQueries('{{ with printf `a{b=%q}` $labels.b | query }}x{{ end }} {{ range query `c` }}y{{ end }}'),
    ['a{b="x"}', 'c'],
  );
});
