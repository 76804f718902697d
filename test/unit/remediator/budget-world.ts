// A made-up machine and a made-up server of the store, so that true time is known, and a remediator on a real store that
// meets alerts, restarts, sleeps, reboots and jumps of each clock by itself.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openServerLedger } from '../../../remediator/clock-server.ts';
import { openLedger, type LedgerClock, type Machine } from '../../../remediator/clock.ts';
import { openSqlite } from '../../../remediator/store/sqlite.ts';
import { StoreError, type Claim, type ClaimResult, type Store } from '../../../remediator/store/store.ts';
import { generator, type Random } from '../../support/random.ts';

const minute = 60_000;
export const hour = 60 * minute;
const targets = ['a', 'b', 'c'] as const;
const budgets = { target: { max: 2, windowMs: hour }, global: { max: 4, windowMs: hour } };

/** What time really is, and what the machine and the store's server believe. */
export class FakeMachine implements Machine {
  trueMs = 1_800_000_000_000;
  mono = 5_000;
  boot = 3 * hour;
  boots = 1;
  wallErrorMs = 0;
  serverErrorMs = 0;
  synced = true;
  readonly clock = { wallMs: (): number => this.trueMs + this.wallErrorMs, monoMs: (): number => this.mono };
  readonly bootId = (): string => `boot-${this.boots}`;
  readonly bootMs = (): number => this.boot;
  readonly synchronised = (): boolean => this.synced;
  readonly serverMs = (): number => this.trueMs + this.serverErrorMs;

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
  /** All its clocks stand still, and the server's go on: a virtual machine that is paused from outside. */
  freeze(ms: number): void {
    this.trueMs += ms;
    this.wallErrorMs -= ms;
  }
  jumpWall(ms: number): void {
    this.wallErrorMs += ms;
    this.synced = false;
  }
  /** Nothing takes back that it was synchronised once. */
  setWallByHand(ms: number): void {
    this.wallErrorMs += ms;
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

type OpenLedger = LedgerClock & { readonly persist: () => Promise<void> };

/** What a run of the program counts its windows in; a mutant replaces a part. */
export interface Way {
  readonly openClock: (store: Store, machine: FakeMachine) => Promise<OpenLedger>;
  /** What a claim takes for now. May refuse with StoreError, as the store does. */
  readonly nowMs: (ledger: LedgerClock, machine: FakeMachine, highMs: number) => number;
  readonly claims: 'in one transaction' | 'counted before';
  readonly asksTheClockGuard: boolean;
  /** What the ledger may be off by: its windows are shorter by so much at most. */
  readonly slackMs: number;
  /** Jumps of the server's clock too. */
  readonly hasServer: boolean;
}

export const byMachine: Way = {
  openClock: (store, machine) => openLedger(store, hour, machine),
  nowMs: (ledger) => ledger.nowMs(),
  claims: 'in one transaction',
  asksTheClockGuard: true,
  slackMs: 0,
  hasServer: false,
};

export function serverClock(store: Pick<Store, 'meta' | 'setMeta'>, machine: FakeMachine): Promise<OpenLedger> {
  const { meta, setMeta } = store;
  return openServerLedger({ meta, setMeta, serverMs: () => Promise.resolve(machine.serverMs()) }, hour, machine);
}

interface Action {
  readonly target: string;
  readonly trueMs: number;
}

/** @returns what went wrong, or undefined */
export async function play(seed: number, moves: number, way: Way): Promise<string | undefined> {
  const dir = await mkdtemp(join(tmpdir(), 'pipemedic-budget-'));
  const file = join(dir, 'store.db');
  const random = generator(seed);
  const machine = new FakeMachine();
  let store = openSqlite({ file });
  let ledger = await way.openClock(store, machine);
  let highMs = 0;
  const story: string[] = [];
  const actions: Action[] = [];
  let paused = false;
  let fault: string | undefined;
  let n = 0;

  const now = (): number => Math.floor(way.nowMs(ledger, machine, highMs));
  const readMark = async (): Promise<void> => {
    highMs = Number((await store.meta('clock_high')) ?? 0);
  };
  const look = async (): Promise<void> => {
    await ledger.persist();
    await readMark();
  };
  const restart = async (): Promise<void> => {
    await store[Symbol.asyncDispose]();
    store = openSqlite({ file });
    ledger = await way.openClock(store, machine);
    await readMark();
    story.push('restart');
  };
  const claimOf = async (target: string): Promise<Claim> => {
    n += 1;
    const hook = { source: 'main', receivedMs: ledger.nowMs(), receivedBy: 'test', body: Buffer.from('{}') };
    const id = await store.appendWebhook({ ...hook, alertCount: 1, truncatedCount: 0 });
    const alert = { status: 'firing', labels: { target, n: String(n) }, annotations: {}, fingerprint: '' } as const;
    const startsWallMs = machine.clock.wallMs();
    const changes = await store.processWebhook(
      id,
      [{ ...alert, startsWallMs, endsWallMs: undefined }],
      false,
      ledger.nowMs(),
    );
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
  const claim = async (wanted: Claim): Promise<ClaimResult | undefined> => {
    try {
      return await store.claim(wanted, now);
    } catch (error) {
      // the store takes no such time: nothing was claimed
      if (!(error instanceof StoreError) || error.code !== 'busy') throw error;
      story.push(`${wanted.target}: ${error.message}`);
      return undefined;
    }
  };
  const carriedOut = async (wanted: Claim): Promise<void> => {
    const result = await claim(wanted);
    if (result === undefined) return;
    story.push(`${wanted.target}: ${result.won ? 'acts' : result.code}`);
    if (!result.won) return;
    const { hold } = result;
    if (paused) fault = `acts on ${wanted.target} while the switch is off`;
    const isIdle = random() < 0.15; // refused under the claim: nothing done, nothing spent
    if (!isIdle) {
      await store.appendJournal(hold, { kind: 'intent', step: 's', attempt: 1, data: {} }, now);
      actions.push({ target: wanted.target, trueMs: machine.trueMs });
    }
    const end = { outcome: 'failed', because: 'test', cooldownMs: minute } as const;
    if (random() < 0.2) {
      await restart(); // a crash in the middle; its successor ends the run
      const adopted = await store.adopt(wanted.runId, 'h', 30_000, now);
      assert.ok(adopted);
      await store.endRun(adopted, end, now);
    } else {
      await store.endRun(hold, end, now);
    }
    fault ??= overrun(actions, way.slackMs);
  };
  /** Two alerts at a time: who counts before it claims does not see the other one. */
  const act = async (looks = random() < 0.6): Promise<void> => {
    // as serve.ts does it every few seconds; sometimes late
    if (way.hasServer && looks) await look();
    if (way.asksTheClockGuard && !ledger.steady().known) {
      story.push('the clock guard says no');
      return;
    }
    const wanted = random() < 0.5 ? [pick(random, targets)] : targets;
    const claims = [];
    for (const target of wanted) claims.push(await claimOf(target));
    if (way.claims === 'in one transaction') {
      for (const one of claims) await carriedOut(one);
      return;
    }
    const free = [];
    for (const one of claims) free.push(await hasRoom(store, one, now()));
    for (const [i, one] of claims.entries()) {
      if (free[i] !== true) continue;
      await carriedOut({ ...one, budgets: one.budgets.map((b) => ({ ...b, max: Infinity })) });
    }
  };
  const jumpServer = (): void => {
    const dice = random();
    if (dice < 0.3) {
      // at once with the machine's own: one bad source of time, or one machine for both
      const ms = say(story, 'both clocks', span(random, 6 * hour) - 3 * hour);
      machine.serverErrorMs += ms;
      if (random() < 0.5) machine.setWallByHand(ms);
      else machine.jumpWall(ms);
    } else if (dice < 0.5) machine.serverErrorMs += say(story, 'server, a little', span(random, 1_900));
    else if (dice < 0.65) machine.serverErrorMs += say(story, 'server, a bit more', span(random, 40_000) - 10_000);
    else if (dice < 0.85) machine.serverErrorMs += say(story, 'server', span(random, 6 * hour) - 3 * hour);
    else {
      story.push('server set right');
      machine.serverErrorMs = 0;
    }
  };

  try {
    for (let i = 0; i < moves && fault === undefined; i++) {
      if (way.hasServer && random() < 0.12) {
        jumpServer();
        if (random() < 0.5) await act(false); // before anybody has looked
      }
      const dice = random();
      if (dice < 0.5) await act();
      else if (dice < 0.67) machine.pass(say(story, 'pass', span(random, 25 * minute)));
      else if (dice < 0.71) machine.jumpWall(say(story, 'wall', span(random, 6 * hour) - 3 * hour));
      else if (dice < 0.73) machine.setWallByHand(say(story, 'wall, by hand', span(random, 6 * hour) - 3 * hour));
      else if (dice < 0.78) machine.syncWall();
      else if (dice < 0.81) machine.suspend(say(story, 'suspend', span(random, 20 * minute)));
      else if (dice < 0.83) machine.freeze(say(story, 'freeze', span(random, 20 * minute)));
      else if (dice < 0.87) await look();
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
        const setMs = ledger.nowMs();
        await store.setPause({ scope: 'global', paused, by: 't', reason: '', setMs, untilMs: undefined });
      }
    }
    return fault === undefined ? undefined : `seed ${seed}: ${fault}\n${story.join('\n')}`;
  } finally {
    await store[Symbol.asyncDispose]();
    await rm(dir, { recursive: true, force: true });
  }
}

/** By true time: more actions than allowed within any window that ends with the newest. */
function overrun(actions: readonly Action[], slackMs: number): string | undefined {
  const last = actions.at(-1);
  if (last === undefined) return undefined;
  const within = actions.filter((a) => a.trueMs > last.trueMs - hour + slackMs);
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
  story.push(`${what} ${(ms / 1000).toFixed(1)} s`);
  return ms;
}
