// What is due goes out in one request for each peer, and one bad message holds up no other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { createLog } from '../../../exporter/runtime/log.ts';
import type { PostedAlert } from '../../../remediator/alertmanager.ts';
import type { Episode } from '../../../remediator/model.ts';
import { batchesOf, sendDue } from '../../../remediator/outbox.ts';
import type { StoredEscalation } from '../../../remediator/store/store.ts';
import { episode } from './scenario.ts';

function due(name: string, change: Partial<StoredEscalation> = {}): StoredEscalation {
  return {
    dedupeKey: name,
    episodeId: 'e1',
    labels: { alertname: 'RemediationFailed', episode: name },
    annotations: {},
    state: 'open',
    tries: 0,
    firstMs: 0,
    lastOkMs: undefined,
    lastError: undefined,
    ...change,
  };
}

/** A store of these escalations, and two peers of which the second takes what `second` says. */
async function send(
  escalations: readonly StoredEscalation[],
  second: (alerts: readonly PostedAlert[]) => void,
  episode?: Episode,
): Promise<{
  readonly first: readonly (readonly string[])[];
  readonly second: readonly (readonly string[])[];
  readonly marks: ReadonlyMap<string, { readonly okMs?: number; readonly error?: string; readonly state?: string }>;
}> {
  const marks = new Map<string, { readonly okMs?: number; readonly error?: string; readonly state?: string }>();
  const asked = { first: [] as string[][], second: [] as string[][] };
  const names = (alerts: readonly PostedAlert[]): string[] => alerts.map((a) => a.labels['episode'] ?? '');
  await sendDue(
    {
      store: {
        dueEscalations: () => Promise.resolve(escalations),
        episode: () => Promise.resolve(episode),
        markEscalation: (key, change) => {
          marks.set(key, change);
          return Promise.resolve();
        },
        undeliveredEscalations: () => Promise.resolve(0),
      },
      peers: new Map([
        [
          'main',
          [
            {
              url: 'http://a',
              post: (alerts) => {
                asked.first.push(names(alerts));
                return Promise.resolve();
              },
            },
            {
              url: 'http://b',
              post: (alerts) => {
                asked.second.push(names(alerts));
                return Promise.resolve().then(() => {
                  second(alerts);
                });
              },
            },
          ],
        ],
      ]),
      externalUrl: undefined,
      clock: { nowMs: () => 1_000_000, wallMs: () => 1_800_000_000_000, wallOf: (ms) => 1_799_999_000_000 + ms },
      metrics: { escalationsPending: () => undefined },
      log: createLog('test', 'silent'),
    },
    AbortSignal.timeout(20_000),
  );
  return { ...asked, marks };
}

test('one request for each peer', async () => {
  const sent = await send([due('a'), due('b'), due('c')], () => undefined);
  assert.deepEqual(sent.first, [['a', 'b', 'c']]);
  assert.deepEqual(sent.second, [['a', 'b', 'c']]);
  assert.deepEqual(
    [...sent.marks.values()].map((m) => [m.okMs !== undefined, m.error]),
    Array(3).fill([true, undefined]),
  );
});

test('one message that a peer refuses holds up no other', async () => {
  const sent = await send([due('a'), due('bad'), due('c')], (alerts) => {
    if (alerts.some((a) => a.labels['episode'] === 'bad')) throw new TargetError('failed', 'answered 400');
  });
  assert.deepEqual(sent.second, [['a', 'bad', 'c'], ['a'], ['bad'], ['c']]);
  const errors = [...sent.marks].map(([name, { error }]) => [name, error]);
  assert.deepEqual(errors, [
    ['a', undefined],
    ['bad', 'answered 400'],
    ['c', undefined],
  ]);
});

test('a peer that is down is asked once, and what the other one took counts as delivered', async () => {
  const sent = await send([due('a'), due('b')], () => {
    throw new TargetError('refused', 'connection refused');
  });
  assert.equal(sent.second.length, 1);
  for (const mark of sent.marks.values()) {
    assert.equal(mark.error, 'connection refused');
    assert.ok(mark.okMs !== undefined);
  }
});

test('the same labels never share a request, and keep their order; a request has an end', () => {
  const labels = { alertname: 'X' };
  const batches = batchesOf([due('old', { labels, state: 'ending' }), due('other'), due('new', { labels })]);
  assert.deepEqual(
    batches.map((b) => b.map((e) => e.dedupeKey)),
    [['old', 'other'], ['new']],
  );
  const many = batchesOf(Array.from({ length: 250 }, (_, i) => due(`n${i}`)));
  assert.deepEqual(
    many.map((b) => b.length),
    [100, 100, 50],
  );
});

test('what was told of an episode just after its end stays for an hour, and is ended then', async () => {
  for (const [closedMs, firstMs, state] of [
    [1_000_000 - 3_599_000, 0, 'open'],
    [1_000_000 - 3_600_000, 1_000_000 - 1, 'open'],
    [1_000_000 - 3_600_000, 1_000_000 - 3_600_000, 'done'],
  ] as const) {
    const endings: string[] = [];
    const sent = await send([due('late', { firstMs })], (alerts) => endings.push(...alerts.map((a) => a.endsAt)), {
      ...episode,
      state: 'closed',
      closedMs,
    });
    assert.equal(sent.marks.get('late')?.state, state);
    const isOver = endings[0] === new Date(1_800_000_000_000).toISOString();
    assert.equal(isOver, state === 'done');
  }
});
