import { gauge } from '../../families.ts';

const state = { state: 'redis_replication_config_state' };

export const configFamilies = {
  state: gauge(
    'redis_replication_config_state',
    'Settings against what replication needs, by check: one series per state, 1 for the present one. backlog_size: repl-backlog-size, also against the write rate. replica_output_buffer: client-output-buffer-limit for replicas. replica_evicts: a replica that evicts keys on its own. min_replicas: wrong while the primary refuses writes for want of replicas. empty_restart: a primary that keeps nothing on disk empties its replicas when it is restarted.',
    ['check', 'state'],
  ),
  ok: gauge(
    'redis_replication_config_ok',
    '1 when the setting is as recommended; absent where it is not known, or nothing depends on it.',
    ['check'],
    state,
  ),
  pingPeriod: gauge(
    'redis_replication_ping_period_seconds',
    'How often it sends a PING to its replicas (repl-ping-replica-period): for so long a link is silent while nobody writes. Absent where CONFIG GET is refused or missing.',
    [],
    state,
  ),
} as const;
