// Each stage of the pipeline is held up alone, under a steady load: the right one is named within two scrapes, as late as
// the lab's own canary measures it, and no other; it recovers; and an exporter that is started in the middle of it serves
// no number that is too small.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { ports } from '../../deploy/lab/address.ts';
import { startCanary, type LabCanary } from '../../deploy/lab/canary.ts';
import { startLab, waitFor, type Lab } from '../../deploy/lab/lab.ts';
import { scrape } from '../support/e2e-lab.ts';
import { parseExposition } from '../support/exposition-parser.ts';

let lab: Lab;
let canary: LabCanary;
let cache: CacheCanary;

before(async () => {
  lab = await startLab({
    parts: ['source', 'replica', 'kafka', 'maxwell', 'redis', 'redisReplica', 'sink', 'writer', 'exporter'],
    supervisor: false,
  });
  canary = await startCanary(lab, { at: ['redis', 'replica'] });
  cache = startCacheCanary(lab);
  await settled();
});
after(async () => {
  await cache.stop();
  await canary[Symbol.asyncDispose]();
  await lab.stop();
});

interface CacheCanary {
  readonly ageMs: () => number;
  readonly stop: () => Promise<void>;
}

/** Of the Redis link alone: what goes through the whole pipeline stands still while a stage before it does. */
function startCacheCanary({ address: host }: Lab): CacheCanary {
  const ending = new AbortController();
  const isEnding = (): boolean => ending.signal.aborted;
  const [primary, replica] = [ports.redis, ports.redisReplica].map((port) => new Redis({ host, port }));
  let seen = performance.now();
  const jobs = [
    async () => {
      while (!isEnding()) await Promise.all([primary?.set('stages:sent', performance.now()), sleep(50)]);
    },
    async () => {
      while (!isEnding()) {
        const [token] = await Promise.all([replica?.get('stages:sent'), sleep(20)]);
        seen = Math.max(seen, Number(token ?? 0));
      }
    },
  ].map((job) => job());
  return {
    ageMs: () => performance.now() - seen,
    stop: async () => {
      ending.abort();
      await Promise.all(jobs);
      primary?.disconnect();
      replica?.disconnect();
    },
  };
}

/** Every series is of one stage: this pipeline has one of each. */
interface Look {
  readonly lag: ReadonlyMap<string, number>;
  readonly atLeast: ReadonlyMap<string, number>;
  readonly state: ReadonlyMap<string, string>;
  readonly computed: number | undefined;
}

async function look(): Promise<Look> {
  const families = parseExposition((await scrape(lab, 5)).text);
  const byStage = <T>(
    name: string,
    value: (sample: { value: number; labels: Readonly<Record<string, string>> }) => T,
  ) =>
    new Map(
      (families.get(name)?.samples ?? [])
        .filter((s) => name !== 'pipeline_stage_state' || s.value === 1)
        .map((s) => [s.labels['stage'] ?? '', value(s)]),
    );
  const lags = families.get('pipeline_lag_seconds')?.samples ?? [];
  return {
    lag: byStage('pipeline_stage_lag_seconds', (s) => s.value),
    atLeast: byStage('pipeline_stage_lag_at_least_seconds', (s) => s.value),
    state: byStage('pipeline_stage_state', (s) => s.labels['state'] ?? ''),
    computed: lags.find((s) => s.labels['method'] === 'computed')?.value,
  };
}

function told({ lag, atLeast, state, computed }: Look): string {
  const stages = [...state].map(([s, is]) => `${s} ${is} ${String(lag.get(s) ?? `>= ${String(atLeast.get(s))}`)}`);
  return `${stages.join(', ')}; pipeline ${String(computed)}`;
}

/** All stages are in time, told by two scrapes in a row. */
async function settled(): Promise<void> {
  let good = 0;
  let last = '';
  await waitFor(
    async () => {
      const found = await look();
      last = told(found);
      const isGood =
        found.state.size === 5 &&
        [...found.state].every(([stage, is]) => is === 'ok' && (found.lag.get(stage) ?? Infinity) < 4) &&
        (found.computed ?? Infinity) < 8;
      good = isGood ? good + 1 : 0;
      return good === 2;
    },
    { deadlineMs: 60_000, intervalMs: 500, what: 'every stage in time', detail: () => last },
  );
}

/** A stage that is held up, and how late it is in truth. */
interface Held {
  readonly stage: string;
  readonly truthMs: () => number;
}

/** Late enough to stand out from what is between two looks of the exporter and of Maxwell at its own position. */
const namedAtMs = 6_000;
/** Late enough for a fifth of it to be more than that. */
const comparedAtMs = 10_000;

