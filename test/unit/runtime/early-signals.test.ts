import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { holdSignals } from '../../../exporter/runtime/early-signals.ts';

test('what came early comes once, to whoever takes it; what comes later, as it comes', () => {
  const program = new EventEmitter();
  const signals = holdSignals(['SIGHUP', 'SIGTERM'], program);
  program.emit('SIGHUP', 'SIGHUP');
  program.emit('SIGTERM', 'SIGTERM');
  program.emit('SIGTERM', 'SIGTERM');
  const got: string[] = [];
  signals.on('SIGHUP', () => got.push('reload'));
  assert.deepEqual(got, ['reload']);
  signals.on('SIGTERM', () => got.push('stop'));
  assert.deepEqual(got, ['reload', 'stop', 'stop'], 'a second one counts: it ends at once');
  program.emit('SIGHUP', 'SIGHUP');
  assert.deepEqual(got.slice(3), ['reload']);
  assert.equal(program.listenerCount('SIGHUP'), 1);
});

test('a signal that nobody takes does what it does to any program', () => {
  const program = new EventEmitter();
  const raised: string[] = [];
  const signals = holdSignals(['SIGINT', 'SIGTERM'], program, (signal) => raised.push(signal));
  program.emit('SIGINT', 'SIGINT');
  assert.deepEqual(raised, []);
  signals.release();
  assert.deepEqual(raised, ['SIGINT']);
  assert.equal(program.listenerCount('SIGINT') + program.listenerCount('SIGTERM'), 0);
  signals.release();
  assert.equal(raised.length, 1);
});
