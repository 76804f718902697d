import { collectorOf } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { known } from '../../runtime/known.ts';
import type { RedisClient } from './client.ts';
import {
  checkConfig,
  configChecks,
  configOptions,
  configStates,
  pingPeriodSeconds,
  readSettings,
  redisPingPeriodFact,
  wantedOf,
  type ConfigState,
} from './facts-config.ts';
import { readUnlessSentinel } from './facts-replication.ts';
import { StreamRateMemory } from './facts-replication-rate.ts';
import { configFamilies } from './families-config.ts';

/** Needs CONFIG GET for some of it; where that is refused, what INFO tells is still told. */
export const replicationConfig = collectorOf<RedisClient>()({
  name: 'replication_config',
  help: 'Settings against what replication needs.',
  keeps: 'the rate of the stream, which the backlog is held against',
  config: configOptions,
  families: configFamilies,
  state: () => new StreamRateMemory(),
  async collect({ client, config, emit, call, state }) {
    const found = await readUnlessSentinel(client, call);
    if (found === undefined) {
      for (const check of configChecks) emitCheck(emit, check, 'not_applicable');
      return;
    }
    const { bytesPerSecond } = state.see(found, call.clock.monoMs(), call.clock.wallMs());
    const settings = await readSettings(client, call, found.server.version);
    const pingPeriod = pingPeriodSeconds(settings);
    if (pingPeriod !== undefined) {
      emit.pingPeriod(pingPeriod);
      call.board.publish(call.target, redisPingPeriodFact, known(pingPeriod, call.clock.wallMs()));
    }
    const rate = bytesPerSecond.known ? bytesPerSecond.value : undefined;
    const checks = checkConfig(found, settings, rate, wantedOf(config));
    for (const check of configChecks) {
      const { state: of } = checks[check];
      emitCheck(emit, check, of);
      if (of === 'ok' || of === 'wrong') emit.ok(of === 'ok' ? 1 : 0, { check });
    }
  },
  unknown({ emit }) {
    for (const check of configChecks) emitCheck(emit, check, 'unknown');
  },
});

function emitCheck(emit: Emit<typeof configFamilies>, check: string, state: ConfigState): void {
  emitState(
    (value, of) => {
      emit.state(value, { check, state: of });
    },
    configStates,
    state,
  );
}
