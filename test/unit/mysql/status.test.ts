import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statusCollector } from '../../../exporter/systems/mysql/collector-status.ts';
import { defaultStatusNames, galeraLatency, groupOf } from '../../../exporter/systems/mysql/facts-status.ts';
import { readVariables, variableNumber, variablesOf } from '../../../exporter/systems/mysql/facts-variables.ts';
import type { Row } from '../../../exporter/systems/mysql/client.ts';
import type { Family, Sample } from '../../../exporter/families.ts';
import { fakeClient, series, testCall, type Series } from './fake-client.ts';

const version = '10.11.19-MariaDB-0+deb12u1-log';

function rowsOf(variables: Readonly<Record<string, string | null>>): readonly Row[] {
  return Object.entries(variables).map(([Variable_name, Value]) => ({ Variable_name, Value }));
}

async function collected(
  variables: Readonly<Record<string, string | null>>,
  config: unknown = { all: true },
  server = version,
): Promise<{ readonly samples: Series; readonly families: readonly Family[]; readonly asked: readonly string[] }> {
  const client = fakeClient(server, { 'SHOW GLOBAL STATUS': rowsOf(variables) });
  const found: Sample[] = [];
  await statusCollector.prepare(config).collect(client, (sample) => found.push(sample), testCall());
  return { samples: series(found), families: found.map(({ family }) => family), asked: client.asked };
}

test('each group has the family and the label of mysqld_exporter, and what is text or NULL has no sample', async () => {
  const { samples } = await collected({
    Aborted_clients: '1',
    Binlog_snapshot_file: 'binlog.000001',
    Com_alter_table: '2',
    Compression: 'OFF',
    Connection_errors_max_connections: '3',
    Connections: '4',
    Handler_read_rnd_next: '5',
    Innodb_buffer_pool_bytes_data: '6',
    Innodb_buffer_pool_load_status: 'Buffer pool(s) load completed at 261121 15:11:08',
    Innodb_buffer_pool_pages_data: '7',
    Innodb_buffer_pool_pages_dirty: '8',
    Innodb_buffer_pool_pages_flushed: '9',
    Innodb_buffer_pool_pages_free: '10',
    Innodb_buffer_pool_pages_lru_flushed: '11',
    Innodb_buffer_pool_pages_misc: '18446744073709551615',
    Innodb_buffer_pool_pages_old: '12',
    Innodb_buffer_pool_pages_total: '13',
    Innodb_rows_inserted: '14',
    Max_memory_used: null,
    Performance_schema_users_lost: '15',
    Rpl_semi_sync_master_status: 'ON',
    Ssl_server_not_after: 'Jan 22 08:05:59 2036 GMT',
    Threads_running: '16',
    wsrep_cluster_status: 'Primary',
    wsrep_ready: 'OFF',
    'rocksdb.odd-Name': '17',
  });
  assert.deepEqual(Object.fromEntries(samples), {
    'mysql_global_status_aborted_clients{}': 1,
    'mysql_global_status_commands_total{command="alter_table"}': 2,
    'mysql_global_status_compression{}': 0,
    'mysql_global_status_connection_errors_total{error="max_connections"}': 3,
    'mysql_global_status_connections{}': 4,
    'mysql_global_status_handlers_total{handler="read_rnd_next"}': 5,
    'mysql_global_status_innodb_buffer_pool_bytes_data{}': 6,
    'mysql_global_status_buffer_pool_pages{state="data"}': 7,
    'mysql_global_status_buffer_pool_dirty_pages{}': 8,
    'mysql_global_status_buffer_pool_page_changes_total{operation="flushed"}': 9,
    'mysql_global_status_buffer_pool_pages{state="free"}': 10,
    'mysql_global_status_buffer_pool_page_changes_total{operation="lru_flushed"}': 11,
    'mysql_global_status_buffer_pool_pages{state="misc"}': 2 ** 64,
    'mysql_global_status_buffer_pool_pages{state="old"}': 12,
    'mysql_global_status_innodb_row_ops_total{operation="inserted"}': 14,
    'mysql_global_status_performance_schema_lost_total{instrumentation="users_lost"}': 15,
    'mysql_global_status_rpl_semi_sync_master_status{}': 1,
    'mysql_global_status_ssl_server_not_after{}': Date.UTC(2036, 0, 22, 8, 5, 59) / 1000,
    'mysql_global_status_threads_running{}': 16,
    'mysql_global_status_wsrep_cluster_status{}': 1,
    'mysql_global_status_wsrep_ready{}': 0,
    'mysql_global_status_rocksdb_odd_name{}': 17,
  });
});

