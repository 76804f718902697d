// Policies that are read again while the program serves: what is longer counts at once, wherever it counts.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { waitFor } from '../../../deploy/lab/ready.ts';
import { loadInventory } from '../../../exporter/config/loader.ts';
import { known } from '../../../exporter/runtime/known.ts';
import { createLog } from '../../../exporter/runtime/log.ts';
import type { Machine } from '../../../remediator/clock.ts';
import type { PolicyFile } from '../../../remediator/guard.ts';
import { policiesInUse } from '../../../remediator/in-use.ts';
import { defaultLimits } from '../../../remediator/policies.ts';
import { prune } from '../../../remediator/pruning.ts';
import { serve, type EvaluatorParts } from '../../../remediator/serve.ts';
import { settingsOf } from '../../../remediator/settings.ts';
import { openSqlite } from '../../../remediator/store/sqlite.ts';
import type { Retention } from '../../../remediator/store/store-of-people.ts';
import { idleEvaluator } from '../../support/idle-evaluator.ts';
import { makeHome, payload, sent, token } from '../../support/remediator-serve.ts';
import { portOf } from '../../support/serving-port.ts';
import { policy } from './evaluator-bench.ts';
import { hour, openEpisode, runOnce } from './store-fixtures.ts';

const day = 24 * hour;
const retention = { episodesMs: hour, webhookBytes: 1e9 };
const nobody = { warn: () => undefined };

function fileWith(change: { readonly relapseMs?: number; readonly windowMs?: number }): PolicyFile {
  const { windowMs = policy.pace.windowMs, relapseMs = policy.relapseMs } = change;
  return { policies: [{ ...policy, relapseMs, pace: { ...policy.pace, windowMs } }], limits: defaultLimits, rules: [] };
}

test('how far the policies look back is what those of now say: windows and relapses, and at least a week for demotions', () => {
  const inUse = policiesInUse(fileWith({ windowMs: hour, relapseMs: 60_000 }), retention, nobody);
  assert.deepEqual([inUse.relapseMs(), inUse.longestMs(), inUse.keep().longestWindowMs], [60_000, hour, 7 * day]);
  inUse.take(fileWith({ windowMs: 9 * day, relapseMs: 2 * hour }));
  assert.deepEqual([inUse.relapseMs(), inUse.longestMs()], [2 * hour, 9 * day]);
  assert.deepEqual(inUse.keep(), { ...retention, longestWindowMs: 9 * day });
  inUse.take(fileWith({ windowMs: hour, relapseMs: 10 * day }));
  assert.deepEqual([inUse.relapseMs(), inUse.longestMs()], [10 * day, 10 * day], 'a relapse looks back too');
  inUse.take({ ...fileWith({}), policies: [] });
  assert.deepEqual([inUse.relapseMs(), inUse.longestMs()], [0, hour]);
});

test('a window beyond what was kept is told, with what to do; one within it is not', () => {
  const told: unknown[] = [];
  const inUse = policiesInUse(fileWith({}), retention, { warn: (...what: unknown[]) => void told.push(what) });
  inUse.take(fileWith({ windowMs: 14 * day })); // twice a week was kept
  assert.deepEqual(told, []);
  inUse.take(fileWith({ windowMs: 28 * day + 1 }));
  const [[fields, text] = []] = told as [object, string][];
  assert.deepEqual(fields, { windowHours: 672, keptHours: 672 });
  assert.match(text ?? '', /older runs do not count in it.*observe/);
  assert.equal(told.length, 1);
});

