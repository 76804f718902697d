// A chain that is simulated: changes are written at random, each stage passes them on at random and stands still at random,
// the exporter looks now and then, is started anew and misses a part at times. Whatever it says is held against the truth.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FactBoard } from '../../../exporter/facts.ts';
import { known, unknown, type Known } from '../../../exporter/runtime/known.ts';
import { OffsetHistory } from '../../../exporter/runtime/offset-history.ts';
import { kafkaLagFact, type KafkaLag } from '../../../exporter/systems/kafka/facts-lag.ts';
import { partitionLagOf } from '../../../exporter/systems/kafka/facts-partition.ts';
import { maxwellHealthFact, type MaxwellHealth } from '../../../exporter/systems/maxwell/facts-health.ts';
import type { MaxwellHttp } from '../../../exporter/systems/maxwell/facts-http.ts';
import { HalvesMemory, maxwellHalvesFact, maxwellPlaceFact } from '../../../exporter/systems/maxwell/facts-passing.ts';
import { BinlogHistory, binlogAges, binlogAgesFact } from '../../../exporter/systems/mysql/facts-binlog-history.ts';
import { ChainMemory, LagHistory } from '../../../exporter/systems/pipeline/facts-chain.ts';
import { pipelineLagOf, type Pipeline, type PipelineLag } from '../../../exporter/systems/pipeline/facts-pipeline.ts';
import {
  redisReplicationFact,
  redisReplicationOf,
  StreamMemory,
} from '../../../exporter/systems/redis/facts-replication.ts';
import { generator, type Random } from '../../support/random.ts';

const tickMs = 100;
const changeBytes = 400;
const ownBytes = 1024;
/** At rest nobody can tell a change of so few bytes from what Maxwell writes itself, before its heartbeat is due. */
const hiddenSeconds = 12;

const links = ['read', 'publish', 'consume', 'cache'] as const;
type Link = (typeof links)[number];