test('types: counters where the peer has counters, untyped for the others, known by name or not', async () => {
  const { families } = await collected({
    Com_select: '1',
    Innodb_buffer_pool_pages_free: '1',
    Uptime: '1',
    Syncs: '1',
  });
  assert.deepEqual(
    families.map(({ name, type }) => [name, type]),
    [
      ['mysql_global_status_commands_total', 'counter'],
      ['mysql_global_status_buffer_pool_pages', 'gauge'],
      ['mysql_global_status_uptime', 'untyped'],
      ['mysql_global_status_syncs', 'untyped'],
    ],
  );
});

test('one statement, that asks for the part that is served; for all when all is asked for', async () => {
  const { asked } = await collected({ Uptime: '1' }, {});
  assert.equal(asked.length, 1);
  assert.match(asked[0] ?? '', /^SHOW GLOBAL STATUS WHERE Variable_name IN \('.*'threads_running'.*'\)$/);
  assert.doesNotMatch(asked[0] ?? '', /performance_schema/);
  const also = (await collected({ Uptime: '1' }, { also: ['Syncs'] })).asked;
  assert.match(also[0] ?? '', /, 'syncs'\)$/);
  assert.deepEqual((await collected({ Uptime: '1' }, { all: true })).asked, ['SHOW GLOBAL STATUS']);
  const mysql = await collected({ Uptime: '1', Syncs: '1' }, {}, '9.7.4');
  assert.deepEqual(mysql.asked, ['SHOW GLOBAL STATUS'], 'on MySQL many names cost more than all of them');
  assert.deepEqual([...mysql.samples.keys()], ['mysql_global_status_uptime{}']);
  assert.equal(new Set(defaultStatusNames).size, defaultStatusNames.length);
  await assert.rejects(collected({}), { code: 'protocol' }, 'every server has some');
});

test('a name that is no name comes neither from the inventory nor into a statement', async () => {
  assert.equal(statusCollector.config.safeParse({ also: ["x') OR ('1'='1"] }).success, false);
  assert.equal(statusCollector.config.safeParse({ als: [] }).success, false);
  const client = fakeClient(version, { 'SHOW GLOBAL': [] });
  await assert.rejects(readVariables(client, 'STATUS', ["a'b"], testCall()), /not the name/);
  assert.deepEqual(client.asked, []);
});

test('a node of Galera: its identity and the latency of its group', async () => {
  const { samples } = await collected({
    wsrep_local_state_uuid: '6b50600c-3c4b-11e6-b8cd-dbd1ab5f1f8f',
    wsrep_cluster_state_uuid: '6b50600c-3c4b-11e6-b8cd-dbd1ab5f1f8f',
    wsrep_provider_version: '26.4.16(r1)',
    wsrep_evs_repl_latency: '0.000258134/0.000565341/0.0016854/0.000160172/139',
  });
  const uuid = '6b50600c-3c4b-11e6-b8cd-dbd1ab5f1f8f';
  assert.deepEqual(Object.fromEntries(samples), {
    [`mysql_galera_status_info{wsrep_cluster_state_uuid="${uuid}",wsrep_local_state_uuid="${uuid}",wsrep_provider_version="26.4.16(r1)"}`]: 1,
    'mysql_galera_evs_repl_latency_min_seconds{}': 0.000258134,
    'mysql_galera_evs_repl_latency_avg_seconds{}': 0.000565341,
    'mysql_galera_evs_repl_latency_max_seconds{}': 0.0016854,
    'mysql_galera_evs_repl_latency_stdev{}': 0.000160172,
    'mysql_galera_evs_repl_latency_sample_size{}': 139,
  });
  const none = await collected({ wsrep_local_state_uuid: '', wsrep_provider_version: '', wsrep_evs_repl_latency: '' });
  assert.equal(none.samples.size, 0);
  for (const wrong of ['', '0/0/0/0', '0/0/0/0/0/0', '0/0/x/0/0']) assert.equal(galeraLatency(wrong), undefined, wrong);
});

test('groups: a prefix alone does not make one', () => {
  assert.equal(groupOf('compression'), undefined);
  assert.equal(groupOf('innodb_buffer_pool_reads'), undefined);
  assert.deepEqual(groupOf('innodb_buffer_pool_pages_total'), { family: 'none', label: 'total' });
});

test('dates of certificates, with a day of one digit too; no date is made of anything else', () => {
  assert.equal(variableNumber('Feb  1 00:00:00 2030 GMT'), Date.UTC(2030, 1, 1) / 1000);
  for (const wrong of ['Foo 22 08:05:59 2036 GMT', 'Jan 42 08:05:59 2036 GMT', 'Jan 22 08:05:59 2036 CET', 'Jan']) {
    assert.equal(variableNumber(wrong), undefined, wrong);
  }
});

test('rows that are none are left out, and of two that become one name the last counts', () => {
  const rows = [
    { Variable_name: 7, Value: '1' },
    { Variable_name: 'a', Value: 1 },
    {},
    ...rowsOf({ 'X-y': '1', x_y: '2' }),
  ];
  assert.deepEqual([...variablesOf(rows)], [['x_y', '2']]);
});
