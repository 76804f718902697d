import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, gauge, type Emit } from '../../families.ts';
import type { RedisClient } from './client.ts';
import { infoNumber, redisInfoOf } from './facts-info.ts';
import { unlessRefused } from './facts-refused.ts';
import { readSentinel, sentinelMastersOf, type SentinelDetails } from './facts-sentinel.ts';

const states = ['read', 'no_sentinel', 'refused', 'unknown'] as const;
const state = { state: 'redis_sentinel_state' } as const;
const master = ['master_name', 'master_address'] as const;

const plain = {
  sentinel_masters: gauge('redis_sentinel_masters', 'Primaries that this Sentinel watches.', [], state),
  sentinel_tilt: gauge('redis_sentinel_tilt', '1 while the Sentinel does not trust its clock and acts on nothing.', [], state),
  sentinel_running_scripts: gauge('redis_sentinel_running_scripts', 'Scripts that run now.', [], state),
  sentinel_scripts_queue_length: gauge('redis_sentinel_scripts_queue_length', 'Scripts that wait to be run.', [], state),
  sentinel_simulate_failure_flags: gauge('redis_sentinel_simulate_failure_flags', 'Failures that are simulated.', [], state),
} as const; // prettier-ignore

const families = {
  ...plain,
  status: gauge(
    'redis_sentinel_master_status',
    '1 when the Sentinel sees the primary as ok; the label master_status says how.',
    [...master, 'master_status'] as const,
    state,
  ),
  replicas: gauge('redis_sentinel_master_slaves', 'Replicas of the primary, down or not.', master, state),
  sentinels: gauge('redis_sentinel_master_sentinels', 'Sentinels that watch the primary.', master, state),
  okReplicas: gauge('redis_sentinel_master_ok_slaves', 'Replicas that are not down.', master, state),
  okSentinels: gauge('redis_sentinel_master_ok_sentinels', 'Sentinels that are not down.', master, state),
  ckquorum: gauge(
    'redis_sentinel_master_ckquorum_status',
    '1 when the Sentinels that can be reached suffice to agree on a failover and to carry it out.',
    ['master_name', 'message'],
    state,
  ),
  configEpoch: gauge('redis_sentinel_master_config_epoch', 'Number of the last failover.', master, state),
  lastOkPing: gauge(
    'redis_sentinel_master_last_ok_ping_reply_seconds',
    'Time since the primary last answered well.',
    master,
    state,
  ),
  settingQuorum: gauge('redis_sentinel_master_setting_ckquorum', 'Setting quorum.', master, state),
  settingFailoverTimeout: gauge(
    'redis_sentinel_master_setting_failover_timeout',
    'Setting failover-timeout, in milliseconds.',
    master,
    state,
  ),
  settingParallelSyncs: gauge('redis_sentinel_master_setting_parallel_syncs', 'Setting parallel-syncs.', master, state),
  settingDownAfter: gauge(
    'redis_sentinel_master_setting_down_after_milliseconds',
    'Setting down-after-milliseconds.',
    master,
    state,
  ),
  sentinelState: gauge(
    'redis_sentinel_state',
    'Whether a Sentinel could be asked: no_sentinel where the target is none.',
    ['state'],
  ),
} as const;

type Emitted = Emit<typeof families>;

export const redisSentinel = collectorOf<RedisClient>()({
  name: 'redis_sentinel',
  help: 'The primaries that a Sentinel watches, where the target is a Sentinel.',
  config: z.strictObject({}),
  families,
  state: () => undefined,
  async collect({ client, emit, call }) {
    const { sentinel, mode } = redisInfoOf(await client.info(call));
    if (mode !== 'sentinel' || sentinel === undefined) {
      emitSentinelState(emit, 'no_sentinel');
      return;
    }
    for (const [field, text] of sentinel) {
      const value = infoNumber(text);
      if (isPlain(field) && value !== undefined) emit[field](value);
    }
    for (const { name, address, status, replicas, sentinels } of sentinelMastersOf(sentinel)) {
      const labels = { master_name: name, master_address: address };
      emit.status(status === 'ok' ? 1 : 0, { ...labels, master_status: status });
      emit.replicas(replicas, labels);
      emit.sentinels(sentinels, labels);
    }
    const details = await unlessRefused(readSentinel(client, call));
    for (const one of details ?? []) emitDetails(emit, one);
    emitSentinelState(emit, details === undefined ? 'refused' : 'read');
  },
  unknown({ emit }) {
    emitSentinelState(emit, 'unknown');
  },
});

function emitDetails(emit: Emitted, of: SentinelDetails): void {
  const labels = { master_name: of.name, master_address: of.address };
  if (of.quorum !== undefined) {
    emit.ckquorum(of.quorum.isReached ? 1 : 0, { master_name: of.name, message: of.quorum.message });
  }
  if (of.okSentinels !== undefined) emit.okSentinels(of.okSentinels, labels);
  if (of.okReplicas !== undefined) emit.okReplicas(of.okReplicas, labels);
  emit.configEpoch(of.configEpoch, labels);
  emit.lastOkPing(of.lastOkPingReplyMs / 1e3, labels);
  emit.settingQuorum(of.settings.quorum, labels);
  emit.settingFailoverTimeout(of.settings.failoverTimeoutMs, labels);
  emit.settingParallelSyncs(of.settings.parallelSyncs, labels);
  emit.settingDownAfter(of.settings.downAfterMs, labels);
}

function isPlain(field: string): field is keyof typeof plain {
  return Object.hasOwn(plain, field);
}

function emitSentinelState(emit: Emitted, current: (typeof states)[number]): void {
  emitState((value, of) => { emit.sentinelState(value, { state: of }); }, states, current); // prettier-ignore
}
