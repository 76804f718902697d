// A target that is known to be down is left alone for a while, and stays down for the reason that is known.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../../exporter/runtime/clock.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { until } from '../../../exporter/runtime/deadline.ts';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { Backoff } from '../../../exporter/scrape/backoff.ts';
import { join } from '../../../exporter/scrape/exposition.ts';
import { defaultLimits, type SweepLimits } from '../../../exporter/scrape/limits.ts';
import { Rounds } from '../../../exporter/scrape/rounds.ts';
import { parseExposition, valueOf, type ParsedFamily } from '../../support/exposition-parser.ts';
import { fakeInventory, roundsDeps, script } from '../../support/fake-system.ts';

const limits: SweepLimits = { ...defaultLimits, random: () => 0.5 };
const refused = { class: 'refused', why: 'nobody listens' } as const;

/** Fails at once at each time that it is asked, every `everyMs`. @returns when it was asked */
function outage(backoff: Backoff, forMs: number, everyMs: number): number[] {
  const asked: number[] = [];
  for (let nowMs = 0; nowMs <= forMs; nowMs += everyMs) {
    if (backoff.resting(nowMs, 10_000) !== undefined) continue;
    asked.push(nowMs);
    backoff.failed({ failure: refused, startedAtMs: nowMs, endedAtMs: nowMs, budgetMs: 10_000 });
  }
  return asked;
}

test('the pauses grow with the outage, to the limit and no further', () => {
  const asked = outage(new Backoff(limits), 3_600_000, 1000);
  const pauses = asked.slice(1).map((at, i) => at - (asked[i] ?? 0));
  assert.deepEqual(asked.slice(0, 9), [0, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000]);
  assert.deepEqual(
    pauses,
    pauses.toSorted((a, b) => a - b),
  );
  assert.equal(pauses.at(-1), 27_000);
  // An eighth of the outage late at most, and by the second between two scrapes.
  for (const [i, pause] of pauses.entries()) assert.ok(pause <= Math.max(2000, (asked[i] ?? 0) / 8 + 1001), `${pause}`);
  assert.ok(asked.length < 3600 / 20, `${asked.length} tries in an hour`);
});

test('chance makes a pause shorter, never longer; 0 means always', () => {
  for (const [random, longest] of [
    [0, 30_000],
    [1, 24_000],
  ] as const) {
    const backoff = new Backoff({ ...limits, random: () => random });
    outage(backoff, 3_600_000, 1000);
    backoff.failed({ failure: refused, startedAtMs: 4e6, endedAtMs: 4e6, budgetMs: 10_000 });
    assert.equal(backoff.leftMs(4e6), longest);
  }
  const off = new Backoff({ ...limits, backoffAtMostMs: 0 });
  assert.equal(outage(off, 3_600_000, 15_000).length, 241);
});

test('what says nothing of the target is no reason, and more patience is one to ask again', () => {
  const backoff = new Backoff(limits);
  const tried = { startedAtMs: 0, endedAtMs: 80_000, budgetMs: 1000 };
  for (const ours of ['bug', 'queue'] as const) backoff.failed({ ...tried, failure: { class: ours, why: 'x' } });
  assert.equal(backoff.resting(80_001, 1000), undefined);
  backoff.failed({ ...tried, failure: { class: 'deadline', why: 'no answer in time' } });
  const resting = backoff.resting(81_000, 1000);
  assert.equal(resting?.class, 'deadline');
  assert.equal(resting.why, 'no answer in time (asked 1.0 s ago, again in 8.0 s)');
  assert.equal(backoff.resting(81_000, 9750), undefined);
  backoff.failed({ ...tried, failure: refused });
  assert.equal(backoff.resting(81_000, 9750)?.class, 'refused');
  backoff.forget();
  assert.equal(backoff.resting(81_000, 1000), undefined);
});

/** A clock that the test moves on. */
function movedClock(): { readonly clock: Clock; moveMs: (ms: number) => void } {
  let aheadMs = 0;
  const clock = { ...systemClock, monoMs: () => systemClock.monoMs() + aheadMs };
  return { clock, moveMs: (ms) => (aheadMs += ms) };
}

async function scrape(rounds: Rounds): Promise<Map<string, ParsedFamily>> {
  return parseExposition((await join(await rounds.scrape(2000), 'text', systemClock)).toString());
}

