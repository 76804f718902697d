// What is made of two targets: the one that is slower is awaited while it is swept, and compared as it is now.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CollectorCall } from '../../../exporter/collector.ts';
import { factKey } from '../../../exporter/facts.ts';
import { pause } from '../../../exporter/runtime/deadline.ts';
import { known } from '../../../exporter/runtime/known.ts';
import { plainLimits } from '../../../exporter/scrape/limits.ts';
import { Rounds } from '../../../exporter/scrape/rounds.ts';
import { fakeInventory, roundsDeps, script } from '../../support/fake-system.ts';

const lookFact = factKey<number>('look');

test('a source that is swept is awaited, one that nobody asks is not', async () => {
  let looks = 0;
  let source: () => Promise<void> = () => Promise.resolve();
  const seen: unknown[] = [];
  const rounds = new Rounds(
    fakeInventory({
      replica: script({
        collect: async (_emit, call) => {
          const found = await (call as CollectorCall).peers?.fact('source', lookFact, 5);
          seen.push(found?.known === true ? found.value : found?.why);
        },
      }),
      source: script({
        collect: async (_emit, call) => {
          looks += 1;
          await source();
          (call as CollectorCall).board.publish('source', lookFact, known(looks, 0));
        },
      }),
    }),
    roundsDeps(),
  );
  await rounds.scrape(4000);
  source = () => pause(100);
  await rounds.scrape(4000);
  await rounds.probe('replica', 4000); // the source is looked at by nobody
  source = () => Promise.reject(new Error('it fails'));
  await rounds.scrape(4000);
  assert.deepEqual(seen, [1, 2, 2, 2]);
  assert.equal(looks, 3);
  await rounds.close();
});

test('a source whose turn has not come is not awaited: whoever did would keep it from its turn', async () => {
  const seen: unknown[] = [];
  const rounds = new Rounds(
    fakeInventory({
      replica: script({
        collect: async (_emit, call) => {
          seen.push((await (call as CollectorCall).peers?.fact('source', lookFact, 5))?.known);
        },
      }),
      source: script({
        collect: (_emit, call) => {
          (call as CollectorCall).board.publish('source', lookFact, known(1, 0));
          return Promise.resolve();
        },
      }),
    }),
    roundsDeps({ limits: { ...plainLimits, maxSweeps: 1 } }),
  );
  await rounds.scrape(4000);
  assert.deepEqual(seen, [false]);
  await rounds.close();
});
