import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configSchema, requestSchema, sameIncarnation } from '../../../remediator/supervisors/process-wire.ts';

const incarnation = { bootId: 'b', pid: 1, startTicks: 2, startedAtMs: 3, seq: 4 };
const config = {
  socket: '/run/a.sock',
  stateDir: '/var/lib/a',
  service: { name: 'maxwell', argv: ['/usr/bin/java', '-jar', ''], logFile: '/var/log/a.log' },
};

test('config: what is documented is accepted', () => {
  assert.deepEqual(configSchema.parse(config), config);
  const full = {
    ...config,
    autostart: true,
    leftoverGraceMs: 1,
    shutdownGraceMs: 1,
    service: { ...config.service, cwd: '/', env: { A_1: 'x' } },
  };
  assert.deepEqual(configSchema.parse(full), full);
});

for (const [name, bad] of [
  ['a relative socket', { ...config, socket: 'a.sock' }],
  ['a socket path longer than the kernel takes', { ...config, socket: `/${'ä'.repeat(60)}` }],
  ['an unknown key', { ...config, restart: 'always' }],
  ['a command as one string', { ...config, service: { ...config.service, argv: 'java -jar' } }],
  ['no program', { ...config, service: { ...config.service, argv: [''] } }],
  ['a NUL in an argument', { ...config, service: { ...config.service, argv: ['a', 'b\0c'] } }],
  ['a variable name that is none', { ...config, service: { ...config.service, env: { 'A=B': 'x' } } }],
] as const) {
  test(`config: ${name} is refused`, () => {
    assert.equal(configSchema.safeParse(bad).success, false);
  });
}

test('an incarnation is the same only in all that identifies it; the wall clock does not', () => {
  assert.equal(sameIncarnation(incarnation, { ...incarnation, startedAtMs: 99 }), true);
  for (const change of [{ bootId: 'c' }, { pid: 2 }, { startTicks: 3 }, { seq: 5 }]) {
    assert.equal(sameIncarnation(incarnation, { ...incarnation, ...change }), false);
  }
});

test('requests: a stop without its condition and a start without ifAbsent do not exist', () => {
  const stop = { id: 1, op: 'stop', ifIncarnation: incarnation, fence: 1, by: 'x', signal: 'TERM', waitMs: 1 };
  const start = { id: 1, op: 'start', ifAbsent: true, fence: 1, by: 'x' };
  assert.equal(requestSchema.safeParse(stop).success, true);
  assert.equal(requestSchema.safeParse(start).success, true);
  for (const bad of [
    { ...stop, ifIncarnation: undefined },
    { ...stop, fence: undefined },
    { ...stop, fence: 2 ** 53 },
    { ...stop, fence: 1.5 },
    { ...stop, fence: '1' },
    { ...stop, signal: 'STOP' },
    { ...stop, by: '' },
    { ...start, ifAbsent: false },
    { ...start, ifAbsent: undefined },
    { ...start, argv: ['rm'] },
    { ...start, op: 'restart' },
  ]) {
    assert.equal(requestSchema.safeParse(bad).success, false, JSON.stringify(bad));
  }
});
