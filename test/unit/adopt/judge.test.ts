import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge } from '../../../exporter/adopt/judge.ts';
import type { Setting } from '../../../exporter/adopt/setting.ts';
import { peersNamed } from '../../../exporter/adopt/knowledge.ts';
import { worst, type Verdict } from '../../../exporter/adopt/verdict.ts';

const alone: Setting = {
  inventory: undefined,
  recorded: () => undefined,
  sourcesOf: (name) => [name],
  peersOfJob: peersNamed,
  ownJobs: [],
  ownUpJobs: [],
  doors: [],
};

const told = (expr: string, setting = alone): string =>
  judge(expr, setting)
    .reasons.map(({ verdict, text, fix }) => `${verdict}: ${text}${fix === undefined ? '' : ` -> ${fix}`}`)
    .join('\n');

const cases: readonly (readonly [expr: string, verdict: Verdict, says?: RegExp])[] = [
  // names that are served as they were
  ['mysql_slave_status_seconds_behind_master > 30', 'served'],
  ['mysql_slave_status_seconds_behind_source - mysql_slave_status_sql_delay', 'served'],
  ['rate(mysql_global_status_slow_queries[5m]) > 0', 'served'],
  ['redis_memory_used_bytes / redis_memory_max_bytes > 0.9', 'served'],
  ['sum by (consumergroup, topic) (kafka_consumergroup_lag) > 1000', 'served'],
  ['jvm_memory_used_bytes{area="heap"} / jvm_memory_max_bytes{area="heap"}', 'served'],
  ['jvm_memory_bytes_used{area="heap"}', 'served'],
  ['rate(jvm_gc_collection_seconds_sum[5m])', 'served'],
  ['debezium_metrics_MilliSecondsBehindSource{plugin="mysql"} > 1000', 'served'],
  ['node_memory_Buffers_bytes', 'served'],
  ['vector(1)', 'served'],
  ['ALERTS{alertstate="firing"}', 'served'],
  ['redis_up{job=~".+"}', 'served'],
  ['redis_up{job!=""}', 'served'],
  ['pipemedic_remediator_switch_state{state="off"} == 1', 'served'],
  ['up{job=~"pipemedic.*"} == 0', 'served'],
  ['{__name__="mysql_up"} == 0', 'served'],
  ['{"mysql_up"} == 0', 'served'],
  ['{__name__=~"mysql_up|redis_up"} == 0', 'served'],
  ['holt_winters(mysql_global_status_threads_running[1h], 0.5, 0.5)', 'served'],
  // what must be on is told, and is no fault without an inventory
  ['mysql_heartbeat_stored_timestamp_seconds', 'served', /note: .* off by default -> .*heartbeat/],
  ['mysql_global_status_innodb_mutex_os_waits', 'served', /global_status: \{also: \[innodb_mutex_os_waits\]\}/],
  ['MaxwellMetrics_transaction_row_count_count', 'served', /own_names: true/],
  // another name
  ['kafka_consumergroup_uncommitted_offsets > 100', 'renamed', /write kafka_consumergroup_lag$/],
  ['max by (group) (kafka_consumergroup_group_lag_seconds)', 'renamed', /group and cluster_name are consumergroup/],
  ['MaxwellMetrics_replication_lag > 5000', 'renamed', /maxwell_replication_lag_milliseconds.*own_names/],
  ['mysqld_exporter_build_info', 'renamed'],
  ['jvm_threads_live_threads > 300', 'renamed', /jvm_threads_current/],
  ['kminion_kafka_consumer_group_topic_lag', 'renamed'],
  ['burrow_kafka_consumer_partition_lag', 'renamed'],
  // somebody else's, or nobody's
  ['mysql_info_schema_table_size > 1e9', 'not_served', /mysqld_exporter has it/],
  ['redis_exporter_scrapes_total', 'not_served', /redis_exporter has it/],
  ['kafka_server_brokertopicmetrics_bytesin_total', 'not_served', /jmx_exporter in Kafka/],
  ['kafka_connect_worker_connector_count', 'not_served', /jmx_exporter in Kafka/],
  ['node_network_receive_bytes_total', 'not_served', /node_exporter/],
  ['container_memory_usage_bytes', 'not_served', /cAdvisor/],
  ['shop_orders_total', 'not_served', /no exporter is known/],
  ['instance:nobody_records:this', 'not_served', /recording rule that is not in these files/],
  ['absent(mysql_info_schema_table_size)', 'not_served', /true for ever/],
  // one side of `or` is enough
  ['jvm_memory_used_bytes or base_memory_usedHeap_bytes', 'served', /note: .*the other side of `or` is served/],
  ['kminion_exporter_up or kafka_brokers', 'served', /note/],
  ['shop_a or shop_b', 'not_served'],
  ['mysql_up == 0 unless shop_orders_total', 'not_served'],
  // … but not where the other one is no fact, or where each side is a fact of its own
  ['sum(shop_orders_total) or vector(0)', 'not_served'],
  ['sum(mysql_info_schema_table_size) or on () vector(0)', 'not_served'],
  ['redis_key_size > 1000 or redis_memory_used_bytes > 1e9', 'not_served', /redis_exporter has it/],
  ['kminion_exporter_up == 0 or kafka_up == 0', 'served', /note/],
  // names that nobody is known to have
  [
    'mysql_query_duration_seconds_bucket',
    'not_served',
    /mysqld_exporter, whose names begin so, is not known to have it/,
  ],
  ['redis_replication_offset', 'not_served', /is not known to have it/],
  ['redis_search_indexes', 'not_served', /redis_exporter has it/],
  ['kafka_consumergroup_lag_max', 'not_served', /is not known to have it/],
  ['mysql_info_schema_innodb_metrics_transaction_trx_rseg_history_len', 'not_served', /mysqld_exporter has it/],
  ['kafka_consumer_group_lag > 1000', 'renamed', /write kafka_consumergroup_lag$/],
  ['kafka_consumer_fetch_manager_records_lag_max', 'not_served', /jmx_exporter in Kafka has it/],
  ['histogram_quantile(0.9, rate(redis_commands_latencies_usec_bucket[5m]))', 'not_served', /redis_exporter has it/],
  ['rate(mysql_global_status_innodb_rows_inserted[5m])', 'renamed', /innodb_row_ops_total\{operation="inserted"\}$/],
  [
    'mysql_global_status_innodb_buffer_pool_pages_dirty',
    'renamed',
    /write mysql_global_status_buffer_pool_dirty_pages$/,
  ],
  ['mysql_global_status_com_commit or mysql_up', 'served'],
  ['kafka_burrow_partition_lag > 10', 'renamed', /write kafka_consumergroup_lag$/],
  ['redis_command_calls_total{cmd="get"}', 'renamed', /write redis_commands_total/],
  // what stays goes on as it was, under its own job
  ['node_load1{job="node"} > 10', 'served'],
  ['node_load1{instance="db1:9100"} > 10', 'served'],
  ['avg without (instance) (node_load1)', 'served'],
  ['sum by (instance) (node_load1)', 'served'],
  ['process_open_fds{job="shop"} > 100', 'served'],
  ['process_open_fds{job="kafka-consumer"} > 100', 'served'],
  ['up{job="kafka-consumer"} == 0', 'breaks', /of kafka_exporter, if that is what it is/],
  ['process_open_fds{job="mysqld_exporter"} > 100', 'breaks', /of the process of mysqld_exporter/],
  [
    'mysql_global_variables_innodb_buffer_pool_size / on (instance) node_memory_MemTotal_bytes',
    'raw',
    /note: .*both must have the same instance -> set instance:/,
  ],
  // variables of a dashboard choose among what is there
  ['redis_connected_clients{instance=~"(.+)"}', 'raw', /instance=~"\$…": on the bare/],
  ['redis_connected_clients{job=~"(.+)"}', 'served'],
  ['redis_connected_clients{addr="(.+)"}', 'served', /note: addr="\$…": .*no label addr.*labels: \{addr: …\}/],
  ['mysql_up{instance="(.+):9104"}', 'breaks', /of the form \$…:9104/],
  ['redis_up{job="(.+)-exporter"}', 'breaks', /let the variable choose/],
  ['count by (service_name) (mysql_up)', 'served', /note: by \(service_name\): .*labels: \{service_name: …\}/],
  ['sum by (cmd) (rate(redis_commands_total[5m]))', 'served'],
  ['sum by (host) (label_replace(redis_up, "host", "$1", "target", "(.+)"))', 'served'],
  // the bare /metrics
  ['mysql_up == 0 and on (instance) mysql_version_info', 'raw', /join one target with another/],
  ['redis_up * on(instance) group_left(role) redis_instance_info', 'raw', /error for all targets/],
  ['sum by (instance) (rate(mysql_global_status_questions[5m]))', 'raw', /all of them would be one/],
  ['label_replace(redis_up, "host", "$1", "instance", "(.+):.*")', 'raw', /without a port/],
  ['label_join(redis_up, "x", "-", "instance", "role")', 'raw'],
  ['label_replace(mysql_up, "target", "$1", "instance", "(.+)")', 'served'],
  ['sum by (instance, target) (redis_connected_clients)', 'served'],
  ['sum by (instance) (node_network_receive_bytes_total)', 'not_served'],
  // extra labels
  ['count without (instance, job) (redis_connected_slaves)', 'breaks', /leaves the label target/],
  ['max without (instance, job, exporter) (mysql_up)', 'served'],
  ['count without (instance, target) (redis_connected_slaves)', 'served'],
  ['redis_connected_slaves - ignoring (instance) redis_connected_clients', 'breaks', /ignore target too/],
  ['node_uname_info * on (instance) mysql_up', 'not_served', /both must have the same instance/],
  ['up == 0 and on (instance) mysql_version_info', 'breaks', /through \/probe only/],
  ['mysql_version_info unless on (instance) up', 'breaks', /through \/probe only/],
  ['up{instance="db1:9104"} == 0', 'breaks', /pipemedic_target_up\{instance="db1:9104"\}/],
  // labels of the scrape
  ['mysql_up{job="mysql"} == 0', 'breaks', /the job is pipemedic's.*target_label: job/],
  ['redis_up{job=~"redis.*"}', 'breaks', /replacement: NAME, with a name that the pattern matches/],
  ['redis_up{job=~"(redis|valkey)"}', 'breaks', /replacement: redis\}/],
  ['mysql_up{instance="db1:9104"} == 0', 'breaks', /instance: db1:9104 at the target/],
  // what was left out by such a label is in
  ['mysql_up{job!="mysql-test"} == 0', 'breaks', /nothing is left out -> leave out by target/],
  ['mysql_up{job!~"test.*"} == 0', 'breaks', /nothing is left out/],
  ['mysql_up{job!="node"} == 0', 'served'],
  ['mysql_up{job!~"node|redis"} == 0', 'served'],
  ['mysql_up{job!~"(.+)"} == 0', 'served'],
  ['mysql_up{job!="pipemedic-test"} == 0', 'served'],
  ['pipemedic_target_up{job!="test"} == 0', 'served'],
  ['mysql_up{instance!="db3:9104"} == 0', 'breaks', /nothing is left out -> .*instance: db3:9104/],
  ['mysql_up{instance!~"(.+)"} == 0', 'raw'],
  ['mysql_up{instance!=""} == 0', 'served'],
  ['redis_up{env!="test"} == 0', 'served', /note: env!="test": redis_up has no label env/],
  ['redis_db_keys{db!="db0"}', 'served', /^$/],
  // values of a label that are a selection
  [
    'rate(mysql_global_status_commands_total{command="create_view"}[5m])',
    'served',
    /note: .*com_create_view, which is not read .*also: \[com_create_view\]/,
  ],
  [
    'mysql_global_status_commands_total{command=~"insert|create_view|show_grants"}',
    'served',
    /needs com_create_view, com_show_grants, which are/,
  ],
  ['mysql_global_status_commands_total{command=~"insert|select"}', 'served', /^$/],
  ['mysql_global_status_commands_total{command=~"show_.*"}', 'served', /^$/],
  ['mysql_global_status_buffer_pool_pages{state="data"}', 'served', /^$/],
  ['process_start_time_seconds{instance="db1:9104"}', 'breaks', /of the process of mysqld_exporter/],
  ['process_start_time_seconds{instance="db1:9100"}', 'served'],
  // what Prometheus says of the old exporter's scrapes
  ['scrape_duration_seconds{job="mysql"} > 5', 'breaks', /goes with the scrape job of mysqld_exporter/],
  ['scrape_samples_scraped{job="node"} == 0', 'served'],
  ['scrape_duration_seconds > 5', 'served'],
  ['redis_up{namespace="prod"}', 'served', /note: .*namespace.*labels: \{namespace: …\}/],
  ['pipemedic_target_info{role="x"}', 'breaks', /has no label role/],
  // up
  ['up{job="mysql"} == 0', 'breaks', /write mysql_up == 0/],
  ['absent(up{job=~"redis_exporter"})', 'breaks', /redis_up.*|true for ever/],
  ['up{job="kafka-exporter"} == 0', 'breaks', /kafka_up/],
  ['up{job="mysql", role="source"} == 0', 'breaks', /write mysql_up\{role="source"\} == 0/],
  ['up{job=~"(mysql|redis).*"} == 0', 'breaks', /mysql_up == 0 or redis_up == 0/],
  ['up{job=~"node|mysql"} == 0', 'breaks', /write mysql_up == 0 \(/],
  ['up{job="node"} == 0', 'served'],
  ['up{instance="db1:9100"} == 0', 'served'],
  ['up{job="node", instance="db1"} == 0', 'served'],
  ['up{job="shop"} == 0', 'served', /goes on while that job is scraped/],
  ['up == 0', 'served', /note: .*shows in pipemedic_target_up/],
  // absent where others say -1 or 0
  ['kafka_consumergroup_lag == -1', 'breaks', /never true.*uncommitted_partitions/],
  ['kafka_consumergroup_lag < 0', 'breaks'],
  ['0 > sum(kafka_consumergroup_lag_sum)', 'breaks'],
  ['kafka_consumergroup_lag > -1', 'served'],
  ['kafka_consumergroup_lag < 5', 'served'],
  ['kafka_consumergroup_lag == 0', 'served'],
  ['jvm_memory_max_bytes == -1', 'breaks'],
  ['mysql_slave_status_slave_io_running == 0', 'served', /note: .*absent, not 0/],
  ['count(kafka_brokers) by (job) < 3', 'served', /^$/],
  ['count(redis_instance_info{role="master"}) == 0', 'served', /note: .*never true/],
  // patterns over names
  ['{__name__=~"mysql_global_status_.*"}', 'breaks', /picks names by a pattern/],
  ['{__name__=~"node_network_.+"}', 'not_served', /node_exporter/],
  ['{__name__=~".*_up"}', 'unclear', /by a pattern/],
  ['{__name__=~"redis_(up|connected_clients)"}', 'served'],
  ['{__name__=~"^(redis_up|mysql_up)$"}', 'served'],
  ['{__name__=~"mysql_(up|info_schema_table_size)"}', 'not_served'],
  ['{__name__=~"(a+)+$"}', 'unclear'],
  ['{job="x"}', 'unclear', /names no metric/],
  // no PromQL
  ['sum(mysql_up', 'unclear', /syntax error at its end \(character 12\): something is not closed/],
  ['sum(mysql_up)) > 1', 'unclear', /syntax error at character/],
  ['sum(rate({app="x"} |= "error" [5m]))', 'unclear'],
  ['grafana_variable_metric{x="y"}', 'unclear', /variable of the dashboard/],
  ['mysql_grafana_variable_name', 'unclear'],
  ['mysql_up > grafana_variable_threshold', 'served'],
  ['rate(grafana_variable_metric[5m])', 'unclear', /variable of the dashboard/],
  ['grafana_variable_piece_metric_total > 0', 'unclear', /variable of the dashboard/],
  ['mysql_up and on (instance) (grafana_variable_shown == 1)', 'raw'],
];

for (const [expr, verdict, says] of cases) {
  test(`${verdict}: ${expr}`, () => {
    const { reasons } = judge(expr, alone);
    assert.equal(worst(reasons), verdict, told(expr));
    if (says !== undefined) assert.match(told(expr), says);
  });
}

test('a name is told of once, and every name that is read is told', () => {
  const { metrics, reasons } = judge('shop_a + shop_a / ignoring (x) (shop_b or mysql_up)', alone);
  assert.deepEqual(metrics, ['shop_a', 'shop_b', 'mysql_up']);
  assert.equal(reasons.filter(({ text }) => text.startsWith('shop_a')).length, 1);
});

test('nothing that a file holds stops the judge', () => {
  const deep = 20_000;
  for (const expr of [
    `${'('.repeat(deep)}mysql_up${')'.repeat(deep)}`,
    `${'-'.repeat(deep)}mysql_up`,
    'sum('.repeat(deep),
    `mysql_up${' + mysql_up'.repeat(deep / 10)}`,
    `mysql_up{${'a="b",'.repeat(deep / 10)}}`,
    '"'.repeat(deep),
    '{'.repeat(deep),
    '\u0000\ufffd\u{1f600}',
    '-+'.repeat(deep / 2),
    'a[5m:'.repeat(deep / 5),
    '',
  ]) {
    assert.doesNotThrow(() => judge(expr, alone), expr.slice(0, 20));
  }
});

test('names of files are judged against the inventory when there is one', () => {
  const setting: Setting = {
    ...alone,
    inventory: [
      {
        name: 'db1',
        kind: 'mysql',
        instance: 'db1.example:9104',
        labels: { env: 'prod' },
        collectors: ['replication', 'global_status'],
        hasOption: (collector, metric) => collector === 'global_status' && metric.endsWith('_innodb_mutex_os_waits'),
      },
    ],
  };
  for (const [expr, verdict, says] of [
    ['mysql_up == 0', 'served'],
    ['mysql_slave_status_slave_io_running == 0', 'served'],
    ['mysql_global_status_uptime < 60', 'served'],
    ['mysql_global_status_innodb_mutex_os_waits', 'served'],
    [
      'mysql_global_status_handler_rollback',
      'renamed',
      /write mysql_global_status_handlers_total\{handler="rollback"\}/,
    ],
    ['mysql_global_status_commands_total{command="select"}', 'served'],
    ['mysql_global_status_commands_total{command="create_view"}', 'off', /also: \[com_create_view\]/],
    ['mysql_global_status_something_else', 'off', /also: \[something_else\].* at db1/],
    ['mysql_heartbeat_now_timestamp_seconds', 'off', /collector heartbeat, which is off at db1/],
    ['redis_up == 0', 'off', /needs a target of kind redis/],
    ['mysql_up{instance="db1.example:9104"}', 'raw'],
    ['mysql_up{instance="db2.example:9104"}', 'breaks'],
    ['mysql_up{instance!="db1.example:9104"}', 'raw'],
    ['mysql_up{instance!="db2.example:9104"}', 'breaks'],
    ['mysql_up{env!="test"}', 'served'],
    ['mysql_up{team!="a"}', 'off', /labels: \{team: …\}/],
    ['mysql_up{env="prod"}', 'served'],
    ['mysql_up{team="a"}', 'off', /labels: \{team: …\}/],
    ['redis_up or mysql_up', 'served'],
  ] as const) {
    assert.equal(worst(judge(expr, setting).reasons), verdict, `${expr}\n${told(expr, setting)}`);
    if (says !== undefined) assert.match(told(expr, setting), says);
  }
});

test('what the scrape configuration of pipemedic says: its door, and the jobs that it gives its series', () => {
  const target = { name: 'db1', kind: 'mysql', labels: {}, collectors: [], hasOption: () => false };
  const setting: Setting = { ...alone, inventory: [{ ...target, instance: 'db1:9104' }] };
  const expr = 'mysql_up{instance="db1:9104"} == 0';
  assert.equal(worst(judge(expr, { ...setting, doors: ['probe'] }).reasons), 'raw');
  assert.equal(worst(judge(expr, { ...setting, doors: ['relabelled'] }).reasons), 'breaks');
  assert.match(told(expr, { ...setting, doors: ['relabelled'] }), /name of the target, db1 -> scrape through \/sd/);
  assert.equal(worst(judge('mysql_up{instance="db1"} == 0', { ...setting, doors: ['relabelled'] }).reasons), 'breaks');
  const jobs: Setting = { ...alone, ownJobs: ['mysql', 'redis'], ownUpJobs: ['mysql'] };
  for (const [text, verdict] of [
    ['mysql_up{job="mysql"} == 0', 'served'],
    ['mysql_up{job!="mysql"} == 0', 'served'],
    ['scrape_duration_seconds{job="mysql"} > 5', 'served'],
    ['scrape_duration_seconds{job="redis"} > 5', 'breaks'],
    ['up{job="mysql"} == 0', 'served'],
    ['up{job="mysql", instance="db1:9104"} == 0', 'served'],
    ['redis_up{job="redis"} == 0', 'served'],
    ['up{job="redis"} == 0', 'breaks'],
    ['up{job=~"mysql|redis"} == 0', 'breaks'],
  ] as const) {
    assert.equal(worst(judge(text, jobs).reasons), verdict, `${text}\n${told(text, jobs)}`);
  }
});

test('variables and pieces of names are no names', () => {
  const expr = 'mysql_grafana_variable_x + grafana_variable_y + redis_up';
  assert.deepEqual(judge(expr, alone).metrics, ['redis_up']);
  assert.doesNotMatch(told('mysql_up * on (instance) grafana_variable_z'), /of another exporter/);
});
