// The part of the suite on what is taken in: stored before it is answered, processed once, and together.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { IncomingAlert } from '../../../remediator/model.ts';
import { StoreError, type ReadWebhook } from '../../../remediator/store/store.ts';
import { firing, resolved } from './store-fixtures.ts';
import { labels, t0, testsOf, type MakeStore } from './store-under-test.ts';

export function intakeSuite(name: string, make: MakeStore): void {
  const it = testsOf(make);

  suite(`${name}: intake`, () => {
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
      // A fault of what was to be written is told from one of the store, which is waited out.
      await assert.rejects(
        store.processWebhooks([hook(first), wrong], t0),
        (error) => error instanceof Error && !(error instanceof StoreError),
      );
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
        const hooks: ReadWebhook[] = [];
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
  });
}