test('a target that is left alone is down with its class and the age of that; it is found again within the limit', async () => {
  const a = script({ open: () => Promise.reject(new TargetError('refused', 'nobody')) });
  const { clock, moveMs } = movedClock();
  const rounds = new Rounds(fakeInventory({ a, b: script() }), roundsDeps({ clock, limits }));
  await scrape(rounds);
  moveMs(600_000);
  await scrape(rounds); // down for ten minutes: the pause is the longest from now on
  assert.equal(a.opens, 2);
  a.open = () => Promise.resolve();
  moveMs(20_000);
  const found = await scrape(rounds);
  assert.equal(a.opens, 2);
  assert.equal(valueOf(found, 'pipemedic_target_up', { target: 'a' }), 0);
  assert.equal(valueOf(found, 'fake_up', { target: 'a' }), 0);
  assert.equal(valueOf(found, 'pipemedic_target_error_info', { target: 'a', class: 'refused' }), 1);
  assert.equal(valueOf(found, 'fake_state', { target: 'a', state: 'unknown' }), 1);
  assert.equal(valueOf(found, 'pipemedic_collector_success', { target: 'a', collector: 'other' }), 0);
  const age = valueOf(found, 'pipemedic_target_data_age_seconds', { target: 'a' }) ?? NaN;
  const left = valueOf(found, 'pipemedic_target_backoff_seconds', { target: 'a' }) ?? NaN;
  assert.ok(age >= 20 && age < 25 && left > 2 && left <= 7, `${age} s old, ${left} s to go`);
  assert.equal(valueOf(found, 'pipemedic_target_up', { target: 'b' }), 1);
  assert.equal(valueOf(found, 'pipemedic_target_backoff_seconds', { target: 'b' }), 0);
  const [seen] = rounds.states;
  assert.equal(seen?.seen?.down?.why, 'nobody');
  moveMs(10_000);
  const again = await scrape(rounds);
  assert.equal(valueOf(again, 'pipemedic_target_up', { target: 'a' }), 1);
  assert.equal(valueOf(again, 'pipemedic_target_data_age_seconds', { target: 'a' }), 0);
  await rounds.close();
});

test('a reload asks a target again that is left alone', async () => {
  const a = script({ open: () => Promise.reject(new TargetError('auth', 'wrong password')) });
  const { clock, moveMs } = movedClock();
  const rounds = new Rounds(fakeInventory({ a }), roundsDeps({ clock, limits }));
  await scrape(rounds);
  moveMs(600_000);
  for (let i = 0; i < 3; i++) await scrape(rounds);
  assert.equal(a.opens, 2);
  rounds.replace(fakeInventory({ a }));
  await scrape(rounds);
  assert.equal(a.opens, 3);
  await rounds.close();
});

test('one that collects while its target is down is asked in each scrape', async () => {
  const a = script({ ping: () => Promise.reject(new TargetError('refused', 'nobody')), collectsWhileDown: true });
  const { clock, moveMs } = movedClock();
  const rounds = new Rounds(fakeInventory({ a }), roundsDeps({ clock, limits }));
  for (let i = 0; i < 3; i++) {
    const found = await scrape(rounds);
    assert.equal(valueOf(found, 'fake_value', { target: 'a' }), 1);
    assert.equal(valueOf(found, 'pipemedic_target_backoff_seconds', { target: 'a' }), 0);
    moveMs(600_000);
  }
  await rounds.close();
});

test('a scrape without patience ends in time, and has no connection destroyed that is being made', async () => {
  let finish = (): void => undefined;
  const made = new Promise<void>((resolve) => (finish = resolve));
  const a = script({ open: (call) => until(call.signal, 'open', made) });
  const rounds = new Rounds(fakeInventory({ a }), roundsDeps({ limits: { ...limits, leastSweepMs: 60_000 } }));
  try {
    for (let i = 0; i < 3; i++) {
      const found = parseExposition((await join(await rounds.scrape(4), 'text', systemClock)).toString());
      assert.equal(valueOf(found, 'pipemedic_target_up', { target: 'a' }), 0);
      assert.equal(valueOf(found, 'pipemedic_target_error_info', { target: 'a', class: 'deadline' }), 1);
    }
    finish();
    assert.equal(valueOf(await scrape(rounds), 'pipemedic_target_up', { target: 'a' }), 1);
    assert.equal(a.opens, 1);
  } finally {
    await rounds.close();
  }
});
