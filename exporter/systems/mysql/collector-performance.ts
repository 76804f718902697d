import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState } from '../../families.ts';
import type { MysqlClient } from './client.ts';
import { groupCounters, groupGauges, groupStates, readGroup } from './facts-performance-group.ts';
import {
  coordinatorTimes,
  hasWorkerTimes,
  performanceSchema,
  readReceivers,
  readWorkers,
  receiverTimes,
  workerTimes,
} from './facts-performance.ts';
import { groupFamilies, performanceFamilies, performanceStates } from './families-performance.ts';

/** Times as mysqld_exporter has them (0: never), but right in every time zone. */
export const performanceCollector = collectorOf<MysqlClient>()({
  name: 'perf_schema_replication',
  help: 'Times of each stage of replication, from performance_schema (MySQL).',
  config: z.strictObject({}),
  families: { ...performanceFamilies, ...groupFamilies },
  state: () => undefined,
  async collect({ client, emit, call }) {
    const availability = await performanceSchema(client, call);
    const modern = availability === 'available' && hasWorkerTimes(client);
    const [receivers, workers, group] = await Promise.all([
      availability === 'available' ? readReceivers(client, call) : [],
      modern ? readWorkers(client, call) : [],
      modern ? readGroup(client, call) : undefined,
    ]);
    emitState(
      (value, state) => {
        emit.state(value, { state });
      },
      performanceStates,
      availability,
    );
    for (const receiver of receivers) {
      const labels = { channel_name: receiver.channelName };
      const { times, coordinator } = receiver;
      emit.heartbeats(receiver.receivedHeartbeats, labels);
      if (receiver.heartbeatPeriodSeconds !== undefined) emit.heartbeatPeriod(receiver.heartbeatPeriodSeconds, labels);
      if (times !== undefined) for (const name of receiverTimes) emit[name](times[name], labels);
      if (coordinator !== undefined) for (const name of coordinatorTimes) emit[name](coordinator[name], labels);
    }
    for (const { channelName, workerId, times } of workers) {
      for (const name of workerTimes) emit[name](times[name], { channel_name: channelName, member_id: workerId });
    }
    // Without performance_schema the server may be a member all the same
    const groupState = group?.state ?? (client.flavour === 'mariadb' ? 'not_member' : 'unknown');
    emitState(
      (value, state) => {
        emit.groupState(value, { state });
      },
      groupStates,
      groupState,
    );
    for (const member of group?.members ?? []) emit.member(1, member);
    const own = group?.own;
    if (own !== undefined) for (const name of [...groupGauges, ...groupCounters]) emit[name](own[name]);
  },
  unknown({ emit }) {
    emitState(
      (value, state) => {
        emit.state(value, { state });
      },
      performanceStates,
      'unknown',
    );
    emitState(
      (value, state) => {
        emit.groupState(value, { state });
      },
      groupStates,
      'unknown',
    );
  },
});
