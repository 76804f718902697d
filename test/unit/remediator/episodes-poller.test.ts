// What polls make of episodes: states, closing, opening anew. The store is real, Alertmanagers are scripted.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLog } from '../../../exporter/runtime/log.ts';
import type { ListedAlert } from '../../../remediator/alertmanager.ts';
import { refused } from '../../../remediator/escalate.ts';
import { createMetrics } from '../../../remediator/metrics.ts';
import type { Episode, GuardResult } from '../../../remediator/model.ts';
import { createPoller, type Poller } from '../../../remediator/poller.ts';
import { openSqlite } from '../../../remediator/store/sqlite.ts';
import type { Store } from '../../../remediator/store/store.ts';
import { MovableClock } from './run-harness.ts';
import { deliver, episodeNow, firing, openEpisode, resolved, runOnce, win } from './store-fixtures.ts';

const labels = { alertname: 'MaxwellDown', target: 'maxwell1' };
const second = 1000;
const minute = 60_000;

type Status = ListedAlert['status'];
const active: Status = { state: 'active', silencedBy: [], inhibitedBy: [] };
const silenced: Status = { state: 'suppressed', silencedBy: ['s1'], inhibitedBy: [] };
const inhibited: Status = { state: 'suppressed', silencedBy: [], inhibitedBy: ['i1'] };

interface Bench extends AsyncDisposable {
  readonly store: Store;
  readonly clock: MovableClock;
  readonly poke: Poller['poke'];
  /** What each peer says of the alert: a status, absent, or down. */
  readonly peers: (Status | 'absent' | 'down')[];
  readonly asked: { count: number; matchers: readonly string[] };
  readonly episode: Episode;
  readonly now: () => Promise<Episode>;
  /** Another poller in the place of the former one, which has forgotten everything. */
  readonly restart: () => void;
  /** Time passes second by second, with a tick in each. */
  readonly pass: (ms: number) => Promise<void>;
  /** What an evaluation found. */
  readonly facts: (state: 'healthy' | 'bad' | 'unknown') => Promise<void>;
}

