import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expandTemplate } from '../../../exporter/adopt/template.ts';
import { parsePromql } from '../../../exporter/promql.ts';

const values = new Map([
  ['window', '10m'],
  ['fn', 'irate'],
  ['metric', 'mysql_up'],
  ['self', '$self'],
  ['odd', 'a b) or ('],
]);

for (const [text, expected] of [
  ['rate(x[$__rate_interval])', 'rate(x[5m])'],
  ['rate(x[${__interval}])', 'rate(x[1m])'],
  ['x[$window]', 'x[10m]'],
  ['x[$unknown]', 'x[5m]'],
  ['x[${unknown}m]', 'x[5m]'],
  ['x[${__range_s}s]', 'x[21600s]'],
  ['x[1h:$step]', 'x[1h:5m]'],
  ['x offset $shift', 'x offset 5m'],
  ['$fn(x[5m])', 'irate(x[5m])'],
  ['$metric{a="b"}', 'mysql_up{a="b"}'],
  ['x{a=~"$a", b="[[b]]", c=~"${c:regex}", d=\'${d.text:pipe}\'}', 'x{a=~"(.+)", b="(.+)", c=~"(.+)", d=\'(.+)\'}'],
  ['x{a="say \\"$a\\""} > $limit', 'x{a="say \\"(.+)\\""} > grafana_variable_limit'],
  ['sum by ($by) (x)', 'sum by (grafana_variable_by) (x)'],
  ['topk([[n]], x)', 'topk(grafana_variable_n, x)'],
  ['label_replace(x, "a", "$1", "b", "(.*)")', 'label_replace(x, "a", "$1", "b", "(.*)")'],
  ["x # it's [ $a\n+ y[$__interval]", "x # it's [ (.+)\n+ y[1m]"],
  ['x{a=~"[[:alpha:]]+"}', 'x{a=~"[[:alpha:]]+"}'],
  ['${rate}_total + $all', 'grafana_variable_piece_rate_total + grafana_variable_all'],
  ['$self', 'grafana_variable_self'],
  ['$odd', 'grafana_variable_odd'],
  ['x{a=`$a\\`}[$window]', 'x{a=`(.+)\\`}[10m]'],
] as const) {
  test(text, () => {
    const expanded = expandTemplate(text, values);
    assert.equal(expanded, expected);
    parsePromql(
      expanded.startsWith('x offset') || !expanded.includes('[')
        ? expanded
        : expanded.replace(/^(x.*\])$/s, 'rate($1)'),
    );
  });
}

test('a template without an end costs no more than its length', () => {
  for (const part of ['${', '$', '[[', '${a', '${a:', '[[a:', '$a$', '${a.${b', '"$a']) {
    const text = part.repeat(200_000 / part.length);
    assert.ok(expandTemplate(text, values).length > 0);
  }
});
