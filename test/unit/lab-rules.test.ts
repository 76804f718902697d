import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from 'js-yaml';
import {
  scaleAlertmanager,
  scaleDuration,
  scaleExpression,
  scalePrometheus,
  scaleRules,
} from '../../deploy/lab/rules.ts';

for (const [text, factor, wanted] of [
  ['1m', 10, '6s'],
  ['15s', 10, '1500ms'],
  ['1h30m', 10, '540s'],
  ['1d', 24, '3600s'],
  ['100ms', 1000, '1ms'], // never 0: that would be another rule
  ['0s', 10, '0s'],
  ['300', 10, '30s'],
  ['2m', 1, '120s'],
] as const) {
  test(`${text} divided by ${factor} is ${wanted}`, () => {
    assert.equal(scaleDuration(text, factor), wanted);
  });
}

for (const text of ['5x', '', ' ', '5m!', 'm', '-5m']) {
  test(`no duration: "${text}"`, () => {
    assert.throws(() => scaleDuration(text, 10), /is no duration/);
  });
}

for (const [text, wanted] of [
  ['rate(x[5m]) > 300', 'rate(x[30s]) > 300'],
  ['x offset 10m > 600', 'x offset 60s > 600'],
  ['x OFFSET -1h', 'x OFFSET -360s'],
  ['max_over_time(rate(x[5m])[1h:1m])', 'max_over_time(rate(x[30s])[360s:6s])'],
  ['max_over_time(x[1h:])', 'max_over_time(x[360s:])'],
  ['time() - backup_seconds > 86400', 'time() - backup_seconds > 86400'],
  ['job:x:rate5m{offset="10m", range="[5m]"}[5m]', 'job:x:rate5m{offset="10m", range="[5m]"}[30s]'],
  [
    "label_replace(x, 'a', 'offset 5m', 'b', '([0-9]+)[5m]')",
    "label_replace(x, 'a', 'offset 5m', 'b', '([0-9]+)[5m]')",
  ],
  ['x{a="\\"[5m]"} offset 5m', 'x{a="\\"[5m]"} offset 30s'],
  ['x{a=`\\`} + y[5m]', 'x{a=`\\`} + y[30s]'],
  ['sum by (offset) (x) # not [5m]\n  > rate(y[5m])', 'sum by (offset) (x) # not [5m]\n  > rate(y[30s])'],
  ['time_offset 5', 'time_offset 5'],
  ['x[5m] @ 1609746000 offset 1m', 'x[30s] @ 1609746000 offset 6s'],
] as const) {
  test(`expression ${text.replaceAll('\n', ' ')}`, () => {
    assert.equal(scaleExpression(text, 10), wanted);
  });
}

test('of a rules file only durations change', () => {
  const rules = (interval: string, wait: string, keep: string, range: string, offset: string): string => `
groups:
  - name: tricky-5m
    interval: ${interval}
    rules:
      - record: job:lag:rate5m
        expr: rate(lag[${range}])
        labels: {for: 5m, window: '[5m]'}
      - alert: Late5m
        expr: |
          max_over_time(lag{for="1m"}[${range}]) > 300 # seconds, not [5m]
            unless lag offset ${offset} > 300
        for: ${wait}
        keep_firing_for: ${keep}
        labels: {severity: critical, for: 10m, interval: 1m}
        annotations: {description: 'late for 5m {{ query "rate(x[5m])" }}', for: 5m}
      - record: limit
        expr: 300
`;
  const scaled = scaleRules(rules('1m', '2m', '3m', '5m', '10m'), 10);
  assert.deepEqual(load(scaled), load(rules('6s', '12s', '18s', '30s', '60s').replace('expr: 300', "expr: '300'")));
});

test('a file without groups is refused', () => {
  assert.throws(() => scaleRules('rules: []', 10), /groups/);
});

test('of prometheus.yml the interval and timeout of scrapes and the interval of evaluations change', () => {
  const document = {
    global: {
      scrape_interval: '15s',
      scrape_timeout: '10s',
      evaluation_interval: '30s',
      external_labels: { a: '15s' },
    },
    scrape_configs: [{ job_name: '15s', scrape_interval: '1m', static_configs: [{ targets: ['h:1'] }] }],
  };
  assert.deepEqual(scalePrometheus(document, 10), {
    global: {
      scrape_interval: '1500ms',
      scrape_timeout: '1s',
      evaluation_interval: '3s',
      external_labels: { a: '15s' },
    },
    scrape_configs: [{ job_name: '15s', scrape_interval: '6s', static_configs: [{ targets: ['h:1'] }] }],
  });
});

test('of alertmanager.yml the waits of routes change, at any depth', () => {
  const document = {
    global: { resolve_timeout: '5m' },
    route: {
      group_wait: '30s',
      routes: [{ group_interval: '5m', routes: [{ repeat_interval: '4h', group_wait: '0s' }] }],
    },
  };
  assert.deepEqual(scaleAlertmanager(document, 10), {
    global: { resolve_timeout: '5m' },
    route: {
      group_wait: '3s',
      routes: [{ group_interval: '30s', routes: [{ repeat_interval: '1440s', group_wait: '0s' }] }],
    },
  });
});
