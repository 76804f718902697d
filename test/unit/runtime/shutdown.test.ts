import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { createLog } from '../../../exporter/runtime/log.ts';
import { onShutdown, type Ending } from '../../../exporter/runtime/shutdown.ts';

class Program extends EventEmitter implements Ending {
  exitCode: number | string | null | undefined;
  readonly exits: number[] = [];
  exit(code: number): void {
    this.exits.push(code);
  }
}

const log = createLog('test', 'silent');

test('the first signal stops once, the second ends at once', () => {
  const program = new Program();
  let stops = 0;
  const stop = (): Promise<void> => {
    stops += 1;
    return new Promise(() => undefined);
  };
  onShutdown(stop, 10_000, log, program);
  program.emit('SIGTERM', 'SIGTERM');
  assert.deepEqual([stops, program.exits], [1, []]);
  program.emit('SIGINT', 'SIGINT');
  assert.deepEqual([stops, program.exits], [1, [1]]);
});

test('a stop that fails is an exit status', async () => {
  const program = new Program();
  onShutdown(() => Promise.reject(new Error('no')), 10_000, log, program);
  program.emit('SIGINT', 'SIGINT');
  await new Promise(setImmediate);
  assert.equal(program.exitCode, 1);
});

test('a stop that hangs is ended by force', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const program = new Program();
  onShutdown(() => new Promise(() => undefined), 10_000, log, program);
  program.emit('SIGTERM', 'SIGTERM');
  t.mock.timers.tick(9999);
  assert.deepEqual(program.exits, []);
  t.mock.timers.tick(1);
  assert.deepEqual(program.exits, [1]);
  await Promise.resolve();
});

test('the handlers can be taken away', () => {
  const program = new Program();
  onShutdown(() => Promise.resolve(), 1, log, program)();
  assert.equal(program.listenerCount('SIGTERM') + program.listenerCount('SIGINT'), 0);
});