async function bench(): Promise<Bench> {
  const dir = await mkdtemp(join(tmpdir(), 'pipemedic-poll-'));
  const clock = new MovableClock();
  const store = openSqlite({ file: join(dir, 'store.db'), wallMs: clock.wallMs });
  const peers: Bench['peers'] = ['absent', 'absent'];
  const asked: Bench['asked'] = { count: 0, matchers: [] };
  const newPoller = (): Poller =>
    createPoller({
      ...{ store, clock, metrics: createMetrics('test'), log: createLog('test', 'silent') },
      sources: [
        {
          name: 'main',
          peers: peers.map((_, i) => ({
            url: `http://peer${i}`,
            alerts: (matchers) => {
              asked.count++;
              asked.matchers = matchers;
              const status = peers[i] ?? 'down';
              if (status === 'down') return Promise.reject(new Error('refused'));
              const alerts =
                status === 'absent'
                  ? []
                  : [{ labels: { ...labels, replica: String(i) }, startsAt: clock.wallMs(), status }];
              return Promise.resolve({ alerts, dateMs: clock.wallMs() });
            },
          })),
        },
      ],
    });
  let poller = newPoller();
  const episode = await openEpisode(store, labels, { nowMs: clock.nowMs(), startsWallMs: clock.wallMs() });
  return {
    ...{ store, clock, peers, asked, episode },
    poke: (...changes) => {
      poller.poke(...changes);
    },
    restart: () => {
      poller = newPoller();
    },
    now: () => episodeNow(store, episode.id),
    pass: async (ms) => {
      for (let passed = 0; passed < ms; passed += second) {
        clock.aheadMs += second;
        await poller.tick(AbortSignal.timeout(5000));
      }
    },
    facts: async (state) => {
      const result: GuardResult = {
        ...{ guard: 'already_fixed', because: 'x', inputs: {} },
        ...(state === 'healthy'
          ? { result: 'deny', code: 'already_fixed' }
          : { result: state === 'bad' ? 'allow' : 'unknown', code: 'x' }),
      };
      await store.recordDecision(
        {
          ...{
            episodeId: episode.id,
            episodeVersion: 1,
            policy: 'p',
            policyHash: 'h',
            action: 'a',
            target: 'maxwell1',
          },
          ...{
            params: {},
            verdict: 'hold',
            reasonKey: 'alert:absent',
            because: '',
            evidenceHash: undefined,
            advice: [],
          },
          trace: [result],
        },
        clock.nowMs(),
      );
    },
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

test('any peer that silences counts most, then active, inhibited, absent', async () => {
  await using b = await bench();
  const cases: readonly (readonly [Bench['peers'][number], Bench['peers'][number], Episode['alertState'], string])[] = [
    [active, silenced, 'silenced', 's1'],
    [silenced, 'absent', 'silenced', 's1'],
    [inhibited, active, 'active', ''],
    [inhibited, 'absent', 'inhibited', 'i1'],
    ['absent', active, 'active', ''],
    [active, 'down', 'active', ''],
    ['absent', 'down', 'absent', 'not every peer could be asked'],
    [{ ...active, state: 'unprocessed' }, 'absent', 'unknown', 'Alertmanager has not processed it yet'],
  ];
  for (const [one, other, state, detail] of cases) {
    b.peers.splice(0, 2, one, other);
    await b.pass(31 * second);
    const now = await b.now();
    assert.deepEqual([now.alertState, now.alertDetail], [state, detail]);
  }
});

test('unreachable peers leave what was seen for 90 s, then it is unknown', async () => {
  await using b = await bench();
  b.peers.fill(active);
  await b.pass(2 * second);
  b.peers.fill('down');
  await b.pass(85 * second);
  assert.equal((await b.now()).alertState, 'active');
  await b.pass(40 * second);
  const blind = await b.now();
  assert.equal(blind.alertState, 'unreachable');
  assert.match(blind.alertDetail, /refused/);
  await b.facts('healthy');
  await b.pass(20 * minute);
  assert.equal((await b.now()).state, 'open', 'blindness closes nothing');
});

test('polls every 15 s when young, every 30 s while open, every 5 min when nothing is, and asks for these alerts only', async () => {
  await using b = await bench();
  b.peers.fill(active);
  await b.pass(60 * second);
  assert.ok(b.asked.count >= 8 && b.asked.count <= 10, `${b.asked.count} questions to 2 peers in the first minute`);
  assert.deepEqual(b.asked.matchers, ['alertname=~"MaxwellDown"']);
  b.asked.count = 0;
  await b.pass(5 * minute);
  assert.ok(b.asked.count >= 18 && b.asked.count <= 22, `${b.asked.count} in five minutes`);
  const { id, version } = await b.now();
  await b.store.closeEpisode(id, version, 'healed', b.clock.nowMs());
  await b.pass(31 * second);
  b.asked.count = 0;
  await b.pass(10 * minute);
  assert.ok(b.asked.count >= 2 && b.asked.count <= 6, `${b.asked.count} in ten idle minutes`);
});

test('a delivery makes it ask at once', async () => {
  await using b = await bench();
  await b.pass(5 * minute);
  b.asked.count = 0;
  b.poke('main', [{ episodeId: b.episode.id, change: 'resolved_hint' }]);
  await b.pass(3 * second);
  assert.equal(b.asked.count, 2);
});

test('resolved, absent and healthy: closed as healed, and people are told of the end', async () => {
  await using b = await bench();
  b.peers.fill(active);
  await b.pass(20 * second);
  await b.facts('bad');
  const { decision } = await b.store.recordDecision(
    {
      ...{ episodeId: b.episode.id, episodeVersion: 1, policy: 'p', policyHash: 'h', action: 'a', target: 'maxwell1' },
      ...{
        params: {},
        verdict: 'refuse',
        reasonKey: 'budget:spent',
        because: '',
        evidenceHash: undefined,
        advice: [],
        trace: [],
      },
    },
    b.clock.nowMs(),
  );
  await b.store.enqueue(refused(b.episode, decision), b.clock.nowMs());
  await deliver(b.store, [resolved(labels)], { nowMs: b.clock.nowMs() });
  await b.facts('healthy');
  await b.pass(40 * second);
  assert.equal((await b.now()).state, 'open', 'resolved and healthy, but Alertmanager still has it');
  b.peers.fill('absent');
  await b.facts('healthy');
  await b.pass(31 * second);
  const closed = await b.now();
  assert.deepEqual([closed.state, closed.outcome], ['closed', 'healed']);
  assert.equal((await b.store.escalationsOf(b.episode.id))[0]?.state, 'ending');
});

test('absent and healthy without a resolved: closed after three polls', async () => {
  await using b = await bench();
  await b.pass(second);
  await b.facts('healthy');
  await b.pass(25 * second);
  assert.equal((await b.now()).state, 'open');
  await b.facts('healthy');
  await b.pass(20 * second);
  assert.equal((await b.now()).state, 'closed');
});

test('healthy facts that are old count for nothing', async () => {
  await using b = await bench();
  await b.facts('healthy');
  b.peers.fill(active);
  await b.pass(150 * second);
  b.peers.fill('absent');
  await deliver(b.store, [resolved(labels)], { nowMs: b.clock.nowMs() });
  await b.pass(60 * second);
  assert.equal((await b.now()).state, 'open');
});

for (const state of ['unknown', 'bad'] as const) {
  test(`absent while the facts are ${state}: vanished after 15 min, not before`, async () => {
    await using b = await bench();
    await deliver(b.store, [resolved(labels)], { nowMs: b.clock.nowMs() });
    await b.facts(state);
    await b.pass(14 * minute);
    assert.equal((await b.now()).state, 'open');
    await b.facts(state);
    await b.pass(2 * minute);
    assert.deepEqual([(await b.now()).state, (await b.now()).outcome], ['closed', 'vanished']);
  });
}

test('an alert that comes back within the 15 min begins them anew', async () => {
  await using b = await bench();
  await b.pass(10 * minute);
  b.peers.fill(active);
  await b.pass(minute);
  b.peers.fill('absent');
  await b.pass(10 * minute);
  assert.equal((await b.now()).state, 'open');
});

test('not closed while a run is active; repaired when a run was verified', async () => {
  await using b = await bench();
  const hold = await win(b.store, await b.now(), b.clock.nowMs(), { ttlMs: 3_600_000 });
  await deliver(b.store, [resolved(labels)], { nowMs: b.clock.nowMs() });
  await b.facts('healthy');
  await b.pass(60 * second);
  assert.equal((await b.now()).state, 'open');
  await b.store.endRun(hold, { outcome: 'verified', because: '', cooldownMs: 0 }, b.clock.nowMs);
  await b.facts('healthy');
  await b.pass(35 * second);
  assert.equal((await b.now()).outcome, 'repaired');
});

test('vanished after a failed run is failed', async () => {
  await using b = await bench();
  await runOnce(b.store, b.episode.id, b.clock.nowMs());
  await b.pass(17 * minute);
  assert.equal((await b.now()).outcome, 'failed');
});

test('a late copy of an alert that Alertmanager has active long after the end opens it anew, once; else not', async () => {
  for (const [really, restarted] of [
    [true, 'no'],
    [false, 'no'],
    [true, 'before it is told'],
    [false, 'before it is told'],
    [true, 'while it waits'],
    [false, 'while it waits'],
  ] as const) {
    await using b = await bench();
    const { id, version } = await b.now();
    await b.store.closeEpisode(id, version, 'healed', b.clock.nowMs());
    b.peers.fill(active);
    const changes = await deliver(b.store, [firing(labels, b.episode.startsWallMs)], { nowMs: b.clock.nowMs() });
    assert.equal(changes[0]?.change, 'late_copy');
    // Between the transaction of a notification and what is told of it the process may end.
    if (restarted === 'before it is told') b.restart();
    else b.poke('main', changes);
    await b.pass(30 * second);
    if (restarted === 'while it waits') b.restart();
    assert.deepEqual(await b.store.openEpisodes(), [], 'peers may show for a while what has ended');
    if (!really) b.peers.fill('absent');
    await b.pass(12 * minute);
    const open = await b.store.openEpisodes();
    assert.deepEqual(
      open.map((e) => e.relapseOf),
      really ? [id] : [],
      `really: ${String(really)}, restarted: ${restarted}`,
    );
  }
});

test('an alert of a source that is no longer configured: over once nobody has seen it for a quarter of an hour', async () => {
  await using b = await bench();
  const { store, clock, episode } = b;
  await b.facts('unknown');
  const [decision] = await store.decisionsOf(episode.id);
  assert.ok(decision);
  await store.enqueue(refused(episode, decision), clock.nowMs());
  const poller = createPoller({
    ...{ store, clock, metrics: createMetrics('test'), log: createLog('test', 'silent') },
    sources: [],
  });
  clock.aheadMs += 14 * minute;
  await poller.tick(AbortSignal.timeout(5_000));
  assert.equal((await b.now()).state, 'open');
  // another remediator of the same store still polls it
  await store.setAlertState(episode.id, 'active', '', clock.nowMs());
  clock.aheadMs += 2 * minute;
  await poller.tick(AbortSignal.timeout(5_000));
  assert.equal((await b.now()).state, 'open');
  clock.aheadMs += 14 * minute;
  const hold = await win(store, await b.now(), clock.nowMs());
  await poller.tick(AbortSignal.timeout(5_000));
  assert.equal((await b.now()).state, 'open', 'while a run of it is under way');
  await store.endRun(hold, { outcome: 'failed', because: '', cooldownMs: 0 }, clock.nowMs);
  await poller.tick(AbortSignal.timeout(5_000));
  assert.deepEqual([(await b.now()).state, (await b.now()).outcome], ['closed', 'failed']);
  assert.deepEqual(
    (await store.escalationsOf(episode.id)).map((e) => e.state),
    ['ending'],
  );
});
