// The part of the suite on what was taken in is an episode: which one, its state, its end, and what was decided on it.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { alertStates, type Decision } from '../../../remediator/model.ts';
import type { Store } from '../../../remediator/store/store.ts';
import {
  claimOf,
  deliver,
  episodeNow,
  firing,
  openEpisode,
  refusal,
  resolved,
  runOnce,
  win,
} from './store-fixtures.ts';
import { at, labels, t0, testsOf, type MakeStore } from './store-under-test.ts';

export function episodeSuite(name: string, make: MakeStore): void {
  const it = testsOf(make);

  suite(`${name}: episodes`, () => {
    it('deliveries of two peers, with replica labels and another order, are one episode with both deliveries', async (store) => {
      const other = firing({ alertname: 'Other' });
      await deliver(store, [firing({ ...labels, replica: 'a' }), other]);
      const changes = await deliver(store, [
        other,
        firing({ target: 'maxwell1', alertname: 'MaxwellDown', prometheus_replica: 'b' }),
      ]);
      assert.deepEqual(
        changes.map((c) => c.change),
        ['refreshed', 'refreshed'],
      );
      const open = await store.openEpisodes();
      assert.equal(open.length, 2);
      for (const episode of open) assert.equal((await store.webhooksOf(episode.id)).length, 2);
    });

    it('the same labels from another source are another episode', async (store) => {
      await deliver(store, [firing(labels)]);
      const [change] = await deliver(store, [firing(labels)], { source: 'second' });
      assert.equal(change?.change, 'opened');
    });

    it('a start that drifts by 0.9 s over the boundary of a minute is the same episode', async (store) => {
      await deliver(store, [firing(labels, 119_500)]);
      const [change] = await deliver(store, [firing(labels, 120_400)]);
      assert.equal(change?.change, 'refreshed');
      const [episode] = await store.openEpisodes();
      assert.equal(episode?.startsWallMs, 119_500);
    });

    it('one body with the same alert firing and resolved under two replica labels fires', async (store) => {
      await openEpisode(store, labels);
      await deliver(store, [firing({ ...labels, replica: 'a' }), resolved({ ...labels, replica: 'b' })]);
      const [episode] = await store.openEpisodes();
      assert.equal(episode?.resolvedHintMs, undefined);
    });

    it('resolved is a hint that a later firing clears', async (store) => {
      const { id } = await openEpisode(store, labels);
      await deliver(store, [resolved(labels)], { nowMs: t0 + 1000 });
      assert.equal((await episodeNow(store, id)).resolvedHintMs, t0 + 1000);
      assert.equal((await episodeNow(store, id)).state, 'open');
      await deliver(store, [firing(labels)], { nowMs: t0 + 2000 });
      assert.equal((await episodeNow(store, id)).resolvedHintMs, undefined);
    });

    it('resolved without an episode opens none', async (store) => {
      assert.deepEqual(await deliver(store, [resolved(labels)]), []);
      assert.deepEqual(await store.openEpisodes(), []);
    });

    it('the newest delivery says whether the group was cut', async (store) => {
      const [change] = await deliver(store, [firing(labels)], { truncated: true });
      const id = change?.episodeId ?? '';
      assert.equal((await episodeNow(store, id)).truncated, true);
      await deliver(store, [firing(labels)]);
      assert.equal((await episodeNow(store, id)).truncated, false);
    });

    test('copies that come after the end do not open an episode, a new start does', async () => {
      await using under = await make();
      let wallMs = 1_500_000;
      await using store = await under.open({ wallMs: () => wallMs, relapseMs: 60_000 });
      const first = await openEpisode(store, labels, { startsWallMs: 1_000_000 });
      assert.equal(await store.closeEpisode(first.id, first.version, 'healed', t0 + 10_001), true);
      assert.deepEqual(await store.lateCopies('main', t0), []);
      // the same start with drift; a start well before the end; a resolved one
      for (const late of [firing(labels, 1_000_900), firing(labels, 1_370_000), resolved(labels)]) {
        const [change] = await deliver(store, [late], { nowMs: t0 + 20_000 });
        assert.deepEqual(change, { episodeId: first.id, change: 'late_copy' });
      }
      assert.equal((await store.webhooksOf(first.id)).length, 4);
      const copies = [{ episodeId: first.id, copyMs: t0 + 20_000 }];
      assert.deepEqual(await store.lateCopies('main', t0), copies, 'what a restart does not forget');
      assert.deepEqual(await store.lateCopies('main', t0 + 10_002), [], 'ended before');
      assert.deepEqual(await store.lateCopies('other', t0), []);
      wallMs = 1_600_000;
      const [relapse] = await deliver(store, [firing(labels, 1_510_000)], { nowMs: t0 + 60_000 });
      assert.equal(relapse?.change, 'opened');
      assert.equal(relapse.relapseOf, first.id);
      const second = await episodeNow(store, relapse.episodeId);
      assert.equal(second.relapseOf, first.id);
      assert.deepEqual(await store.lateCopies('main', t0), [], 'a newer one has taken its place');
      assert.equal(await store.closeEpisode(second.id, second.version, 'healed', t0 + 70_000), true);
      const [third] = await deliver(store, [firing(labels, 1_900_000)], { nowMs: t0 + 200_000 });
      assert.equal((await episodeNow(store, third?.episodeId ?? '')).relapseOf, undefined);
    });

    it('an episode is opened anew after a late copy that was none', async (store) => {
      const first = await openEpisode(store, labels);
      assert.equal(await store.reopen(first.id, t0, t0), undefined, 'an open one stays');
      await store.closeEpisode(first.id, first.version, 'healed', t0);
      const id = await store.reopen(first.id, t0, t0 + 90_000);
      assert.ok(id !== undefined);
      const second = await episodeNow(store, id);
      assert.deepEqual([second.relapseOf, second.labels, second.attempts], [first.id, labels, 0]);
      assert.equal(await store.reopen(first.id, t0, t0), undefined, 'at most one is open');
    });

    it('hostile labels come back as they were', async (store) => {
      const hostile = {
        alertname: `'; DROP TABLE episode; --`,
        ...(JSON.parse('{"__proto__":"p","constructor":"c"}') as Record<string, string>),
        nul: 'a\u0000b',
        lone: '\ud800',
        long: 'x'.repeat(100_000),
        '': 'empty name',
        'Ünïcode 🐘': '$(reboot)`id`',
      };
      const { id } = await openEpisode(store, hostile);
      const { labels: back } = await episodeNow(store, id);
      assert.deepEqual(Object.entries(back).sort(), Object.entries(hostile).sort());
      const [change] = await deliver(store, [firing(hostile)]);
      assert.deepEqual(change, { episodeId: id, change: 'refreshed' });
      assert.equal((await store.findEpisodes({ alertname: hostile.alertname, limit: 5 })).length, 1);
    });

    it('what differs in case or trailing blanks differs', async (store) => {
      for (const alertname of ['a', 'A', 'a ']) await openEpisode(store, { alertname });
      assert.equal((await store.openEpisodes()).length, 3);
      assert.equal((await store.findEpisodes({ alertname: 'a', limit: 5 })).length, 1);
    });

    it('only one evaluator takes an episode', async (store, under) => {
      const episode = await openEpisode(store, labels);
      assert.deepEqual(
        (await store.dueEpisodes(t0)).map((e) => e.id),
        [episode.id],
      );
      await using second = await under.open();
      const takes = [
        store.scheduleEval(episode.id, episode.nextEvalMs, t0 + 15_000),
        second.scheduleEval(episode.id, episode.nextEvalMs, t0 + 15_001),
      ];
      assert.equal((await Promise.all(takes)).filter((t) => t).length, 1);
      assert.deepEqual(await store.dueEpisodes(t0 + 14_000), []);
      assert.equal((await store.dueEpisodes(t0 + 16_000)).length, 1);
      const [nextMs] = (await store.dueEpisodes(t0 + 16_000)).map((e) => e.nextEvalMs);
      assert.equal(await store.nextEvalMs(), nextMs);
      await store.closeEpisode(episode.id, episode.version, 'healed', t0);
      assert.equal(await store.nextEvalMs(), undefined);
    });

    it('what a poll said stands against an older one and against webhooks', async (store) => {
      const { id } = await openEpisode(store, labels, { nowMs: t0 });
      const state = async (): Promise<string> => (await episodeNow(store, id)).alertState;
      assert.equal(await state(), 'active');
      await store.setAlertState(id, 'absent', '', t0 - 1);
      assert.equal(await state(), 'active', 'the delivery is newer than the poll');
      await store.setAlertState(id, 'silenced', 'silence-1', t0 - 1);
      assert.equal(await state(), 'silenced', 'a silence counts however it crosses');
      await deliver(store, [firing(labels)], { nowMs: t0 + 30_000 });
      assert.equal(await state(), 'silenced', 'a webhook does not lift it');
      await store.setAlertState(id, 'active', '', t0 + 40_000);
      assert.equal(await state(), 'active');
      await store.setAlertState(id, 'unreachable', 'refused', t0 + 200_000);
      const blind = await episodeNow(store, id);
      assert.deepEqual([blind.alertState, blind.alertSeenMs], ['unreachable', t0 + 40_000]);
      await deliver(store, [firing(labels)], { nowMs: t0 + 210_000 });
      assert.deepEqual([await state(), (await episodeNow(store, id)).alertSeenMs], ['active', t0 + 210_000]);
      for (const each of alertStates) {
        await store.setAlertState(id, each, '', t0 + 300_000);
        assert.equal(await state(), each);
      }
    });

    it('a changed alert state makes the episode due and decisions on it stale', async (store) => {
      const episode = await openEpisode(store, labels);
      await store.scheduleEval(episode.id, episode.nextEvalMs, t0 + 60_000);
      await store.setAlertState(episode.id, 'active', '', t0 + 1000);
      assert.equal((await store.dueEpisodes(t0 + 2000)).length, 0);
      await store.setAlertState(episode.id, 'inhibited', 'x', t0 + 2000);
      assert.equal((await store.dueEpisodes(t0 + 2000)).length, 1);
      assert.equal(await refusal(store, claimOf(episode), t0 + 2000), 'stale');
    });

    it('an episode closes once, on its version, and not while a run is active', async (store) => {
      const episode = await openEpisode(store, labels);
      const hold = await win(store, episode, t0);
      const running = await episodeNow(store, episode.id);
      assert.equal(await store.closeEpisode(running.id, running.version, 'healed', t0), false);
      await store.endRun(hold, { outcome: 'verified', because: '', cooldownMs: 0 }, at(t0));
      assert.equal(await store.closeEpisode(running.id, running.version - 1, 'healed', t0), false);
      assert.equal(await store.closeEpisode(running.id, running.version, 'repaired', t0 + 5), true);
      assert.equal(await store.closeEpisode(running.id, running.version, 'repaired', t0 + 5), false);
      const closed = await episodeNow(store, episode.id);
      assert.deepEqual([closed.state, closed.outcome, closed.closedMs], ['closed', 'repaired', t0 + 5]);
      assert.equal(await refusal(store, claimOf(closed), t0 + 10), 'stale');
    });
  });

  suite(`${name}: decisions`, () => {
    const decision = (
      episodeId: string,
      reasonKey: string,
      change: Partial<Decision> = {},
    ): Parameters<Store['recordDecision']>[0] => ({
      ...{ episodeId, reasonKey, episodeVersion: 1, policy: 'p', policyHash: 'h', action: 'a', target: 'maxwell1' },
      ...{ params: { x: 1 }, verdict: 'hold', because: 'since', evidenceHash: 'e' },
      trace: [
        { guard: 'clock', result: 'allow', code: 'steady', because: 'b', inputs: { n: 1 } },
        { guard: 'alert', result: 'deny', code: 'absent', because: 'c', inputs: null },
      ],
      advice: [{ title: 'look', text: 'SELECT 1' }],
      ...change,
    });

    it('the same reason is repeated in place and shows the newest look; another one is a new row', async (store) => {
      const { id } = await openEpisode(store, labels);
      const first = await store.recordDecision(decision(id, 'alert:absent'), t0);
      assert.equal(first.changed, true);
      const trace = [
        { guard: 'already_fixed', result: 'deny', code: 'already_fixed', because: 'x', inputs: {} },
      ] as const;
      const again = await store.recordDecision(decision(id, 'alert:absent', { trace }), t0 + 15_000);
      assert.deepEqual([again.changed, again.decision.id, again.decision.repeats], [false, first.decision.id, 1]);
      assert.deepEqual([again.decision.firstMs, again.decision.lastMs], [t0, t0 + 15_000]);
      assert.deepEqual(again.decision.trace, trace);
      assert.equal((await store.recordDecision(decision(id, 'latch:latched'), t0 + 30_000)).changed, true);
      assert.equal((await store.recordDecision(decision(id, 'alert:absent'), t0 + 45_000)).changed, true);
      const all = await store.decisionsOf(id);
      assert.deepEqual(
        all.map((d) => d.reasonKey),
        ['alert:absent', 'latch:latched', 'alert:absent'],
      );
      const { id: _id, firstMs: _f, lastMs: _l, repeats: _r, ...back } = all[2] ?? first.decision;
      assert.deepEqual(back, decision(id, 'alert:absent'));
    });

    it('of an episode that flaps the first and the newest are kept, what is rested on too, and the rest is counted', async (store) => {
      const episode = await openEpisode(store, labels);
      const record = async (n: number, change: Partial<Decision> = {}): Promise<string> =>
        (await store.recordDecision(decision(episode.id, n % 2 === 0 ? 'alert:a' : 'alert:b', change), t0 + n)).decision
          .id;
      for (let n = 0; n < 12; n++) await record(n);
      const used = await record(12, { verdict: 'act' });
      await win(store, episode, t0 + 12, { decisionId: used });
      const would = await record(13, { verdict: 'would_act' });
      for (let n = 14; n < 200; n++) await record(n);
      const kept = await store.decisionsOf(episode.id);
      assert.deepEqual([kept.length, await store.decisionsDropped(episode.id)], [62, 138]);
      assert.ok(kept.some((d) => d.id === used) && kept.some((d) => d.id === would));
      assert.deepEqual([kept[0]?.firstMs, kept[9]?.firstMs, kept.at(-1)?.firstMs], [t0, t0 + 9, t0 + 199]);
      assert.ok(kept.every((d) => d.trace.length > 0));
      assert.equal((await store.policyCounts('p', undefined)).wouldAct, 1);
    });

    it('a decision that a run was started on is never changed', async (store) => {
      const episode = await openEpisode(store, labels);
      const first = await store.recordDecision(decision(episode.id, 'act', { verdict: 'act' }), t0);
      await runOnce(store, episode.id, t0, { decisionId: first.decision.id });
      const again = await store.recordDecision(
        decision(episode.id, 'act', { verdict: 'act', because: 'anew' }),
        t0 + 1,
      );
      assert.equal(again.changed, true);
      assert.equal((await store.decisionsOf(episode.id))[0]?.because, 'since');
    });
  });
}
