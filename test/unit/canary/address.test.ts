import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canaryAddress, canaryReferences } from '../../../exporter/systems/canary/address.ts';

const ofTable = { target: 'db1', table: 'pipemedic.canary' };
const ofKey = { target: 'redis1', key: 'pipemedic:canary' };

function problems(address: object): string[] {
  const parsed = canaryAddress.safeParse(address);
  return parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

test('a row, seen at a replica, in a topic, in a key and in a field of a hash; times have defaults', () => {
  const parsed = canaryAddress.parse({
    write: ofTable,
    seen_at: [
      { target: 'db2' },
      { target: 'db3', table: 'copy.canary' },
      { target: 'kafka1', topic: 'maxwell' },
      { target: 'redis1', key: 'canary:c' },
      { target: 'redis2', key: 'canary:c', field: 'token' },
    ],
  });
  assert.deepEqual(parsed, {
    write: { kind: 'mysql', ...ofTable, onReplica: false },
    seenAt: [
      { kind: 'mysql', target: 'db2', table: 'pipemedic.canary' },
      { kind: 'mysql', target: 'db3', table: 'copy.canary' },
      { kind: 'kafka', target: 'kafka1', topic: 'maxwell' },
      { kind: 'redis', target: 'redis1', key: 'canary:c' },
      { kind: 'redis', target: 'redis2', key: 'canary:c', field: 'token' },
    ],
    everyMs: 10_000,
    lateAfterMs: 10_000,
    giveUpAfterMs: 300_000,
  });
  assert.deepEqual(
    canaryReferences(parsed).map(({ path, target, kind }) => `${path} ${target} ${kind}`),
    [
      'write.target db1 mysql',
      'seen_at[0].target db2 mysql',
      'seen_at[1].target db3 mysql',
      'seen_at[2].target kafka1 kafka',
      'seen_at[3].target redis1 redis',
      'seen_at[4].target redis2 redis',
    ],
  );
});

test('a key, seen at a replica of the same server kind', () => {
  const parsed = canaryAddress.parse({ write: ofKey, seen_at: [{ target: 'redis2' }], late_after: '1h', every: '30s' });
  assert.deepEqual(parsed.seenAt, [{ kind: 'redis', target: 'redis2', key: 'pipemedic:canary' }]);
  assert.equal(parsed.lateAfterMs, 300_000, 'what is lost is late');
});

for (const [what, address, expected] of [
  ['neither table nor key', { write: { target: 'db1' }, seen_at: [{ target: 'db2' }] }, 'write: either table'],
  ['both', { write: { ...ofTable, key: 'k' }, seen_at: [{ target: 'db2' }] }, 'write: either table'],
  ['a key on a replica', { write: { ...ofKey, on_replica: true }, seen_at: [{ target: 'r' }] }, 'write: either'],
  ['no end', { write: ofTable, seen_at: [] }, 'seen_at: '],
  ['an end of two kinds', { write: ofTable, seen_at: [{ target: 'r', key: 'k', topic: 't' }] }, 'seen_at.0: one of'],
  ['a field without its key', { write: ofTable, seen_at: [{ target: 'r', field: 'f' }] }, 'seen_at.0: one of'],
  ['a field of a topic', { write: ofTable, seen_at: [{ target: 'k', topic: 't', field: 'f' }] }, 'seen_at.0: one of'],
  ['an end twice', { write: ofTable, seen_at: [{ target: 'r' }, { target: 'r' }] }, 'seen_at.1.target: each'],
  ['a backtick', { write: { target: 'd', table: 'a.b`; DROP' }, seen_at: [{ target: 'x' }] }, 'write.table: DATA'],
  [
    'a table without its database',
    { write: { target: 'd', table: 'b' }, seen_at: [{ target: 'x' }] },
    'write.table: D',
  ],
  ['too often', { write: ofTable, seen_at: [{ target: 'x' }], every: '100ms' }, 'every: a duration from'],
  ['given up at once', { write: ofTable, seen_at: [{ target: 'x' }], give_up_after: '1s' }, 'give_up_after: a'],
] as const) {
  test(`refused: ${what}`, () => {
    const found = problems(address);
    assert.ok(
      found.some((problem) => problem.startsWith(expected)),
      found.join('\n'),
    );
  });
}
