// Names that other programs give to what is served here under a name of its own, by where their name is from.

export interface Alias {
  readonly name: string;
  /** A name of the catalogue, or an expression made of such names. */
  readonly instead: string;
  /** What else differs. */
  readonly but: string | undefined;
  readonly source: string;
}

type Line = readonly [name: string, instead: string, but?: string];

const lagExporterLabels = 'its labels group and cluster_name are consumergroup and target';
const kminionLabels = 'its labels group_id, topic_name and partition_id are consumergroup, topic and partition';
const burrowLabels = 'its labels cluster and consumer_group are target and consumergroup';

const burrowExporterLabels = 'its labels cluster and group are target and consumergroup';
const noJudgement = 'there is no judgement of a group here: how long its commit has not moved while records wait';

const bySource: Readonly<Record<string, readonly Line[]>> = {
  'grafana/kafka_exporter, exporter/exporter.go': [
    ['kafka_consumergroup_uncommitted_offsets', 'kafka_consumergroup_lag'],
    ['kafka_consumergroup_uncommitted_offsets_sum', 'kafka_consumergroup_lag_sum'],
    ['kafka_consumer_lag_millis', 'kafka_consumergroup_lag_seconds * 1000', 'in seconds'],
  ],
  'kafka_exporter 1.9, kafka_exporter.go': [
    [
      'kafka_consumergroupzookeeper_lag_zookeeper',
      'kafka_consumergroup_lag',
      'groups that commit to ZooKeeper are not seen',
    ],
  ],
  'seglo/kafka-lag-exporter 0.8, README: Metrics': [
    ['kafka_consumergroup_group_lag', 'kafka_consumergroup_lag', lagExporterLabels],
    ['kafka_consumergroup_group_lag_seconds', 'kafka_consumergroup_lag_seconds', lagExporterLabels],
    ['kafka_consumergroup_group_offset', 'kafka_consumergroup_current_offset', lagExporterLabels],
    [
      'kafka_consumergroup_group_max_lag',
      'max by (target, consumergroup) (kafka_consumergroup_lag)',
      lagExporterLabels,
    ],
    [
      'kafka_consumergroup_group_max_lag_seconds',
      'max by (target, consumergroup) (kafka_consumergroup_lag_seconds)',
      lagExporterLabels,
    ],
    [
      'kafka_consumergroup_group_sum_lag',
      'sum by (target, consumergroup) (kafka_consumergroup_lag_sum)',
      lagExporterLabels,
    ],
    ['kafka_consumergroup_group_topic_sum_lag', 'kafka_consumergroup_lag_sum', lagExporterLabels],
    ['kafka_partition_latest_offset', 'kafka_topic_partition_current_offset', 'its label cluster_name is target'],
    ['kafka_partition_earliest_offset', 'kafka_topic_partition_oldest_offset', 'its label cluster_name is target'],
  ],
  'redpanda-data/kminion 2.3, docs/metrics.md': [
    ['kminion_exporter_up', 'kafka_up'],
    ['kminion_kafka_broker_info', 'kafka_broker_info', 'its label broker_id is id'],
    ['kminion_kafka_cluster_info', 'kafka_brokers', 'the number of brokers is the value'],
    ['kminion_kafka_topic_partition_high_water_mark', 'kafka_topic_partition_current_offset', kminionLabels],
    ['kminion_kafka_topic_partition_low_water_mark', 'kafka_topic_partition_oldest_offset', kminionLabels],
    [
      'kminion_kafka_topic_high_water_mark_sum',
      'sum by (target, topic) (kafka_topic_partition_current_offset)',
      kminionLabels,
    ],
    [
      'kminion_kafka_topic_low_water_mark_sum',
      'sum by (target, topic) (kafka_topic_partition_oldest_offset)',
      kminionLabels,
    ],
    [
      'kminion_kafka_consumer_group_info',
      'kafka_consumergroup_state',
      'one series per state, 1 for the present one; its labels group_id, topic_name and partition_id are consumergroup, topic and partition',
    ],
    ['kminion_kafka_consumer_group_members', 'kafka_consumergroup_members', kminionLabels],
    ['kminion_kafka_consumer_group_topic_partition_lag', 'kafka_consumergroup_lag', kminionLabels],
    ['kminion_kafka_consumer_group_topic_lag', 'kafka_consumergroup_lag_sum', kminionLabels],
    ['kminion_kafka_consumer_group_topic_offset_sum', 'kafka_consumergroup_current_offset_sum', kminionLabels],
  ],
  'linkedin/Burrow 1.9, core/internal/httpserver/prometheus.go': [
    ['burrow_kafka_consumer_partition_lag', 'kafka_consumergroup_lag', burrowLabels],
    ['burrow_kafka_consumer_lag_total', 'sum by (target, consumergroup) (kafka_consumergroup_lag_sum)', burrowLabels],
    ['burrow_kafka_consumer_current_offset', 'kafka_consumergroup_current_offset', burrowLabels],
    ['burrow_kafka_topic_partition_offset', 'kafka_topic_partition_current_offset', 'its label cluster is target'],
    ['burrow_kafka_consumer_status', 'kafka_consumergroup_commit_unmoved_seconds', noJudgement],
  ],
  'braedon/prometheus-kafka-consumer-group-exporter, collectors.py': [
    ['kafka_consumer_group_lag', 'kafka_consumergroup_lag', 'its label group is consumergroup'],
    ['kafka_consumer_group_offset', 'kafka_consumergroup_current_offset', 'its label group is consumergroup'],
    ['kafka_topic_highwater', 'kafka_topic_partition_current_offset'],
    ['kafka_topic_lowwater', 'kafka_topic_partition_oldest_offset'],
  ],
  'jirwin/burrow_exporter, burrow_exporter/metrics.go': [
    ['kafka_burrow_partition_lag', 'kafka_consumergroup_lag', burrowExporterLabels],
    ['kafka_burrow_partition_current_offset', 'kafka_consumergroup_current_offset', burrowExporterLabels],
    ['kafka_burrow_partition_max_offset', 'kafka_topic_partition_current_offset', burrowExporterLabels],
    ['kafka_burrow_topic_partition_offset', 'kafka_topic_partition_current_offset', 'its label cluster is target'],
    ['kafka_burrow_total_lag', 'sum by (target, consumergroup) (kafka_consumergroup_lag_sum)', burrowExporterLabels],
    ['kafka_burrow_status', 'kafka_consumergroup_commit_unmoved_seconds', noJudgement],
    ['kafka_burrow_partition_status', 'kafka_consumergroup_commit_unmoved_seconds', noJudgement],
  ],
  'prometheus/jmx_exporter, examples/kafka-2_0_0.yml': [
    [
      'kafka_server_replicamanager_underreplicatedpartitions',
      'kafka_under_replicated_partitions',
      'of the cluster, not of one broker',
    ],
    [
      'kafka_controller_kafkacontroller_offlinepartitionscount',
      'kafka_offline_partitions',
      'of the cluster, not of one broker',
    ],
  ],
  'Micrometer, binder/jvm': [
    ['jvm_threads_live_threads', 'jvm_threads_current'],
    ['jvm_threads_daemon_threads', 'jvm_threads_daemon'],
    ['jvm_threads_peak_threads', 'jvm_threads_peak'],
    ['jvm_threads_states_threads', 'jvm_threads_state', 'states are in capitals'],
    ['jvm_classes_loaded_classes', 'jvm_classes_currently_loaded'],
    ['jvm_classes_unloaded_classes_total', 'jvm_classes_unloaded_total'],
    ['jvm_buffer_memory_used_bytes', 'jvm_buffer_pool_used_bytes', 'its label id is pool'],
    ['jvm_buffer_total_capacity_bytes', 'jvm_buffer_pool_capacity_bytes', 'its label id is pool'],
    ['jvm_buffer_count_buffers', 'jvm_buffer_pool_used_buffers', 'its label id is pool'],
    ['jvm_gc_pause_seconds_count', 'jvm_gc_collection_seconds_count', 'by gc, not by action and cause'],
    ['jvm_gc_pause_seconds_sum', 'jvm_gc_collection_seconds_sum', 'by gc, not by action and cause'],
    ['jvm_gc_live_data_size_bytes', 'jvm_memory_pool_collection_used_bytes', 'by pool: take the old one'],
    ['jvm_gc_max_data_size_bytes', 'jvm_memory_pool_collection_max_bytes', 'by pool: take the old one'],
    ['process_files_open_files', 'process_open_fds'],
    ['process_files_max_files', 'process_max_fds'],
  ],
  'OpenTelemetry semantic conventions for JVM metrics, as Prometheus names them': [
    ['jvm_thread_count', 'jvm_threads_state', 'jvm_thread_state is state'],
    ['jvm_class_count', 'jvm_classes_currently_loaded'],
    ['jvm_memory_limit_bytes', 'jvm_memory_pool_max_bytes', 'by pool'],
    ['jvm_memory_used_after_last_gc_bytes', 'jvm_memory_pool_collection_used_bytes', 'by pool'],
    ['jvm_gc_duration_seconds_count', 'jvm_gc_collection_seconds_count', 'by gc'],
    ['jvm_gc_duration_seconds_sum', 'jvm_gc_collection_seconds_sum', 'by gc'],
    ['jvm_cpu_time_seconds_total', 'process_cpu_seconds_total'],
  ],
  'mysqld_exporter, collector/exporter.go and mysqld_exporter.go': [
    ['mysql_exporter_collector_success', 'pipemedic_collector_success', 'collectors have other names'],
    [
      'mysql_exporter_collector_duration_seconds',
      'pipemedic_collector_duration_seconds',
      'collectors have other names',
    ],
    ['mysql_exporter_last_scrape_error', 'mysql_up == 0', 'reversed'],
    ['mysqld_exporter_build_info', 'pipemedic_exporter_build_info'],
    ['mysqld_exporter_config_last_reload_successful', 'pipemedic_exporter_config_last_reload_successful'],
    [
      'mysqld_exporter_config_last_reload_success_timestamp_seconds',
      'pipemedic_exporter_config_last_reload_success_timestamp_seconds',
    ],
  ],
  'redis_exporter before 1.0, exporter/redis.go': [
    ['redis_command_calls_total', 'redis_commands_total'],
    ['redis_command_call_duration_seconds_count', 'redis_commands_total'],
    ['redis_command_call_duration_seconds_sum', 'redis_commands_duration_seconds_total'],
    ['redis_latest_fork_usec', 'redis_latest_fork_seconds * 1e6', 'in seconds'],
  ],
  'redis_exporter, exporter/exporter.go': [
    ['redis_exporter_build_info', 'pipemedic_exporter_build_info'],
    ['redis_exporter_last_scrape_error', 'pipemedic_target_error_info', 'err is class'],
    ['redis_exporter_last_scrape_duration_seconds', 'sum by (target) (pipemedic_collector_duration_seconds)'],
  ],
  'kafka_exporter 1.9': [['kafka_exporter_build_info', 'pipemedic_exporter_build_info']],
  'Maxwell 1.44, MaxwellMetrics.java; metrics_prefix=MaxwellMetrics': [
    [
      'MaxwellMetrics_replication_lag',
      'maxwell_replication_lag_milliseconds',
      'or better maxwell_heartbeat_lag_seconds, which does not freeze',
    ],
    ['MaxwellMetrics_messages_succeeded', 'maxwell_messages_succeeded_total'],
    ['MaxwellMetrics_messages_succeeded_meter_total', 'maxwell_messages_succeeded_total'],
    ['MaxwellMetrics_messages_failed', 'maxwell_messages_failed_total'],
    ['MaxwellMetrics_messages_failed_meter_total', 'maxwell_messages_failed_total'],
    ['MaxwellMetrics_row_count', 'maxwell_rows_total'],
    ['MaxwellMetrics_row_meter_total', 'maxwell_rows_total'],
    ['MaxwellMetrics_inflightmessages_count', 'maxwell_messages_inflight'],
    ['MaxwellMetrics_message_publish_time', 'maxwell_message_publish_seconds', 'quantile 0.99 is percentile 99'],
    ['MaxwellMetrics_message_publish_age', 'maxwell_message_age_seconds', 'quantile 0.99 is percentile 99'],
    ['MaxwellMetrics_message_publish_age_slo_violation', 'maxwell_message_age_slo_violations_total'],
    ['MaxwellMetrics_replication_queue_time', 'maxwell_replication_queue_seconds', 'quantile 0.99 is percentile 99'],
  ],
  'scripts for Pushgateway': [
    [
      'xtrabackup_last_success_timestamp_seconds',
      'backup_last_success_timestamp_seconds',
      'read from the backup itself (kind backup)',
    ],
    ['xtrabackup_duration_seconds', 'backup_last_duration_seconds', 'read from the backup itself (kind backup)'],
  ],
};

export const aliases: readonly Alias[] = Object.entries(bySource).flatMap(([source, lines]) =>
  lines.map(([name, instead, but]) => ({ name, instead, but, source })),
);

export const aliasOf: ReadonlyMap<string, Alias> = new Map(aliases.map((alias) => [alias.name, alias]));
