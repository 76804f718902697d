import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { inventoryOf, type Inventory } from '../../../exporter/config/inventory.ts';
import { ConfigError } from '../../../exporter/runtime/errors.ts';
import { systems } from '../../../exporter/systems/index.ts';
import { longestWindowMs, policiesOf } from '../../../remediator/policies.ts';
import { settingsOf } from '../../../remediator/settings.ts';

const block = {
  store: '/s/remediator.db',
  evidence_dir: '/s/evidence',
  switch_file: '/s/PAUSED',
  webhook: { token_files: ['/s/a', '/s/b'] },
  sources: [
    {
      name: 'main',
      alertmanagers: [
        { url: 'http://127.0.0.1:9093/', auth: { bearer_token_file: '/s/t' } },
        { url: 'https://am.example:443/prefix', auth: { user: 'u', password_file: '/s/p' }, tls: { ca_file: '/s/ca' } },
        { url: 'http://[::1]:9093' },
      ],
      watchdog: '2m',
    },
  ],
  require: { cluster: 'prod' },
  auth: { db1: { user: 'r', password_file: '/s/r' } },
  supervisors: { maxwell1: { kind: 'process', socket: '/s/m.sock' } },
};

function inventory(remediation: unknown): Inventory {
  const auth = { user: 'u', password_file: '/s/x' };
  return inventoryOf(
    {
      targets: [
        { name: 'db1', kind: 'mysql', address: { host: 'h', port: 3306 }, auth },
        { name: 'maxwell1', kind: 'maxwell', address: { mysql: 'db1', client_id: 'maxwell' } },
        { name: 'maxwell2', kind: 'maxwell', address: { mysql: 'db1', client_id: 'second' } },
      ],
      ...(remediation === undefined ? {} : { remediation }),
    },
    'pipemedic.yml',
    systems,
  );
}

