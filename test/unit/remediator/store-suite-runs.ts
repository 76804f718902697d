// The part of the suite on who may run, how often, and who may write of a run.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { suite, test } from 'node:test';
import { newHolder } from '../../../remediator/holder.ts';
import { StoreError } from '../../../remediator/store/store.ts';
import { startRacers } from './store-barrier.ts';
import { claimOf, episodeNow, hour, openEpisode, refusal, runOnce, win } from './store-fixtures.ts';
import { at, labels, t0, testsOf, type MakeStore, type StoreUnderTest } from './store-under-test.ts';

export function runSuite(name: string, make: MakeStore): void {
  const it = testsOf(make);

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
}
