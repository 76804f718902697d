// Whether the remediator is fit to judge, and what an alert's labels mean.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { known, unknown } from '../../../exporter/runtime/known.ts';
import { onlyLooking, selfOf, writable } from '../../../remediator/fitness.ts';
import type { PlanInput } from '../../../remediator/guard.ts';
import { self } from '../../../remediator/guards/self.ts';
import { objectOf } from '../../../remediator/identify.ts';
import { watchdogKey } from '../../../remediator/intake.ts';
import { MovableClock } from './run-harness.ts';
import { permitted, upstream } from './scenario.ts';

const minute = 60_000;

function place(seenMs?: number) {
  const clock = new MovableClock();
  const asked: string[] = [];
  const startedMs = clock.nowMs();
  const text = seenMs === undefined ? undefined : JSON.stringify({ ledgerMs: startedMs + seenMs, wallMs: 0 });
  const deps = {
    clock,
    store: {
      meta: (key: string) => Promise.resolve(key === watchdogKey('main') ? text : undefined),
      setMeta: () => Promise.resolve(),
    },
    settings: { sources: [{ name: 'main', watchdogMs: minute, alertmanagers: [] }] },
    world: {
      others: (target: string): Promise<PlanInput['upstreams']> => {
        asked.push(target);
        return Promise.resolve([upstream('far', known(true, 1)), upstream('farther', unknown('no answer'))]);
      },
    },
  };
  const look = (upstreams: PlanInput['upstreams'], source = 'main') =>
    selfOf(deps, source, 'svc1', upstreams, onlyLooking(clock, undefined), AbortSignal.timeout(30_000));
  return { clock, asked, look, startedMs, deps };
}

test('others are asked only when no upstream answers', async () => {
  const { look, asked } = place();
  assert.deepEqual((await look([upstream('db1'), upstream('k1', unknown('x'))])).others, { asked: 2, answering: 1 });
  assert.deepEqual(asked, []);
  assert.deepEqual((await look([upstream('db1', unknown('x'))])).others, { asked: 3, answering: 1 });
  assert.deepEqual((await look([])).others, { asked: 2, answering: 1 });
  assert.deepEqual(asked, ['svc1', 'svc1']);
});

test('the watchdog: aged since it was seen, before the first one since the start; of another source none is expected', async () => {
  const age = async (seenMs: number | undefined, aheadMs: number, source?: string): Promise<number | undefined> => {
    const { clock, deps, startedMs } = place(seenMs);
    clock.aheadMs += aheadMs;
    const sweeping = { ...onlyLooking(clock, undefined), startedMs };
    const { watchdog } = await selfOf(deps, source ?? 'main', 'svc1', [], sweeping, AbortSignal.timeout(30_000));
    return watchdog && Math.round(watchdog.ageMs / minute);
  };
  assert.equal(await age(undefined, 5 * minute), 5);
  assert.equal(await age(-60 * minute, 5 * minute), 5);
  assert.equal(await age(4 * minute, 5 * minute), 1);
  assert.equal(await age(undefined, 5 * minute, 'other'), undefined);
});

test('a store that takes no writes is unknown, and unknown is no permission', async () => {
  const full = { setMeta: () => Promise.reject(new Error('disk full')) };
  const store = await writable(full, 1);
  assert.ok(!store.known);
  const verdict = self.decide({ ...permitted, self: { ...permitted.self, store } });
  assert.deepEqual([verdict.is, verdict.code], ['unknown', 'store_not_writable']);
  assert.ok((await writable({ setMeta: () => Promise.resolve() }, 1)).known);
});

const action = {
  name: 'a',
  objectLabels: { channel: 'channel_name' },
  params: z.strictObject({ channel: z.string().regex(/^[a-z0-9_]+$/), seconds: z.int().optional() }),
};
const rows: readonly (readonly [given: object, labels: Record<string, string>, expected: string])[] = [
  [{}, { channel_name: 'ch1' }, 'clear {"channel":"ch1"}'],
  [{ seconds: 5 }, { channel_name: 'ch1' }, 'clear {"seconds":5,"channel":"ch1"}'],
  [{ channel: 'ch1' }, {}, 'clear {"channel":"ch1"}'],
  [{ channel: 'ch1' }, { channel_name: 'ch1' }, 'clear {"channel":"ch1"}'],
  [{ channel: 'ch1' }, { channel_name: 'ch2' }, 'other'],
  [{}, {}, 'missing'],
  [{}, { channel_name: '' }, 'missing'],
  [{}, { channel_name: '$(reboot)' }, 'invalid'],
  [{ seconds: 'x' }, { channel_name: 'ch1' }, 'invalid'],
];
for (const [given, labels, expected] of rows) {
  test(`object: ${JSON.stringify(given)} with ${JSON.stringify(labels)} is ${expected}`, () => {
    const object = objectOf(action, JSON.parse(JSON.stringify(given)) as Record<string, string>, labels);
    assert.equal(object.is === 'clear' ? `clear ${JSON.stringify(object.params)}` : object.is, expected);
    if (object.is === 'invalid') assert.ok(!object.because.includes('reboot'));
  });
}

test('an object that the action does not need may be left out', () => {
  const free = { ...action, params: z.strictObject({ channel: z.string().optional() }) };
  assert.deepEqual(objectOf(free, {}, {}), { is: 'clear', params: {} });
});
