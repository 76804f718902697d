// Who else serves such metrics, and what becomes of that program. Names of exporters and their default ports as their own
// documentation has them (https://github.com/prometheus/prometheus/wiki/Default-port-allocations).

/**
 * program: it can be switched off once nothing needs it any more. page: the program stays, because pipemedic reads its page;
 * the scrape job can go. stays: pipemedic does not take its place.
 */
export type Fate = 'program' | 'page' | 'stays';

export interface Peer {
  readonly name: string;
  /** Beginnings of the names that it serves. */
  readonly prefixes: readonly string[];
  /** Names that it has beyond those that are served here; all that begin so where it is left out. */
  readonly has?: RegExp;
  readonly ports: readonly number[];
  /** Words that tell it in the name of a scrape job. */
  readonly words: readonly string[];
  readonly fate: Fate;
  /** Kind of target that takes its place or reads its page. */
  readonly kind?: string;
  readonly why?: string;
}

const kafka = { fate: 'program', kind: 'kafka' } as const;
const own = 'pipemedic serves these names for the machine that it runs on only (kind host)';

export const peers: readonly Peer[] = [
  {
    name: 'mysqld_exporter',
    prefixes: ['mysql_', 'mysqld_exporter_'],
    // collector/*.go of 0.9 to 0.20, and Percona's fork
    has: /^mysqld_exporter_|^mysql_(global_(status|variables)|slave_status|info_schema|perf_schema|engine_(innodb|tokudb|rocksdb)|binlog|heartbeat|exporter|galera|mysql|sys|rocksdb)_|^mysql_transaction_isolation$/,
    ports: [9104],
    words: ['mysql', 'mysqld', 'mariadb', 'percona'],
    fate: 'program',
    kind: 'mysql',
  },
  {
    name: 'redis_exporter',
    prefixes: ['redis_'],
    // exporter/*.go of 0.3 to 1.80
    has: /^redis_(exporter_|target_scrape_|config_|key_|keys_count$|key_group|number_of_distinct_key_groups$|last_key_groups_|script_|connected_client_|connected_clients_details$|latest_fork_usec$|commands?_|slowlog_|search_|module_|modules?$|tile38_|sentinel_|stream_|cluster_|mem_|memory_|cpu_|aof_|rdb_|io_thread)/,
    ports: [9121],
    words: ['redis', 'valkey'],
    fate: 'program',
    kind: 'redis',
  },
  {
    name: 'kafka_exporter',
    prefixes: [
      'kafka_brokers',
      'kafka_broker_info',
      'kafka_topic_',
      'kafka_consumergroup_',
      'kafka_consumergroupzookeeper_',
      'kafka_consumer_lag_',
      'kafka_exporter_',
    ],
    ports: [9308],
    // kafka_exporter.go has nothing else that is not served here or has another name here
    has: /^kafka_exporter_|^kafka_consumergroupzookeeper_|^kafka_consumer_lag_/,
    words: ['kafka-exporter', 'kafka_exporter', 'kafka'],
    ...kafka,
  },
  {
    name: 'kafka-lag-exporter',
    prefixes: ['kafka_consumergroup_group_', 'kafka_consumergroup_poll_time_ms', 'kafka_partition_'],
    ports: [],
    words: ['kafka-lag-exporter', 'kafka_lag_exporter'],
    ...kafka,
  },
  {
    name: 'prometheus-kafka-consumer-group-exporter',
    prefixes: ['kafka_consumer_group_', 'kafka_topic_highwater', 'kafka_topic_lowwater'],
    // prometheus_kafka_consumer_group_exporter/collectors.py; the names stand in many rules of people who never had it
    has: /^kafka_consumer_group_(exporter_|lead$|commits_total$)/,
    ports: [9208],
    words: ['kafka-consumer-group-exporter', 'kafka_consumer_group_exporter'],
    ...kafka,
  },
  { name: 'kminion', prefixes: ['kminion_'], ports: [], words: ['kminion'], ...kafka },
  { name: 'Burrow', prefixes: ['burrow_', 'kafka_burrow_'], ports: [], words: ['burrow'], ...kafka },
  {
    name: 'jmx_exporter in Kafka',
    prefixes: [
      'kafka_server_',
      'kafka_controller_',
      'kafka_network_',
      'kafka_log_',
      'kafka_cluster_',
      'kafka_coordinator_',
      'kafka_utils_',
      'kafka_producer_',
      'kafka_consumer_',
      'kafka_connect_',
      'kafka_streams_',
      'kafka_admin_',
      'jmx_',
    ],
    ports: [],
    words: ['kafka-jmx', 'kafka_jmx', 'kafka-broker', 'jmx-kafka', 'kafka-connect', 'kafka_connect'],
    fate: 'stays',
    why: 'pipemedic asks brokers by their own protocol; what only their JVM knows is not served',
  },
  {
    name: 'the JVM agent (jmx_exporter, client_java, Micrometer)',
    prefixes: ['jvm_'],
    ports: [9404, 5556, 7071],
    words: ['jmx', 'jvm'],
    fate: 'page',
    kind: 'jvm',
    why: 'kind jvm reads its page (address: prometheus: {url}), or does without it on the same host (hsperfdata)',
  },
  {
    name: 'Maxwell',
    prefixes: ['MaxwellMetrics_'],
    ports: [],
    words: ['maxwell'],
    fate: 'page',
    kind: 'maxwell',
    why: 'kind maxwell reads its page (address: http: {url})',
  },
  {
    name: 'Debezium',
    prefixes: ['debezium_'],
    ports: [],
    words: ['debezium'],
    fate: 'page',
    kind: 'debezium',
    why: 'kind debezium reads its page (address: metrics)',
  },
  {
    name: 'node_exporter',
    prefixes: ['node_'],
    ports: [9100],
    words: ['node', 'node-exporter', 'node_exporter'],
    fate: 'stays',
    kind: 'host',
    why: own,
  },
  {
    name: 'process-exporter',
    prefixes: ['namedprocess_'],
    ports: [9256],
    words: ['process-exporter', 'process_exporter'],
    fate: 'stays',
    kind: 'host',
    why: own,
  },
  ...(
    [
      ['blackbox_exporter', ['probe_'], [9115], ['blackbox']],
      ['cAdvisor', ['container_', 'machine_'], [], ['cadvisor']],
      ['kube-state-metrics', ['kube_'], [], ['kube-state-metrics']],
      ['kubelet', ['kubelet_'], [], ['kubelet']],
      ['pgbackrest_exporter', ['pgbackrest_'], [9854], ['pgbackrest']],
      ['restic-exporter', ['restic_'], [], ['restic']],
      ['the WAL-G exporter', ['walg_'], [], ['walg', 'wal-g']],
      ['the barman exporter', ['barman_'], [], ['barman']],
      ['a script that pushes xtrabackup results', ['xtrabackup_'], [], []],
      ['Canal', ['canal_'], [], ['canal']],
      ['proxysql_exporter', ['proxysql_'], [], ['proxysql']],
      ['postgres_exporter', ['pg_'], [9187], ['postgres']],
      ['mongodb_exporter', ['mongodb_'], [9216], ['mongo', 'mongodb']],
      ['HAProxy', ['haproxy_'], [], ['haproxy']],
      ['nginx exporter', ['nginx_'], [9113], ['nginx']],
      ['Prometheus', ['prometheus_'], [9090], ['prometheus']],
      ['Alertmanager', ['alertmanager_'], [9093], ['alertmanager']],
      ['Grafana', ['grafana_'], [3000], ['grafana']],
      ['Pushgateway', ['pushgateway_', 'push_'], [9091], ['pushgateway']],
      ['each exporter for its own process', ['go_', 'promhttp_', 'process_'], [], []],
    ] as const
  ).map(([name, prefixes, ports, words]): Peer => ({
    name,
    prefixes,
    ports,
    words,
    fate: 'stays',
    why: 'pipemedic does not take its place',
  })),
];

/** The one whose prefix is the longest that fits. */
export function peerOf(metric: string): Peer | undefined {
  let best: { peer: Peer; length: number } | undefined;
  for (const peer of peers) {
    for (const prefix of peer.prefixes) {
      if (metric.startsWith(prefix) && prefix.length > (best?.length ?? 0)) best = { peer, length: prefix.length };
    }
  }
  return best?.peer;
}