async function named(held: readonly Held[]): Promise<void> {
  const reaches = async (ms: number): Promise<void> => {
    await waitFor(
      async () => {
        await look(); // as Prometheus goes on doing meanwhile: the ages are made of what was seen then
        return held.every(({ truthMs }) => truthMs() >= ms);
      },
      { intervalMs: 700, what: `${held.map((h) => h.stage).join(' and ')} late by ${ms} ms` },
    );
  };
  await reaches(namedAtMs);
  const first = await look();
  const blamed = isNamed(first, held) ? first : await look();
  assert.ok(isNamed(blamed, held), `${held.map((h) => h.stage).join()}: ${told(first)}, then ${told(blamed)}`);
  await reaches(comparedAtMs);
  let last = '';
  // On a busy machine scrapes are far apart, and an age is no better than their distance, which matters less as it grows
  await waitFor(
    async () => {
      const beforeMs = held.map(({ truthMs }) => truthMs());
      const found = await look();
      last = `${told(found)}; in truth ${beforeMs.map((ms) => ms / 1000).join()} s`;
      if (!isNamed(found, held)) throw new Error('another stage is blamed');
      return held.every(({ stage, truthMs }, i) => {
        const seconds = found.lag.get(stage) ?? NaN;
        return seconds >= (0.8 * (beforeMs[i] ?? NaN)) / 1000 && seconds <= (1.2 * truthMs()) / 1000;
      });
    },
    { intervalMs: 500, what: 'its lag within a fifth of the truth', detail: () => last },
  );
}

/** Each that is held up is at least twice as late as any that is not, and those are in order. */
function isNamed({ lag, state }: Look, held: readonly Held[]): boolean {
  const is = (stage: string): boolean => held.some((h) => h.stage === stage);
  const others = [...state].filter(([stage]) => !is(stage));
  const least = Math.min(...held.map(({ stage }) => lag.get(stage) ?? 0));
  return others.every(([stage, of]) => of === 'ok' && (lag.get(stage) ?? Infinity) * 2 < least);
}

const behindSource = (): number => canary.lagMs('redis');

test('reading from the source, and beside it the replica of the cache', async () => {
  const [source, redis] = [lab.link('maxwell->source'), lab.link('redisReplica->redis')];
  await Promise.all([source.blackhole(), redis.blackhole()]);
  await named([
    { stage: 'cdc_read', truthMs: behindSource },
    { stage: 'cache_replicate', truthMs: cache.ageMs },
  ]);
  await Promise.all([source.restore(), redis.restore()]);
  await settled();
});

test('publishing to Kafka, and beside it the replica of the source; the exporter is started anew meanwhile', async () => {
  const kafka = lab.link('maxwell->kafka');
  await Promise.all([kafka.cut(), lab.sql('replica', 'STOP SLAVE SQL_THREAD')]);
  const replica = { stage: 'replicate', truthMs: () => canary.lagMs('replica') };
  await named([{ stage: 'cdc_publish', truthMs: behindSource }, replica]);

  const exporter = lab.part('exporter');
  await exporter.kill();
  await exporter.start();
  for (let i = 0; i < 3; i++) {
    const [beforeMs, replicaBeforeMs] = [behindSource(), replica.truthMs()];
    const found = await look();
    const what = `${told(found)}; in truth ${behindSource()} ms`;
    // Where the halves cannot be told apart yet the first carries both
    const { lag, atLeast, state } = found;
    const cdc = state.get('cdc_publish') === 'unsplit' ? lag.get('cdc_read') : lag.get('cdc_publish');
    assert.ok((cdc ?? Infinity) >= (0.8 * beforeMs) / 1000, what);
    assert.ok((found.computed ?? Infinity) >= (0.8 * beforeMs) / 1000, what);
    assert.ok((atLeast.get('cdc_publish') ?? 0) <= behindSource() / 1000, what);
    // What it executes next was written before the exporter began to look: no number, and a bound that is one
    assert.equal(lag.get('replicate'), undefined, what);
    assert.equal(state.get('replicate'), 'down');
    assert.ok((atLeast.get('replicate') ?? 0) <= replica.truthMs() / 1000 && replicaBeforeMs > 0, what);
  }
  // Nothing else is late, so the lag of the whole is known again as soon as the other stages have been looked at twice
  await waitFor(async () => ((await look()).computed ?? 0) >= (0.8 * behindSource()) / 1000, {
    intervalMs: 500,
    what: 'the lag of the pipeline after the start of the exporter',
  });
  await Promise.all([kafka.restore(), lab.sql('replica', 'START SLAVE SQL_THREAD')]);
  await settled();
});

test('the consumer', async () => {
  lab.part('sink').freeze();
  // It is a member of its group until its session ends: only the age of what waits tells before that
  await named([{ stage: 'consume', truthMs: behindSource }]);
  lab.part('sink').thaw();
  await settled();
});