/** What was written when, and how far each link has passed it on. */
class Chain {
  nowMs = 1_000;
  readonly #random: Random;
  readonly writtenAtMs: number[] = [];
  readonly done: Record<Link, number> = { read: 0, publish: 0, consume: 0, cache: 0 };
  readonly #stalledUntilMs: Record<Link, number> = { read: 0, publish: 0, consume: 0, cache: 0 };
  #rate = 1;
  /** Written a second apart; how many changes there were before each. */
  readonly #heartbeats: { readonly atMs: number; readonly before: number }[] = [{ atMs: 1_000, before: 0 }];
  /** What its reader tells of the last change that it has read. */
  readerLagMs = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  tick(): void {
    const random = this.#random;
    this.nowMs += tickMs;
    if (random() < 0.02) this.#rate = random() < 0.3 ? 0 : random() * 8;
    for (let n = Math.floor(random() * 2 * this.#rate); n > 0; n--) this.writtenAtMs.push(this.nowMs);
    let most = this.writtenAtMs.length;
    for (const link of links) {
      if (random() < 0.004) this.#stalledUntilMs[link] = this.nowMs + random() * 40_000;
      const before = this.done[link];
      if (this.nowMs >= this.#stalledUntilMs[link])
        this.done[link] = Math.min(most, before + Math.floor(random() * 16));
      most = this.done[link];
      const last = this.writtenAtMs[most - 1];
      if (link === 'read' && most > before && last !== undefined) this.readerLagMs = this.nowMs - last;
    }
    if (this.nowMs % 1_000 === 0) this.#heartbeats.push({ atMs: this.nowMs, before: this.writtenAtMs.length });
  }

  /** Age of the oldest change that has not passed `link`. */
  truthSeconds(link: Link): number {
    const writtenAtMs = this.writtenAtMs[this.done[link]];
    return writtenAtMs === undefined ? 0 : (this.nowMs - writtenAtMs) / 1000;
  }

  sinceHeartbeatReadSeconds(): number {
    const read = this.#heartbeats.findLast(({ before }) => before <= this.done.publish);
    return (this.nowMs - (read?.atMs ?? 0)) / 1000;
  }
}

/** What the exporter keeps between looks, and begins with anew. */
class Exporter {
  readonly #binlog = new BinlogHistory();
  readonly #halves = new HalvesMemory();
  readonly #ends = new OffsetHistory();
  readonly #stream = new StreamMemory();
  readonly #chain = new ChainMemory();

  look(chain: Chain, missing: ReadonlySet<string> = new Set()): PipelineLag {
    return pipelineLagOf(pipeline, this.#facts(chain, missing), this.#chain, chain.nowMs);
  }

  #facts(chain: Chain, missing: ReadonlySet<string>): FactBoard {
    const board = new FactBoard();
    const { nowMs, done, writtenAtMs } = chain;
    const clock = { monoMs: () => nowMs, wallMs: () => nowMs };
    const is = <T>(value: T): Known<T> => known(value, nowMs);
    const server = { serverId: 1, serverUuid: undefined };
    const unpublished = writtenAtMs.length - done.publish;
    const placed = { file: 'bin.000001', position: done.publish * changeBytes };
    if (!missing.has('source')) {
      this.#binlog.add(nowMs, { file: 'bin.000001', position: writtenAtMs.length * changeBytes }, server);
      board.publish('db', binlogAgesFact, is(binlogAges(this.#binlog, server, clock)));
    }
    if (!missing.has('maxwell')) {
      const health = { state: 'running', why: '', lagSeconds: unknown('not used'), heartbeatAgeSeconds: is(0.5), behindBytes: is(unpublished * changeBytes) }; // prettier-ignore
      board.publish('maxwell', maxwellHealthFact, is(health as MaxwellHealth));
      board.publish('maxwell', maxwellPlaceFact, is({ place: placed, ownBytes, sinceReadSeconds: is(chain.sinceHeartbeatReadSeconds()) })); // prettier-ignore
    }
    if (!missing.has('http')) {
      const http = {
        replicationLagMs: is(chain.readerLagMs),
        rowCount: is(done.read),
        messagesSucceeded: is(done.publish),
        messagesFailed: is(0),
        inflight: is(done.read - done.publish),
      };
      board.publish('maxwell', maxwellHalvesFact, is(this.#halves.look(http as MaxwellHttp, { monoMs: nowMs, wallMs: nowMs }))); // prettier-ignore
    }
    if (!missing.has('kafka')) board.publish('kafka', kafkaLagFact, is(this.#kafka(chain)));
    if (!missing.has('redis')) this.#redis(chain, board);
    return board;
  }

  #kafka({ nowMs, done }: Chain): KafkaLag {
    const offsets = { begin: known(0, nowMs), end: known(done.publish, nowMs) };
    this.#ends.add(nowMs, done.publish);
    const now = { wallMs: nowMs, monoMs: nowMs };
    const lag = partitionLagOf(known(done.consume, nowMs), offsets, this.#ends, undefined, now);
    const group = {
      group: 'g',
      state: 'stable',
      managed: true,
      topics: known(new Map([['t', { topic: 't', partitions: new Map([[0, lag]]) }]]), nowMs),
    };
    const found = { offsets: new Map([['t', new Map([[0, offsets]])]]), groups: new Map([['g', group]]) };
    return found as unknown as KafkaLag;
  }

  #redis({ nowMs, done }: Chain, board: FactBoard): void {
    const info = (lines: Readonly<Record<string, string | number>>): ReadonlyMap<string, string> =>
      new Map(Object.entries<string | number>({ master_replid: 'id', ...lines }).map(([name, value]) => [name, String(value)]));
    const context = { host: '10.0.0.2', nowMs, monoMs: nowMs };
    const replica = { role: 'slave', master_link_status: 'up', master_host: '10.0.0.1', master_port: 6379, tcp_port: 6380 };
    const primary = {
      role: 'master',
      tcp_port: 6379,
      master_repl_offset: done.consume * 50,
      slave0: `ip=10.0.0.2,port=6380,state=online,offset=${String(done.cache * 50)},lag=0`,
    };
    board.publish('r1', redisReplicationFact, known(redisReplicationOf(info(primary), { ...context, memory: this.#stream }), nowMs)); // prettier-ignore
    board.publish('r2', redisReplicationFact, known(redisReplicationOf(info(replica), context), nowMs));
  } // prettier-ignore
}

const pipeline: Pipeline = {
  name: 'p',
  objective: 30_000,
  source: 'db',
  replicas: [],
  cdc: 'maxwell',
  bus: { target: 'kafka', topics: ['t'] },
  consumers: [{ group: 'g' }],
  cache: { primary: 'r1', replicas: ['r2'] },
};

test('the lag is the true one but for the distance of looks, never less, and what is called a bound is one from below', () => {
  let sums = 0;
  let bounds = 0;
  let late = 0;
  for (let seed = 1; seed <= 60; seed++) {
    const random = generator(seed);
    const chain = new Chain(random);
    let exporter = new Exporter();
    // No number is better than the distance of two looks: of Kafka and of Redis, each with its own history
    let lookedAtMs = chain.nowMs;
    let gapSeconds = 0;
    for (let i = 0; i < 80; i++) {
      for (let n = 1 + Math.floor(random() * 60); n > 0; n--) chain.tick();
      if (random() < 0.04) exporter = new Exporter();
      const parts = ['source', 'maxwell', 'http', 'kafka', 'redis'];
      const missing = new Set(parts.filter(() => random() < 0.03));
      gapSeconds = Math.max(gapSeconds, (chain.nowMs - lookedAtMs) / 1000);
      if (missing.size === 0) lookedAtMs = chain.nowMs;
      const { lagSeconds, atLeastSeconds, stages } = exporter.look(chain, missing);
      const truth = chain.truthSeconds('cache');
      const what = `seed ${seed}, look ${i}: in truth ${truth}, ${JSON.stringify({ lagSeconds, atLeastSeconds, gapSeconds })}`;
      const isHidden = (chain.writtenAtMs.length - chain.done.publish) * changeBytes <= ownBytes;
      const hidden = isHidden ? Math.min(hiddenSeconds, chain.truthSeconds('publish')) : 0;
      if (lagSeconds.known) {
        sums++;
        if (truth > 10) late++;
        assert.ok(lagSeconds.value >= truth - hidden - 2 * gapSeconds, `too small: ${what}`);
        assert.ok(lagSeconds.value <= truth + 3 * gapSeconds, `too large: ${what}`);
      }
      if (atLeastSeconds.known) {
        bounds++;
        assert.ok(atLeastSeconds.value <= truth + gapSeconds, `no bound: ${what}`);
      }
      for (const stage of stages) {
        if (stage.lagSeconds.known) assert.ok(stage.lagSeconds.value >= 0 && Number.isFinite(stage.lagSeconds.value));
        else assert.ok(stage.state !== 'ok', `${stage.stage} is ok without a number: ${what}`);
      }
    }
  }
  // It was about something
  assert.ok(sums > 2_000 && bounds > 3_000 && late > 400, `${sums} ${bounds} ${late}`);
});

test('a link that stands still makes no other one late, once what was under way has passed', () => {
  for (const stuck of links) {
    for (let seed = 1; seed <= 10; seed++) {
      const random = generator(seed);
      const chain = new Chain(() => 0.5); // a steady load, nothing stands still by itself
      const exporter = new Exporter();
      let stages: PipelineLag['stages'] = [];
      let lagSeconds: Known<number> = unknown('not looked yet');
      for (let i = 0; i < 40; i++) {
        for (let n = 5 + Math.floor(random() * 10); n > 0; n--) {
          const at = chain.done[stuck];
          chain.tick();
          if (i < 10) continue;
          // It passes nothing, and so what comes after it gets nothing
          for (const link of links.slice(links.indexOf(stuck))) chain.done[link] = Math.min(chain.done[link], at);
        }
        ({ stages, lagSeconds } = exporter.look(chain));
      }
      const truth = chain.truthSeconds('cache');
      assert.ok(truth > 20, `${truth} s`);
      const named = { read: 'cdc_read', publish: 'cdc_publish', consume: 'consume', cache: 'cache_replicate' }[stuck];
      for (const { stage, state, lagSeconds: lag } of stages) {
        assert.ok(lag.known, stage);
        const what = `${stuck} is stuck for ${truth} s: ${stage} ${state} ${lag.value}`;
        if (stage === named) assert.ok(lag.value >= 0.8 * truth && lag.value <= 1.2 * truth, what);
        else assert.ok(lag.value < 3, what);
      }
      assert.ok(lagSeconds.known && lagSeconds.value >= 0.8 * truth && lagSeconds.value <= 1.2 * truth);
    }
  }
});

test('what came into a link before it was watched is of no known age, though its wait in there is known', () => {
  const memory = new ChainMemory();
  const look = (cdc: number, consume: number, nowMs: number): unknown => {
    const lag = memory.look([{ name: 'cdc_read', lagSeconds: known(cdc, 0) }, { name: 'consume', lagSeconds: known(consume, 0) }], nowMs); // prettier-ignore
    return lag.known ? lag.value : lag.why;
  };
  const before = 'what waits in consume has come there before the pipeline was watched';
  assert.equal(look(100, 0, 0), 100, 'nothing waits there');
  assert.equal(look(0, 5, 1_000), before);
  assert.equal(look(0, 0, 2_000), 0);
  // It came in at 0, when it was 100 s old
  assert.equal(look(0, 3, 3_000), 103);
  assert.equal(look(0, 1.5, 4_000), 1.5, 'between two looks at which nothing was late');
});

test('a long history becomes coarser, not shorter', () => {
  const history = new LagHistory();
  for (let i = 0; i < 2_000; i++) history.add(i * 1_000, i);
  assert.ok(Math.abs((history.lagAt(1_999_000) ?? NaN) - 1_999) < 1e-9);
  assert.ok(Math.abs((history.lagAt(1_000_500) ?? NaN) - 1_000.5) < 1e-6);
  assert.equal(history.lagAt(2_000_000), undefined);
  assert.equal(history.lagAt(-1), undefined);
  assert.equal(history.lagAt(0), 0);
});
