// The part of the suite on what people are told, and small marks.
import assert from 'node:assert/strict';
import { suite } from 'node:test';
import { refused, failed } from '../../../remediator/escalate.ts';
import type { Decision } from '../../../remediator/model.ts';
import type { Store } from '../../../remediator/store/store.ts';
import { episodeNow, hour, openEpisode, runOnce } from './store-fixtures.ts';
import { labels, t0, testsOf, type MakeStore } from './store-under-test.ts';

export function escalationSuite(name: string, make: MakeStore): void {
  const it = testsOf(make);

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
