import { counter, gauge, summary, type Family } from '../../families.ts';
import { infoCounters, infoGauges } from './facts-info-fields.ts';

// Names, types and labels of oliver006/redis_exporter, up to redis_info_left_out.

/** A field that the server's version does not have has no sample. */
const absent = { state: 'pipemedic_collector_success' } as const;

function named<F extends string>(
  names: Readonly<Record<F, string>>,
  make: (name: string, help: string) => Family<readonly []>,
): Record<F, Family<readonly []>> {
  const made = Object.entries<string>(names).map(([field, name]) => [
    field,
    make(`redis_${name}`, `Field ${field} of INFO${/_(status)$/.test(field) ? ': 1 for ok' : ''}.`),
  ]);
  return Object.fromEntries(made) as Record<F, Family<readonly []>>; // fromEntries forgets the keys
}

export const infoFamilies = {
  ...named(infoGauges, (name, help) => gauge(name, help, [], absent)),
  ...named(infoCounters, (name, help) => counter(name, help, [], absent)),
  instanceInfo: gauge('redis_instance_info', 'About the server: 1.', [
    'role',
    'redis_version',
    'redis_build_id',
    'redis_mode',
    'os',
    'maxmemory_policy',
    'tcp_port',
    'run_id',
    'process_id',
    'master_replid',
    'valkey_version',
    'valkey_release_stage',
    'availability_zone',
  ]),
  startTime: gauge('redis_start_time_seconds', 'When the server was started.', [], absent),
  dbKeys: gauge('redis_db_keys', 'Keys in a database.', ['db'], absent),
  dbExpiring: gauge('redis_db_keys_expiring', 'Keys in a database that have a time to live.', ['db'], absent),
  dbAverageTtl: gauge(
    'redis_db_avg_ttl_seconds',
    'Mean time to live of the keys that have one, estimated by the server; 0 when it has no estimate.',
    ['db'],
    absent,
  ),
  dbCached: gauge('redis_db_keys_cached', 'Keys in a database that are in memory (KeyDB).', ['db'], absent),
  dbExpiringItems: gauge(
    'redis_db_keys_with_expiring_items',
    'Keys in a database of which single fields expire.',
    ['db'],
    absent,
  ),
  commands: counter('redis_commands_total', 'Calls of a command.', ['cmd'], absent),
  commandSeconds: counter('redis_commands_duration_seconds_total', 'Time spent in a command.', ['cmd'], absent),
  commandsRejected: counter(
    'redis_commands_rejected_calls_total',
    'Calls of a command that were rejected before it ran.',
    ['cmd'],
    absent,
  ),
  commandsFailed: counter('redis_commands_failed_calls_total', 'Calls of a command that failed.', ['cmd'], absent),
  commandsSlow: counter('redis_commands_slowlog_total', 'Calls of a command that were slow.', ['cmd'], absent),
  commandsSlowSeconds: counter(
    'redis_commands_slowlog_duration_seconds_total',
    'Time spent in slow calls of a command.',
    ['cmd'],
    absent,
  ),
  commandsSlowMax: gauge(
    'redis_commands_slowlog_duration_seconds_max',
    'The slowest call of a command.',
    ['cmd'],
    absent,
  ),
  commandPercentiles: summary(
    'redis_latency_percentiles_usec',
    'Microseconds of the calls of a command since the start; the label quantile is a percentile: 50, 99, 99.9.',
    ['cmd'],
    { ...absent, quantiles: true },
  ),
  errors: counter('redis_errors_total', 'Errors that were replied, by their first word.', ['err'], absent),
  leftOut: gauge(
    'redis_info_left_out',
    'Commands and errors that INFO lists and that are not served, because there are too many (options max_commands, max_errors).',
    ['of'],
    absent,
  ),
} as const;
