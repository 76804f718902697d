// What the status row does not tell, against a real MySQL 9 source and replica in different time zones: the tables of
// performance_schema, the lag by commit timestamps, a heartbeat table, registered replicas.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createConnection } from 'mysql2/promise';
import type { DatabaseLab } from '../../deploy/lab/databases.ts';
import { waitFor } from '../../deploy/lab/lab.ts';
import { databasePorts, type DatabaseName } from '../../deploy/lab/mariadb.ts';
import { mysql9Missing, startMysql9 } from '../../deploy/lab/mysql9.ts';
import type { Call, CollectorCall } from '../../exporter/collector.ts';
import { FactBoard } from '../../exporter/facts.ts';
import type { Sample } from '../../exporter/families.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { within } from '../../exporter/runtime/deadline.ts';
import { openMysql, type MysqlClient } from '../../exporter/systems/mysql/client.ts';
import { mysql } from '../../exporter/systems/mysql/index.ts';
import { series, statesOf, type Series } from '../unit/mysql/fake-client.ts';

const skip = mysql9Missing();
let lab: DatabaseLab;

before(async () => {
  if (skip !== false) return;
  lab = await startMysql9({
    databases: ['source', 'replica'],
    options: {
      source: { settings: { 'default-time-zone': '+05:30' } },
      replica: { settings: { 'default-time-zone': '+05:30', 'replica-parallel-workers': 2 } },
    },
  });
  await lab.sql('replica', 'STOP REPLICA');
  await lab.sql('replica', 'CHANGE REPLICATION SOURCE TO SOURCE_HEARTBEAT_PERIOD = 0.5');
  await lab.sql('replica', 'START REPLICA');
  await lab.sql('source', 'CREATE DATABASE heartbeat');
  // As pt-heartbeat --create-table makes it
  await lab.sql(
    'source',
    `CREATE TABLE heartbeat.heartbeat (ts VARCHAR(26) NOT NULL, server_id INT UNSIGNED NOT NULL PRIMARY KEY,
       file VARCHAR(255), position BIGINT UNSIGNED, relay_master_log_file VARCHAR(255), exec_master_log_pos BIGINT UNSIGNED)`,
  );
  await lab.sql('source', "GRANT SELECT ON heartbeat.heartbeat TO 'exporter'@'%'");
  await waitFor(
    async (signal) => {
      const [row] = await lab.sql(
        'replica',
        "SELECT COUNT(*) AS n FROM mysql.tables_priv WHERE Db = 'heartbeat'",
        signal,
      );
      return Number(row?.['n']) === 1;
    },
    { what: 'the table and its grant to be replicated' },
  );
});

after(async () => {
  if (skip === false) await lab.stop();
});

function call(): Call {
  return { signal: within(5000), clock: systemClock };
}

function open(name: DatabaseName): Promise<MysqlClient> {
  const auth = { user: 'exporter', password_file: lab.secretFile('exporter') };
  return openMysql({ address: { host: lab.address, port: databasePorts[name] }, auth, tls: undefined }, call());
}

type Sweep = (client: MysqlClient) => Promise<Series>;

/** The collectors of replication, all at once as in a sweep; their state is kept. */
function sweeper(name: DatabaseName, heartbeat: object, others: object = {}): Sweep {
  const bound = mysql.bind(
    {
      name,
      kind: 'mysql',
      address: { host: lab.address, port: databasePorts[name] },
      collectors: { heartbeat, ...others },
    },
    () => assert.fail('nothing is referred to'),
  );
  const wanted = new Set(['replication', 'perf_schema_replication', 'heartbeat', 'slave_hosts']);
  return async (client) => {
    const samples: Sample[] = [];
    const asked: CollectorCall = { ...call(), target: name, board: new FactBoard() };
    const collectors = bound.collectors.filter((c) => wanted.has(c.name));
    await Promise.all(collectors.map((c) => c.collect(client, (sample) => samples.push(sample), asked)));
    return series(samples);
  };
}

