import assert from 'node:assert/strict';
import { test } from 'node:test';
import { variablesCollector } from '../../../exporter/systems/mysql/collector-variables.ts';
import {
  cdcSettingsOf,
  defaultVariableNames,
  gcacheBytes,
  variablesOf,
} from '../../../exporter/systems/mysql/facts-variables.ts';
import type { Row } from '../../../exporter/systems/mysql/client.ts';
import { fakeClient, runner, type Series } from './fake-client.ts';

function rowsOf(variables: Readonly<Record<string, string>>): readonly Row[] {
  return Object.entries(variables).map(([Variable_name, Value]) => ({ Variable_name, Value }));
}

type Collect = (variables: Readonly<Record<string, string>>) => Promise<Series>;

/** One collector over several sweeps. */
function collecting(): Collect {
  const run = runner(variablesCollector);
  return async (variables) => {
    const { samples, error } = await run(fakeClient('9.7.4', { 'SHOW GLOBAL VARIABLES': rowsOf(variables) }));
    assert.equal(error, undefined);
    return samples;
  };
}

function settings(samples: Series): Readonly<Record<string, number>> {
  return Object.fromEntries([...samples].filter(([key]) => key.startsWith('mysql_cdc_setting{')));
}

test('numbers and ON and OFF are gauges, text is not, as in mysqld_exporter', async () => {
  const samples = await collecting()({
    max_connections: '151',
    read_only: 'OFF',
    super_read_only: 'ON',
    long_query_time: '10.000000',
    basedir: '/usr/',
    innodb_flush_method: 'O_DIRECT',
    query_cache_type: 'DEMAND',
    have_ssl: 'DISABLED',
    max_prepared_stmt_count: '18446744073709551615',
  });
  assert.deepEqual(Object.fromEntries(samples), {
    'mysql_global_variables_max_connections{}': 151,
    'mysql_global_variables_read_only{}': 0,
    'mysql_global_variables_super_read_only{}': 1,
    'mysql_global_variables_long_query_time{}': 10,
    'mysql_global_variables_max_prepared_stmt_count{}': 2 ** 64,
  });
});

test('the isolation level under both of its names, the Galera cluster and its cache', async () => {
  for (const name of ['transaction_isolation', 'tx_isolation']) {
    const samples = await collecting()({ [name]: 'READ-COMMITTED' });
    assert.deepEqual([...samples], [['mysql_transaction_isolation{level="READ-COMMITTED"}', 1]]);
  }
  const both = await collecting()({ transaction_isolation: 'SERIALIZABLE', tx_isolation: 'SERIALIZABLE' });
  assert.equal(both.size, 1);
  const options = 'base_port = 4567; gcache.dir = /var/lib/mysql/; gcache.size = 128M; gcs.fc_limit = 16;';
  const galera = await collecting()({ wsrep_cluster_name: 'main', wsrep_provider_options: options });
  assert.deepEqual(Object.fromEntries(galera), {
    'mysql_galera_variables_info{wsrep_cluster_name="main"}': 1,
    'mysql_galera_gcache_size_bytes{}': 128 * 2 ** 20,
  });
});

test('the size of the Galera cache in each unit; unknown is not zero', () => {
  assert.equal(gcacheBytes('gcache.size=1G'), 2 ** 30);
  assert.equal(gcacheBytes('a = 1;gcache.size = 4096 ; b = 2'), 4096);
  for (const none of ['', 'gcache.page_size = 128M;', 'xgcache.size = 1M;']) assert.equal(gcacheBytes(none), undefined);
});

