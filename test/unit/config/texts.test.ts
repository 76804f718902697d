// What is wrong with the targets of a real registry is told with its place and what to write instead.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from 'js-yaml';
import { inventoryOf } from '../../../exporter/config/inventory.ts';
import { ConfigError } from '../../../exporter/runtime/errors.ts';
import { systems } from '../../../exporter/systems/index.ts';

function problemsOf(target: string): readonly string[] {
  try {
    inventoryOf(
      load(`targets: [{name: r, kind: redis, address: {host: h}}, {name: t, ${target}}]`),
      'pipemedic.yml',
      systems,
    );
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems;
  }
  return [];
}

const folder = 'directory: /b, pattern: x, tool: mysqldump';
for (const [target, expected] of [
  [
    `kind: backup, address: {${folder}, source: r, archive: r}`,
    [
      'targets[1] (t).address.source: r is of kind redis, wanted is mysql. Name a target of that kind',
      'targets[1] (t).address.archive: r is of kind redis, wanted is backup. Name a target of that kind',
    ],
  ],
  [
    `kind: backup, address: {${folder}}, collectors: {backup_files: {verify_rate: 50}}`,
    ['targets[1] (t).collectors.backup_files.verify_rate: 50 is a number. Write bytes per second, such as 50MB'],
  ],
  [
    "kind: kafka, address: {brokers: ['h:9092']}, collectors: {kafka_lag: {topics: {exclude: ['x([']}}}",
    [
      'targets[1] (t).collectors.kafka_lag.topics.exclude[0]: "x([" cannot stand here. Write a regular expression; this is none: missing closing ]: `[`',
    ],
  ],
] as const) {
  test(target, () => {
    assert.deepEqual(problemsOf(target), expected);
  });
}
