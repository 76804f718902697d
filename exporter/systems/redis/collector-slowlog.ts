import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, gauge, type Emit } from '../../families.ts';
import type { RedisClient } from './client.ts';
import { commandStates, unlessRefused } from './facts-refused.ts';
import { readLatencySpikes, readSlowLog } from './facts-slowlog.ts';

const slow = { state: 'redis_slowlog_state' } as const;
const latency = { state: 'redis_latency_state' } as const;

const families = {
  length: gauge('redis_slowlog_length', 'Entries of the slow log.', [], slow),
  lastId: gauge('redis_slowlog_last_id', 'Id of the newest entry of the slow log; 0 when it is empty.', [], slow),
  lastSeconds: gauge(
    'redis_last_slow_execution_duration_seconds',
    'How long the newest command in the slow log took; 0 when it is empty.',
    [],
    slow,
  ),
  slowState: gauge('redis_slowlog_state', 'Whether the slow log could be read: refused where the user may not.', [
    'state',
  ]),
  spikeAt: gauge('redis_latency_spike_last', 'When the last spike of latency was.', ['event_name'], latency),
  spikeSeconds: gauge(
    'redis_latency_spike_duration_seconds',
    'How long the last spike of latency was.',
    ['event_name'],
    latency,
  ),
  latencyState: gauge(
    'redis_latency_state',
    'Whether the latency monitor could be read; it sees nothing while latency-monitor-threshold is 0.',
    ['state'],
  ),
} as const;

type State = (typeof commandStates)[number];

export const redisSlowlog = collectorOf<RedisClient>()({
  name: 'redis_slowlog',
  help: 'The slow log and spikes of latency, as redis_exporter has them.',
  config: z.strictObject({}),
  families,
  state: () => undefined,
  async collect({ client, emit, call }) {
    const [log, spikes] = await Promise.all([
      unlessRefused(readSlowLog(client, call)),
      unlessRefused(readLatencySpikes(client, call)),
    ]);
    if (log !== undefined) {
      emit.length(log.length);
      emit.lastId(log.lastId);
      emit.lastSeconds(log.lastSeconds);
    }
    for (const { event, atSeconds, seconds } of spikes ?? []) {
      emit.spikeAt(atSeconds, { event_name: event });
      emit.spikeSeconds(seconds, { event_name: event });
    }
    emitStates(emit, log === undefined ? 'refused' : 'read', spikes === undefined ? 'refused' : 'read');
  },
  unknown({ emit }) {
    emitStates(emit, 'unknown', 'unknown');
  },
});

function emitStates(emit: Emit<typeof families>, log: State, spikes: State): void {
  emitState((value, state) => { emit.slowState(value, { state }); }, commandStates, log); // prettier-ignore
  emitState((value, state) => { emit.latencyState(value, { state }); }, commandStates, spikes); // prettier-ignore
}