test('a text setting is a state set: a change turns one series to 0 and another to 1, none vanishes', async () => {
  const collect = collecting();
  const row = settings(await collect({ binlog_format: 'ROW' }));
  assert.deepEqual(row, {
    'mysql_cdc_setting{value="ROW",variable="binlog_format"}': 1,
    'mysql_cdc_setting{value="MIXED",variable="binlog_format"}': 0,
    'mysql_cdc_setting{value="STATEMENT",variable="binlog_format"}': 0,
  });
  const mixed = settings(await collect({ binlog_format: 'MIXED' }));
  assert.deepEqual(Object.keys(mixed).sort(), Object.keys(row).sort());
  assert.equal(mixed['mysql_cdc_setting{value="ROW",variable="binlog_format"}'], 0);
  assert.equal(mixed['mysql_cdc_setting{value="MIXED",variable="binlog_format"}'], 1);
});

test('any text, and a value that nobody foresaw: what was in force before stands at 0, a bounded number of them', async () => {
  const collect = collecting();
  await collect({ time_zone: 'SYSTEM', binlog_row_image: 'SOMETHING_NEW' });
  const later = settings(await collect({ time_zone: '+00:00', binlog_row_image: 'FULL' }));
  assert.equal(later['mysql_cdc_setting{value="SYSTEM",variable="time_zone"}'], 0);
  assert.equal(later['mysql_cdc_setting{value="+00:00",variable="time_zone"}'], 1);
  assert.equal(later['mysql_cdc_setting{value="SOMETHING_NEW",variable="binlog_row_image"}'], 0);
  assert.equal(later['mysql_cdc_setting{value="FULL",variable="binlog_row_image"}'], 1);
  for (let i = 0; i < 30; i++) await collect({ time_zone: `+0${String(i % 10)}:${String(10 + i)}` });
  const many = settings(await collect({ time_zone: 'UTC' }));
  assert.equal(Object.keys(many).length, 8);
  assert.equal(
    Object.values(many).reduce((sum, value) => sum + value, 0),
    1,
  );
  const back = settings(await collect({ time_zone: 'SYSTEM' }));
  assert.equal(back['mysql_cdc_setting{value="SYSTEM",variable="time_zone"}'], 1);
});

test('exactly one value of each setting is in force; an empty text is a value, a missing variable is none', async () => {
  const samples = settings(
    await collecting()({ binlog_row_value_options: '', sql_mode: '', gtid_mode: 'OFF_PERMISSIVE' }),
  );
  const inForce = Object.entries(samples).flatMap(([key, value]) => (value === 1 ? [key] : []));
  assert.deepEqual(inForce.sort(), [
    'mysql_cdc_setting{value="",variable="binlog_row_value_options"}',
    'mysql_cdc_setting{value="",variable="sql_mode"}',
    'mysql_cdc_setting{value="OFF_PERMISSIVE",variable="gtid_mode"}',
  ]);
  const [long] = cdcSettingsOf(variablesOf(rowsOf({ sql_mode: 'X'.repeat(10_000) })));
  assert.equal(long?.value.length, 500);
});

test('one statement, that asks for the part that is served; for all when all is asked for', async () => {
  for (const [config, statement] of [
    [{}, /^SHOW GLOBAL VARIABLES WHERE Variable_name IN \('.*'binlog_format'.*\)$/],
    [{ also: ['innodb_fill_factor'] }, /'innodb_fill_factor'\)$/],
    [{ all: true }, /^SHOW GLOBAL VARIABLES$/],
  ] as const) {
    const client = fakeClient('9.7.4', { 'SHOW GLOBAL VARIABLES': [] });
    await runner({ ...variablesCollector, prepare: () => variablesCollector.prepare(config) })(client);
    assert.equal(client.asked.length, 1);
    assert.match(client.asked[0] ?? '', statement);
  }
  assert.equal(new Set(defaultVariableNames).size, defaultVariableNames.length);
});

test('a server that refuses is a failure without samples', async () => {
  const { samples, error } = await runner(variablesCollector)(
    fakeClient('9.7.4', { 'SHOW GLOBAL VARIABLES': new Error('gone') }),
  );
  assert.match(String(error), /gone/);
  assert.equal(samples.size, 0);
});
