// Mistakes in policies.yml are told with the file and the line, whoever finds them: the reader, the schema, or `check`.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Target } from '../../../exporter/config/inventory.ts';
import { ConfigError } from '../../../exporter/runtime/errors.ts';
import { actions } from '../../../remediator/actions/index.ts';
import { problemsOf } from '../../../remediator/check.ts';
import { loadPolicies } from '../../../remediator/policies.ts';
import { unansweredAlerts } from '../../../remediator/policy-rules.ts';
import type { Settings } from '../../../remediator/settings.ts';
import { inventoryWith } from './evaluator-bench.ts';

let dir = '';
let file = '';
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pipemedic-lines-'));
  file = join(dir, 'policies.yml');
  await mkdir(join(dir, 'rules'));
  await writeFile(
    join(dir, 'rules', 'one.yml'),
    'groups:\n- rules:\n  - alert: MaxwellDown\n    labels: {severity: critical}\n',
  );
});
after(() => rm(dir, { recursive: true }));

const inventory = {
  ...inventoryWith([]),
  targets: new Map([
    ['maxwell1', { name: 'maxwell1', kind: 'maxwell' } as Target],
    ['db2', { name: 'db2', kind: 'mysql' } as Target],
  ]),
};
const nobody = { apiTokens: [{ name: 'ann', file: '/s/ann', roles: ['viewer'] }], auth: new Map() };
const none = { webhookTokenFiles: [], apiTokenFiles: [], sources: [], supervisors: new Map(), mysqlStore: undefined };

/** All that is wrong, without the name of the file. */
async function told(text: string): Promise<readonly string[]> {
  await writeFile(file, text);
  const at = (problem: string): string => (problem.startsWith(`${file}:`) ? problem.slice(file.length + 1) : problem);
  try {
    const read = await loadPolicies(file, actions, inventory);
    const places = { store: join(dir, 'x.db'), switchFile: join(dir, 'PAUSED'), evidenceDir: dir };
    const settings = { ...none, ...nobody, ...places } as unknown as Settings;
    const judged = await problemsOf(inventory, settings, read.policies, actions);
    return [...judged.policies, ...(await unansweredAlerts(read))].map((problem) => at(read.located(problem)));
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems.map(at);
  }
}

const first = `policies:
- name: one
  match: {alertname: MaxwellDown}
  action: maxwell.restart
`;

const mistakes: readonly (readonly [kind: string, text: string, told: RegExp])[] = [
  ['not YAML', `${first}  pace: {max_runs: 1\nrules: []\n`, /^\d+: not YAML: /],
  ['a key that is there twice', `${first}  action: x\n`, /^5: not YAML: the key action is there twice/],
  ['an unknown key', `${first}  mod: auto\n`, /^5: policies\[0\]\.mod: no such key\. Write mode$/],
  [
    'an unknown key within',
    `${first}  pace:\n    # slowly\n    max_run: 1\n`,
    /^7: policies\[0\]\.pace\.max_run: no such key\. Write max_runs$/,
  ],
  ['a value of another kind', `${first}  soak:\n    7s7\n`, /^5: policies\[0\]\.soak: "7s7" cannot stand here/],
  ['a value that is not known', `${first}  mode: atuo\n`, /^5: policies\[0\]\.mode: "atuo" is not known\. Write auto/],
  ['what is missing', 'policies:\n\n- name: one\n  match: {alertname: A}\n', /^3: policies\[0\]\.action: missing/],
  [
    'a name that is there twice',
    `${first}- match: {alertname: X}\n  action: maxwell.restart\n  name: one\n`,
    /^7: policies\[1\]\.name: one is there twice/,
  ],
  [
    'a policy that is never reached',
    `${first}- name: two\n  action: maxwell.restart\n  match:\n    alertname: MaxwellDown\n    target: maxwell1\n`,
    /^7: policies\[1\]\.match: policy one above takes every alert/,
  ],
  ['an action that is not there', first.replace('maxwell.restart', 'maxwell.stop'), /^4: policies\[0\]\.action: there is no action maxwell\.stop/], // prettier-ignore
  [
    'a mode above what the action may',
    'policies:\n- name: one\n  match: {alertname: A}\n  action: redis.replica.full-resync\n  mode: auto\n',
    /^5: policies\[0\]\.mode: redis\.replica\.full-resync is never done without a person/,
  ],
  [
    'a link above its policy',
    `${first}  then:\n  - action: maxwell.restart\n    mode: auto\n`,
    /^7: policies\[0\]\.then\[0\]\.mode: auto is above the policy's own mode observe/,
  ],
  [
    'a parameter that is not known',
    `${first}  params:\n    heap_dumps: true\n`,
    /^6: policies\[0\]\.params\.heap_dumps: no such key/,
  ],
  ['a pace that does not fit', `${first}  pace: {max_runs: 3,\n    max_runs_total: 2}\n`, /^6: policies\[0\]\.pace\.max_runs_total: 2 is less/], // prettier-ignore
  [
    'a scope of maintenance',
    `${first}maintenance:\n- windows: [{from: '01:00', to: '02:00', timezone: UTC}]\n  reason: x\n  scope: target:gone\n`,
    /^8: maintenance\[0\]\.scope: there is no target gone/,
  ],
  ['a service without a supervisor', first, /^4: policies\[0\]\.action: .*remediation\.supervisors\.maxwell1 is missing/], // prettier-ignore
  [
    'a target that is not there',
    first.replace('MaxwellDown}', 'MaxwellDown,\n    target: maxwell9}'),
    /^4: policies\[0\]\.match\.target: there is no target maxwell9/,
  ],
  [
    'a login that is missing',
    'policies:\n- name: one\n  match: {alertname: A}\n  action: mysql.replica.restart-thread\n  mode: auto\n',
    /^5: policies\[0\]\.mode: auto is not possible on db2: nobody may log in/,
  ],
  [
    'a role that nobody has, which stands nowhere: the policy',
    first.replace('- name', '\n- name').replace('action', 'mode: approve\n  action'),
    /^3: policies\[0\]\.approval\.role: nobody in remediation\.api\.tokens has the role operator/,
  ],
  [
    'an alert that no rule raises',
    `${first.replace('MaxwellDown', 'MaxwellDwon')}rules: [rules/*.yml]\n`,
    /^3: policies\[0\]\.match\.alertname: no rule raises MaxwellDwon\. Name one of: MaxwellDown$/,
  ],
  ['rules that are not there', `${first}rules:\n- rules/*.yml\n- gone/*.yml\n`, /^7: rules\[1\]: no file fits /],
];
for (const [kind, text, line] of mistakes) {
  test(`${kind}: the line of it`, async () => {
    const found = await told(text);
    assert.ok(
      found.some((problem) => line.test(problem)),
      JSON.stringify(found, undefined, 1),
    );
    assert.ok(
      found.every((problem) => /^\d+: /.test(problem)),
      JSON.stringify(found, undefined, 1),
    );
  });
}

test('a file that cannot be read has no line: its name, and the fix', async () => {
  await assert.rejects(loadPolicies(join(dir, 'gone.yml'), actions), (error) => {
    assert.ok(error instanceof ConfigError);
    return /^it cannot be read: ENOENT.*\. Name a readable file$/.test(error.problems[0] ?? '');
  });
});
