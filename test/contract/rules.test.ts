import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { catalogue } from '../../exporter/catalogue.ts';
import { remediatorCatalogue } from '../../remediator/catalogue.ts';
import { readBundle, repo } from '../../rules/bundle.ts';
import {
  alertProblems,
  companionProblems,
  expressionProblems,
  inhibitProblems,
  unknownProblems,
} from '../../rules/lint.ts';
import { metricsOf } from '../../rules/metrics.ts';

const bundle = readBundle();
const metrics = metricsOf(catalogue, remediatorCatalogue);

test('the bundle is not empty', () => {
  assert.ok(bundle.alerts.length > 40);
  assert.ok(bundle.tests.length > 40);
});

for (const alert of bundle.alerts) {
  test(`${alert.alert} (${alert.labels.severity}): metrics, labels, identity, texts and matrix`, () => {
    assert.deepEqual(alertProblems(alert, bundle, metrics), []);
  });
}

for (const record of bundle.records) {
  test(`${record.record}: metrics and labels`, () => {
    assert.deepEqual(expressionProblems(record.record, record.expr, bundle, metrics), []);
  });
}

test('every number that may be absent has an alert that says so', () => {
  assert.deepEqual(unknownProblems(bundle, metrics), []);
});

test('every alert has tests that fire, are silent and have no data, a runbook and a matrix entry; nothing is left over', () => {
  assert.deepEqual(companionProblems(bundle), []);
});

test('inhibition compares only labels that it demands, names alerts that exist, and knows every identity', () => {
  assert.deepEqual(inhibitProblems(bundle, metrics), []);
});

test('links in runbooks lead to files', () => {
  const broken = [...bundle.runbooks].flatMap(([name, text]) =>
    [...text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)]
      .map(([, path = '']) => path)
      .filter((path) => !path.startsWith('https://') && !existsSync(join(repo, 'rules/runbooks', path)))
      .map((path) => `${name}: ${path}`),
  );
  assert.deepEqual(broken, []);
});

test('queries in runbooks name metrics and labels that exist', () => {
  const problems = [...bundle.runbooks].flatMap(([name, text]) =>
    [...text.matchAll(/```promql\n([^`]+)```/g)].flatMap(([, block = '']) =>
      block
        .split('\n')
        .filter((line) => line.trim() !== '')
        .flatMap((line) => expressionProblems(`${name}: ${line}`, line, bundle, metrics)),
    ),
  );
  assert.deepEqual(problems, []);
});

test('automatic actions of the matrix exist in the remediator', () => {
  const actions = readFileSync(join(repo, 'rules/matrix.yml'), 'utf8').matchAll(/^ {2}action: (\S+)$/gm);
  for (const [, action = ''] of actions) {
    assert.ok(existsSync(join(repo, `remediator/actions/${action.replaceAll('.', '-')}.ts`)), action);
  }
});
