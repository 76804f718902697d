import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { dashboardFiles } from '../../dashboards/build.ts';
import { dashboardQueries, expandVariables } from '../../dashboards/queries.ts';
import { catalogue } from '../../exporter/catalogue.ts';
import { remediatorCatalogue } from '../../remediator/catalogue.ts';
import { readBundle, repo } from '../../rules/bundle.ts';
import { expressionProblems } from '../../rules/lint.ts';
import { metricsOf } from '../../rules/metrics.ts';

const bundle = readBundle();
const metrics = metricsOf(catalogue, remediatorCatalogue);

const target = z.object({ refId: z.string(), expr: z.string(), datasource: z.object({ uid: z.string() }) });
const panel = z.object({
  id: z.number(),
  type: z.string(),
  title: z.string(),
  description: z.string().optional(),
  gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
  targets: z.array(target).optional(),
  fieldConfig: z.object({ defaults: z.object({ unit: z.string().optional() }) }).optional(),
});
const dashboard = z.object({
  id: z.null(),
  uid: z.string().max(40).startsWith('pipemedic-'),
  schemaVersion: z.number().min(39).max(42),
  editable: z.literal(false),
  templating: z.object({ list: z.array(z.object({ name: z.string() })) }),
  panels: z.array(panel),
});

for (const [name, text] of dashboardFiles()) {
  test(`${name} is what dashboards/build.ts writes`, () => {
    assert.equal(readFileSync(join(repo, 'dashboards', name), 'utf8'), text, 'run: node dashboards/build.ts');
  });

  const built = dashboard.parse(JSON.parse(text));
  const panels = built.panels.filter((p) => p.type !== 'row');

  test(`${name}: variables, rows and panels as Grafana wants them`, () => {
    assert.deepEqual(
      built.templating.list.map((v) => v.name),
      ['datasource', 'pipeline', 'target'],
    );
    assert.equal(new Set(built.panels.map((p) => p.id)).size, built.panels.length);
    assert.doesNotMatch(text, /__inputs|DS_PROMETHEUS/);
    for (const { title, description, targets, fieldConfig, type } of panels) {
      assert.ok(description !== undefined && description.endsWith('.'), `${title}: description`);
      assert.ok(targets !== undefined && targets.length > 0, `${title}: no query`);
      assert.equal(new Set(targets.map((t) => t.refId)).size, targets.length, `${title}: refId`);
      assert.ok(
        targets.every((t) => t.datasource.uid === '${datasource}'),
        `${title}: datasource`,
      );
      if (type === 'timeseries' || type === 'stat') assert.ok(fieldConfig?.defaults.unit, `${title}: unit`);
    }
  });

  test(`${name}: no panel lies on another or leaves the grid`, () => {
    const taken = new Set<string>();
    for (const { title, gridPos } of built.panels) {
      assert.ok(gridPos.x + gridPos.w <= 24, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          assert.ok(!taken.has(`${x},${y}`), `${title} lies on another panel`);
          taken.add(`${x},${y}`);
        }
      }
    }
  });

  test(`${name}: the list of queries is complete`, () => {
    const listed = new Set(dashboardQueries().map((q) => q.expr));
    for (const { expr } of panels.flatMap((p) => p.targets ?? [])) assert.ok(listed.has(expandVariables(expr)), expr);
  });

  test(`${name}: descriptions name alerts that exist, and every alert about a target or a pipeline has a panel`, () => {
    const known = new Set(bundle.alerts.map((a) => a.alert));
    const named = panels.flatMap((p) =>
      [...(p.description ?? '').matchAll(/Alerts?: ([^.,:]+(?:, [^.,:]+)*)/g)].flatMap(([, list = '']) =>
        [...list.matchAll(/\b(?:[A-Z][a-z]+){2,}\b/g)].map(([alert]) => alert),
      ),
    );
    assert.deepEqual(
      named.filter((alert) => !known.has(alert)),
      [],
    );
    const shown = panels.map((p) => p.description ?? '').join(' ');
    const silent = bundle.alerts.filter((a) => a.labels.severity !== 'none' && !shown.includes(a.alert));
    assert.deepEqual(
      silent.map((a) => a.alert),
      [],
    );
  });
}

for (const { where, expr } of dashboardQueries()) {
  test(`query: ${where}`, () => {
    assert.deepEqual(expressionProblems(where, expr, bundle, metrics), []);
  });
}

test('variables are expanded as Grafana does it: names are escaped for the expression', () => {
  const text = 'a{target=~"$target",pipeline=~"$pipeline"}[$__rate_interval]';
  assert.equal(expandVariables(text), 'a{target=~".+",pipeline=~".+"}[5m]');
  assert.equal(
    expandVariables(text, { target: ['db1.example:3306', 'b'], pipeline: ['orders'], rateInterval: '1m' }),
    String.raw`a{target=~"db1\\.example:3306|b",pipeline=~"orders"}[1m]`,
  );
});
