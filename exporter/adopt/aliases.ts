// Names that other programs give to what is served here under a name of its own. One line each: their name, what to write
// instead (an expression, or a name), and where their name is from.

export interface Alias {
  readonly name: string;
  /** A name of the catalogue, or an expression made of such names. */
  readonly instead: string;
  /** What else differs. */
  readonly but?: string;
  readonly source: string;
}

const grafanaFork = 'grafana/kafka_exporter, exporter/exporter.go';
const lagExporter = 'seglo/kafka-lag-exporter 0.8, README: Metrics';
const kminion = 'redpanda-data/kminion 2.2, docs/metrics.md';
const burrow = 'linkedin/Burrow 1.9, core/internal/httpserver/prometheus.go';
const kafkaBeans = 'prometheus/jmx_exporter, examples/kafka-2_0_0.yml';
const micrometer = 'Micrometer, binder/jvm';
const otel = 'OpenTelemetry semantic conventions for JVM metrics, as Prometheus names them';
const mysqld = 'mysqld_exporter, collector/exporter.go and mysqld_exporter.go';
const redis = 'redis_exporter, exporter/exporter.go';
const maxwell = 'Maxwell 1.44, MaxwellMetrics.java; metrics_prefix=MaxwellMetrics';

const groupLabel = 'its labels group and cluster_name are consumergroup and target';
const kminionLabels = 'its labels group_id, topic_name and partition_id are consumergroup, topic and partition';
const burrowLabels = 'its labels cluster and consumer_group are target and consumergroup';
const allPartitions = 'sum by (target, consumergroup)';

