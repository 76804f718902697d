// One suite for every kind of store: what the remediator relies on.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { suite, test } from 'node:test';
import { refused, failed } from '../../../remediator/escalate.ts';
import { newHolder } from '../../../remediator/holder.ts';
import { alertStates, type Decision, type IncomingAlert } from '../../../remediator/model.ts';
import { StoreError, type Store } from '../../../remediator/store/store.ts';
import { startRacers } from './store-barrier.ts';
import {
  claimOf,
  deliver,
  episodeNow,
  firing,
  hour,
  openEpisode,
  refusal,
  resolved,
  runOnce,
  win,
} from './store-fixtures.ts';

export interface StoreUnderTest extends AsyncDisposable {
  /** A connection; several may be open at once. */
  readonly open: (options?: { readonly wallMs?: () => number; readonly relapseMs?: number }) => Store | Promise<Store>;
  readonly kind: 'sqlite' | 'mysql';
  /** Of the race of 12 processes. */
  readonly rounds: number;
  /** For another process. */
  readonly place: string;
}

const labels = { alertname: 'MaxwellDown', target: 'maxwell1' };
const t0 = 1_000_000;
const at = (ms: number) => () => ms;

export function storeSuite(name: string, make: () => Promise<StoreUnderTest>): void {
  const it = (what: string, body: (store: Store, under: StoreUnderTest) => Promise<void>): void => {
    test(what, async () => {
      await using under = await make();
      await using store = await under.open();
      await body(store, under);
    });
  };

  suite(`${name}: intake and episodes`, () => {
    it('a webhook is pending until it is processed, once', async (store) => {
      const body = Buffer.from('{"x":"\u0000ü"}');
      const id = await store.appendWebhook({
        ...{ source: 'main', receivedMs: t0, receivedBy: 'peer', body, alertCount: 1, truncatedCount: 2 },
      });
      const [hook] = await store.pendingWebhooks(10);
      assert.deepEqual(hook, {
        ...{ id, source: 'main', receivedMs: t0, receivedBy: 'peer', body, alertCount: 1, truncatedCount: 2 },
      });
      assert.equal((await store.processWebhook(id, [firing(labels)], false, t0)).length, 1);
      assert.deepEqual(await store.processWebhook(id, [firing(labels)], false, t0), []);
      assert.deepEqual(await store.pendingWebhooks(10), []);
    });

    it('many appended at once are all there, in any order', async (store) => {
      const ids = await Promise.all(
        Array.from({ length: 200 }, (_, i) =>
          store.appendWebhook({
            ...{ source: 'main', receivedMs: t0 + i, receivedBy: 'p', body: Buffer.from(String(i)) },
            ...{ alertCount: 0, truncatedCount: 0 },
          }),
        ),
      );
      assert.equal(new Set(ids).size, 200);
      const stored = await store.pendingWebhooks(1000);
      for (const [i, id] of ids.entries()) {
        assert.equal(stored.find((h) => h.id === id)?.body.toString(), String(i));
      }
    });

    it('one that cannot be stored turns nobody away who came with it, and nobody is stored twice', async (store) => {
      const answers = await Promise.allSettled(
        Array.from({ length: 50 }, (_, i) =>
          store.appendWebhook({
            ...{ source: i === 40 ? (null as unknown as string) : 'main', receivedMs: t0, receivedBy: 'p' },
            ...{ body: Buffer.from(String(i)), alertCount: 0, truncatedCount: 0 },
          }),
        ),
      );
      assert.deepEqual(
        answers.flatMap(({ status }, i) => (status === 'rejected' ? [i] : [])),
        [40],
      );
      assert.equal((await store.pendingWebhooks(1000)).length, 49);
    });

    it('webhooks processed together: in their order, in one transaction, each once', async (store) => {
      const append = (): Promise<number> =>
        store.appendWebhook({
          ...{
            source: 'main',
            receivedMs: t0,
            receivedBy: 'p',
            body: Buffer.from('x'),
            alertCount: 1,
            truncatedCount: 0,
          },
        });
      const [first, second, poison] = [await append(), await append(), await append()];
      const hook = (id: number) => ({ id, alerts: [firing(labels), firing(labels)], truncated: false });
      const wrong = { id: second, alerts: [firing(null as unknown as typeof labels)], truncated: false };
      await assert.rejects(store.processWebhooks([hook(first), wrong], t0));
      assert.equal((await store.pendingWebhooks(9)).length, 3, 'nothing of a failed one stays');
      assert.deepEqual(await store.openEpisodes(), []);
      const both = [hook(first), { id: poison, alerts: undefined, truncated: false }, hook(second)];
      const changes = await store.processWebhooks(both, t0);
      assert.deepEqual(
        changes.map((of) => of.map((c) => c.change)),
        [['opened', 'refreshed'], [], ['refreshed', 'refreshed']],
      );
      assert.deepEqual(await store.processWebhooks(both, t0), [[], [], []]);
      assert.deepEqual(await store.pendingWebhooks(9), []);
      const [episode] = await store.openEpisodes();
      assert.deepEqual(
        (await store.webhooksOf(episode?.id ?? '')).map((w) => w.id),
        [first, second],
      );
    });

    test('webhooks processed together leave what they leave one by one', async () => {
      const other = { alertname: 'Other', target: 'maxwell1' };
      const bodies: readonly (readonly [readonly IncomingAlert[], boolean])[] = [
        [[firing(labels, 5000), firing(other)], false],
        [[firing(labels, 4000)], true],
        [[resolved(labels), firing(other), resolved(other)], true],
        [[firing({ ...labels, replica: 'b' }, 6000), resolved(other)], false],
        [[resolved({ alertname: 'Never' }), firing({ alertname: 'Late' })], false],
      ];
      const left = async (together: boolean): Promise<unknown> => {
        await using under = await make();
        await using store = await under.open();
        const hooks = [];
        for (const [i, [alerts, truncated]] of bodies.entries()) {
          const hook = { source: 'main', receivedMs: t0 + i, receivedBy: 'p', body: Buffer.from('x') };
          const id = await store.appendWebhook({ ...hook, alertCount: alerts.length, truncatedCount: 0 });
          hooks.push({ id, alerts, truncated });
        }
        const changes = [];
        if (together) changes.push(...(await store.processWebhooks(hooks, t0 + 9)));
        else for (const h of hooks) changes.push(await store.processWebhook(h.id, h.alerts, h.truncated, t0 + 9));
        const open = (await store.openEpisodes()).toSorted((a, b) => (a.ident < b.ident ? -1 : 1));
        const names = new Map(open.map((e) => [e.id, e.labels['alertname']]));
        const links = [];
        for (const e of open)
          links.push((await store.webhooksOf(e.id)).map((w) => [hooks.findIndex((h) => h.id === w.id), w.status]));
        return {
          changes: changes.map((of) => of.map((c) => [names.get(c.episodeId), c.change])),
          open: open.map((e) => ({ ...e, id: '' })),
          links,
        };
      };
      const [together, apart] = [await left(true), await left(false)];
      assert.deepEqual(together, apart);
      assert.deepEqual((together as { changes: unknown }).changes, [
        [
          ['MaxwellDown', 'opened'],
          ['Other', 'opened'],
        ],
        [['MaxwellDown', 'altered']],
        [
          ['MaxwellDown', 'resolved_hint'],
          ['Other', 'resolved_hint'],
          ['Other', 'altered'],
        ],
        [
          ['Other', 'resolved_hint'],
          ['MaxwellDown', 'altered'],
        ],
        [['Late', 'opened']],
      ]);
    });

    it('a poison body is marked and does not come again', async (store) => {
      const id = await store.appendWebhook({
        ...{
          source: 'main',
          receivedMs: t0,
          receivedBy: 'p',
          body: Buffer.from('x'),
          alertCount: 0,
          truncatedCount: 0,
        },
      });
      assert.deepEqual(await store.processWebhook(id, undefined, false, t0), []);
      assert.deepEqual(await store.pendingWebhooks(10), []);
    });

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

  suite(`${name}: claim`, () => {
    it('wins, and writes run, journal, lease and budget', async (store) => {
      const episode = await openEpisode(store, labels);
      const claim = claimOf(episode);
      const result = await store.claim(claim, at(t0));
      assert.ok(result.won);
      assert.deepEqual(result.hold, { runId: claim.runId, target: 'maxwell1', holder: 'me', fence: 1 });
      assert.deepEqual(await store.run(claim.runId), result.run);
      assert.equal(result.run.state, 'running');
      assert.deepEqual(
        (await store.journalOf(claim.runId)).map((e) => [e.n, e.kind, e.fence]),
        [[1, 'claimed', 1]],
      );
      for (const scope of ['target:maxwell1', 'global']) assert.equal(await store.budgetUsed(scope, t0 - hour), 1);
      assert.equal((await store.activeRunOf('maxwell1'))?.id, claim.runId);
      assert.deepEqual(
        [(await store.activeRuns()).length, (await store.runsOf({ target: 'maxwell1', limit: 5 })).length],
        [1, 1],
      );
      const after = await episodeNow(store, episode.id);
      assert.deepEqual([after.attempts, after.version], [1, episode.version + 1]);
    });

    it('is refused while paused, until the pause is over', async (store) => {
      const episode = await openEpisode(store, labels);
      const pause = { scope: 'global', paused: true, by: 'ann', reason: 'work', setMs: t0, untilMs: t0 + 1000 };
      await store.setPause(pause);
      assert.deepEqual(await store.pauses(), [pause]);
      assert.equal(await refusal(store, claimOf(episode), t0 + 999), 'paused');
      assert.equal(await refusal(store, claimOf(episode), t0 + 1000), 'won');
    });

    it('is refused while another run of the target is active, and while its lease lasts', async (store) => {
      const episode = await openEpisode(store, labels);
      await win(store, episode, t0);
      const other = await openEpisode(store, { ...labels, alertname: 'MaxwellStalled' });
      assert.equal(await refusal(store, claimOf(other), t0 + 1), 'active');
      assert.equal(await refusal(store, claimOf(other), t0 + 10 * hour), 'active', 'also when the lease is over');
    });

    it('is refused on a stale version, also when the run that changed it is over, and for an attempt made before', async (store) => {
      const episode = await openEpisode(store, labels);
      await runOnce(store, episode.id, t0);
      assert.equal(await refusal(store, claimOf(episode), t0 + 1), 'stale');
      const now = await episodeNow(store, episode.id);
      assert.equal(await refusal(store, claimOf(now, { attempt: 1 }), t0 + 1), 'stale');
      assert.equal((await episodeNow(store, episode.id)).version, now.version, 'a refused claim changes nothing');
      assert.equal(await store.budgetUsed('target:maxwell1', 0), 1);
    });

    it('is refused in the cooldown, counted from the end of the run', async (store) => {
      const episode = await openEpisode(store, labels);
      const hold = await win(store, episode, t0);
      await store.endRun(hold, { outcome: 'verified', because: '', cooldownMs: 5000 }, at(t0 + 1000));
      const now = await episodeNow(store, episode.id);
      assert.equal(await refusal(store, claimOf(now), t0 + 5999), 'cooldown');
      assert.equal(await refusal(store, claimOf(now), t0 + 6000), 'won');
    });

    it('counts the window in every scope, exactly', async (store) => {
      const budgets = [
        { scope: 'target:maxwell1', max: 3, windowMs: hour },
        { scope: 'global', max: 4, windowMs: hour },
      ];
      const episode = await openEpisode(store, labels);
      for (let i = 0; i < 3; i++) await runOnce(store, episode.id, t0 + i, { budgets });
      const used = async (): Promise<ReturnType<typeof claimOf>> =>
        claimOf(await episodeNow(store, episode.id), { budgets });
      assert.equal(await refusal(store, await used(), t0 + 10), 'budget');
      assert.equal(await refusal(store, await used(), t0 + hour - 1), 'budget');
      const other = await openEpisode(store, { alertname: 'B', target: 'b' });
      await runOnce(store, other.id, t0 + 11, { budgets: budgets.slice(1), target: 'b' });
      // the first one is out of the window of the target now, but the fourth one fills the global one
      assert.equal(
        await refusal(store, { ...(await used()), budgets: [{ scope: 'global', max: 3, windowMs: hour }] }, t0 + hour),
        'budget',
      );
      assert.equal(await refusal(store, await used(), t0 + hour), 'won');
    });

    it('gives the budget back only for a run that changed nothing; one that a crash left counts', async (store) => {
      const episode = await openEpisode(store, labels);
      const idle = await win(store, episode, t0);
      assert.equal(await store.budgetUsed('target:maxwell1', 0), 1);
      await store.endRun(idle, { outcome: 'already_fixed', because: '', cooldownMs: 0 }, at(t0));
      assert.equal(await store.budgetUsed('target:maxwell1', 0), 0);
      await runOnce(store, episode.id, t0);
      assert.equal(await store.budgetUsed('target:maxwell1', 0), 1);
    });

    it('of a person uses up no budget, but holds the lease', async (store) => {
      const episode = await openEpisode(store, labels);
      for (let i = 0; i < 5; i++) await runOnce(store, episode.id, t0, { actor: 'human:ann' });
      assert.equal(await store.budgetUsed('target:maxwell1', 0), 0);
      await win(store, await episodeNow(store, episode.id), t0, { actor: 'human:ann' });
      assert.equal(await refusal(store, claimOf(await episodeNow(store, episode.id)), t0), 'active');
    });

    test('12 processes at a barrier never overrun a budget of 3; a claim that counts before it locks does', async () => {
      using racers = await startRacers();
      const race = async (
        claims: 'real' | 'naive',
        contest: 'one target' | 'one scope',
      ): Promise<{ readonly kind: StoreUnderTest['kind']; readonly counts: readonly number[] }> => {
        await using under = await make();
        await using store = await under.open();
        const { kind, place } = under;
        const rounds = claims === 'real' ? under.rounds : 1;
        return { kind, counts: await racers.race(store, { kind, place, claims, rounds }, contest, 3) };
      };
      const { kind, counts } = await race('real', 'one scope');
      assert.ok(counts.length > 0);
      for (const count of counts) assert.equal(count, 3, `one scope: ${counts.join(', ')}`);
      if (kind === 'sqlite') {
        // On a server this takes long, and its lease is another row under the same locks.
        const { counts: oneTarget } = await race('real', 'one target');
        for (const count of oneTarget) assert.equal(count, 3, `one target: ${oneTarget.join(', ')}`);
      }
      const naive: number[] = [];
      while (naive.length < 3 && !naive.some((n) => n > 3)) naive.push(...(await race('naive', 'one scope')).counts);
      assert.ok(Math.max(...naive) > 3, `the naive claim by round: ${naive.join(', ')}`);
    });
  });

  suite(`${name}: lease and journal`, () => {
    const entry = { kind: 'facts', step: '', attempt: 1, data: { seen: [1] } } as const;
    const isFenced = (error: unknown): boolean => error instanceof StoreError && error.code === 'fenced';

    it('the journal is numbered and comes back as it was', async (store) => {
      const hold = await win(store, await openEpisode(store, labels), t0);
      const written = await store.appendJournal(hold, { ...entry, outcome: 'done' }, at(t0 + 1));
      assert.deepEqual(written, { ...entry, n: 2, outcome: 'done', atMs: t0 + 1, fence: 1, holder: 'me' });
      assert.deepEqual((await store.journalOf(hold.runId))[1], written);
      await store.setRun(hold, { state: 'soaking', evidencePath: '/e' }, at(t0 + 2));
      const run = await store.run(hold.runId);
      assert.deepEqual([run?.state, run?.evidencePath, run?.firstMutationMs], ['soaking', '/e', undefined]);
      await store.appendJournal(hold, { ...entry, kind: 'intent' }, at(t0 + 3));
      await store.appendJournal(hold, { ...entry, kind: 'intent' }, at(t0 + 4));
      assert.equal((await store.run(hold.runId))?.firstMutationMs, t0 + 3);
    });

    it('nothing is written when the lease is over, is another one, or was taken over', async (store) => {
      const hold = await win(store, await openEpisode(store, labels), t0);
      const writes = (h: typeof hold, ms: number): (() => Promise<unknown>)[] => [
        () => store.appendJournal(h, { ...entry, kind: 'intent' }, at(ms)),
        () => store.setRun(h, { state: 'soaking' }, at(ms)),
        () => store.endRun(h, { outcome: 'verified', because: '', cooldownMs: 0 }, at(ms)),
      ];
      const refused = [
        ...writes(hold, t0 + 30_000),
        ...writes({ ...hold, fence: 2 }, t0),
        ...writes({ ...hold, holder: 'another' }, t0),
        ...writes({ ...hold, runId: 'another' }, t0),
      ];
      for (const write of refused) await assert.rejects(write, isFenced);
      const taken = await store.adopt(hold.runId, 'successor', 30_000, at(t0 + 30_000));
      assert.equal(taken?.fence, 2);
      for (const write of writes(hold, t0 + 30_001)) await assert.rejects(write, isFenced);
      assert.equal((await store.journalOf(hold.runId)).length, 1);
      await store.appendJournal(taken, entry, at(t0 + 30_001));
      assert.equal((await store.run(hold.runId))?.fence, 2);
    });

    it('a renewal lengthens a lease that lasts, and revives none that is over', async (store) => {
      const hold = await win(store, await openEpisode(store, labels), t0);
      assert.equal(await store.renewLease(hold, 30_000, at(t0 + 29_999)), true);
      await store.appendJournal(hold, entry, at(t0 + 59_998));
      assert.equal(await store.renewLease(hold, 30_000, at(t0 + 59_999)), false);
    });

    it('a run is taken over from a lease that is over, from oneself, and from a process that is proven dead only', async (store) => {
      const child = spawn(process.execPath, [
        '--input-type=module',
        '-e',
        `
        import { newHolder } from ${JSON.stringify(import.meta.resolve('../../../remediator/holder.ts'))};
        process.stdout.write(newHolder() + '\\n'); setInterval(() => {}, 1000);`,
      ]);
      const holder = String((await once(child.stdout, 'data'))[0]).trim();
      const episode = await openEpisode(store, labels);
      const hold = await win(store, episode, t0, { holder });
      assert.equal(await store.adopt(hold.runId, newHolder(), 30_000, at(t0 + 1)), undefined, 'it lives');
      child.kill('SIGSTOP');
      assert.equal(await store.adopt(hold.runId, newHolder(), 30_000, at(t0 + 1)), undefined, 'stopped is not dead');
      child.kill('SIGKILL');
      await once(child, 'exit');
      const elsewhere = await openEpisode(store, { alertname: 'E' });
      const foreign = await win(store, elsewhere, t0, {
        holder: holder.replace(/^[^/]+/, 'another-host'),
        target: 'e',
        budgets: [],
      });
      assert.equal(
        await store.adopt(foreign.runId, newHolder(), 30_000, at(t0 + 1)),
        undefined,
        'not to be seen from here',
      );
      const successor = newHolder();
      const taken = await store.adopt(hold.runId, successor, 30_000, at(t0 + 1));
      assert.deepEqual(taken, { runId: hold.runId, target: 'maxwell1', holder: successor, fence: 2 });
      assert.equal((await store.adopt(hold.runId, successor, 30_000, at(t0 + 2)))?.fence, 3, 'one’s own');
      const own = await store.adopt(hold.runId, 'x', 30_000, at(t0 + 40_000));
      assert.equal(own?.fence, 4);
      await store.endRun(own, { outcome: 'failed', because: '', cooldownMs: 0 }, at(t0 + 40_000));
      assert.equal(await store.adopt(hold.runId, 'x', 30_000, at(t0 + 90_000)), undefined, 'an ended run is over');
    });

    it('the fence grows over runs and releases', async (store) => {
      const { id } = await openEpisode(store, labels);
      const fences = [];
      for (let i = 0; i < 3; i++) fences.push((await runOnce(store, id, t0 + i)).fence);
      assert.deepEqual(fences, [1, 2, 3]);
    });

    it('an end without a knowable outcome, or with a reason to, latches the target until a person clears it', async (store) => {
      const { id } = await openEpisode(store, labels);
      const hold = await win(store, await episodeNow(store, id), t0);
      await store.endRun(hold, { outcome: 'outcome_unknown', because: 'no answer', cooldownMs: 0 }, at(t0 + 1));
      const ended = await store.run(hold.runId);
      assert.deepEqual(
        [ended?.state, ended?.outcome, ended?.because, ended?.endedMs],
        ['ended', 'outcome_unknown', 'no answer', t0 + 1],
      );
      assert.deepEqual((await store.journalOf(hold.runId)).at(-1)?.kind, 'ended');
      const [latch] = await store.latches('target:maxwell1');
      assert.deepEqual([latch?.reason, latch?.runId], ['no answer', hold.runId]);
      assert.deepEqual(await store.latches('target:other'), []);
      assert.equal(await refusal(store, claimOf(await episodeNow(store, id)), t0 + hour), 'latched');
      assert.equal(await store.clearLatch('nonsense', 'ann', 'x', t0), false);
      assert.equal(await store.clearLatch(latch?.id ?? '', 'ann', 'looked', t0), true);
      assert.equal(await store.clearLatch(latch?.id ?? '', 'ann', 'looked', t0), false);
      const again = await win(store, await episodeNow(store, id), t0 + 2);
      await store.endRun(again, { outcome: 'failed', because: '', cooldownMs: 0, latch: 'binlog purged' }, at(t0 + 3));
      assert.equal((await store.latches())[0]?.reason, 'binlog purged');
    });
  });

  suite(`${name}: escalations and marks`, () => {
    const told = async (store: Store, episodeId: string): Promise<(string | undefined)[][]> =>
      (await store.escalationsOf(episodeId)).map((e) => [e.labels['alertname'], e.state]);

    const decided = async (store: Store, episodeId: string, reasonKey: string): Promise<Decision> =>
      (
        await store.recordDecision(
          {
            ...{
              episodeId,
              reasonKey,
              episodeVersion: 1,
              policy: 'p',
              policyHash: 'h',
              action: 'a',
              target: 'maxwell1',
            },
            ...{ params: {}, verdict: 'refuse', because: reasonKey, evidenceHash: undefined, trace: [], advice: [] },
          },
          t0,
        )
      ).decision;

    it('one per reason; a new reason takes the place of the former; a failure ends what was refused', async (store) => {
      const episode = await openEpisode(store, labels);
      const first = refused(episode, await decided(store, episode.id, 'budget:spent'));
      assert.equal(await store.enqueue(first, t0), true);
      assert.equal(await store.enqueue(first, t0 + 1), false);
      const second = refused(episode, await decided(store, episode.id, 'latch:latched'));
      assert.equal(await store.enqueue(second, t0 + 2), true);
      assert.deepEqual(
        (await store.dueEscalations(t0 + 2)).map((e) => e.annotations['description']),
        ['MaxwellDown of maxwell1: latch:latched'],
      );
      await runOnce(store, episode.id, t0);
      const [run] = await store.runsOf({ limit: 1 });
      assert.ok(run !== undefined);
      assert.equal(await store.enqueue(failed(episode, run), t0 + 3), true);
      assert.deepEqual((await told(store, episode.id)).sort(), [
        ['RemediationFailed', 'open'],
        ['RemediationRefused', 'done'],
        ['RemediationRefused', 'ending'],
      ]);
      assert.equal(await store.enqueue(first, t0 + 4), true, 'a reason that comes back is told again');
    });

    it('is due, posted again, and ended with the episode; a post that crosses the end does not delay it', async (store) => {
      const episode = await openEpisode(store, labels);
      const escalation = refused(episode, await decided(store, episode.id, 'r'));
      const { dedupeKey } = escalation;
      await store.enqueue(escalation, t0);
      assert.equal(await store.undeliveredEscalations(t0 - 120_000), 1);
      await store.markEscalation(dedupeKey, { nextMs: t0 + 5000, error: 'refused', state: 'open' });
      assert.deepEqual(await store.dueEscalations(t0 + 4999), []);
      const [tried] = await store.dueEscalations(t0 + 5000);
      assert.deepEqual([tried?.tries, tried?.lastError, tried?.firstMs], [1, 'refused', t0]);
      await store.markEscalation(dedupeKey, { nextMs: t0 + 60_000, okMs: t0 + 5000, state: 'open' });
      assert.equal(await store.undeliveredEscalations(t0), 0);
      assert.equal(await store.undeliveredEscalations(t0 + 6000), 1, 'not taken anew for too long');
      await store.endEscalations(episode.id, t0 + 6000);
      await store.markEscalation(dedupeKey, { nextMs: t0 + 66_000, okMs: t0 + 6001, state: 'open' });
      const [ending] = await store.dueEscalations(t0 + 6001);
      assert.equal(ending?.state, 'ending');
      await store.markEscalation(dedupeKey, { nextMs: t0 + 66_000, okMs: t0 + 6002, state: 'done' });
      assert.deepEqual(await store.dueEscalations(t0 + hour), []);
    });

    it('ends with the closing of its episode, and an evaluation that is late tells nothing more of it', async (store) => {
      const episode = await openEpisode(store, labels);
      const escalation = refused(episode, await decided(store, episode.id, 'r'));
      await store.enqueue(escalation, t0);
      const { version } = await episodeNow(store, episode.id);
      assert.equal(await store.closeEpisode(episode.id, version - 1, 'healed', t0 + 1), false);
      assert.equal((await store.escalationsOf(episode.id))[0]?.state, 'open');
      assert.equal(await store.closeEpisode(episode.id, version, 'healed', t0 + 2), true);
      assert.deepEqual(
        (await store.dueEscalations(t0 + 2)).map((e) => e.state),
        ['ending'],
      );
      assert.equal(await store.enqueue(refused(episode, await decided(store, episode.id, 'late')), t0 + 3), false);
      assert.equal((await store.escalationsOf(episode.id)).length, 1);
    });

    it('marks are kept over connections', async (store, under) => {
      assert.equal(await store.meta('k'), undefined);
      await store.setMeta('k', '1');
      await store.setMeta('k', '2');
      await using second = await under.open();
      assert.equal(await second.meta('k'), '2');
    });
  });
}
