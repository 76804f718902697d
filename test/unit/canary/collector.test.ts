// What a scrape gets of a canary: what was found beside the scrapes, and nothing else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../../deploy/lab/ready.ts';
import type { CollectorCall, Peers } from '../../../exporter/collector.ts';
import { FactBoard } from '../../../exporter/facts.ts';
import type { Sample } from '../../../exporter/families.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { known, unknown, type Known } from '../../../exporter/runtime/known.ts';
import { createLog } from '../../../exporter/runtime/log.ts';
import type { CanaryClient } from '../../../exporter/systems/canary/client.ts';
import { canaryCollector, forbiddenBy } from '../../../exporter/systems/canary/collector-canary.ts';
import { canaryFact } from '../../../exporter/systems/canary/facts-track.ts';

/** `b` is not there. What is written is seen at `a`. */
function clientOf(): { client: CanaryClient; calls: () => number } {
  let token: number | undefined;
  let calls = 0;
  const rest = { usable: () => true, [Symbol.asyncDispose]: () => Promise.resolve() };
  const client: CanaryClient = {
    plan: {
      write: { kind: 'redis', target: 'w', key: 'k' },
      seenAt: [
        { kind: 'redis', target: 'a', key: 'k' },
        { kind: 'redis', target: 'b', key: 'k' },
      ],
      everyMs: 60_000,
      lateAfterMs: 60_000,
      giveUpAfterMs: 60_000,
    },
    openWriter: () => {
      calls += 1;
      return Promise.resolve({
        ...rest,
        write: (sent) => {
          token = sent;
          return Promise.resolve('written');
        },
        obstacle: () => Promise.resolve(undefined),
        remove: () => Promise.resolve(),
      });
    },
    openSight: ({ target }) => {
      calls += 1;
      if (target === 'b') return Promise.reject(new TargetError('refused', 'nobody listens there'));
      return Promise.resolve({ ...rest, look: () => Promise.resolve(token === undefined ? undefined : String(token)) });
    },
    ...rest,
    ping: () => Promise.resolve(),
  };
  return { client, calls: () => calls };
}

interface Scraped {
  readonly values: (name: string) => Readonly<Record<string, number>>;
  readonly board: FactBoard;
  readonly observed: readonly number[];
}

async function scraped(collect: (put: (s: Sample) => void, call: CollectorCall) => unknown): Promise<Scraped> {
  const samples: Sample[] = [];
  const board = new FactBoard();
  const observed: number[] = [];
  await collect((sample) => void samples.push(sample), {
    signal: AbortSignal.timeout(20_000),
    clock: systemClock,
    target: 'c',
    board,
    observed: (at) => void observed.push(at),
  });
  const key = ({ labels }: Sample): string => Object.values(labels).join(' ');
  const values = (name: string): Record<string, number> =>
    Object.fromEntries(samples.filter(({ family }) => family.name === name).map((s) => [key(s), s.value]));
  return { values, board, observed };
}

const states = (of: Readonly<Record<string, number>>): string[] => Object.keys(of).filter((name) => of[name] === 1);

test('without its work beside the scrapes (doctor) all of it is unknown, and nobody is asked', async () => {
  const { client, calls } = clientOf();
  const { collect } = canaryCollector.prepare({});
  const { values, board } = await scraped((put, call) => collect(client, put, call));
  assert.deepEqual(states(values('canary_state')), ['unknown']);
  assert.deepEqual(states(values('canary_seen_state')), ['a unknown', 'b unknown']);
  for (const name of ['canary_latency_seconds', 'canary_outstanding_seconds', 'canary_writes_total']) {
    assert.deepEqual(values(name), {}, name);
  }
  assert.equal(board.read('c', canaryFact).known, false);
  assert.equal(calls(), 0);
});

test('with it: states of each end, numbers of those that were seen, the age of what is told', async () => {
  const { client, calls } = clientOf();
  const { collect, background, unknown } = canaryCollector.prepare({});
  const ending = new AbortController();
  const open = (): Promise<CanaryClient> => Promise.resolve(client);
  const log = createLog('test', 'silent');
  const running = background?.({ target: 'c', clock: systemClock, log, signal: ending.signal, open });
  const { values, board, observed } = await waitFor(
    async () => {
      const now = await scraped((put, call) => collect(client, put, call));
      const found = states(now.values('canary_seen_state'));
      return found.includes('a ok') && found.includes('b unreachable') ? now : undefined;
    },
    { what: 'both ends' },
  );
  assert.deepEqual(states(values('canary_state')), ['ok']);
  assert.deepEqual(values('canary_writes_total'), { '': 1 });
  assert.deepEqual(values('canary_seen_total'), { a: 1, b: 0 });
  assert.deepEqual(values('canary_lost_total'), { a: 0, b: 0 });
  assert.deepEqual(
    [Object.keys(values('canary_latency_seconds')), values('canary_outstanding_seconds')],
    [['a'], { a: 0 }],
  );
  const fact = board.read('c', canaryFact);
  assert.ok(fact.known && fact.value.writtenTo === 'w' && fact.value.ends.length === 2);
  assert.ok(observed.every((at) => at <= performance.now()) && observed.length === 1);
  const opened = calls();
  await scraped((put, call) => collect(client, put, call));
  const late = await scraped((put, call) => {
    unknown('no answer in time', put, call);
  });
  assert.equal(calls(), opened, 'a scrape opens nothing');
  assert.deepEqual(states(late.values('canary_seen_state')), ['a unknown', 'b unknown']);
  assert.equal(late.board.read('c', canaryFact).known, false);
  ending.abort();
  await running;
});

test('a server that has become a replica is not written to, unless that is meant', async () => {
  const peersOf = (fact: Known<unknown>): Peers => ({ sources: [], fact: () => Promise.resolve(fact as Known<never>) });
  const channels = (...found: readonly (readonly [ioRunning: string, sqlRunning: boolean])[]): Peers =>
    peersOf(known(found.map(([ioRunning, sqlRunning]) => ({ ioRunning, sqlRunning })), 1)); // prettier-ignore
  const write = { kind: 'mysql', target: 'db1', table: 'a.b', onReplica: false } as const;
  const isReplica = 'db1 replicates from another server: it is no source now';
  for (const [peers, expected] of [
    [channels(['yes', true]), isReplica],
    [channels(['no', false], ['connecting', true]), isReplica],
    [channels(['yes', false]), isReplica],
    [channels(['no', true]), isReplica],
    [channels(['no', false]), undefined],
    [channels(), undefined],
    [peersOf(unknown('not collected')), undefined],
  ] as const) {
    assert.equal(await forbiddenBy(write, peers)?.(), expected);
  }
  assert.equal(forbiddenBy({ ...write, onReplica: true }, channels(['yes', true])), undefined);
  assert.equal(forbiddenBy({ kind: 'redis', target: 'r', key: 'k' }, channels(['yes', true])), undefined);
});
