// No sequence of alerts, restarts, sleeps, reboots and jumps of the wall clock, or of the clock of the store's server,
// makes more actions than the budgets allow by true time, or any while the switch is off. The store is the real one; the
// machine is made up, and so true time is known. A failure prints its seed and its story; PIPEMEDIC_SEED runs that one
// alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLedger } from '../../../remediator/clock.ts';
import { ledgerTime } from '../../../remediator/store/ledger-time.ts';
import { byMachine, FakeMachine, hour, play, serverClock, type Way } from './budget-world.ts';

const minute = 60_000;
/** PIPEMEDIC_SEQUENCES takes more. */
const sequences = Number(process.env['PIPEMEDIC_SEQUENCES'] ?? 24);
const moves = 70;

/** The time of a shared store is its server's, as mysql-db.ts has it. */
const byServer: Way = {
  ...byMachine,
  openClock: serverClock,
  nowMs: (ledger, machine, highMs) => ledgerTime(machine.serverMs(), highMs, ledger.nowMs()),
  // 10 s that a claim may be ahead of the newest look, and what two clocks may differ by before it counts as a jump
  slackMs: 20_000,
  hasServer: true,
};

async function firstFault(way: Way): Promise<string | undefined> {
  const only = process.env['PIPEMEDIC_SEED'];
  const seeds = only === undefined ? Array.from({ length: sequences }, (_, i) => i + 1) : [Number(only)];
  for (const seed of seeds) {
    const fault = await play(seed, moves, way);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

test(`budgets and the switch hold over ${sequences} sequences of ${moves} moves`, async () => {
  assert.equal(await firstFault(byMachine), undefined);
});

test(`with a shared store too, whose server’s clock jumps by itself, over ${sequences} sequences of ${moves} moves`, async () => {
  assert.equal(await firstFault(byServer), undefined);
});

const mutants: Readonly<Record<string, Way>> = {
  'windows counted by the wall clock': { ...byMachine, nowMs: (_ledger, machine) => machine.clock.wallMs() },
  'budget counted before the claim': { ...byMachine, claims: 'counted before' },
  'the clock guard is not asked': { ...byMachine, asksTheClockGuard: false },
  'with a shared store, the clock guard is not asked': { ...byServer, asksTheClockGuard: false },
  'with a shared store, a restart forgets what it has seen of its server’s clock': {
    ...byServer,
    openClock: (store, machine) =>
      serverClock(
        {
          meta: store.meta,
          setMeta: (key, value) => (key === 'clock_seen' ? Promise.resolve() : store.setMeta(key, value)),
        },
        machine,
      ),
  },
};
for (const [what, way] of Object.entries(mutants)) {
  test(`caught: ${what}`, async () => {
    assert.match((await firstFault(way)) ?? 'no fault was found', /^seed \d+: \d+ actions/);
  });
}

test('between a jump of the server’s clock and the next look at it no claim takes its time', async () => {
  const machine = new FakeMachine();
  const kept = new Map<string, string>();
  const clock = await serverClock(
    {
      meta: (key) => Promise.resolve(kept.get(key)),
      setMeta: (key, value) => Promise.resolve(void kept.set(key, value)),
    },
    machine,
  );
  assert.equal(ledgerTime(machine.serverMs(), 0, clock.nowMs()), machine.trueMs);
  machine.serverErrorMs += 2 * hour;
  assert.ok(clock.steady().known, 'nobody has looked');
  assert.throws(() => ledgerTime(machine.serverMs(), 0, clock.nowMs()), /7200000 ms ahead/);
  await clock.persist();
  assert.equal(clock.steady().known, false);
});

test('many small steps of the server’s clock are one jump, over restarts too', async () => {
  const machine = new FakeMachine();
  const kept = new Map<string, string>();
  const store = {
    meta: (key: string) => Promise.resolve(kept.get(key)),
    setMeta: (key: string, value: string) => Promise.resolve(void kept.set(key, value)),
  };
  let clock = await serverClock(store, machine);
  let steps = 0;
  while (clock.steady().known && steps < 20) {
    steps += 1;
    machine.pass(5_000);
    machine.serverErrorMs += 1_500;
    await clock.persist();
    if (steps % 2 === 0) clock = await serverClock(store, machine);
  }
  assert.ok(steps <= 3, `${steps} steps of 1.5 s were taken for the pace of a clock`);
  // what crystals differ by is none
  const even = new FakeMachine();
  kept.clear();
  clock = await serverClock(store, even);
  for (let n = 0; n < 1_000; n++) {
    even.pass(5_000);
    even.serverErrorMs += 1; // 200 ppm
    await clock.persist();
    assert.ok(clock.steady().known);
  }
});

test('a boot with a wrong clock that does not outlast a window, and then a good one: how long it was off is still not known', async () => {
  const machine = new FakeMachine();
  const kept = new Map<string, string>();
  const store = {
    meta: (key: string) => Promise.resolve(kept.get(key)),
    setMeta: (key: string, value: string) => Promise.resolve(void kept.set(key, value)),
  };
  await openLedger(store, hour, machine);
  machine.pass(10 * minute);
  machine.reboot(minute, 3 * hour);
  assert.equal((await openLedger(store, hour, machine)).steady().known, false, 'nobody has set the clock');
  machine.pass(10 * minute);
  machine.reboot(minute, 0);
  const clock = await openLedger(store, hour, machine);
  assert.equal(clock.steady().known, false, 'its ledger time is ahead by what was guessed before');
  machine.pass(hour);
  assert.equal(clock.steady().known, true, 'no window reaches back over the boot');
  machine.reboot(minute, 0);
  assert.equal((await openLedger(store, hour, machine)).steady().known, false, 'not written since it was outlived');
});
