// Rules that others have written for the exporters whose names are served here.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { load } from 'js-yaml';
import { catalogue, openCatalogue } from '../../exporter/catalogue.ts';
import { parsePromql, selectorsOf } from '../../exporter/promql.ts';

interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
}

const file = join(import.meta.dirname, 'compat.rules.yml');
const { groups } = load(readFileSync(file, 'utf8')) as { groups: readonly { readonly rules: readonly Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);
const noPromtool = spawnSync('promtool', ['--version']).error === undefined ? false : 'promtool is not installed';

function promtool(...args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8', timeout: 120_000 });
  assert.equal(status, 0, `${stdout}${stderr}`);
}

test('promtool takes them', { skip: noPromtool }, () => {
  promtool('check', 'rules', file);
});

test('they fire and stay silent as they are known to', { skip: noPromtool }, () => {
  promtool('test', 'rules', join(import.meta.dirname, 'compat.test.yml'));
});

test('every metric that they name is served, with every label that they name', () => {
  const recorded = new Set(rules.map(({ record }) => record));
  const problems = rules.flatMap(({ alert, record, expr }) =>
    selectorsOf(parsePromql(expr)).flatMap(({ metric, matchers }) => {
      if (recorded.has(metric)) return [];
      const name = alert ?? record ?? '';
      const family = catalogue.get(metric.replace(/_(sum|count|bucket)$/, '')) ?? catalogue.get(metric);
      if (family === undefined) {
        const isOpen = openCatalogue.some(({ prefix }) => metric.startsWith(prefix));
        return isOpen ? [] : [`${name}: ${metric} is not served`];
      }
      return matchers
        .filter(({ label }) => !family.labels.includes(label))
        .map(({ label }) => `${name}: ${metric} has no label ${label}`);
    }),
  );
  assert.deepEqual(problems, []);
  assert.ok(rules.length > 50);
});
