import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classOf } from '../../../exporter/runtime/errors.ts';
import { connectStatusOf, hindranceOf } from '../../../exporter/systems/kafka-connect/facts-status.ts';

const status = (connector: unknown, ...tasks: readonly unknown[]): string =>
  JSON.stringify({ name: 'c', connector: { state: connector }, tasks: tasks.map((state, id) => ({ id, state, trace: 'x' })) }); // prettier-ignore

for (const [text, expected] of [
  [status('RUNNING', 'RUNNING'), undefined],
  [status('RUNNING', 'RUNNING', 'FAILED'), /task 1 of the connector has failed/],
  [status('FAILED', 'RUNNING'), /the connector has failed/],
  [status('FAILED'), /the connector has failed/],
  [status('PAUSED', 'PAUSED'), /is paused/],
  [status('STOPPED'), /is stopped/],
  [status('RUNNING'), /has no task/],
  [status('UNASSIGNED', 'UNASSIGNED'), undefined],
  [status('RUNNING', 'RESTARTING'), undefined],
] as const) {
  test(`what hinders: ${text}`, () => {
    const found = hindranceOf(connectStatusOf(text));
    if (expected === undefined) assert.equal(found, undefined);
    else assert.match(found ?? '', expected);
  });
}

test('what is no status is refused', () => {
  for (const text of ['', '7', '{}', '{"tasks": {}}', status('running', 'RUNNING'), status('RUNNING', 7), status(null), '{"connector": "RUNNING", "tasks": []}']) {
    assert.throws(() => connectStatusOf(text), (error: unknown) => classOf(error) === 'protocol', text);
  }
}); // prettier-ignore