function problems(work: () => unknown): readonly string[] {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test('the block is read with defaults and durations', () => {
  const settings = settingsOf(inventory(block), 'pipemedic.yml');
  assert.deepEqual(settings.sources, [
    {
      name: 'main',
      watchdogMs: 120_000,
      alertmanagers: [
        { url: 'http://127.0.0.1:9093', auth: { is: 'bearer', tokenFile: '/s/t' }, tls: undefined },
        {
          url: 'https://am.example:443/prefix',
          auth: { is: 'basic', user: 'u', passwordFile: '/s/p' },
          tls: { ca_file: '/s/ca' },
        },
        { url: 'http://[::1]:9093', auth: undefined, tls: undefined },
      ],
    },
  ]);
  assert.deepEqual(settings.webhookTokenFiles, ['/s/a', '/s/b']);
  assert.deepEqual(
    [settings.require, settings.apiTokenFiles, settings.externalUrl],
    [{ cluster: 'prod' }, undefined, undefined],
  );
  assert.deepEqual([...settings.supervisors], [['maxwell1', { kind: 'process', socket: '/s/m.sock' }]]);
  assert.equal(settings.auth.get('db1')?.user, 'r');
});

test('each mistake is named with its path', () => {
  const wrong: readonly (readonly [change: object | undefined, path: RegExp])[] = [
    [{ store: 'relative.db' }, /^remediation\.store: "relative\.db" cannot stand here\. Write an absolute path/],
    [{ surplus: 1 }, /^remediation\.surplus: no such key\. Take it out, or write one of: store, /],
    [{ auth: { db1: 'hunter2' } }, /^remediation\.auth\.db1: "…" is a string\. Write a mapping/],
    [{ webhook: { token_files: ['hunter2'] } }, /token_files\[0\]: "…" cannot stand here\. Write an absolute path/],
    [{ webhook: { token_files: [] } }, /^remediation\.webhook/],
    [{ sources: [] }, /^remediation\.sources/],
    [
      { sources: [{ name: 'Main', alertmanagers: [{ url: 'http://a' }] }] },
      /sources\[0\]\.name: "Main" cannot stand here\. Write lower case/,
    ],
    [{ sources: [{ name: 'm', alertmanagers: [] }] }, /sources\[0\]\.alertmanagers/],
    [
      { sources: [{ name: 'm', alertmanagers: [{ url: 'http://u:p@a' }] }] },
      /alertmanagers\[0\]\.url: "…" cannot stand here\. Write an http or https URL without user/,
    ],
    [{ sources: [{ name: 'm', alertmanagers: [{ url: 'ftp://a' }] }] }, /url/],
    [
      { sources: [{ name: 'm', alertmanagers: [{ url: 'http://a', auth: { user: 'u' } }] }] },
      /user and password_file go together/,
    ],
    [{ sources: [...block.sources, ...block.sources] }, /sources\[1\]\.name: main is there twice/],
    [{ auth: { db9: {} } }, /^remediation\.auth\.db9: there is no target db9\. Name one of: db1, maxwell1, maxwell2/],
    [{ supervisors: { gone: { kind: 'process', socket: '/x' } } }, /^remediation\.supervisors\.gone/],
    [{ supervisors: { maxwell1: { kind: 'systemd', unit: 'm' } } }, /supervisors\.maxwell1/],
    [{ switch_file: '/s/remediator.db' }, /must differ/],
    [{ store: undefined }, /^remediation\.store/],
  ];
  for (const [change, path] of wrong) {
    const found = problems(() => settingsOf(inventory({ ...block, ...change }), 'pipemedic.yml'));
    assert.ok(
      found.some((p) => path.test(p)),
      `${String(path)} in ${JSON.stringify(found)}`,
    );
    assert.ok(!found.some((p) => /hunter2|u:p@/.test(p)), 'a secret in the wrong place is not said');
  }
  assert.match(problems(() => settingsOf(inventory(undefined), 'f'))[0] ?? '', /^remediation: is missing/);
});

test('one service under the names of two targets of a kind is refused: the repair of one would end the other', () => {
  const of = (maxwell1: object, maxwell2: object): readonly string[] =>
    problems(() => settingsOf(inventory({ ...block, supervisors: { maxwell1, maxwell2 } }), 'f'));
  const docker = { kind: 'docker', socket: '/run/docker.sock', container: 'maxwell' };
  const systemd = { kind: 'systemd', unit: 'maxwell.service' };
  const same = [
    /^remediation\.supervisors\.maxwell2: is the service of maxwell1 already\. Name the one of maxwell2$/,
  ] as const;
  for (const [one, other, expected] of [
    [docker, { ...docker, stop_seconds: 5 }, same],
    [docker, { ...docker, container: 'maxwell-2' }, []],
    [systemd, { ...systemd, journalctl: ['sudo', 'journalctl'] }, same],
    [systemd, { ...systemd, systemctl: ['ssh', 'second', 'systemctl'] }, []],
    [{ kind: 'process', socket: '/s/m.sock' }, { kind: 'process', socket: '/s/m.sock' }, same],
    [{ kind: 'process', socket: '/s/m.sock' }, docker, []],
  ] as const) {
    const found = of(one, other);
    assert.equal(found.length, expected.length, found.join('\n'));
    for (const [i, pattern] of expected.entries()) assert.match(found[i] ?? '', pattern);
  }
});

const actions = [
  { name: 'maxwell.restart', kinds: ['maxwell'], params: z.strictObject({ force: z.boolean().default(false) }) },
];
const policy = { name: 'p', match: { alertname: 'MaxwellDown' }, action: 'maxwell.restart' };

test('a policy observes unless it says otherwise, three times an hour at most', () => {
  const [read] = policiesOf({ policies: [policy] }, 'policies.yml', actions);
  assert.deepEqual(read, {
    ...{ name: 'p', mode: 'observe', match: { alertname: 'MaxwellDown' }, action: 'maxwell.restart', params: {} },
    pace: { maxRuns: 3, windowMs: 3_600_000, cooldownMs: 300_000, maxRelapses: 2 },
    ...{ soakMs: 120_000, relapseMs: 900_000, windows: [], chain: [] },
    approval: { role: 'operator', expiresMs: 3_600_000 },
  });
  const [set] = policiesOf(
    {
      policies: [
        {
          ...policy,
          mode: 'auto',
          params: { force: true },
          pace: { max_runs: 1, window: '2h', cooldown: '30s' },
          soak: '10s',
          relapse: '2m',
        },
      ],
    },
    'policies.yml',
    actions,
  );
  assert.deepEqual(set?.pace, { maxRuns: 1, windowMs: 7_200_000, cooldownMs: 30_000, maxRelapses: 2 });
  assert.equal(
    longestWindowMs(policiesOf({ policies: [{ ...policy, pace: { window: '2h' } }] }, 'f', actions)),
    7_200_000,
  );
  assert.equal(longestWindowMs([]), 3_600_000);
});

test('each mistake in a policy is named with its path', () => {
  const wrong: readonly (readonly [change: object, path: RegExp])[] = [
    [{ match: undefined }, /^policies\[0\]\.match: missing/],
    [{ match: {} }, /^policies\[0\]\.match: .* at least one label/],
    [{ match: { alertname: 1 } }, /^policies\[0\]\.match/],
    [
      { action: 'maxwell.reboot' },
      /^policies\[0\]\.action: there is no action maxwell\.reboot\. Name one of: maxwell\.restart/,
    ],
    [{ params: { force: 'yes' } }, /^policies\[0\]\.params\.force/],
    [{ params: { x: 1 } }, /^policies\[0\]\.params/],
    [{ mode: 'always' }, /^policies\[0\]\.mode/],
    [{ pace: { window: '0s' } }, /^policies\[0\]\.pace\.window: 0/],
    [{ pace: { max_runs: 0 } }, /^policies\[0\]\.pace\.max_runs/],
    [{ soak: '5 minutes' }, /^policies\[0\]\.soak: .* a duration/],
    [{ name: 'Not Plain' }, /^policies\[0\]\.name/],
  ];
  for (const [change, path] of wrong) {
    const found = problems(() => policiesOf({ policies: [{ ...policy, ...change }] }, 'policies.yml', actions));
    assert.ok(
      found.some((p) => path.test(p)),
      `${String(path)} in ${JSON.stringify(found)}`,
    );
  }
  assert.match(problems(() => policiesOf({ policies: [policy, policy] }, 'f', actions))[0] ?? '', /p is there twice/);
  assert.ok(problems(() => policiesOf({ policies: [] }, 'f', actions)).length > 0);
  assert.ok(problems(() => policiesOf(undefined, 'f', actions)).length > 0);
});