test('retention keeps what a window needs that was made longer, also in the middle of a cleaning', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'pipemedic-in-use-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const inUse = policiesInUse(fileWith({ windowMs: hour }), retention, nobody);
  await using store = openSqlite({ file: join(dir, 'store.db'), relapseMs: inUse.relapseMs });
  const runAt = async (nowMs: number, alertname: string): Promise<void> => {
    const episode = await openEpisode(store, { alertname }, { nowMs });
    await runOnce(store, episode.id, nowMs);
    const { version } = (await store.episode(episode.id)) ?? episode;
    assert.equal(await store.closeEpisode(episode.id, version, 'repaired', nowMs), true);
  };
  const nowMs = 100 * day;
  await runAt(nowMs - 20 * day, 'Old');
  const clock = { nowMs: () => nowMs, steady: () => known('steady' as const, nowMs) };
  const { signal } = new AbortController();
  inUse.take(fileWith({ windowMs: 21 * day }));
  await prune(store, inUse.keep, clock, signal);
  assert.equal((await store.findEpisodes({ limit: 9 })).length, 1);
  assert.equal(await store.budgetUsed('target:maxwell1', nowMs - 21 * day), 1, 'a budget of three weeks counts it');
  // with a window of an hour it is no longer needed
  inUse.take(fileWith({ windowMs: hour }));
  const asked: number[] = [];
  const longerMeanwhile = {
    prune: (keep: Retention): Promise<{ deleted: number; more: boolean }> => {
      asked.push(keep.longestWindowMs / day);
      inUse.take(fileWith({ windowMs: 21 * day }));
      return Promise.resolve({ deleted: 1, more: asked.length < 2 });
    },
  };
  await prune(longerMeanwhile, inUse.keep, clock, signal);
  assert.deepEqual(asked, [7, 21]);
  inUse.take(fileWith({ windowMs: hour }));
  await prune(store, inUse.keep, clock, signal);
  assert.equal((await store.findEpisodes({ limit: 9 })).length, 0, 'else it would have been kept for another reason');
});

test('relapse and windows of policies that were read again count for the store and the clock of a server that runs', async (t) => {
  const home = await makeHome();
  t.after(() => home[Symbol.asyncDispose]());
  const inventory = await loadInventory(home.configFile);
  let passedMs = 0;
  const bootAtMs = performance.now() - 90 * 60_000;
  const machine: Machine = {
    clock: { wallMs: () => Date.now() + passedMs, monoMs: () => performance.now() + passedMs },
    bootId: () => 'this',
    bootMs: () => performance.now() - bootAtMs + passedMs,
    synchronised: () => true,
  };
  // The gap before this boot, which is 90 minutes ago, was measured by a clock that nobody had set
  {
    await using store = openSqlite({ file: home.file('remediator.db') });
    const anchor = { ledger: Date.now(), wall: Date.now(), bootId: 'this', bootMs: machine.bootMs(), guessed: true };
    await store.setMeta('clock', JSON.stringify(anchor));
  }
  let next = fileWith({ relapseMs: 600_000, windowMs: hour });
  const parts: EvaluatorParts[] = [];
  const remediator = await serve({
    inventory,
    settings: settingsOf(inventory, home.configFile),
    policyFile: next,
    reloadPolicies: () => Promise.resolve(next),
    ...{
      listen: [{ host: '127.0.0.1', port: 0 }],
      version: '1',
      log: createLog('test', 'silent'),
      actions: [],
      machine,
    },
    createEvaluator: (given) => {
      parts.push(given);
      return idleEvaluator;
    },
  });
  t.after(() => remediator.stop());
  const [given] = parts;
  assert.ok(given !== undefined);
  const { store, clock } = given;
  /** Fires, is opened and closed. @returns of which episode it is a relapse */
  const fires = async (): Promise<string | undefined> => {
    const startsAt = new Date(machine.clock.wallMs()).toISOString();
    const response = await fetch(`http://127.0.0.1:${String(portOf(remediator))}/webhook/main`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}` },
      body: JSON.stringify(payload([{ ...sent({ alertname: 'Again' }), startsAt }])),
    });
    await response.arrayBuffer();
    assert.equal(response.status, 200);
    const opened = await waitFor(async () => (await store.openEpisodes())[0], { what: 'an episode' });
    assert.equal(await store.closeEpisode(opened.id, opened.version, 'healed', clock.nowMs()), true);
    return opened.relapseOf;
  };
  assert.ok(clock.steady().known, 'more than a window after the boot');
  assert.equal(await fires(), undefined);
  passedMs += 20 * 60_000;
  assert.equal(await fires(), undefined, '20 minutes are no relapse within 10');
  next = fileWith({ relapseMs: hour, windowMs: 3 * hour });
  await remediator.reload();
  passedMs += 20 * 60_000;
  assert.ok((await fires()) !== undefined, 'they are one within an hour');
  assert.equal(clock.steady().known, false, 'a window of three hours has the boot in it');
  next = fileWith({ relapseMs: 600_000, windowMs: hour });
  await remediator.reload();
  assert.ok(clock.steady().known);
});
