// The part of the suite on what people do: approvals, maintenance, demotions, storms, and what is kept how long.
import assert from 'node:assert/strict';
import { suite } from 'node:test';
import type { Retention } from '../../../remediator/store/store-of-people.ts';
import type { Store } from '../../../remediator/store/store.ts';
import { claimOf, deliver, episodeNow, firing, hour, openEpisode, refusal, runOnce, win } from './store-fixtures.ts';
import { labels, t0, testsOf, type MakeStore } from './store-under-test.ts';

const hashes = { policyHash: 'ph', evidenceHash: 'eh', paramsHash: 'xh', planHash: 'nh' };
const plan = { action: 'maxwell.restart', facts: { running: 1 } };

type Asked = Parameters<Store['requestApproval']>[0];
function askedOf(episodeId: string, change: Partial<Asked> = {}): Asked {
  return {
    ...{ episodeId, decisionId: 'd', policy: 'p', action: 'maxwell.restart', target: 'maxwell1', ...hashes },
    ...{ plan, role: 'oncall', expiresMs: t0 + hour },
    ...change,
  };
}

export function peopleSuite(name: string, make: MakeStore): void {
  const it = testsOf(make);

  suite(`${name}: approvals`, () => {
    const approved = async (store: Store, episodeId: string, change: Partial<Asked> = {}): Promise<string> => {
      const { approval } = await store.requestApproval(askedOf(episodeId, change), t0);
      assert.ok((await store.decideApproval(approval.id, 'approved', 'ann', 'go', t0 + 1)).decided);
      return approval.id;
    };

    it('is asked for once per state of affairs; another state voids it', async (store) => {
      const { id } = await openEpisode(store, labels);
      const first = await store.requestApproval(askedOf(id), t0);
      assert.ok(first.isNew);
      assert.deepEqual(first.approval, {
        ...{ ...askedOf(id), id: first.approval.id, requestedMs: t0, state: 'requested' },
        ...{ decidedBy: undefined, decidedMs: undefined, comment: undefined, usedByRun: undefined },
      });
      const same = await store.requestApproval(askedOf(id, { decisionId: 'd2', expiresMs: t0 + 2 * hour }), t0 + 5);
      assert.deepEqual([same.isNew, same.approval.id], [false, first.approval.id]);
      for (const change of [{ evidenceHash: 'e2' }, { paramsHash: 'x2' }, { policyHash: 'p2' }, { planHash: 'n2' }]) {
        const [before] = await store.approvals({ episodeId: id, open: true, nowMs: t0, limit: 5 });
        const other = await store.requestApproval(askedOf(id, change), t0 + 10);
        assert.ok(other.isNew);
        assert.equal((await store.approval(before?.id ?? ''))?.state, 'void');
        assert.equal((await store.decideApproval(before?.id ?? '', 'approved', 'ann', '', t0 + 11)).decided, false);
      }
      assert.equal((await store.approvals({ open: true, nowMs: t0 + 11, limit: 9 })).length, 1);
      assert.equal((await store.approvals({ open: true, nowMs: t0 + hour, limit: 9 })).length, 0, 'expired');
      assert.equal((await store.requestApproval(askedOf(id), t0 + hour)).isNew, true);
    });

    it('of the same state of affairs stays, approved; and a no is not asked again until it expires', async (store) => {
      const { id } = await openEpisode(store, labels);
      const yes = await approved(store, id);
      const again = await store.requestApproval(askedOf(id), t0 + 2);
      assert.deepEqual([again.isNew, again.approval.id, again.approval.state], [false, yes, 'approved']);
      const other = await openEpisode(store, { alertname: 'B' });
      const asked = await store.requestApproval(askedOf(other.id), t0);
      const no = await store.decideApproval(asked.approval.id, 'rejected', 'bob', 'not now', t0 + 1);
      assert.ok(no.decided);
      assert.deepEqual([no.approval.state, no.approval.decidedBy, no.approval.comment], ['rejected', 'bob', 'not now']);
      const still = await store.requestApproval(askedOf(other.id), t0 + 2);
      assert.deepEqual([still.isNew, still.approval.state], [false, 'rejected']);
      assert.ok((await store.requestApproval(askedOf(other.id, { evidenceHash: 'e2' }), t0 + 3)).isNew);
      const verbs = (await store.auditOf({ object: asked.approval.id, limit: 5 })).map((a) => [a.actor, a.verb]);
      assert.deepEqual(verbs, [['bob', 'reject']]);
    });

    it('is decided once, by the faster one, and not after its time', async (store, under) => {
      const { id } = await openEpisode(store, labels);
      const { approval } = await store.requestApproval(askedOf(id), t0);
      await using second = await under.open();
      const both = await Promise.all([
        store.decideApproval(approval.id, 'approved', 'ann', '', t0 + 1),
        second.decideApproval(approval.id, 'rejected', 'bob', '', t0 + 1),
      ]);
      assert.equal(both.filter((d) => d.decided).length, 1);
      const late = await openEpisode(store, { alertname: 'B' });
      const asked = await store.requestApproval(askedOf(late.id), t0);
      const verdict = await store.decideApproval(asked.approval.id, 'approved', 'ann', '', t0 + hour);
      assert.ok(!verdict.decided);
      assert.match(verdict.because, /expired/);
      assert.equal((await store.decideApproval('none', 'approved', 'ann', '', t0)).decided, false);
    });

    it('carries one claim, with its own hashes only, and is used up by it', async (store) => {
      const episode = await openEpisode(store, labels);
      const id = await approved(store, episode.id);
      const tries = [
        { approval: { id: 'none', ...hashes } },
        { approval: { id, ...hashes, policyHash: 'other' } },
        { approval: { id, ...hashes, evidenceHash: 'other' } },
        { approval: { id, ...hashes, paramsHash: 'other' } },
        { approval: { id, ...hashes, planHash: 'other' } },
        { approval: { id, ...hashes }, action: 'other' },
        { approval: { id, ...hashes }, target: 'other' },
      ];
      for (const change of tries) {
        assert.equal(await refusal(store, claimOf(episode, change), t0 + 2), 'approval', JSON.stringify(change));
      }
      assert.equal(await refusal(store, claimOf(episode, { approval: { id, ...hashes } }), t0 + hour), 'approval');
      assert.equal((await episodeNow(store, episode.id)).version, episode.version, 'a lost claim leaves nothing');
      const hold = await runOnce(store, episode.id, t0 + 2, { approval: { id, ...hashes } });
      const used = await store.approval(id);
      assert.deepEqual([used?.state, used?.usedByRun], ['used', hold.runId]);
      const now = await episodeNow(store, episode.id);
      assert.equal(await refusal(store, claimOf(now, { approval: { id, ...hashes } }), t0 + 3), 'approval');
      assert.ok((await store.requestApproval(askedOf(episode.id), t0 + 4)).isNew, 'the next repair needs its own');
    });

    it('is used up by one of two claims at the same time', async (store, under) => {
      const episode = await openEpisode(store, labels);
      const approval = { id: await approved(store, episode.id), ...hashes };
      await using second = await under.open();
      const results = await Promise.all(
        [store, second, store, second].map((s) => s.claim(claimOf(episode, { approval }), () => t0 + 2)),
      );
      assert.equal(results.filter((r) => r.won).length, 1);
    });
  });

  suite(`${name}: what holds a claim back`, () => {
    it('maintenance, of the target, a pipeline or all, while it lasts', async (store) => {
      const episode = await openEpisode(store, labels);
      const claim = claimOf(episode, { pipelines: ['orders'] });
      for (const scope of ['target:maxwell1', 'pipeline:orders', 'global']) {
        const given = { scope, startsMs: t0 + 10, endsMs: t0 + 20, owner: 'ann', reason: 'upgrade' };
        const { id, ...stored } = await store.addMaintenance(given, 'cli', t0);
        assert.deepEqual(stored, given);
        assert.deepEqual(await store.maintenances(t0), [{ id, ...given }]);
        assert.equal(await refusal(store, claim, t0 + 10), 'maintenance', scope);
        assert.equal(await refusal(store, claim, t0 + 19), 'maintenance', scope);
        assert.equal(await refusal(store, { ...claim, actor: 'human:ann' }, t0 + 19), 'maintenance', scope);
        assert.equal(await store.endMaintenance(id, 'bob', 'api', t0 + 15), true);
        assert.equal(await store.endMaintenance(id, 'bob', 'api', t0 + 15), false);
        assert.deepEqual(await store.maintenances(t0), []);
      }
      const elsewhere = { startsMs: t0, endsMs: t0 + hour, owner: 'ann', reason: 'x' };
      await store.addMaintenance({ scope: 'pipeline:other', ...elsewhere }, 'cli', t0);
      await store.addMaintenance({ scope: 'target:other', ...elsewhere }, 'cli', t0);
      assert.equal(await refusal(store, claim, t0 + 19), 'won');
    });

    it('a pause of a pipeline of the target', async (store) => {
      const claim = claimOf(await openEpisode(store, labels), { pipelines: ['orders'] });
      const pause = { scope: 'pipeline:orders', paused: true, by: 'ann', reason: 'x', setMs: t0, untilMs: undefined };
      await store.setPause(pause);
      assert.equal(await refusal(store, claim, t0), 'paused');
      assert.equal(await refusal(store, { ...claim, pipelines: ['other'] }, t0), 'won');
    });

    it('a demoted policy: to observe always, to approve without an approval; the lower one stays', async (store) => {
      const episode = await openEpisode(store, labels);
      const demotion = { policy: 'p', target: 'maxwell1', mode: 'approve', reason: '2 relapses', setMs: t0 } as const;
      await store.demote(demotion);
      assert.equal(await refusal(store, claimOf(episode), t0), 'demoted');
      assert.equal(await refusal(store, claimOf(episode, { policy: { name: 'q' } }), t0), 'won');
      const other = await openEpisode(store, { alertname: 'B' });
      await store.demote({ ...demotion, target: 'b' });
      const asked = await store.requestApproval(askedOf(other.id, { target: 'b' }), t0);
      await store.decideApproval(asked.approval.id, 'approved', 'ann', '', t0);
      const leave = { target: 'b', approval: { id: asked.approval.id, ...hashes }, budgets: [] };
      await store.demote({ ...demotion, target: 'b', mode: 'observe', setMs: t0 + 1 });
      assert.equal(await refusal(store, claimOf(other, leave), t0 + 1), 'demoted');
      await store.demote({ ...demotion, target: 'b', setMs: t0 + 2 });
      assert.deepEqual(
        (await store.demotions()).map((d) => [d.target, d.mode, d.setMs]),
        [
          ['b', 'observe', t0 + 1],
          ['maxwell1', 'approve', t0],
        ],
      );
      assert.equal(await store.liftDemotion('p', 'b', 'ann', 'looked', t0 + 3), true);
      assert.equal(await store.liftDemotion('p', 'b', 'ann', 'looked', t0 + 3), false);
      await store.demote({ ...demotion, target: 'b' });
      assert.equal(await refusal(store, claimOf(other, leave), t0 + 4), 'won');
      const verbs = (await store.auditOf({ object: 'p/b', limit: 9 })).map((a) => a.verb);
      assert.deepEqual(verbs, ['demote', 'lift_demotion', 'demote', 'demote']);
    });

    it('a storm, also for what a person has agreed to before it', async (store) => {
      const episode = await openEpisode(store, labels);
      assert.equal(await store.storm(), undefined);
      const storm = { state: 'active', enteredMs: t0, cooldownUntilMs: t0 + 5, inputs: { targets: ['a'] } } as const;
      await store.setStorm(storm);
      assert.deepEqual(await store.storm(), storm);
      assert.equal(await refusal(store, claimOf(episode), t0 + hour), 'storm', 'until somebody says it is over');
      const asked = await store.requestApproval(askedOf(episode.id), t0);
      await store.decideApproval(asked.approval.id, 'approved', 'ann', '', t0);
      const leave = { actor: 'human:ann', approval: { id: asked.approval.id, ...hashes } };
      assert.equal(await refusal(store, claimOf(episode, leave), t0), 'storm');
      await store.setStorm({ ...storm, state: 'calm', cooldownUntilMs: undefined });
      assert.equal(await refusal(store, claimOf(episode), t0), 'won');
    });

    it('as many runs at a time as are allowed; one in its soak does not count', async (store) => {
      const hold = await win(store, await openEpisode(store, labels), t0);
      const claim = claimOf(await openEpisode(store, { alertname: 'B' }), { target: 'b', maxConcurrent: 1 });
      assert.equal(await refusal(store, claim, t0), 'active');
      assert.equal(await refusal(store, { ...claim, actor: 'human:ann' }, t0), 'active');
      await store.setRun(hold, { state: 'soaking' }, () => t0);
      assert.equal(await refusal(store, claim, t0), 'won');
    });
  });

  suite(`${name}: over time`, () => {
    type NewDecision = Parameters<Store['recordDecision']>[0];
    const decision = (episodeId: string, change: Partial<NewDecision> = {}): NewDecision => ({
      ...{ episodeId, episodeVersion: 1, policy: 'p', policyHash: 'h', action: 'a', target: 'maxwell1', params: {} },
      ...{ verdict: 'would_act', reasonKey: 'mode:observe', because: '', evidenceHash: undefined, advice: [] },
      trace: [{ guard: 'mode', result: 'deny', code: 'observe', because: '', inputs: {} }],
      ...change,
    });
    const close = async (store: Store, id: string, outcome: 'healed' | 'repaired', ms: number): Promise<void> => {
      const { version } = await episodeNow(store, id);
      assert.equal(await store.closeEpisode(id, version, outcome, ms), true);
    };

    it('counts how a policy has done', async (store) => {
      const soon = await openEpisode(store, { alertname: 'Soon' });
      await store.recordDecision(decision(soon.id), t0);
      await store.recordDecision(decision(soon.id, { reasonKey: 'x' }), t0 + 1);
      await close(store, soon.id, 'healed', t0 + 600_000);
      const late = await openEpisode(store, { alertname: 'Late' });
      await store.recordDecision(decision(late.id, { target: 'other' }), t0 + 5);
      await close(store, late.id, 'healed', t0 + 600_006);
      const repaired = await openEpisode(store, labels);
      const acted = await store.recordDecision(decision(repaired.id, { verdict: 'act' }), t0 + 7);
      const hold = await win(store, repaired, t0 + 8, { decisionId: acted.decision.id });
      await store.endRun(hold, { outcome: 'verified', because: '', cooldownMs: 0 }, () => t0 + 9);
      await close(store, repaired.id, 'repaired', t0 + 10);
      await store.reopen(repaired.id, t0, t0 + 20);
      const counts = {
        wouldAct: 2,
        needless: 1,
        approved: 0,
        rejected: 0,
        verified: 1,
        approvedVerified: 0,
        failed: 0,
        unknownOutcome: 0,
      };
      assert.deepEqual(await store.policyCounts('p', undefined), { ...counts, relapses: 1, firstSeenMs: t0 });
      const other = await store.policyCounts('p', 'other');
      assert.deepEqual([other.wouldAct, other.needless, other.verified, other.firstSeenMs], [1, 0, 0, t0 + 5]);
      assert.equal((await store.policyCounts('none', undefined)).firstSeenMs, undefined);
      // of the action that it names now: what the policy did with another one before says nothing of it
      const same = { ...counts, relapses: 1, firstSeenMs: t0 };
      assert.deepEqual(await store.policyCounts('p', undefined, ['b', 'a']), same);
      assert.deepEqual(await store.policyCounts('p', undefined, ['b']), {
        ...Object.fromEntries(Object.keys(same).map((key) => [key, 0])),
        firstSeenMs: undefined,
      });
    });

    const keep: Retention = { episodesMs: 10 * hour, webhookBytes: 1_000_000, longestWindowMs: hour };
    const pruneAll = async (store: Store, nowMs: number, how = keep): Promise<number> => {
      let total = 0;
      for (;;) {
        const { deleted, more } = await store.prune(how, nowMs);
        total += deleted;
        if (!more) return total;
      }
    };

    it('what is old goes with all that belongs to it; what is open or young stays', async (store) => {
      const old = await openEpisode(store, labels);
      const acted = await store.recordDecision(decision(old.id, { verdict: 'act' }), t0);
      const hold = await runOnce(store, old.id, t0, { decisionId: acted.decision.id });
      await close(store, old.id, 'repaired', t0 + 1);
      const open = await openEpisode(store, { alertname: 'Open' });
      assert.equal(await pruneAll(store, t0 + 1 + keep.episodesMs), 0, 'not yet');
      assert.ok((await pruneAll(store, t0 + 2 + keep.episodesMs)) >= 6);
      assert.equal(await store.episode(old.id), undefined);
      assert.equal(await store.run(hold.runId), undefined);
      assert.deepEqual([await store.journalOf(hold.runId), await store.decisionsOf(old.id)], [[], []]);
      assert.equal((await store.webhooksOf(open.id)).length, 1);
      assert.equal((await store.size()).webhooks, 1);
      const next = await win(store, await episodeNow(store, open.id), t0 + hour * 20);
      assert.equal(next.fence, 2, 'the fence goes on');
    });

    it('never what a window, a latch, a cooldown or a request still needs', async (store) => {
      const far = { ...keep, episodesMs: 0 };
      const { id } = await openEpisode(store, labels);
      const hold = await win(store, await episodeNow(store, id), t0);
      await store.appendJournal(hold, { kind: 'intent', step: 's', attempt: 1, data: {} }, () => t0);
      await store.endRun(hold, { outcome: 'outcome_unknown', because: 'no answer', cooldownMs: 9 * hour }, () => t0);
      await close(store, id, 'repaired', t0 + 1);
      assert.equal(await pruneAll(store, t0 + 2 * hour - 1, far), 0, 'the window');
      assert.equal(await store.budgetUsed('target:maxwell1', 0), 1);
      assert.equal(await pruneAll(store, t0 + 2 * hour + 2, far), 0, 'the cooldown');
      assert.equal(await pruneAll(store, t0 + 10 * hour, far), 0, 'the latch');
      const [latch] = await store.latches();
      await store.clearLatch(latch?.id ?? '', 'ann', '', t0 + 10 * hour);
      const asked = await store.requestApproval(askedOf(id, { expiresMs: t0 + 12 * hour }), t0 + 10 * hour);
      assert.equal(await pruneAll(store, t0 + 11 * hour, far), 0, 'the request');
      assert.ok((await pruneAll(store, t0 + 13 * hour, far)) > 0);
      assert.equal(await store.approval(asked.approval.id), undefined);
      assert.equal(await store.episode(id), undefined);
    });

    it('the audit keeps its newest rows, and any that are young; maintenance that is long over goes', async (store) => {
      for (let i = 0; i < 6; i++) {
        await store.audit({ atMs: t0 + i, actor: 'ann', via: 'cli', verb: 'pause', object: `o${i}`, detail: {} });
      }
      const work = { scope: 'global', startsMs: t0, owner: 'ann', reason: 'x' };
      await store.addMaintenance({ ...work, endsMs: t0 + hour }, 'cli', t0);
      const few = { ...keep, auditRows: 3 };
      assert.equal(await pruneAll(store, t0 + 2 * hour, few), 0, 'young');
      assert.equal(await pruneAll(store, t0 + 20 * hour, few), 5);
      const left = await store.auditOf({ limit: 99 });
      assert.deepEqual(
        left.map((e) => e.verb),
        ['add_maintenance', 'pause', 'pause'],
      );
    });

    it('goes in small pieces, and bodies beyond the cap, oldest first, but none that is not processed', async (store) => {
      for (let i = 0; i < 30; i++) {
        const { id } = await openEpisode(store, { alertname: `E${i}` });
        await close(store, id, 'healed', t0 + i);
      }
      const first = await store.prune(keep, t0 + 20 * hour);
      assert.ok(first.more);
      assert.ok(first.deleted > 0 && first.deleted <= 600, String(first.deleted));
      assert.ok((await pruneAll(store, t0 + 20 * hour)) > 0);
      assert.deepEqual(await store.findEpisodes({ limit: 9 }), []);
      assert.equal((await store.size()).webhooks, 0);
      for (let i = 0; i < 3; i++) await deliver(store, [firing({ alertname: 'Cap' })], { nowMs: t0 + 30 * hour + i });
      const body = Buffer.from('waits');
      const waiting = { source: 'main', receivedMs: t0, receivedBy: 'p', body, alertCount: 0, truncatedCount: 0 };
      const id = await store.appendWebhook(waiting);
      const { webhookBytes } = await store.size();
      const oneLess = await pruneAll(store, t0 + 30 * hour, { ...keep, webhookBytes: webhookBytes - 1 });
      assert.equal(oneLess, 1);
      await pruneAll(store, t0 + 30 * hour, { ...keep, webhookBytes: 0 });
      assert.deepEqual(
        (await store.pendingWebhooks(9)).map((h) => h.id),
        [id],
      );
      assert.equal((await store.size()).webhooks, 1);
    });
  });
}
