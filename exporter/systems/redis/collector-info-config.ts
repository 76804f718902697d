import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, gauge, type Emit } from '../../families.ts';
import type { RedisClient } from './client.ts';
import { configNumber, configText, outputLimitsOf } from './facts-info-config.ts';
import { commandStates, unlessRefused } from './facts-refused.ts';

const state = { state: 'redis_config_state' } as const;

const families = {
  maxclients: gauge('redis_config_maxclients', 'Setting maxclients.', [], state),
  maxmemory: gauge('redis_config_maxmemory', 'Setting maxmemory; 0 for no limit.', [], state),
  ioThreads: gauge('redis_config_io_threads', 'Setting io-threads.', [], state),
  backlogSize: gauge('redis_config_repl_backlog_size', 'Setting repl-backlog-size.', [], state),
  outputLimit: gauge(
    'redis_config_client_output_buffer_limit_bytes',
    'Setting client-output-buffer-limit: at the hard limit, or after some time over the soft one, a client is disconnected; 0 for none.',
    ['class', 'limit'],
    state,
  ),
  outputLimitSeconds: gauge(
    'redis_config_client_output_buffer_limit_overcome_seconds',
    'Setting client-output-buffer-limit: how long a client may be over the soft limit.',
    ['class', 'limit'],
    state,
  ),
  configState: gauge(
    'redis_config_state',
    'Whether the settings could be read: refused where the user may not run CONFIG GET, or it is renamed.',
    ['state'],
  ),
} as const;

const plain = {
  maxclients: 'maxclients',
  maxmemory: 'maxmemory',
  ioThreads: 'io-threads',
  backlogSize: 'repl-backlog-size',
} as const;

export const redisConfig = collectorOf<RedisClient>()({
  name: 'redis_config',
  help: 'The settings that redis_exporter serves, where CONFIG GET is allowed.',
  config: z.strictObject({}),
  families,
  state: () => undefined,
  async collect({ client, emit, call }) {
    // The first alone: when CONFIG is refused, the others need not be
    const first = await unlessRefused(
      configText(client, call, 'client-output-buffer-limit').then((text) => ({ text })),
    );
    if (first === undefined) {
      emitConfigState(emit, 'refused');
      return;
    }
    const values = await Promise.all(Object.values(plain).map((name) => configNumber(client, call, name)));
    for (const [i, key] of plainKeys.entries()) {
      const value = values[i];
      if (value !== undefined) emit[key](value);
    }
    for (const limit of outputLimitsOf(first.text ?? '')) {
      emit.outputLimit(limit.hardBytes, { class: limit.class, limit: 'hard' });
      emit.outputLimit(limit.softBytes, { class: limit.class, limit: 'soft' });
      emit.outputLimitSeconds(limit.softSeconds, { class: limit.class, limit: 'soft' });
    }
    emitConfigState(emit, 'read');
  },
  unknown({ emit }) {
    emitConfigState(emit, 'unknown');
  },
});

const plainKeys = Object.keys(plain) as (keyof typeof plain)[];

function emitConfigState(emit: Emit<typeof families>, current: (typeof commandStates)[number]): void {
  emitState((value, of) => { emit.configState(value, { state: of }); }, commandStates, current); // prettier-ignore
}
