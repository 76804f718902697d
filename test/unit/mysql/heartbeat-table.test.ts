import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heartbeatTableCollector } from '../../../exporter/systems/mysql/collector-heartbeat-table.ts';
import { replicasCollector } from '../../../exporter/systems/mysql/collector-replicas.ts';
import { heartbeatStatement } from '../../../exporter/systems/mysql/facts-heartbeat-table.ts';
import { replicasStatement } from '../../../exporter/systems/mysql/facts-replicas.ts';
import { parseVersion } from '../../../exporter/systems/mysql/facts-version.ts';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import type { Row } from '../../../exporter/systems/mysql/client.ts';
import type { Sample } from '../../../exporter/families.ts';
import { fakeClient, fixture, runner, series, statesOf, testCall, type Series } from './fake-client.ts';

const mariadb = '10.11.19-MariaDB';
/** Replicates from server 1. */
const status = fixture('mariadb-10.11.19-running');

function row(serverId: number, stored: string | null, now = '1700000010.500000'): Row {
  return { server_id: serverId, stored_at: stored, now_at: now };
}

async function collect(
  rows: readonly Row[] | Error,
  config: unknown = {},
  channels: readonly Row[] | Error = status,
): Promise<{ readonly samples: Series; readonly error: unknown; readonly asked: readonly string[] }> {
  const prepared = heartbeatTableCollector.prepare(config);
  const client = fakeClient(mariadb, { 'SHOW ALL SLAVES STATUS': channels, 'SELECT server_id': rows });
  const samples: Sample[] = [];
  const put = (sample: Sample): void => {
    samples.push(sample);
  };
  try {
    await prepared.collect(client, put, testCall());
    return { samples: series(samples), error: undefined, asked: client.asked };
  } catch (error) {
    samples.length = 0;
    prepared.unknown(String(error), put, testCall());
    return { samples: series(samples), error, asked: client.asked };
  }
}

const lagOf = (samples: Series): number | undefined =>
  samples.get('mysql_replication_lag_seconds{channel_name="",connection_name="",method="heartbeat"}');

test('now, stored and the lag, which is that of the channel whose source wrote the row', async () => {
  const { samples, error } = await collect([row(1, '1700000008.250000'), row(7, '1600000000.000000')]);
  assert.equal(error, undefined);
  assert.equal(samples.get('mysql_heartbeat_now_timestamp_seconds{server_id="1"}'), 1700000010.5);
  assert.equal(samples.get('mysql_heartbeat_stored_timestamp_seconds{server_id="1"}'), 1700000008.25);
  assert.equal(samples.get('mysql_heartbeat_lag_seconds{server_id="1"}'), 2.25);
  assert.equal(samples.get('mysql_heartbeat_stored_timestamp_seconds{server_id="7"}'), 1600000000);
  assert.equal(lagOf(samples), 2.25, 'the row of a former source says nothing of the lag');
});

test('a row of a server further up is the lag only when it is asked for', async () => {
  const rows = [row(9, '1700000007.500000')];
  assert.equal(lagOf((await collect(rows)).samples), undefined);
  assert.equal(lagOf((await collect(rows, { server_id: 9 })).samples), 3);
  assert.equal(lagOf((await collect(rows, { server_id: 9 }, [])).samples), undefined, 'no replica');
  const two = [...status, { ...status[0], Connection_name: 'b', Master_Server_Id: 2 }];
  const { samples } = await collect(rows, { server_id: 9 }, two);
  assert.ok(![...samples.keys()].some((k) => k.startsWith('mysql_replication_lag')), 'whose lag cannot be known');
});

test('each channel has the lag of its own source', async () => {
  const two = [...status, { ...status[0], Connection_name: 'b', Master_Server_Id: 2 }];
  const { samples } = await collect([row(1, '1700000008.500000'), row(2, '1700000000.500000')], {}, two);
  assert.equal(lagOf(samples), 2);
  assert.equal(
    samples.get('mysql_replication_lag_seconds{channel_name="",connection_name="b",method="heartbeat"}'),
    10,
  );
});

test('what is no lag has no sample, and the state says why', async () => {
  const states = async (rows: readonly Row[] | Error, config?: unknown): Promise<readonly string[]> => {
    const { samples } = await collect(rows, config);
    assert.equal(lagOf(samples), undefined);
    return statesOf(samples, 'mysql_heartbeat_state').map((s) => s.replace('mysql_heartbeat_state', ''));
  };
  assert.deepEqual(await states([row(1, null)]), ['{server_id="1",state="not_a_time"}']);
  assert.deepEqual(await states([row(1, '0.000000')]), ['{server_id="1",state="not_a_time"}']);
  assert.deepEqual(await states([row(1, '1700000020.000000')]), ['{server_id="1",state="future"}']);
  assert.deepEqual(await states([]), ['{server_id="",state="no_row"}']);
  assert.deepEqual(await states([], { server_id: [3, 4] }), [
    '{server_id="3",state="no_row"}',
    '{server_id="4",state="no_row"}',
  ]);
  assert.deepEqual(await states(new Error('gone'), { server_id: 3 }), ['{server_id="3",state="unknown"}']);
});

test('a row some milliseconds in the future is 0 s old; of several rows of one server the newest counts', async () => {
  const { samples } = await collect([row(1, '1700000010.600000'), row(1, '1700000000.000000')]);
  assert.equal(samples.get('mysql_heartbeat_lag_seconds{server_id="1"}'), 0);
  assert.equal(lagOf(samples), 0);
});

