// Hours over the nights in which a clock is put forward or back: where a time of day is missing or comes twice, the
// remediator acts by itself only where both clocks say so, and keeps away where either does.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Window } from '../../../remediator/guard.ts';
import { defaultLimits } from '../../../remediator/policies.ts';
import { maintenanceNow } from '../../../remediator/restraint.ts';
import { isClockChanging, windowAt } from '../../../remediator/windows.ts';

const every = [1, 2, 3, 4, 5, 6, 7];
const clock = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
function window(from: string, to: string, timezone = 'Europe/Berlin', days: readonly number[] = every): Window {
  return { days, fromMinute: clock(from), toMinute: clock(to), timezone };
}

/** `acts` and `works` (people), at a moment. */
function at(windows: readonly Window[], when: string): string {
  const wallMs = Date.parse(when);
  assert.ok(!Number.isNaN(wallMs));
  const acts = windowAt(windows, wallMs, 'every') !== undefined;
  const works = windowAt(windows, wallMs, 'any') !== undefined;
  return [acts ? 'acts' : '', works ? 'works' : ''].join(' ').trim();
}

// 2026-03-29 in Berlin: 02:00 CET is 03:00 CEST (01:00 UTC). 2026-10-25: 03:00 CEST is 02:00 CET (01:00 UTC).
const rows: readonly (readonly [what: string, windows: readonly Window[], when: string, expected: string])[] = [
  ['an hour that is missing, the minute before', [window('02:00', '03:00')], '2026-03-29T00:59:00Z', 'works'],
  ['an hour that is missing, the minute after', [window('02:00', '03:00')], '2026-03-29T01:01:00Z', 'works'],
  ['an hour that is missing, long after', [window('02:00', '03:00')], '2026-03-29T02:00:00Z', ''],
  ['an hour that is missing, the day before', [window('02:00', '03:00')], '2026-03-28T01:30:00Z', 'acts works'],
  ['an hour that is missing, the day after', [window('02:00', '03:00')], '2026-03-30T00:30:00Z', 'acts works'],
  ['half of it missing', [window('02:30', '03:30')], '2026-03-29T01:15:00Z', 'works'],
  ['the doubled hour, the first time', [window('02:00', '03:00')], '2026-10-25T00:30:00Z', 'works'],
  ['the doubled hour, the second time', [window('02:00', '03:00')], '2026-10-25T01:30:00Z', 'works'],
  ['a window that the doubling interrupts: begun', [window('02:30', '03:30')], '2026-10-25T00:45:00Z', 'works'],
  ['a window that the doubling interrupts: between', [window('02:30', '03:30')], '2026-10-25T01:15:00Z', 'works'],
  ['a window that the doubling interrupts: again', [window('02:30', '03:30')], '2026-10-25T01:45:00Z', 'works'],
  ['a window that the doubling interrupts: over', [window('02:30', '03:30')], '2026-10-25T02:30:00Z', ''],
  ['a night around the missing hour', [window('22:00', '06:00')], '2026-03-29T00:30:00Z', 'acts works'],
  ['a night around the missing hour, after it', [window('22:00', '06:00')], '2026-03-29T01:30:00Z', 'acts works'],
  ['a night around the doubled hour', [window('22:00', '06:00')], '2026-10-25T01:30:00Z', 'acts works'],
  ['its end by the old clock, at hand', [window('22:00', '05:00')], '2026-10-25T03:30:00Z', 'works'],
  [
    'two windows that meet in the doubled hour',
    [window('00:00', '02:30'), window('02:30', '06:00')],
    '2026-10-25T00:45:00Z',
    'acts works',
  ],
  ['a whole day', [window('00:00', '24:00')], '2026-10-25T00:30:00Z', 'acts works'],
  ['a zone that knows no change', [window('02:00', '03:00', 'UTC')], '2026-03-29T02:30:00Z', 'acts works'],
  ['half an hour, on Lord Howe', [window('01:30', '02:00', 'Australia/Lord_Howe')], '2026-04-04T14:45:00Z', 'works'],
  [
    'Sunday only, the clock changes on it',
    [window('00:00', '24:00', 'Europe/Berlin', [7])],
    '2026-03-28T22:10:00Z',
    'works',
  ],
  ['Sunday only, surely in it', [window('00:00', '24:00', 'Europe/Berlin', [7])], '2026-03-29T01:30:00Z', 'acts works'],
];
for (const [what, windows, when, expected] of rows) {
  test(`${what}: ${expected === '' ? 'neither' : expected}`, () => {
    assert.equal(at(windows, when), expected);
  });
}

test('elsewhere in the year both ways of asking are one, whatever the hours', () => {
  const windows = [window('02:00', '03:00'), window('22:00', '06:00'), window('09:00', '17:00', 'America/New_York')];
  for (let day = 0; day < 7; day++) {
    for (let hour = 0; hour < 24; hour++) {
      const wallMs = Date.UTC(2026, 5, 1 + day, hour, 17);
      assert.equal(isClockChanging(windows, wallMs), false);
      for (const one of windows) {
        assert.equal(windowAt([one], wallMs, 'any'), windowAt([one], wallMs, 'every'));
      }
    }
  }
  assert.equal(isClockChanging(windows, Date.parse('2026-03-29T03:59:00Z')), true);
  assert.equal(isClockChanging(windows, Date.parse('2026-03-29T04:01:00Z')), false);
});

test('recurring maintenance holds over a missing and a doubled hour', () => {
  const maintenance = [{ scope: 'global', windows: [window('02:00', '03:00')], reason: 'weekly work' }];
  const held = (when: string): number =>
    maintenanceNow([], { ...defaultLimits, maintenance }.maintenance, ['global'], {
      nowMs: 0,
      wallMs: Date.parse(when),
    }).length;
  assert.deepEqual(
    ['2026-03-29T01:30:00Z', '2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z', '2026-10-25T03:30:00Z'].map(held),
    [1, 1, 1, 0],
  );
});
