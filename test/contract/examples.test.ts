// What a newcomer copies must be right: the example configuration, and the files that the README names.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { load } from 'js-yaml';
import { z } from 'zod';
import { inventoryOf } from '../../exporter/config/inventory.ts';
import { systems } from '../../exporter/systems/index.ts';
import { actions } from '../../remediator/actions/index.ts';
import { policyFileOf } from '../../remediator/policies.ts';
import { unansweredAlerts } from '../../remediator/policy-rules.ts';
import { settingsOf } from '../../remediator/settings.ts';
import { readBundle } from '../../rules/bundle.ts';

const repo = join(import.meta.dirname, '..', '..');
const read = (file: string): string => readFileSync(join(repo, file), 'utf8');

test('the example inventory is accepted by both programs', () => {
  const file = 'deploy/pipemedic.example.yml';
  const inventory = inventoryOf(load(read(file)), file, systems);
  assert.equal(inventory.targets.size, 7);
  assert.deepEqual([...(inventory.upstreams.get('maxwell1') ?? [])].sort(), ['db1', 'kafka1']);
  assert.deepEqual([...settingsOf(inventory, file).supervisors.keys()], ['maxwell1']);
});

test('the example policies are accepted, answer alerts that there are, and none of them acts by itself', async () => {
  const file = 'deploy/policies.example.yml';
  const policyFile = policyFileOf(load(read(file)), file, actions);
  const { policies } = policyFile;
  assert.ok(policies.length > 0);
  assert.deepEqual(await unansweredAlerts({ ...policyFile, rules: [join(repo, 'rules', '*.rules.yml')] }), []);
  assert.deepEqual([...new Set(policies.map((p) => p.mode))], ['observe']);
});

test('each alert that an example policy answers is brought by the shipped route, and is the one that the matrix has for its action', () => {
  const { policies } = policyFileOf(load(read('deploy/policies.example.yml')), 'policies.example.yml', actions);
  const { alerts, matrix } = readBundle();
  for (const { match, action } of policies) {
    const name = match['alertname'] ?? '';
    for (const alert of alerts.filter((a) => a.alert === name)) {
      // as the matcher of deploy/alertmanager.yml: remediation=~"auto|approve"
      assert.match(alert.labels.remediation, /^(auto|approve)$/, `${name}: the remediator would never get it`);
    }
    const entry = matrix[name];
    assert.ok(entry !== undefined && 'action' in entry, `${name}: the matrix has no action`);
    assert.equal(entry.action, action, name);
  }
  // full-resync comes in the chain of another one, or by an alert of the user's own
  const answered = new Set(policies.flatMap((p) => [p.action, ...p.chain.map((c) => c.action)]));
  assert.deepEqual(
    actions.map((a) => a.name).filter((name) => !answered.has(name)),
    [],
  );
});

for (const file of ['README.md', 'deploy/process-supervisor.md']) {
  test(`${file} links to files that are there`, () => {
    const links = [...read(file).matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, path = '']) => path);
    assert.deepEqual(
      links.filter((path) => !existsSync(join(repo, dirname(file), path))),
      [],
    );
  });
}

test('remediator/README.md names every parameter of every action', () => {
  const text = read('remediator/README.md');
  const missing = actions.flatMap((action) => {
    const named = action.name === 'maxwell.restart' ? ['cdc-service.restart', action.name] : [action.name];
    const rows = text.split('\n').filter((line) => named.some((name) => line.startsWith(`- \`${name}\`: `)));
    assert.ok(action.params instanceof z.ZodObject);
    return Object.keys(action.params.shape).filter((param) => !rows.some((row) => row.includes(`\`${param}\``)));
  });
  assert.deepEqual(missing, []);
});
