import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alertStateAfterFiring, identOf, isOwn, transitionOf } from '../../../remediator/episodes.ts';

const labels = { alertname: 'A', target: 't' };

test('identity: order, replica labels and empty values do not count; source, names and values do', () => {
  const ident = identOf('main', labels);
  assert.match(ident, /^[0-9a-f]{64}$/);
  for (const same of [
    { target: 't', alertname: 'A' },
    { ...labels, replica: '1' },
    { ...labels, prometheus_replica: 'x' },
    { ...labels, channel_name: '' },
  ]) {
    assert.equal(identOf('main', same), ident, JSON.stringify(same));
  }
  for (const other of [
    { ...labels, channel_name: 'c' },
    { alertname: 'A', target: 'T' },
    { alertname: 'A', target: 't ' },
    { alertname: 'A","target":"t' },
    { alertname: 't', target: 'A' },
  ]) {
    assert.notEqual(identOf('main', other), ident, JSON.stringify(other));
  }
  assert.notEqual(identOf('second', labels), ident);
});

test('own alerts are told by their label', () => {
  assert.equal(isOwn({ generator: 'pipemedic' }), true);
  assert.equal(isOwn({ generator: 'other' }), false);
  assert.equal(isOwn(labels), false);
});

test('transitions', () => {
  const closed = { id: 'e', startsWallMs: 1_000_000, closedMs: 5_000_000, closedWallMs: 1_600_000 };
  const after = (status: 'firing' | 'resolved', startsWallMs: number, nowMs = 5_000_001) =>
    transitionOf({ status, startsWallMs }, undefined, closed, nowMs, 900_000);
  assert.deepEqual(transitionOf({ status: 'firing', startsWallMs: 1 }, { id: 'o' }, closed, 0, 0), { is: 'refresh' });
  assert.deepEqual(transitionOf({ status: 'resolved', startsWallMs: 1 }, { id: 'o' }, closed, 0, 0), { is: 'hint' });
  assert.deepEqual(transitionOf({ status: 'firing', startsWallMs: 1 }, undefined, undefined, 0, 0), {
    is: 'open',
    relapseOf: undefined,
  });
  assert.deepEqual(transitionOf({ status: 'resolved', startsWallMs: 1 }, undefined, undefined, 0, 0), { is: 'ignore' });
  // late: resolved, the same start with up to 120 s of drift, or a start well before the end
  const late = { is: 'late', id: 'e' };
  assert.deepEqual(after('resolved', 9_000_000), late);
  assert.deepEqual(after('firing', 1_120_000), late);
  assert.deepEqual(after('firing', 1_479_999), late);
  // new: a start near the end or after it
  assert.deepEqual(after('firing', 1_480_000), { is: 'open', relapseOf: 'e' });
  assert.deepEqual(after('firing', 1_700_000, 5_900_000), { is: 'open', relapseOf: 'e' });
  assert.deepEqual(after('firing', 1_700_000, 5_900_001), { is: 'open', relapseOf: undefined });
});

test('a firing notification counts as active, but does not lift what a poll has seen lately', () => {
  const after = (
    alertState: Parameters<typeof alertStateAfterFiring>[0]['alertState'],
    alertSeenMs: number | undefined,
  ) => alertStateAfterFiring({ alertState, alertDetail: 'd', alertSeenMs }, 1_000_000);
  const active = { alertState: 'active', alertDetail: 'webhook', alertSeenMs: 1_000_000 };
  for (const state of ['active', 'unknown', 'unreachable'] as const) assert.deepEqual(after(state, 999_000), active);
  assert.deepEqual(after('unknown', undefined), active);
  for (const state of ['silenced', 'inhibited', 'absent'] as const) {
    assert.equal(after(state, 999_000).alertState, state, 'a fresh poll');
    assert.equal(after(state, 1_000_500).alertState, state, 'a newer poll');
    assert.deepEqual(after(state, 910_000), active, 'an old poll');
  }
});
