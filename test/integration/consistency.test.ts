// The comparison of two real servers: a MariaDB source and its replica, in another time zone; a Redis primary and its replica.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ports } from '../../deploy/lab/address.ts';
import { startDatabases, type DatabaseLab } from '../../deploy/lab/databases.ts';
import { mariadbInstalled } from '../../deploy/lab/mariadb.ts';
import { waitFor } from '../../deploy/lab/ready.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { createLog } from '../../exporter/runtime/log.ts';
import { consistencyAddress, type TablesPlan } from '../../exporter/systems/consistency/address.ts';
import { runKeys } from '../../exporter/systems/consistency/background-keys.ts';
import { runTables } from '../../exporter/systems/consistency/background-tables.ts';
import { openConsistency } from '../../exporter/systems/consistency/client.ts';
import { examineConsistency } from '../../exporter/systems/consistency/facts-doctor.ts';
import {
  keysView,
  newMemory,
  tableView,
  type ConsistencyMemory,
  type TableView,
} from '../../exporter/systems/consistency/state.ts';
import { redisServerPorts, startRedisServers } from '../support/redis-servers.ts';

let lab: DatabaseLab;
const dir = mkdtempSync(join(tmpdir(), 'pipemedic-consistency-'));

before(async () => {
  lab = await startDatabases(mariadbInstalled, {
    options: { replica: { settings: { 'default-time-zone': '+05:00' } } },
  });
  // What a test changes on the replica alone would otherwise end the replication
  await lab.sql('replica', 'SET GLOBAL gtid_strict_mode = OFF');
});

after(async () => {
  await lab.stop();
  rmSync(dir, { recursive: true });
});

interface Run extends AsyncDisposable {
  readonly memory: ConsistencyMemory;
  readonly view: (table: string) => TableView;
  /** Until every table has been through since the start. */
  readonly completed: () => Promise<void>;
  readonly done: Promise<void>;
}

function planOf(address: Record<string, unknown>): TablesPlan {
  const plan = consistencyAddress.parse({
    source: 'db1',
    copy: 'db2',
    settle: '100ms',
    every: '1h',
    report_dir: dir,
    ...address,
  });
  assert.equal(plan.kind, 'mysql');
  return plan;
}

function clientOf(plan: TablesPlan, user = 'lab'): ReturnType<typeof openConsistency> {
  return openConsistency({
    target: 'check1',
    address: plan,
    auth: undefined,
    tls: undefined,
    resolve: (name) => ({
      name,
      kind: 'mysql',
      address: { host: lab.address, port: name === 'db1' ? ports.source : ports.replica },
      auth: { user, password_file: lab.secretFile(user) },
      tls: undefined,
    }),
  });
}

function start(address: Record<string, unknown>, user = 'lab'): Run {
  const plan = planOf(address);
  const memory = newMemory();
  const ending = new AbortController();
  const work = { target: 'check1', clock: systemClock, log: createLog('test', 'silent'), signal: ending.signal };
  const done = runTables({ client: clientOf(plan, user), plan, memory, work });
  done.catch(() => undefined);
  return {
    memory,
    done,
    view: (table) => tableView(table, memory.tables.get(table) ?? { checkedTotal: 0 }, plan.everyMs, Date.now()),
    completed: async () => {
      await waitFor(
        () => {
          assert.equal(memory.run.state, 'idle', `${memory.run.state} ${memory.run.why}`);
          return true;
        },
        { deadlineMs: 40_000, what: 'the end of the pass' },
      );
    },
    [Symbol.asyncDispose]: async () => {
      ending.abort();
      await done;
    },
  };
}

