import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { Opening, TargetClient } from '../../system.ts';
import type { CanaryAddress, SeenPlace } from './address.ts';
import { openKafkaSight, openMysqlSight, openRedisSight, type CanarySight } from './client-sight.ts';
import { openMysqlWriter, openRedisWriter, type CanaryWriter } from './client-writer.ts';

/** A canary has no server of its own: it is up while the exporter runs. Its connections are opened by whoever needs them. */
export interface CanaryClient extends TargetClient {
  readonly plan: CanaryAddress;
  /** Logs in as the canary's own user. @throws TargetError */
  readonly openWriter: (call: Call) => Promise<CanaryWriter>;
  /** Logs in as the user of the target that is looked at. @throws TargetError */
  readonly openSight: (place: SeenPlace, call: Call) => Promise<CanarySight>;
}

export function openCanary(opening: Opening<CanaryAddress>): CanaryClient {
  const { address: plan, target: name } = opening;
  return {
    plan,
    openWriter: (call) => {
      const { write } = plan;
      // What is kept when nobody looks any more: long enough for the slowest end that is still waited for
      const ttlSeconds = Math.ceil((2 * plan.giveUpAfterMs + 10 * plan.everyMs) / 1000);
      return write.kind === 'mysql'
        ? openMysqlWriter(opening, { table: write.table, name }, call)
        : openRedisWriter(opening, { key: write.key, ttlSeconds }, call);
    },
    openSight: async (place, call) => {
      const of = opening.resolve(place.target);
      switch (place.kind) {
        case 'mysql':
          return openMysqlSight(of, { table: place.table, name }, call);
        case 'redis':
          return openRedisSight(of, place, opening.resolve, call);
        case 'kafka':
          return openKafkaSight(of, place.topic, call);
      }
    },
    ping: ({ signal }) =>
      signal.aborted ? Promise.reject(new TargetError('deadline', 'no time left')) : Promise.resolve(),
    usable: () => true,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