export const aliases: readonly Alias[] = [
  { name: 'kafka_consumergroup_uncommitted_offsets', instead: 'kafka_consumergroup_lag', source: grafanaFork },
  { name: 'kafka_consumergroup_uncommitted_offsets_sum', instead: 'kafka_consumergroup_lag_sum', source: grafanaFork },
  {
    name: 'kafka_consumer_lag_millis',
    instead: 'kafka_consumergroup_lag_seconds * 1000',
    but: 'in seconds',
    source: grafanaFork,
  },
  {
    name: 'kafka_consumergroupzookeeper_lag_zookeeper',
    instead: 'kafka_consumergroup_lag',
    but: 'groups that commit to ZooKeeper are not seen',
    source: 'kafka_exporter 1.9, kafka_exporter.go',
  },

  { name: 'kafka_consumergroup_group_lag', instead: 'kafka_consumergroup_lag', but: groupLabel, source: lagExporter },
  {
    name: 'kafka_consumergroup_group_lag_seconds',
    instead: 'kafka_consumergroup_lag_seconds',
    but: groupLabel,
    source: lagExporter,
  },
  {
    name: 'kafka_consumergroup_group_offset',
    instead: 'kafka_consumergroup_current_offset',
    but: groupLabel,
    source: lagExporter,
  },
  {
    name: 'kafka_consumergroup_group_max_lag',
    instead: 'max by (target, consumergroup) (kafka_consumergroup_lag)',
    but: groupLabel,
    source: lagExporter,
  },
  {
    name: 'kafka_consumergroup_group_max_lag_seconds',
    instead: 'max by (target, consumergroup) (kafka_consumergroup_lag_seconds)',
    but: groupLabel,
    source: lagExporter,
  },
  {
    name: 'kafka_consumergroup_group_sum_lag',
    instead: `${allPartitions} (kafka_consumergroup_lag_sum)`,
    but: groupLabel,
    source: lagExporter,
  },
  {
    name: 'kafka_consumergroup_group_topic_sum_lag',
    instead: 'kafka_consumergroup_lag_sum',
    but: groupLabel,
    source: lagExporter,
  },
  {
    name: 'kafka_partition_latest_offset',
    instead: 'kafka_topic_partition_current_offset',
    but: 'its label cluster_name is target',
    source: lagExporter,
  },
  {
    name: 'kafka_partition_earliest_offset',
    instead: 'kafka_topic_partition_oldest_offset',
    but: 'its label cluster_name is target',
    source: lagExporter,
  },

  { name: 'kminion_exporter_up', instead: 'kafka_up', source: kminion },
  {
    name: 'kminion_kafka_broker_info',
    instead: 'kafka_broker_info',
    but: 'its label broker_id is id',
    source: kminion,
  },
  {
    name: 'kminion_kafka_cluster_info',
    instead: 'kafka_brokers',
    but: 'the number of brokers is the value',
    source: kminion,
  },
  {
    name: 'kminion_kafka_topic_partition_high_water_mark',
    instead: 'kafka_topic_partition_current_offset',
    but: kminionLabels,
    source: kminion,
  },
  {
    name: 'kminion_kafka_topic_partition_low_water_mark',
    instead: 'kafka_topic_partition_oldest_offset',
    but: kminionLabels,
    source: kminion,
  },
  {
    name: 'kminion_kafka_topic_high_water_mark_sum',
    instead: 'sum by (target, topic) (kafka_topic_partition_current_offset)',
    but: kminionLabels,
    source: kminion,
  },
  {
    name: 'kminion_kafka_topic_low_water_mark_sum',
    instead: 'sum by (target, topic) (kafka_topic_partition_oldest_offset)',
    but: kminionLabels,
    source: kminion,
  },
  {
    name: 'kminion_kafka_consumer_group_info',
    instead: 'kafka_consumergroup_state',
    but: `one series per state, 1 for the present one; ${kminionLabels}`,
    source: kminion,
  },
  {
    name: 'kminion_kafka_consumer_group_members',
    instead: 'kafka_consumergroup_members',
    but: kminionLabels,
    source: kminion,
  },
  {
    name: 'kminion_kafka_consumer_group_topic_partition_lag',
    instead: 'kafka_consumergroup_lag',
    but: kminionLabels,
    source: kminion,
  },
  {
    name: 'kminion_kafka_consumer_group_topic_lag',
    instead: 'kafka_consumergroup_lag_sum',
    but: kminionLabels,
    source: kminion,
  },
  {
    name: 'kminion_kafka_consumer_group_topic_offset_sum',
    instead: 'kafka_consumergroup_current_offset_sum',
    but: kminionLabels,
    source: kminion,
  },

  {
    name: 'burrow_kafka_consumer_partition_lag',
    instead: 'kafka_consumergroup_lag',
    but: burrowLabels,
    source: burrow,
  },
  {
    name: 'burrow_kafka_consumer_lag_total',
    instead: `${allPartitions} (kafka_consumergroup_lag_sum)`,
    but: burrowLabels,
    source: burrow,
  },
  {
    name: 'burrow_kafka_consumer_current_offset',
    instead: 'kafka_consumergroup_current_offset',
    but: burrowLabels,
    source: burrow,
  },
  {
    name: 'burrow_kafka_topic_partition_offset',
    instead: 'kafka_topic_partition_current_offset',
    but: 'its label cluster is target',
    source: burrow,
  },
  {
    name: 'burrow_kafka_consumer_status',
    instead: 'kafka_consumergroup_commit_unmoved_seconds',
    but: 'there is no judgement of a group here: how long its commit has not moved while records wait',
    source: burrow,
  },

  {
    name: 'kafka_server_replicamanager_underreplicatedpartitions',
    instead: 'kafka_under_replicated_partitions',
    but: 'of the cluster, not of one broker',
    source: kafkaBeans,
  },
  {
    name: 'kafka_controller_kafkacontroller_offlinepartitionscount',
    instead: 'kafka_offline_partitions',
    but: 'of the cluster, not of one broker',
    source: kafkaBeans,
  },

  { name: 'jvm_threads_live_threads', instead: 'jvm_threads_current', source: micrometer },
  { name: 'jvm_threads_daemon_threads', instead: 'jvm_threads_daemon', source: micrometer },
  { name: 'jvm_threads_peak_threads', instead: 'jvm_threads_peak', source: micrometer },
  {
    name: 'jvm_threads_states_threads',
    instead: 'jvm_threads_state',
    but: 'states are in capitals',
    source: micrometer,
  },
  { name: 'jvm_classes_loaded_classes', instead: 'jvm_classes_currently_loaded', source: micrometer },
  { name: 'jvm_classes_unloaded_classes_total', instead: 'jvm_classes_unloaded_total', source: micrometer },
  {
    name: 'jvm_buffer_memory_used_bytes',
    instead: 'jvm_buffer_pool_used_bytes',
    but: 'its label id is pool',
    source: micrometer,
  },
  {
    name: 'jvm_buffer_total_capacity_bytes',
    instead: 'jvm_buffer_pool_capacity_bytes',
    but: 'its label id is pool',
    source: micrometer,
  },
  {
    name: 'jvm_buffer_count_buffers',
    instead: 'jvm_buffer_pool_used_buffers',
    but: 'its label id is pool',
    source: micrometer,
  },
  {
    name: 'jvm_gc_pause_seconds_count',
    instead: 'jvm_gc_collection_seconds_count',
    but: 'by gc, not by action and cause',
    source: micrometer,
  },
  {
    name: 'jvm_gc_pause_seconds_sum',
    instead: 'jvm_gc_collection_seconds_sum',
    but: 'by gc, not by action and cause',
    source: micrometer,
  },
  {
    name: 'jvm_gc_live_data_size_bytes',
    instead: 'jvm_memory_pool_collection_used_bytes',
    but: 'by pool: take the old one',
    source: micrometer,
  },
  {
    name: 'jvm_gc_max_data_size_bytes',
    instead: 'jvm_memory_pool_collection_max_bytes',
    but: 'by pool: take the old one',
    source: micrometer,
  },
  { name: 'process_files_open_files', instead: 'process_open_fds', source: micrometer },
  { name: 'process_files_max_files', instead: 'process_max_fds', source: micrometer },
  { name: 'jvm_thread_count', instead: 'jvm_threads_state', but: 'jvm_thread_state is state', source: otel },
  { name: 'jvm_class_count', instead: 'jvm_classes_currently_loaded', source: otel },
  { name: 'jvm_memory_limit_bytes', instead: 'jvm_memory_pool_max_bytes', but: 'by pool', source: otel },
  {
    name: 'jvm_memory_used_after_last_gc_bytes',
    instead: 'jvm_memory_pool_collection_used_bytes',
    but: 'by pool',
    source: otel,
  },
  { name: 'jvm_gc_duration_seconds_count', instead: 'jvm_gc_collection_seconds_count', but: 'by gc', source: otel },
  { name: 'jvm_gc_duration_seconds_sum', instead: 'jvm_gc_collection_seconds_sum', but: 'by gc', source: otel },
  { name: 'jvm_cpu_time_seconds_total', instead: 'process_cpu_seconds_total', source: otel },

  {
    name: 'mysql_exporter_collector_success',
    instead: 'pipemedic_collector_success',
    but: 'collectors have other names',
    source: mysqld,
  },
  {
    name: 'mysql_exporter_collector_duration_seconds',
    instead: 'pipemedic_collector_duration_seconds',
    but: 'collectors have other names',
    source: mysqld,
  },
  { name: 'mysql_exporter_last_scrape_error', instead: 'mysql_up == 0', but: 'reversed', source: mysqld },
  { name: 'mysqld_exporter_build_info', instead: 'pipemedic_exporter_build_info', source: mysqld },
  {
    name: 'mysqld_exporter_config_last_reload_successful',
    instead: 'pipemedic_exporter_config_last_reload_successful',
    source: mysqld,
  },
  {
    name: 'mysqld_exporter_config_last_reload_success_timestamp_seconds',
    instead: 'pipemedic_exporter_config_last_reload_success_timestamp_seconds',
    source: mysqld,
  },
  { name: 'redis_exporter_build_info', instead: 'pipemedic_exporter_build_info', source: redis },
  {
    name: 'redis_exporter_last_scrape_error',
    instead: 'pipemedic_target_error_info',
    but: 'err is class',
    source: redis,
  },
  {
    name: 'redis_exporter_last_scrape_duration_seconds',
    instead: 'sum by (target) (pipemedic_collector_duration_seconds)',
    source: redis,
  },
  { name: 'kafka_exporter_build_info', instead: 'pipemedic_exporter_build_info', source: 'kafka_exporter 1.9' },

  {
    name: 'MaxwellMetrics_replication_lag',
    instead: 'maxwell_replication_lag_milliseconds',
    but: 'or better maxwell_heartbeat_lag_seconds, which does not freeze',
    source: maxwell,
  },
  { name: 'MaxwellMetrics_messages_succeeded', instead: 'maxwell_messages_succeeded_total', source: maxwell },
  {
    name: 'MaxwellMetrics_messages_succeeded_meter_total',
    instead: 'maxwell_messages_succeeded_total',
    source: maxwell,
  },
  { name: 'MaxwellMetrics_messages_failed', instead: 'maxwell_messages_failed_total', source: maxwell },
  { name: 'MaxwellMetrics_messages_failed_meter_total', instead: 'maxwell_messages_failed_total', source: maxwell },
  { name: 'MaxwellMetrics_row_count', instead: 'maxwell_rows_total', source: maxwell },
  { name: 'MaxwellMetrics_row_meter_total', instead: 'maxwell_rows_total', source: maxwell },
  { name: 'MaxwellMetrics_inflightmessages_count', instead: 'maxwell_messages_inflight', source: maxwell },
  {
    name: 'MaxwellMetrics_message_publish_time',
    instead: 'maxwell_message_publish_seconds',
    but: 'quantile 0.99 is percentile 99',
    source: maxwell,
  },
  {
    name: 'MaxwellMetrics_message_publish_age',
    instead: 'maxwell_message_age_seconds',
    but: 'quantile 0.99 is percentile 99',
    source: maxwell,
  },
  {
    name: 'MaxwellMetrics_message_publish_age_slo_violation',
    instead: 'maxwell_message_age_slo_violations_total',
    source: maxwell,
  },
  {
    name: 'MaxwellMetrics_replication_queue_time',
    instead: 'maxwell_replication_queue_seconds',
    but: 'quantile 0.99 is percentile 99',
    source: maxwell,
  },

  {
    name: 'xtrabackup_last_success_timestamp_seconds',
    instead: 'backup_last_success_timestamp_seconds',
    but: 'read from the backup itself (kind backup)',
    source: 'scripts for Pushgateway',
  },
  {
    name: 'xtrabackup_duration_seconds',
    instead: 'backup_last_duration_seconds',
    but: 'read from the backup itself (kind backup)',
    source: 'scripts for Pushgateway',
  },
];

export const aliasOf: ReadonlyMap<string, Alias> = new Map(aliases.map((alias) => [alias.name, alias]));