function reportOf(table: string, of = 'check1'): readonly Record<string, unknown>[] {
  const text = readFileSync(join(dir, `${of}.${table}.jsonl`), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** `missing 12` of the report, in its order. */
function rowsIn(table: string): readonly string[] {
  return reportOf(table).flatMap(({ row, id }) =>
    typeof row === 'string' ? [`${row} ${Object.values(id as Record<string, string>).join(' ')}`] : [],
  );
}

async function caughtUp(): Promise<void> {
  const [row] = await lab.sql('source', 'SELECT @@gtid_binlog_pos AS pos');
  await lab.sql('replica', `SELECT MASTER_GTID_WAIT('${String(row?.['pos'])}', 20)`);
}

const many = `CREATE TABLE shop.many (a INT NOT NULL, b VARCHAR(20) NOT NULL, f DOUBLE, at TIMESTAMP NULL, j JSON, n INT NULL,
  g INT AS (a + 1) STORED, d DECIMAL(10, 3) ZEROFILL, e ENUM('x', 'ÿ'), r BINARY(4), bits BIT(5), PRIMARY KEY (a, b)) CHARACTER SET latin1`;

test('equal tables are told to be, whatever their types, keys and time zones', async () => {
  await lab.sql('source', many);
  await lab.sql(
    'source',
    `INSERT INTO shop.many (a, b, f, at, j, n, d, e, r, bits) SELECT seq DIV 7, CONCAT('k\\'é', seq), seq / 3,
       FROM_UNIXTIME(1e9 + seq), JSON_OBJECT('a', seq), IF(seq % 2, NULL, seq), seq / 7, IF(seq % 2, 'x', 'ÿ'), CHAR(seq), seq % 32
     FROM shop.seq_1_to_700`,
  );
  await lab.sql('source', 'CREATE TABLE shop.words (w VARCHAR(30) NOT NULL UNIQUE, v LONGBLOB)');
  await lab.sql(
    'source',
    "INSERT INTO shop.words SELECT CONCAT('Wörter ', seq), REPEAT(seq, 50) FROM shop.seq_1_to_300",
  );
  await lab.sql('source', 'CREATE TABLE shop.heap (v INT)');
  await lab.sql('source', 'INSERT INTO shop.heap VALUES (1), (1), (2)');
  await lab.sql('source', 'CREATE TABLE shop.empty (id INT PRIMARY KEY)');
  await caughtUp();
  await using run = start({ tables: ['shop.*'], chunk_rows: 128 });
  await run.completed();
  assert.deepEqual(
    ['shop.many', 'shop.words', 'shop.empty'].map((table) => [run.view(table).state, run.view(table).why]),
    Array.from({ length: 3 }, () => ['consistent', 'every row is the same']),
  );
  assert.equal(run.view('shop.many').checkedTotal, 700);
  assert.equal(run.view('shop.words').checkedTotal, 300);
  assert.equal(run.view('shop.many').columnsSkipped, 0);
  assert.equal(run.view('shop.heap').state, 'unverifiable');
  assert.match(run.view('shop.heap').why, /no primary key.*the counts agree/);
  assert.equal(run.memory.report.state, 'ok');
});

test('exactly the rows that are missing, extra and different, by their ids', async () => {
  await lab.sql('replica', "DELETE FROM shop.many WHERE a = 3 AND b = 'k\\'é22'");
  await lab.sql('replica', "UPDATE shop.many SET n = 0 WHERE a = 4 AND b = 'k\\'é29'");
  await lab.sql('replica', "INSERT INTO shop.many (a, b) VALUES (1000, 'more')");
  await lab.sql('replica', "UPDATE shop.words SET v = CONCAT(v, '!') WHERE w = 'Wörter 7'");
  await lab.sql('replica', 'DROP TABLE shop.empty');
  await using run = start({ tables: ['shop.many', 'shop.words', 'shop.empty'], chunk_rows: 1000 });
  await run.completed();
  assert.deepEqual(rowsIn('shop.many').toSorted(), ["different 4 k'é29", 'extra 1000 more', "missing 3 k'é22"]);
  assert.deepEqual(rowsIn('shop.words'), ['different Wörter 7']);
  const { state, missing, extra, different, undecided } = run.view('shop.many');
  assert.deepEqual(
    { state, missing, extra, different, undecided },
    {
      ...{ state: 'inconsistent', missing: 1, extra: 1, different: 1, undecided: 0 },
    },
  );
  assert.equal(run.view('shop.empty').state, 'inconsistent');
  assert.equal(statSync(join(dir, 'check1.shop.many.jsonl')).mode & 0o777, 0o600);
  assert.ok(!readFileSync(join(dir, 'check1.shop.words.jsonl'), 'utf8').includes('777'), 'no values');
});

test('rows on their way are no difference, while the table is written to all the time', async () => {
  await lab.sql(
    'source',
    "INSERT INTO shop.orders (customer, state, total) SELECT seq, 'new', seq FROM shop.seq_1_to_500",
  );
  const writing = new AbortController();
  let writes = 0;
  const writer = (async () => {
    while (!writing.signal.aborted) {
      const id = 1 + ((writes * 37) % 500);
      await lab.sql('source', `UPDATE shop.orders SET total = total + 1 WHERE id = ${String(id)}`);
      await lab.sql(
        'source',
        `INSERT INTO shop.orders (customer, state, total) VALUES ('w', 'new', ${String(writes)})`,
      );
      if (writes % 3 === 0) await lab.sql('source', 'DELETE FROM shop.orders WHERE id > 500 ORDER BY id LIMIT 1');
      writes += 1;
    }
  })();
  try {
    await using run = start({ tables: ['shop.orders'], chunk_rows: 25, every: '1s' });
    let passes = 0;
    let last = 0;
    const wrong: string[] = [];
    await waitFor(
      () => {
        const { state, why, missing, extra, different, completedAtMs } = run.view('shop.orders');
        if (missing + extra + different > 0) wrong.push(`${missing} missing, ${extra} extra, ${different} different`);
        if (completedAtMs !== undefined && completedAtMs !== last) {
          if (state !== 'consistent') wrong.push(`${state}: ${why}`);
          last = completedAtMs;
          passes += 1;
        }
        return passes >= 3 && writes >= 60;
      },
      { what: 'three passes and many writes' },
    );
    assert.deepEqual(wrong, []);
    assert.ok(run.view('shop.orders').checkedTotal >= 1500);
  } finally {
    writing.abort();
    await writer;
  }
});

test('a late copy is waited for, and it is said; it goes on where it was, in a new process too', async () => {
  await caughtUp();
  const state_file = join(dir, 'place.json');
  const address = { tables: ['shop.words'], chunk_rows: 10, state_file };
  const firstPart = async (): Promise<number> => {
    await using run = start(address);
    await waitFor(() => (run.memory.tables.get('shop.words')?.running?.rows ?? 0) >= 50, {
      what: 'the middle of the table',
      intervalMs: 10, // before its end
    });
    await lab.sql('replica', 'STOP SLAVE SQL_THREAD');
    await waitFor(() => run.memory.run.state === 'lag', { what: 'the lag to be seen' });
    assert.match(run.memory.run.why, /db2: the applier is stopped/);
    return run.view('shop.words').checkedTotal;
  };
  const reached = await firstPart();
  assert.ok(reached < 300, String(reached));
  await lab.sql('replica', 'START SLAVE SQL_THREAD');
  await using run = start(address);
  await run.completed();
  assert.equal(run.view('shop.words').checkedTotal, 300 - reached);
  const last = run.memory.tables.get('shop.words')?.last;
  assert.equal(last?.rows, 300);
  assert.deepEqual(rowsIn('shop.words'), ['different Wörter 7']);
});

test('what may not be read is told with the GRANT, by the comparison and by doctor', async () => {
  const plan = planOf({ tables: ['shop.words', 'mysql.db'], state_file: join(dir, 'other.json') });
  const call = { clock: systemClock, signal: AbortSignal.timeout(20_000) };
  const findings = await examineConsistency(clientOf(plan, 'exporter'), call);
  assert.deepEqual(
    findings.map(({ ok, fix }) => [ok, fix]),
    [
      [false, "GRANT SELECT ON `shop`.`words` TO 'exporter'@'%'"],
      [false, "GRANT SELECT ON `mysql`.`db` TO 'exporter'@'%'"],
      [true, undefined],
    ],
  );
  await using run = start({ tables: ['shop.words'] }, 'exporter');
  await run.completed();
  assert.equal(run.view('shop.words').state, 'unverifiable');
  assert.match(run.view('shop.words').why, /GRANT SELECT ON `shop`\.`words` TO 'exporter'@'%'/);
});

test('the shipped user is enough, with what doctor says of the lag', async () => {
  const user = 'pipemedic_consistency';
  const text = readFileSync(join(import.meta.dirname, '../../deploy/sql/consistency-mysql.sql'), 'utf8')
    .replaceAll(/^--.*$/gm, '')
    .replaceAll('CHANGE-ME', lab.secret(user));
  for (const statement of text.split(';').filter((part) => part.trim() !== '')) await lab.sql('source', statement);
  await caughtUp();
  const client = clientOf(planOf({ tables: ['shop.words'], state_file: join(dir, 'third.json') }), user);
  const examined = (): ReturnType<typeof examineConsistency> =>
    examineConsistency(client, { clock: systemClock, signal: AbortSignal.timeout(20_000) });
  const before_ = await examined();
  const fix = `GRANT REPLICA MONITOR ON *.* TO '${user}'@'%'`;
  assert.deepEqual(
    before_.map(({ ok, fix: mends }) => [ok, mends]),
    [
      [true, undefined],
      [false, fix],
    ],
  );
  await lab.sql('source', fix);
  await caughtUp();
  const after_ = await examined();
  assert.deepEqual(
    after_.map(({ ok }) => ok),
    [true, true],
  );
  await using run = start({ tables: ['shop.words'] }, user);
  await run.completed();
  assert.equal(run.view('shop.words').different, 1);
});

test('a sample of keys of Redis: equal, then missing and different, and only these', async () => {
  const redis = await startRedisServers();
  const ending = new AbortController();
  const memory = newMemory();
  try {
    for (let i = 0; i < 40; i += 1) {
      await redis.call('primary', 'SET', `text:${String(i)}`, `value ${String(i)}`);
      await redis.call('primary', 'HSET', `hash:${String(i)}`, 'a', i, 'b', -i);
    }
    await redis.call('primary', 'RPUSH', 'list:1', 'a', 'b');
    await redis.call('primary', 'SADD', 'set:1', 'a', 'b');
    await redis.call('primary', 'ZADD', 'zset:1', 1, 'a', 2, 'b');
    await redis.call('primary', 'XADD', 'stream:1', '*', 'a', 'b');
    await redis.call('primary', 'SET', 'large:1', 'x'.repeat(100_000));
    await redis.call('primary', 'SET', 'short:1', 'gone', 'PX', 300);
    const plan = consistencyAddress.parse({
      ...{ primary: 'redis1', copy: 'redis2', sample_keys: 150, every: '1s', settle: '50ms', report_dir: dir },
    });
    assert.ok(plan.kind === 'redis');
    const client = openConsistency({
      ...{ target: 'check2', address: plan, auth: undefined, tls: undefined },
      resolve: (name) => ({
        ...{ name, kind: 'redis', auth: undefined, tls: undefined },
        address: { host: redis.address, port: redisServerPorts[name === 'redis1' ? 'primary' : 'replica'] },
      }),
    });
    const work = { target: 'check2', clock: systemClock, log: createLog('test', 'silent'), signal: ending.signal };
    const done = runKeys({ client, plan, memory, work });
    const view = (): string => {
      const { state, why } = keysView(memory, plan.everyMs, Date.now());
      return `${state}: ${why}`;
    };
    await waitFor(() => memory.keys.last !== undefined, { what: 'a sample' });
    assert.equal(view(), 'consistent: what was sampled is the same');
    await redis.call('replica', 'CONFIG', 'SET', 'replica-read-only', 'no');
    for (let i = 0; i < 40; i += 2) await redis.call('replica', 'DEL', `hash:${String(i)}`);
    for (let i = 0; i < 40; i += 2) await redis.call('replica', 'SET', `text:${String(i)}`, 'other');
    await waitFor(
      () => {
        const { last } = memory.keys;
        return last !== undefined && last.missing > 0 && last.different > 0;
      },
      { what: 'both to be found' },
    );
    assert.match(view(), /^inconsistent: /);
    ending.abort();
    await done;
    const ids = reportOf('keys', 'check2').flatMap(({ key, id }) =>
      typeof key === 'string' && typeof id === 'string' ? [`${key} ${id}`] : [],
    );
    assert.ok(ids.length > 0);
    assert.deepEqual(
      ids.filter((line) => !/^(missing hash|different text):\d*[02468]$/.test(line)),
      [],
    );
    const findings = await examineConsistency(client, { clock: systemClock, signal: AbortSignal.timeout(20_000) });
    assert.deepEqual(
      findings.map(({ ok }) => ok),
      [true, true],
    );
  } finally {
    ending.abort();
    await redis.stop();
  }
});
