// What a scrape gets of a comparison, and what it waits for, against servers that say what a test wants.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../../deploy/lab/ready.ts';
import type { Background, CollectorCall, Peers } from '../../../exporter/collector.ts';
import { FactBoard } from '../../../exporter/facts.ts';
import type { Sample } from '../../../exporter/families.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { unknown, type Known } from '../../../exporter/runtime/known.ts';
import { createLog } from '../../../exporter/runtime/log.ts';
import { consistencyAddress } from '../../../exporter/systems/consistency/address.ts';
import type { ConsistencyClient } from '../../../exporter/systems/consistency/client.ts';
import { consistencyCollector } from '../../../exporter/systems/consistency/collector-consistency.ts';
import { consistencyFact } from '../../../exporter/systems/consistency/state.ts';
import type { MysqlClient, Row } from '../../../exporter/systems/mysql/client.ts';

/** Two servers with the same table of one row; `answer` says otherwise. */
function clientOf(answer: (sql: string, side: string) => readonly Row[] | TargetError | undefined): ConsistencyClient {
  const ends = { usable: () => true, ping: () => Promise.resolve(), [Symbol.asyncDispose]: () => Promise.resolve() };
  const usual = (sql: string): readonly Row[] => {
    if (sql.includes('Threads_running')) return [{ Value: '1' }];
    if (sql.includes('information_schema.COLUMNS'))
      return [{ name: 'id', data_type: 'int', column_type: 'int', extra: '' }];
    if (sql.includes('STATISTICS')) return [{ name: 'PRIMARY', col: 'id', part: null, nullable: '' }];
    if (sql.includes('information_schema.TABLES')) return [{ guess: '1', type: 'BASE TABLE' }];
    return sql.includes('BIT_XOR') ? [{ n: '1', a: '5', b: '6' }] : [];
  };
  return {
    plan: consistencyAddress.parse({ source: 'db1', copy: 'db2', tables: ['a.b', 'a.b'], every: '1h', settle: '50ms' }),
    openTables: (side): Promise<MysqlClient> =>
      Promise.resolve({
        ...{ flavour: 'mysql', version: [8, 4, 0], versionText: '8.4.0', account: 'u@%', logBin: true, at: side },
        query: (sql) => {
          const found = answer(sql, side) ?? usual(sql);
          return found instanceof TargetError ? Promise.reject(found) : Promise.resolve(found);
        },
        ...ends,
      }),
    openKeys: () => Promise.reject(new TargetError('bug', 'no keys')),
    ...ends,
  };
}

const noPeers: Peers = { sources: [], fact: <T>(): Promise<Known<T>> => Promise.resolve(unknown('nobody knows')) };

async function running(
  client: ConsistencyClient,
  check: (scrape: () => Promise<{ of: (name: string) => readonly string[]; board: FactBoard }>) => Promise<void>,
): Promise<void> {
  const collector = consistencyCollector.prepare({});
  const ending = new AbortController();
  const work: Background<ConsistencyClient> = {
    ...{ target: 'check1', clock: systemClock, log: createLog('test', 'silent'), signal: ending.signal },
    open: () => Promise.resolve(client),
    peers: noPeers,
  };
  const done = collector.background?.(work);
  const scrape = async (): Promise<{ of: (name: string) => readonly string[]; board: FactBoard }> => {
    const samples: Sample[] = [];
    const board = new FactBoard();
    const call: CollectorCall = { target: 'check1', board, clock: systemClock, signal: ending.signal };
    await collector.collect(client, (sample) => samples.push(sample), call);
    const text = ({ labels, value }: Sample): string => [...Object.values(labels), String(value)].join(' ');
    return { board, of: (name) => samples.filter((s) => s.family.name === name).map(text) };
  };
  try {
    await check(scrape);
  } finally {
    ending.abort();
    await done;
  }
}

/** The state that is 1. */
function current(series: readonly string[]): string | undefined {
  return series.find((text) => text.endsWith(' 1'))?.slice(0, -2);
}

test('a table that is the same: state, counts, progress, and the fact for others', async () => {
  await running(
    clientOf(() => undefined),
    async (scrape) => {
      const { of, board } = await waitFor(
        async () => {
          const now = await scrape();
          return current(now.of('consistency_run_state')) === 'idle' ? now : undefined;
        },
        { what: 'the end of the pass' },
      );
      assert.deepEqual(
        of('consistency_state').filter((text) => text.endsWith(' 1')),
        ['a.b consistent 1'],
      );
      assert.deepEqual(of('consistency_rows_missing'), ['a.b 0']);
      assert.deepEqual(of('consistency_rows_checked_total'), ['a.b 1']);
      assert.deepEqual(of('consistency_progress_ratio'), ['a.b 1']);
      assert.equal(current(of('consistency_report_state')), 'none');
      const fact = board.read('check1', consistencyFact);
      assert.ok(fact.known);
      assert.equal(fact.value.tables[0]?.state, 'consistent');
    },
  );
});

test('a server that has much to do is left alone, a copy whose lag may not be read too', async () => {
  const cases = [
    ['load', 'Threads_running', [{ Value: '33' }]],
    ['lag_unknown', 'REPLICA STATUS', new TargetError('denied', 'no grant')],
  ] as const;
  for (const [state, part, answer] of cases) {
    let summed = 0;
    const client = clientOf((sql, side) => {
      if (sql.includes('BIT_XOR')) summed += 1;
      return side === 'copy' && sql.includes(part) ? answer : undefined;
    });
    await running(client, async (scrape) => {
      const { of } = await waitFor(
        async () => {
          const now = await scrape();
          return now.of('consistency_throttled_seconds_total').length > 0 ? now : undefined;
        },
        { what: state },
      );
      assert.equal(current(of('consistency_run_state')), state);
      assert.ok(of('consistency_throttled_seconds_total')[0]?.startsWith(`${state} `));
      assert.equal(current(of('consistency_state')), 'a.b unknown');
      assert.deepEqual(of('consistency_rows_missing'), []);
      assert.equal(summed, 0);
    });
  }
});

test('a server that went away is counted by class, and its table is not judged', async () => {
  const away = new TargetError('unreachable', 'gone');
  await running(
    clientOf((sql) => (sql.includes('BIT_XOR') ? away : undefined)),
    async (scrape) => {
      const { of } = await waitFor(
        async () => {
          const now = await scrape();
          return current(now.of('consistency_run_state')) === 'failed' ? now : undefined;
        },
        { what: 'a failure' },
      );
      assert.match(of('consistency_errors_total')[0] ?? '', /^unreachable [12]$/);
      assert.equal(current(of('consistency_state')), 'a.b running');
    },
  );
});

test('without the work beside the sweeps everything is unknown, and nothing is zero', async () => {
  const samples: Sample[] = [];
  const board = new FactBoard();
  const call: CollectorCall = { target: 'c', board, clock: systemClock, signal: AbortSignal.timeout(5_000) };
  await consistencyCollector.prepare({}).collect(
    clientOf(() => undefined),
    (sample) => samples.push(sample),
    call,
  );
  const names = new Set(samples.map(({ family }) => family.name));
  assert.deepEqual([...names].sort(), ['consistency_report_state', 'consistency_run_state', 'consistency_state']);
  assert.ok(samples.filter(({ value }) => value === 1).every(({ labels }) => labels['state'] === 'unknown'));
  assert.equal(board.read('c', consistencyFact).known, false);
});
