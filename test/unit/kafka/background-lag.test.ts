// A cluster whose sweep takes longer than a scrape: swept beside the scrapes, served with its age.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { waitFor } from '../../../deploy/lab/ready.ts';
import type { Background } from '../../../exporter/collector.ts';
import { FactBoard } from '../../../exporter/facts.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { pause, within } from '../../../exporter/runtime/deadline.ts';
import { classOf, TargetError } from '../../../exporter/runtime/errors.ts';
import { createLog } from '../../../exporter/runtime/log.ts';
import { kafkaLag } from '../../../exporter/systems/kafka/collector-lag.ts';
import type { KafkaClient } from '../../../exporter/systems/kafka/facts-cluster.ts';
import { clientOf, fakeCluster } from './fake-cluster.ts';

interface Scraped {
  readonly lag: number | undefined;
  readonly ageMs: number;
}

class Slow {
  /** Of each answer about offsets. */
  delayMs = 0;
  failure: Error | undefined;
  end = 5;
  sweeps = 0;
  opened = 0;
  closed = 0;

  client(): KafkaClient {
    const cluster = fakeCluster({ topics: { t: [{ end: this.end }] }, groups: { g: { commits: { t: [3] } } } });
    const fake = clientOf(cluster);
    return {
      ...fake,
      cluster: async (call) => {
        this.sweeps += 1;
        if (this.failure !== undefined) throw this.failure;
        await pause(this.delayMs, call.signal);
        return await clientOf(fakeCluster({ topics: { t: [{ end: this.end }] }, groups: {} })).cluster(call);
      },
      offsets: (call, partitions, at) => {
        cluster.topics['t'] = [{ end: this.end }];
        return fake.offsets(call, partitions, at);
      },
      [Symbol.asyncDispose]: () => {
        this.closed += 1;
        return Promise.resolve();
      },
    };
  }
}

function served(t: TestContext, slow: Slow, config: object): (budgetMs: number) => Promise<Scraped> {
  const prepared = kafkaLag.prepare(config);
  const abort = new AbortController();
  const work: Background<KafkaClient> = {
    target: 'bus',
    clock: systemClock,
    log: createLog('test', 'silent'),
    signal: abort.signal,
    open: () => {
      slow.opened += 1;
      return Promise.resolve(slow.client());
    },
  };
  const running = prepared.background?.(work) ?? Promise.resolve();
  t.after(async () => {
    abort.abort();
    await running;
    assert.equal(slow.closed, slow.opened, 'its connection is closed');
  });
  const client = slow.client();
  return async (budgetMs) => {
    let lag: number | undefined;
    let observedMs = systemClock.monoMs();
    const call = {
      signal: within(budgetMs),
      clock: systemClock,
      target: 'bus',
      board: new FactBoard(),
      observed: (atMs: number) => void (observedMs = atMs),
    };
    await prepared.collect(client, ({ family, value }) => {
      if (family.name === 'kafka_consumergroup_lag') lag = value;
    }, call); // prettier-ignore
    return { lag, ageMs: systemClock.monoMs() - observedMs };
  };
}

const isDeadline = (error: unknown): boolean => classOf(error) === 'deadline';

test('background: a scrape waits for the first sweep, then it is served what is there, with its age', async (t) => {
  const slow = new Slow();
  slow.delayMs = 300;
  const scrape = served(t, slow, { refresh: 'background', every: '60s' });
  const first = await scrape(20_000);
  assert.equal(first.lag, 2);
  assert.ok(first.ageMs >= 290, `observed when it began, ${first.ageMs} ms ago`);
  slow.end = 9;
  const second = await scrape(20_000);
  assert.equal(second.lag, 2, 'no sweep of its own');
  assert.ok(second.ageMs >= first.ageMs);
  assert.equal(slow.sweeps, 1);
});

test('auto: quick clusters are swept in the scrape, and nothing runs beside it', async (t) => {
  const slow = new Slow();
  const scrape = served(t, slow, {});
  assert.equal((await scrape(20_000)).lag, 2);
  slow.end = 9;
  const { lag, ageMs } = await scrape(20_000);
  assert.equal(lag, 6);
  assert.ok(ageMs < 10_000);
  assert.deepEqual([slow.sweeps, slow.opened], [2, 0]);
});

test('auto: a sweep that did not end in time is made beside the scrapes, until it is quick again', async (t) => {
  const slow = new Slow();
  slow.delayMs = 700;
  const scrape = served(t, slow, { every: '1s' });
  await assert.rejects(scrape(300), isDeadline);
  const beside = await waitFor(
    async () => {
      try {
        return await scrape(300);
      } catch (error) {
        assert.ok(isDeadline(error));
        return undefined;
      }
    },
    { what: 'a sweep in the background' },
  );
  assert.equal(beside.lag, 2);
  assert.equal(slow.opened, 1);
  slow.delayMs = 0;
  slow.end = 12;
  await waitFor(
    async () => {
      slow.end += 1;
      return (await scrape(20_000)).lag === slow.end - 3;
    },
    { what: 'sweeps in the scrape again' },
  );
});

test('a cluster that is away: the error is that of the sweep, and a later one is served again', async (t) => {
  const slow = new Slow();
  slow.failure = new TargetError('refused', 'nobody listens');
  const scrape = served(t, slow, { refresh: 'background', every: '1s' });
  await assert.rejects(scrape(20_000), (error: unknown) => classOf(error) === 'refused');
  slow.failure = undefined;
  await waitFor(
    async () => {
      try {
        return (await scrape(20_000)).lag;
      } catch {
        return undefined;
      }
    },
    { what: 'it to be back' },
  );
});

test('sweeps that fail again and again: the last one that did not is not served for minutes', async (t) => {
  const slow = new Slow();
  const scrape = served(t, slow, { refresh: 'background', every: '1s' });
  assert.equal((await scrape(20_000)).lag, 2);
  slow.failure = new TargetError('denied', 'CLUSTER_AUTHORIZATION_FAILED');
  const found = await waitFor(
    async () => {
      try {
        await scrape(20_000);
        return undefined;
      } catch (error) {
        return classOf(error);
      }
    },
    { what: 'the failure to be told' },
  );
  assert.equal(found, 'denied');
});

test('scrape: nothing runs beside it, however slow', async (t) => {
  const slow = new Slow();
  slow.delayMs = 300;
  const scrape = served(t, slow, { refresh: 'scrape' });
  await assert.rejects(scrape(100), isDeadline);
  await assert.rejects(scrape(100), isDeadline);
  assert.equal((await scrape(20_000)).lag, 2);
  assert.equal(slow.opened, 0);
});

test('where nobody sweeps in the background (doctor), the collector does it itself', async () => {
  const slow = new Slow();
  let lags = 0;
  const call = { signal: within(20_000), clock: systemClock, target: 'bus', board: new FactBoard() };
  await kafkaLag.prepare({ refresh: 'background' }).collect(
    slow.client(),
    ({ family }) => {
      if (family.name === 'kafka_consumergroup_lag') lags += 1;
    },
    call,
  );
  assert.deepEqual([lags, slow.sweeps, slow.opened], [1, 1, 0]);
});