test('the statement: one for row and clock, quoted names, the time zone of whoever wrote it', () => {
  const options = { database: 'heart`beat', table: 'h', utc: true, serverIds: undefined };
  assert.equal(
    heartbeatStatement(options),
    'SELECT server_id, UNIX_TIMESTAMP(CAST(ts AS DATETIME(6))) AS stored_at, UNIX_TIMESTAMP(NOW(6)) AS now_at FROM `heart``beat`.`h` LIMIT 1001',
  );
  const local = heartbeatStatement({ ...options, utc: false, serverIds: [1, 2] });
  assert.match(local, /CONVERT_TZ\(CAST\(ts AS DATETIME\(6\)\), @@GLOBAL\.time_zone, '\+00:00'\)/);
  assert.match(local, /WHERE server_id IN \(\?, \?\) LIMIT/);
});

test('a table of more rows than are read: no lag of some of them, but an error that says what to do', async () => {
  const rows = (count: number): Row[] => Array.from({ length: count }, (_, i) => row(i + 1, '1700000008.500000'));
  const most = await collect(rows(1000));
  assert.equal(most.error, undefined);
  assert.equal(lagOf(most.samples), 2);
  for (const [config, why] of [
    [{}, /`heartbeat`\.`heartbeat` has more than 1000 rows; name the servers that write it as server_id/],
    [{ server_id: 1 }, /has more than 1000 rows of server_id; keep one row for each server/],
  ] as const) {
    const { samples, error } = await collect(rows(1001), config);
    assert.ok(error instanceof TargetError);
    assert.equal(error.code, 'unsupported');
    assert.match(error.message, why);
    const asked = 'server_id' in config ? '1' : '';
    assert.deepEqual(statesOf(samples, 'mysql_heartbeat_state'), [
      `mysql_heartbeat_state{server_id="${asked}",state="unknown"}`,
    ]);
    assert.equal(samples.size, 5, 'the states alone');
  }
});

test('a missing grant is told; without that for the status the rows are served all the same', async () => {
  const denied = new TargetError('denied', 'SELECT command denied');
  const { error } = await collect(denied);
  assert.ok(error instanceof TargetError);
  assert.ok(error.message.endsWith("GRANT SELECT ON `heartbeat`.`heartbeat` TO 'exporter'@'%'"), error.message);
  const { samples } = await collect([row(1, '1700000008.500000')], {}, denied);
  assert.equal(samples.get('mysql_heartbeat_lag_seconds{server_id="1"}'), 2);
});

test('it is off unless asked for, and its options are checked', () => {
  assert.equal(heartbeatTableCollector.defaultOn, false);
  for (const bad of [{ server_id: -1 }, { server_id: [] }, { tabel: 'x' }, { database: '' }, { utc: 'yes' }]) {
    assert.throws(() => heartbeatTableCollector.prepare(bad), JSON.stringify(bad));
  }
});

test('registered replicas: both names, the columns of every version, no password', async () => {
  const of = (text: string): string =>
    replicasStatement({ flavour: text.includes('MariaDB') ? 'mariadb' : 'mysql', version: parseVersion(text) });
  assert.deepEqual(['5.7.44', '8.0.21', '8.0.22', '9.7.4', '11.8.2-MariaDB'].map(of), [
    'SHOW SLAVE HOSTS',
    'SHOW SLAVE HOSTS',
    'SHOW REPLICAS',
    'SHOW REPLICAS',
    'SHOW SLAVE HOSTS',
  ]);
  const secret = 'hunter2';
  const answers: readonly (readonly [version: string, statement: string, row: Row, uuid: string])[] = [
    ['9.7.4', 'SHOW REPLICAS', { Server_Id: 12, Host: 'r', Port: 3306, Source_Id: 11, Replica_UUID: 'u' }, 'u'],
    [
      '5.7.44',
      'SHOW SLAVE HOSTS',
      { Server_id: 12, Host: 'r', User: 'x', Password: secret, Port: 3306, Master_id: 11, Slave_UUID: 'u' },
      'u',
    ],
    [mariadb, 'SHOW SLAVE HOSTS', { Server_id: '12', Host: 'r', Port: '3306', Master_id: '11' }, ''],
  ];
  for (const [version, statement, found, uuid] of answers) {
    const { samples, error } = await runner(replicasCollector)(fakeClient(version, { [statement]: [found] }));
    assert.equal(error, undefined);
    assert.deepEqual(
      [...samples.keys()].toSorted(),
      [
        `mysql_connected_replica_info{port="3306",replica_host="r",replica_uuid="${uuid}",server_id="12",source_id="11"}`,
        `mysql_heartbeat_mysql_slave_hosts_info{master_id="11",port="3306",server_id="12",slave_host="r",slave_uuid="${uuid}"}`,
      ],
      version,
    );
  }
});

test('registered replicas: the privilege by version', async () => {
  const denied = new TargetError('denied', 'no');
  for (const [version, statement, privilege] of [
    ['9.7.4', 'SHOW REPLICAS', 'REPLICATION SLAVE'],
    ['10.4.9-MariaDB', 'SHOW SLAVE HOSTS', 'REPLICATION SLAVE'],
    [mariadb, 'SHOW SLAVE HOSTS', 'REPLICATION MASTER ADMIN'],
  ] as const) {
    const { error } = await runner(replicasCollector)(fakeClient(version, { [statement]: denied }));
    assert.ok(error instanceof TargetError);
    assert.ok(error.message.endsWith(`GRANT ${privilege} ON *.* TO 'exporter'@'%'`), error.message);
  }
});
