// What a newcomer copies must be right: the example configuration, and the files that the README names.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { load } from 'js-yaml';
import { inventoryOf } from '../../exporter/config/inventory.ts';
import { systems } from '../../exporter/systems/index.ts';
import { actions } from '../../remediator/actions/index.ts';
import { policyFileOf } from '../../remediator/policies.ts';
import { unansweredAlerts } from '../../remediator/policy-rules.ts';
import { settingsOf } from '../../remediator/settings.ts';

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

for (const file of ['README.md', 'deploy/process-supervisor.md']) {
  test(`${file} links to files that are there`, () => {
    const links = [...read(file).matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, path = '']) => path);
    assert.deepEqual(
      links.filter((path) => !existsSync(join(repo, dirname(file), path))),
      [],
    );
  });
}
