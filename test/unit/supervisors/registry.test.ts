// What `remediation.supervisors` may say of each kind.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { supervisorOf, supervisorSettings } from '../../../remediator/supervisors/index.ts';

test('each kind is read with its defaults and becomes that supervisor', () => {
  const written = [
    { kind: 'process', socket: '/s/m.sock' },
    { kind: 'docker', socket: '/run/podman/podman.sock', container: 'maxwell_1.a' },
    { kind: 'systemd', unit: 'maxwell@shop.service', systemctl: ['sudo', '-n', '/usr/bin/systemctl'] },
  ] as const;
  const read = written.map((one) => supervisorSettings.parse(one));
  assert.deepEqual(read, [
    written[0],
    { ...written[1], stop_seconds: 15 },
    { ...written[2], journalctl: ['journalctl'] },
  ]);
  const made = read.map((one) => supervisorOf(one, systemClock));
  assert.deepEqual(
    made.map(({ kind, fencing }) => `${kind} ${fencing.stop}`),
    ['process cas', 'docker predicate', 'systemd predicate'],
  );
});

for (const [what, written] of [
  ['a kind that is none', { kind: 'kubernetes', pod: 'x' }],
  ['a socket that is no path', { kind: 'docker', socket: 'tcp://10.0.0.1:2375', container: 'm' }],
  ['a container with a way out of the path', { kind: 'docker', socket: '/s', container: '../x' }],
  ['a container that is an option', { kind: 'docker', socket: '/s', container: '-x' }],
  ['a wait that does not fit into a lease', { kind: 'docker', socket: '/s', container: 'm', stop_seconds: 600 }],
  ['a unit without its suffix', { kind: 'systemd', unit: 'maxwell' }],
  ['a unit that is an option', { kind: 'systemd', unit: '--root=/x.service' }],
  ['a unit with a blank', { kind: 'systemd', unit: 'a b.service' }],
  ['a command for a shell', { kind: 'systemd', unit: 'm.service', systemctl: 'sudo systemctl' }],
  ['an empty command', { kind: 'systemd', unit: 'm.service', systemctl: [] }],
] as const) {
  test(`refused: ${what}`, () => {
    assert.equal(supervisorSettings.safeParse(written).success, false);
  });
}
