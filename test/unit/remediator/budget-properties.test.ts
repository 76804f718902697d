// No sequence of alerts, restarts, sleeps, reboots and jumps of the wall clock makes more actions than the budgets allow by
// true time, or any while the switch is off. The store is the real one; the machine is made up, and so true time is known.
// A failure prints its seed and its story; PIPEMEDIC_SEED runs that one alone.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openLedger, type LedgerClock, type Machine } from '../../../remediator/clock.ts';
import { openSqlite } from '../../../remediator/store/sqlite.ts';
import type { Claim, ClaimResult, Store } from '../../../remediator/store/store.ts';
import { generator, type Random } from '../../support/random.ts';

const minute = 60_000;
const hour = 60 * minute;
const targets = ['a', 'b', 'c'] as const;
const budgets = { target: { max: 2, windowMs: hour }, global: { max: 4, windowMs: hour } };
/** PIPEMEDIC_SEQUENCES takes more. */
const sequences = Number(process.env['PIPEMEDIC_SEQUENCES'] ?? 24);
const moves = 70;

/** What time really is, and what the machine believes. */
class FakeMachine implements Machine {
  trueMs = 1_800_000_000_000;
  mono = 5_000;
  boot = 3 * hour;
  boots = 1;
  wallErrorMs = 0;
  synced = true;
  readonly clock = { wallMs: (): number => this.trueMs + this.wallErrorMs, monoMs: (): number => this.mono };
  readonly bootId = (): string => `boot-${this.boots}`;
  readonly bootMs = (): number => this.boot;
  readonly synchronised = (): boolean => this.synced;

  pass(ms: number): void {
    this.trueMs += ms;
    this.mono += ms;
    this.boot += ms;
  }
  /** The monotonic clock stands still. */
  suspend(ms: number): void {
    this.trueMs += ms;
    this.boot += ms;
  }
  jumpWall(ms: number): void {
    this.wallErrorMs += ms;
    this.synced = false;
  }
  syncWall(): void {
    this.wallErrorMs = 0;
    this.synced = true;
  }
  reboot(offMs: number, wallErrorMs: number): void {
    this.trueMs += offMs;
    this.boots += 1;
    this.mono = 100;
    this.boot = 20_000;
    this.wallErrorMs = wallErrorMs;
    this.synced = wallErrorMs === 0;
  }
}

/** How the remediator goes about it; a mutant replaces a part. */
interface Way {
  readonly nowMs: (ledger: LedgerClock, machine: FakeMachine) => number;
  readonly claims: 'in one transaction' | 'counted before';
  readonly asksTheClockGuard: boolean;
}
const real: Way = { nowMs: (ledger) => ledger.nowMs(), claims: 'in one transaction', asksTheClockGuard: true };

interface Action {
  readonly target: string;
  readonly trueMs: number;
}

