import assert from 'node:assert/strict';
import { test } from 'node:test';
import { performanceCollector } from '../../../exporter/systems/mysql/collector-performance.ts';
import { groupOf, groupStatement } from '../../../exporter/systems/mysql/facts-performance-group.ts';
import { fakeClient, runner, statesOf } from './fake-client.ts';

test('group replication: every member, own state and own counters', async () => {
  const member = {
    channel_name: 'group_replication_applier',
    member_id: 'a',
    member_host: 'db1',
    member_port: '3306',
    member_state: 'ONLINE',
    member_role: 'PRIMARY',
    member_version: '8.0.36',
    member_communication_stack: 'XCom',
  };
  const counts = {
    transactions_in_queue: '1',
    transactions_remote_in_applier_queue: '2',
    transactions_checked: '3',
    conflicts_detected: '4',
    transactions_rows_validating: '5',
    transactions_remote_applied: '6',
    transactions_local_proposed: '7',
    transactions_local_rollback: '8',
  };
  const none = Object.fromEntries(Object.keys(counts).map((k) => [k, null]));
  const rows = [
    { ...member, ...counts, own: '1' },
    { ...member, ...none, member_id: 'b', member_state: 'UNREACHABLE', own: '0' },
  ];
  const client = fakeClient('8.0.36', {
    'SELECT @@GLOBAL.performance_schema': [{ enabled: '1' }],
    'SELECT s.CHANNEL_NAME': [],
    'SELECT w.CHANNEL_NAME': [],
    'SELECT m.CHANNEL_NAME': rows,
  });
  const { samples, error } = await runner(performanceCollector)(client);
  assert.equal(error, undefined);
  assert.equal(samples.get('mysql_perf_schema_transactions_in_queue{}'), 1);
  assert.equal(samples.get('mysql_perf_schema_transactions_remote_in_applier_queue{}'), 2);
  assert.equal(samples.get('mysql_perf_schema_transactions_local_rollback_total{}'), 8);
  assert.equal(
    [...samples.keys()].filter((k) => k.startsWith('mysql_perf_schema_replication_group_member_info{')).length,
    2,
  );
  assert.deepEqual(statesOf(samples, 'mysql_replication_group_member_state'), [
    'mysql_replication_group_member_state{state="online"}',
  ]);

  assert.equal(groupOf([{ ...member, member_id: '', member_state: 'OFFLINE', own: '0', ...none }]).state, 'not_member');
  assert.deepEqual([groupOf([]).state, groupOf([]).own], ['not_member', undefined]);
});

test('only columns that the version has are asked for', () => {
  assert.doesNotMatch(groupStatement({ flavour: 'mysql', version: [8, 0, 26] }), /COMMUNICATION_STACK/);
  assert.match(groupStatement({ flavour: 'mysql', version: [8, 0, 27] }), /COMMUNICATION_STACK/);
});