const lagOf = (samples: Series, method: string): number | undefined =>
  samples.get(`mysql_replication_lag_seconds{channel_name="",connection_name="",method="${method}"}`);

async function seenWhen(sweep: Sweep, client: MysqlClient, what: string, is: (s: Series) => boolean): Promise<Series> {
  let last: Series = new Map();
  return waitFor(
    async () => {
      last = await sweep(client);
      return is(last) && last;
    },
    { what, intervalMs: 50, detail: () => JSON.stringify([...last]) },
  );
}

/** What went wrong in statements of the exporter so far, by the server's own count. */
async function errorsOf(name: DatabaseName): Promise<readonly string[]> {
  const rows = await lab.sql(
    name,
    `SELECT ERROR_NAME, SUM_ERROR_RAISED FROM performance_schema.events_errors_summary_by_user_by_error
       WHERE USER = 'exporter' AND SUM_ERROR_RAISED > 0`,
  );
  return rows.map((row) => `${String(row['ERROR_NAME'])}: ${String(row['SUM_ERROR_RAISED'])}`);
}

const beat = (ts: string, serverId = 1): Promise<unknown> =>
  lab.sql('source', `REPLACE INTO heartbeat.heartbeat (ts, server_id) VALUES (${ts}, ${serverId})`);

test('times are right though the server is hours away from UTC, and no statement fails', { skip }, async () => {
  await lab.sql('source', "INSERT INTO shop.orders (customer, state, total) VALUES ('a', 'new', 1)");
  await beat("REPLACE(NOW(6), ' ', 'T')");
  await beat("'2020-01-01T00:00:00.500000'", 77);
  await using client = await open('replica');
  const sweep = sweeper('replica', {});
  const applied = /^mysql_perf_schema_last_applied_transaction_immediate_commit_timestamp_seconds\{/;
  const beatOf77 = 'mysql_heartbeat_stored_timestamp_seconds{server_id="77"}';
  const now = Date.now() / 1000;
  const samples = await seenWhen(
    sweep,
    client,
    'the row to be replicated',
    (s) => lagOf(s, 'commit_timestamp') === 0 && lagOf(s, 'status') === 0 && s.has(beatOf77),
  );
  const newest = Math.max(...[...samples].flatMap(([key, value]) => (applied.test(key) ? [value] : [])));
  assert.ok(Math.abs(newest - now) < 30, `${newest} is not about ${now}`);
  const idle = [...samples].filter(([key]) => key.startsWith('mysql_perf_schema_applying_transaction_'));
  assert.ok(idle.length >= 6);
  assert.deepEqual(new Set(idle.map(([, value]) => value)), new Set([0]), '0000-00-00 is 0');

  const age = samples.get('mysql_replication_receiver_heartbeat_age_seconds{channel_name="",connection_name=""}');
  assert.ok(age !== undefined && age >= 0 && age < 2, String(age));
  assert.ok((lagOf(samples, 'heartbeat') ?? NaN) < 30, 'pt-heartbeat without --utc writes local time');
  assert.equal(samples.get(beatOf77), 1_577_817_000.5);
  assert.deepEqual(statesOf(samples, 'mysql_perf_schema_replication_state'), [
    'mysql_perf_schema_replication_state{state="available"}',
  ]);
  assert.deepEqual(await errorsOf('replica'), []);
});

test('a heartbeat in UTC, of the server that is asked for', { skip }, async () => {
  await beat("REPLACE(UTC_TIMESTAMP(6), ' ', 'T')", 42);
  await using client = await open('replica');
  const sweep = sweeper('replica', { utc: true, server_id: [42, 43] });
  const key = 'mysql_heartbeat_lag_seconds{server_id="42"}';
  const samples = await seenWhen(sweep, client, 'the heartbeat', (s) => s.has(key));
  assert.ok(Math.abs(samples.get(key) ?? NaN) < 30);
  assert.equal(lagOf(samples, 'heartbeat'), samples.get(key), 'the only channel');
  assert.deepEqual(statesOf(samples, 'mysql_heartbeat_state').toSorted(), [
    'mysql_heartbeat_state{server_id="42",state="ok"}',
    'mysql_heartbeat_state{server_id="43",state="no_row"}',
  ]);
  assert.ok(![...samples.keys()].some((k) => k.includes('server_id="1"')));
});

test(
  'the lag by commit timestamps: of a transaction that is held up, and of one that is delayed',
  { skip },
  async () => {
    await using client = await open('replica');
    const sweep = sweeper('replica', {});
    await seenWhen(sweep, client, 'no lag', (s) => lagOf(s, 'commit_timestamp') === 0);

    const holder = await createConnection({
      host: lab.address,
      port: databasePorts.replica,
      user: 'lab',
      password: lab.secret('lab'),
    });
    await holder.query('LOCK TABLES shop.orders READ');
    await lab.sql('source', "INSERT INTO shop.orders (customer, state, total) VALUES ('b', 'new', 1)");
    const committedMs = performance.now();
    const held = await seenWhen(sweep, client, 'the lag to grow', (s) => (lagOf(s, 'commit_timestamp') ?? 0) > 1);
    const truth = (performance.now() - committedMs) / 1000;
    assert.ok(Math.abs((lagOf(held, 'commit_timestamp') ?? NaN) - truth) < 0.5, 'to a fraction of a second');
    await holder.end();
    await seenWhen(sweep, client, 'no lag again', (s) => lagOf(s, 'commit_timestamp') === 0);

    await lab.sql('replica', 'STOP REPLICA SQL_THREAD');
    const stopped = await sweep(client);
    assert.equal(lagOf(stopped, 'commit_timestamp'), undefined);
    await lab.sql('replica', 'CHANGE REPLICATION SOURCE TO SOURCE_DELAY = 2');
    await lab.sql('replica', 'START REPLICA SQL_THREAD');
    await seenWhen(sweep, client, 'no lag with nothing to delay', (s) => lagOf(s, 'commit_timestamp') === 0);
    await lab.sql('source', "INSERT INTO shop.orders (customer, state, total) VALUES ('c', 'new', 1)");
    const delayed = await seenWhen(sweep, client, 'the delay', (s) => (lagOf(s, 'commit_timestamp') ?? 0) > 1);
    assert.ok((lagOf(delayed, 'commit_timestamp') ?? NaN) < 3);
    await seenWhen(sweep, client, 'the delayed row', (s) => lagOf(s, 'commit_timestamp') === 0);
    assert.deepEqual(await errorsOf('replica'), []);
  },
);

test('a source: its replicas once that is granted, and nothing of a replica’s', { skip }, async () => {
  await using client = await open('source');
  await assert.rejects(sweeper('source', {}, { slave_hosts: {} })(client), {
    code: 'denied',
    message: /GRANT REPLICATION SLAVE ON \*\.\* TO 'exporter'@'%'$/,
  });
  await lab.sql('source', "GRANT REPLICATION SLAVE ON *.* TO 'exporter'@'%'");
  await using allowed = await open('source');
  const samples = await sweeper('source', {}, { slave_hosts: {} })(allowed);
  const [info = ''] = [...samples.keys()].filter((key) => key.startsWith('mysql_heartbeat_mysql_slave_hosts_info'));
  assert.match(
    info,
    new RegExp(`master_id="1",port="${databasePorts.replica}",server_id="2",slave_host="${lab.address}"`),
  );
  assert.ok([...samples.keys()].some((key) => key.startsWith('mysql_connected_replica_info{')));
  assert.deepEqual(statesOf(samples, 'mysql_replication_state'), [
    'mysql_replication_state{channel_name="",connection_name="",state="not_configured"}',
  ]);
  assert.deepEqual(statesOf(samples, 'mysql_replication_group_member_state'), [
    'mysql_replication_group_member_state{state="not_member"}',
  ]);
  assert.ok(![...samples.keys()].some((key) => key.startsWith('mysql_replication_lag')));
});