/** @returns what went wrong, or undefined */
async function play(seed: number, way: Way): Promise<string | undefined> {
  const dir = await mkdtemp(join(tmpdir(), 'pipemedic-budget-'));
  const file = join(dir, 'store.db');
  const random = generator(seed);
  const machine = new FakeMachine();
  let store = openSqlite({ file });
  let ledger = await openLedger(store, hour, machine);
  const story: string[] = [];
  const actions: Action[] = [];
  let paused = false;
  let fault: string | undefined;
  let n = 0;

  const now = (): number => Math.floor(way.nowMs(ledger, machine));
  const restart = async (): Promise<void> => {
    await store[Symbol.asyncDispose]();
    store = openSqlite({ file });
    ledger = await openLedger(store, hour, machine);
  };
  const claimOf = async (target: string): Promise<Claim> => {
    n += 1;
    const hook = { source: 'main', receivedMs: now(), receivedBy: 'test', body: Buffer.from('{}') };
    const id = await store.appendWebhook({ ...hook, alertCount: 1, truncatedCount: 0 });
    const alert = { status: 'firing', labels: { target, n: String(n) }, annotations: {}, fingerprint: '' } as const;
    const startsWallMs = machine.clock.wallMs();
    const changes = await store.processWebhook(id, [{ ...alert, startsWallMs, endsWallMs: undefined }], false, now());
    const episode = await store.episode(changes[0]?.episodeId ?? '');
    assert.ok(episode);
    return {
      runId: `run-${n}`,
      episodeId: episode.id,
      episodeVersion: episode.version,
      attempt: episode.attempts + 1,
      decisionId: 'd',
      action: 'x',
      planHash: 'p',
      policy: {},
      params: {},
      target,
      actor: 'auto',
      holder: 'h',
      ttlMs: 30_000,
      budgets: [
        { scope: `target:${target}`, ...budgets.target },
        { scope: 'global', ...budgets.global },
      ],
    };
  };
  const carriedOut = async (claim: Claim, result: ClaimResult): Promise<void> => {
    story.push(`${claim.target}: ${result.won ? 'acts' : result.code}`);
    if (!result.won) return;
    const { hold } = result;
    if (paused) fault = `acts on ${claim.target} while the switch is off`;
    const isIdle = random() < 0.15; // refused under the claim: nothing done, nothing spent
    if (!isIdle) {
      await store.appendJournal(hold, { kind: 'intent', step: 's', attempt: 1, data: {} }, now);
      actions.push({ target: claim.target, trueMs: machine.trueMs });
    }
    if (random() < 0.2) {
      await restart(); // a crash in the middle; its successor ends the run
      const adopted = await store.adopt(claim.runId, 'h', 30_000, now);
      assert.ok(adopted);
      await store.endRun(adopted, { outcome: 'failed', because: 'test', cooldownMs: minute }, now);
    } else {
      await store.endRun(hold, { outcome: 'failed', because: 'test', cooldownMs: minute }, now);
    }
    fault ??= overrun(actions);
  };
  /** Two alerts at a time: who counts before it claims does not see the other one. */
  const act = async (): Promise<void> => {
    if (way.asksTheClockGuard && !ledger.steady().known) {
      story.push('the clock guard says no');
      return;
    }
    const wanted = random() < 0.5 ? [pick(random, targets)] : targets;
    const claims = [];
    for (const target of wanted) claims.push(await claimOf(target));
    if (way.claims === 'in one transaction') {
      for (const claim of claims) await carriedOut(claim, await store.claim(claim, now));
      return;
    }
    const free = [];
    for (const claim of claims) free.push(await hasRoom(store, claim, now()));
    for (const [i, claim] of claims.entries()) {
      if (free[i] !== true) continue;
      const blind = { ...claim, budgets: claim.budgets.map((b) => ({ ...b, max: Infinity })) };
      await carriedOut(claim, await store.claim(blind, now));
    }
  };

  try {
    for (let i = 0; i < moves && fault === undefined; i++) {
      const dice = random();
      if (dice < 0.5) await act();
      else if (dice < 0.68) machine.pass(say(story, 'pass', span(random, 25 * minute)));
      else if (dice < 0.74) machine.jumpWall(say(story, 'wall', span(random, 6 * hour) - 3 * hour));
      else if (dice < 0.79) machine.syncWall();
      else if (dice < 0.83) machine.suspend(say(story, 'suspend', span(random, 20 * minute)));
      else if (dice < 0.87) await ledger.persist();
      else if (dice < 0.91) await restart();
      else if (dice < 0.95) {
        machine.reboot(
          say(story, 'off', span(random, 30 * minute)),
          random() < 0.5 ? 0 : say(story, 'wall after', span(random, 6 * hour) - 2 * hour),
        );
        await restart();
      } else {
        paused = !paused;
        story.push(paused ? 'switch off' : 'switch on');
        await store.setPause({ scope: 'global', paused, by: 't', reason: '', setMs: now(), untilMs: undefined });
      }
    }
    return fault === undefined ? undefined : `seed ${seed}: ${fault}\n${story.join('\n')}`;
  } finally {
    await store[Symbol.asyncDispose]();
    await rm(dir, { recursive: true, force: true });
  }
}

/** By true time: more actions than allowed within any window that ends with the newest. */
function overrun(actions: readonly Action[]): string | undefined {
  const last = actions.at(-1);
  if (last === undefined) return undefined;
  const within = actions.filter((a) => a.trueMs > last.trueMs - hour);
  const ofTarget = within.filter((a) => a.target === last.target).length;
  if (ofTarget > budgets.target.max) return `${ofTarget} actions on ${last.target} within an hour`;
  return within.length > budgets.global.max ? `${within.length} actions within an hour` : undefined;
}

async function hasRoom(store: Store, claim: Claim, nowMs: number): Promise<boolean> {
  for (const { scope, max, windowMs } of claim.budgets) {
    if ((await store.budgetUsed(scope, nowMs - windowMs)) >= max) return false;
  }
  return true;
}

function span(random: Random, maxMs: number): number {
  return Math.floor(random() * maxMs);
}

function pick<T>(random: Random, from: readonly T[]): T {
  const found = from[Math.floor(random() * from.length)];
  if (found === undefined) throw new Error('nothing to pick from');
  return found;
}

function say(story: string[], what: string, ms: number): number {
  story.push(`${what} ${Math.round(ms / 1000)} s`);
  return ms;
}

async function firstFault(way: Way): Promise<string | undefined> {
  const only = process.env['PIPEMEDIC_SEED'];
  const seeds = only === undefined ? Array.from({ length: sequences }, (_, i) => i + 1) : [Number(only)];
  for (const seed of seeds) {
    const fault = await play(seed, way);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

test(`budgets and the switch hold over ${sequences} sequences of ${moves} moves`, async () => {
  assert.equal(await firstFault(real), undefined);
});

const mutants: Readonly<Record<string, Partial<Way>>> = {
  'windows counted by the wall clock': { nowMs: (_ledger, machine) => machine.clock.wallMs() },
  'budget counted before the claim': { claims: 'counted before' },
  'the clock guard is not asked': { asksTheClockGuard: false },
};
for (const [what, change] of Object.entries(mutants)) {
  test(`caught: ${what}`, async () => {
    assert.match((await firstFault({ ...real, ...change })) ?? 'no fault was found', /^seed \d+: \d+ actions/);
  });
}

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
