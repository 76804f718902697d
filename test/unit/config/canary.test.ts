// The canary of a pipeline goes in at its source and is looked for at its end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from 'js-yaml';
import { inventoryOf, type Inventory } from '../../../exporter/config/inventory.ts';
import { ConfigError } from '../../../exporter/runtime/errors.ts';
import { systems } from '../../../exporter/systems/index.ts';

const account = ', auth: {user: u, password_file: /p}';

function read(canary: string, pipeline: string, auth = account): Inventory {
  return inventoryOf(
    load(
      `targets:
    - {name: db1, kind: mysql, address: {host: h}}
    - {name: db2, kind: mysql, address: {host: h}}
    - {name: redis1, kind: redis, address: {host: h}}
    - {name: redis2, kind: redis, address: {host: h}}
    - {name: redis3, kind: redis, address: {host: h}}
    - {name: c, kind: canary, address: ${canary}${auth}}
    - {name: guarded, kind: redis, address: {host: h}, auth: {password_file: /q}}
    pipelines:
    - {name: p, objective: 30s, source: db1, replicas: [db2], ${pipeline}}`.replaceAll('\n    ', '\n'),
    ),
    'pipemedic.yml',
    systems,
  );
}

function problemsOf(canary: string, pipeline: string, auth = account): readonly string[] {
  try {
    read(canary, pipeline, auth);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems;
  }
  return [];
}

const toRedis = '{write: {target: db1, table: d.t}, seen_at: [{target: db2}, {target: redis1, key: k}]}';
const cache = 'cache: {primary: redis1, replicas: [redis2]}';

test('a member, which cannot work without what it names', () => {
  const { members, upstreams } = read(toRedis, `${cache}, canary: c`);
  assert.deepEqual(
    members.filter(({ role }) => role === 'canary'),
    [{ pipeline: 'p', target: 'c', role: 'canary' }],
  );
  assert.deepEqual([...(upstreams.get('c') ?? [])].sort(), ['db1', 'db2', 'redis1']);
});

for (const [what, canary, pipeline, expected] of [
  ['right', toRedis, `${cache}, canary: c`, []],
  ['at a replica of the cache', toRedis, 'cache: {primary: redis2, replicas: [redis1]}, canary: c', []],
  ['without a cache any end will do', toRedis, 'canary: c', []],
  [
    'not there',
    toRedis,
    'canary: x',
    ['pipelines[0] (p).canary: there is no target x. Add it under targets, or name one of kind canary: c'],
  ],
  [
    'of another kind',
    toRedis,
    'canary: db2',
    ['pipelines[0] (p).canary: db2 is of kind mysql, wanted is canary. Name a target of that kind'],
  ],
  [
    'written elsewhere',
    '{write: {target: redis1, key: k}, seen_at: [{target: redis2}]}',
    `${cache}, canary: c`,
    ['pipelines[0] (p).canary: c is written to redis1, not to the source. Name one that is written to db1'],
  ],
  [
    'not looked for at the end',
    '{write: {target: db1, table: d.t}, seen_at: [{target: redis3, key: k}]}',
    `${cache}, canary: c`,
    ['pipelines[0] (p).canary: c is looked for at no end of the pipeline. Add to its seen_at one of redis1, redis2'],
  ],
  [
    'its own references',
    '{write: {target: redis1, table: d.t}, seen_at: [{target: db9}]}',
    '',
    [
      'targets[5] (c).address.write.target: redis1 is of kind redis, wanted is mysql. Name a target of that kind',
      'targets[5] (c).address.seen_at[0].target: there is no target db9. Add it under targets, or name one of kind mysql: db1, db2',
    ],
  ],
] as const) {
  test(`a pipeline's canary: ${what}`, () => {
    assert.deepEqual(problemsOf(canary, pipeline), expected);
  });
}

test('who writes has an account of its own: it never comes in with that of the target', () => {
  const missing = (to: string): string =>
    `targets[5] (c).auth: c writes to ${to} with an account of its own, and has none. Write auth: {user: …, password_file: …}`;
  assert.deepEqual(problemsOf(toRedis, '', ''), [missing('db1')]);
  assert.deepEqual(problemsOf(toRedis, '', ', auth: {password_file: /p}'), [missing('db1')]);
  const onRedis = '{write: {target: redis1, key: k}, seen_at: [{target: redis2}]}';
  assert.deepEqual(problemsOf(onRedis, '', ''), []); // that Redis asks nobody
  const onGuarded = onRedis.replaceAll('redis1', 'guarded');
  assert.deepEqual(problemsOf(onGuarded, '', ''), [missing('guarded')]);
  assert.deepEqual(problemsOf(onGuarded, '', ', auth: {password_file: /p}'), []);
});
