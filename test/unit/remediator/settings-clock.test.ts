// Ledger time: wall, monotonic and boot time moved apart from each other, over restarts and reboots.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLedger, readLedger, type LedgerClock, type Machine, type MetaStore } from '../../../remediator/clock.ts';

const hour = 3_600_000;

class FakeMachine implements Machine {
  wall = 1_800_000_000_000;
  mono = 5000;
  boot = 60_000;
  id = 'boot-1';
  synced = true;
  readonly clock = { wallMs: (): number => this.wall, monoMs: (): number => this.mono };
  readonly bootId = (): string => this.id;
  readonly bootMs = (): number => this.boot;
  readonly synchronised = (): boolean => this.synced;

  /** Time as it is. */
  pass(ms: number): void {
    this.wall += ms;
    this.mono += ms;
    this.boot += ms;
  }

  reboot(id: string, wallGapMs: number): void {
    this.id = id;
    this.wall += wallGapMs;
    this.mono = 100;
    this.boot = 20_000;
  }
}

function memory(): MetaStore & { readonly values: Map<string, string> } {
  const values = new Map<string, string>();
  return {
    values,
    meta: (key) => Promise.resolve(values.get(key)),
    setMeta: (key, value) => {
      values.set(key, value);
      return Promise.resolve();
    },
  };
}

function isSteady(clock: LedgerClock): boolean {
  return clock.steady().known;
}

test('goes with the time, whatever the wall clock does', async () => {
  const machine = new FakeMachine();
  const clock = await openLedger(memory(), hour, machine);
  const start = clock.nowMs();
  assert.equal(start, machine.wall);
  machine.pass(10_000);
  for (const jump of [24 * hour, -48 * hour, 365 * 24 * hour]) {
    machine.wall += jump;
    assert.equal(clock.nowMs(), start + 10_000);
    assert.ok(isSteady(clock));
  }
});

test('is the same in every process of one boot, also after a restart long after the last write', async () => {
  const machine = new FakeMachine();
  const store = memory();
  const first = await openLedger(store, hour, machine);
  machine.pass(100_000);
  machine.wall -= hour;
  const second = await openLedger(store, hour, machine);
  assert.equal(second.nowMs(), first.nowMs());
  machine.pass(5000);
  assert.equal(second.nowMs(), first.nowMs());
  const before = store.values.get('clock');
  assert.equal((await readLedger(store, machine)).nowMs(), first.nowMs());
  assert.equal(store.values.get('clock'), before, 'a reader writes nothing');
});

test('over a reboot it adds the gap that the wall clock shows, never less than nothing and never more than a day', async () => {
  for (const [gap, added] of [
    [30_000, 30_000],
    [-hour, 0],
    [400 * 24 * hour, 24 * hour],
  ] as const) {
    const machine = new FakeMachine();
    const store = memory();
    const before = await openLedger(store, hour, machine);
    machine.pass(7000);
    await before.persist();
    const last = before.nowMs();
    machine.reboot('boot-2', gap);
    const after = await openLedger(store, hour, machine);
    assert.equal(after.nowMs(), last + added);
    assert.ok(isSteady(after), 'the clock was synchronised at boot');
  }
});

test('after a boot with a clock that nobody had set it is not steady until no window reaches back over the boot', async () => {
  const machine = new FakeMachine();
  const store = memory();
  assert.ok(isSteady(await openLedger(store, hour, machine)), 'the first time there is nothing to be wrong about');
  machine.reboot('boot-2', 20 * hour);
  machine.synced = false;
  const clock = await openLedger(store, hour, machine);
  assert.equal(isSteady(clock), false);
  machine.synced = true; // too late: the gap was measured before
  assert.equal(isSteady(clock), false);
  machine.pass(30 * 60_000);
  assert.equal(isSteady(await openLedger(store, hour, machine)), false, 'a restart forgets nothing');
  machine.pass(30 * 60_000);
  assert.ok(isSteady(clock));
});

test('a clock that was set by hand does not measure the gap to the next boot', async () => {
  for (const restarted of [false, true]) {
    const machine = new FakeMachine();
    const store = memory();
    const clock = await openLedger(store, hour, machine);
    machine.pass(7000);
    machine.wall -= 10 * hour; // and the next boot finds the right time: as if it had been off for 10 hours
    if (restarted) await openLedger(store, hour, machine);
    else await clock.persist();
    machine.reboot('boot-2', 10 * hour + 30_000);
    assert.equal(isSteady(await openLedger(store, hour, machine)), false);
  }
});

test('whoever opens the store first after the next boot, an earlier guess is not forgotten', async () => {
  const machine = new FakeMachine();
  const store = memory();
  await openLedger(store, hour, machine);
  machine.synced = false;
  machine.reboot('boot-2', 20 * hour);
  const guessed = await openLedger(store, hour, machine);
  machine.synced = true;
  await guessed.persist();
  machine.reboot('boot-3', 60_000);
  await openLedger(store, Infinity, machine); // a person's command, which knows of no windows
  assert.equal(isSteady(await openLedger(store, hour, machine)), false);
});

test('a suspended machine is not steady until everything was looked at anew; its time counts', async () => {
  const machine = new FakeMachine();
  const clock = await openLedger(memory(), hour, machine);
  const start = clock.nowMs();
  assert.ok(isSteady(clock));
  machine.boot += 20_000; // boot time goes on, monotonic time does not
  machine.wall += 20_000;
  assert.equal(clock.nowMs(), start + 20_000);
  assert.equal(isSteady(clock), false);
  machine.pass(9000);
  assert.equal(isSteady(clock), false);
  machine.pass(1001);
  assert.ok(isSteady(clock));
});

test('never goes backwards', async () => {
  const machine = new FakeMachine();
  const clock = await openLedger(memory(), hour, machine);
  machine.pass(1000);
  const last = clock.nowMs();
  machine.boot -= 500;
  assert.equal(clock.nowMs(), last);
});

test('an anchor that cannot be read is not replaced by a fresh one', async () => {
  const store = memory();
  store.values.set('clock', '{"ledger": "x"}');
  await assert.rejects(openLedger(store, hour, new FakeMachine()));
  assert.equal(store.values.get('clock'), '{"ledger": "x"}');
});

test('gives the wall time of a ledger time, for people', async () => {
  const machine = new FakeMachine();
  const clock = await openLedger(memory(), hour, machine);
  const then = clock.nowMs();
  machine.pass(60_000);
  machine.wall += 5000;
  assert.equal(clock.wallOf(then), machine.wall - 60_000);
});

test('a window that is made longer while it serves reaches back over a boot whose gap was guessed', async () => {
  const machine = new FakeMachine();
  const store = memory();
  await openLedger(store, hour, machine);
  machine.synced = false;
  machine.reboot('boot-2', 10_000);
  let longestMs = hour;
  const clock = await openLedger(store, () => longestMs, machine);
  machine.pass(hour);
  assert.ok(isSteady(clock), 'outlived');
  longestMs = 3 * hour;
  const state = clock.steady();
  assert.match(state.known ? '' : state.why, /Good again after 120 min$/);
  machine.pass(2 * hour);
  assert.ok(isSteady(clock));
});
