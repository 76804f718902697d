import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import type { RedisClient } from './client.ts';
import { readUnlessSentinel, type RedisReplication } from './facts-replication.ts';
import { headroomSeconds, rateStates, StreamRateMemory, type RateState } from './facts-replication-rate.ts';
import { streamFamilies } from './families-replication.ts';

type StreamEmit = Emit<typeof streamFamilies>;

export const replicationStream = collectorOf<RedisClient>()({
  name: 'replication_stream',
  help: 'The replication stream in seconds: write rate, backlog and headroom at that rate; full and partial copies.',
  keeps: 'the last minute of the stream: its rate, and what is made of it',
  config: z.strictObject({}),
  families: streamFamilies,
  state: () => new StreamRateMemory(),
  async collect({ client, emit, call, state }) {
    const found = await readUnlessSentinel(client, call);
    if (found === undefined) {
      emitRate(emit, 'no_stream');
      return;
    }
    const { clock } = call;
    const rate = state.see(found, clock.monoMs(), clock.wallMs());
    emitRate(emit, rate.state);
    if (rate.bytesPerSecond.known) emit.rate(rate.bytesPerSecond.value);
    if (rate.backlogSeconds.known) emit.backlogSeconds(rate.backlogSeconds.value);
    const least = new Map<string, readonly [value: number, ip: string, port: string]>();
    for (const { ip, port, backlogHeadroomBytes } of found.replicas) {
      const seconds = headroomSeconds(backlogHeadroomBytes, rate);
      // replicas behind one address have the same labels
      const before = least.get(`${ip} ${port}`)?.[0] ?? Infinity;
      if (seconds.known && seconds.value < before) least.set(`${ip} ${port}`, [seconds.value, ip, port]);
    }
    for (const [value, ip, port] of least.values()) emit.headroomSeconds(value, { slave_ip: ip, slave_port: port });
    emit.syncs(found.syncs.full, { kind: 'full' });
    emit.syncs(found.syncs.partialOk, { kind: 'partial' });
    emit.syncs(found.syncs.partialRefused, { kind: 'partial_refused' });
    emitCopy(emit, found);
  },
  unknown({ emit }) {
    emitRate(emit, 'unknown');
  },
});

function emitRate(emit: StreamEmit, state: RateState): void {
  emitState(
    (value, of) => {
      emit.rateState(value, { state: of });
    },
    rateStates,
    state,
  );
}

/** Fields that are there only while they mean something: genRedisInfoString in redis/src/server.c. */
function emitCopy(emit: StreamEmit, { fields, link }: RedisReplication): void {
  const number = (name: string): number | undefined => {
    const text = fields.get(name);
    return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
  };
  const good = number('min_slaves_good_slaves');
  if (good !== undefined) emit.goodReplicas(good);
  if (link?.syncInProgress !== true) return;
  const labels = { master_host: link.host, master_port: link.port };
  const [total, read] = [number('master_sync_total_bytes'), number('master_sync_read_bytes')];
  // 0 until the size is known, and for a copy that comes without one (diskless)
  if (total !== undefined && total > 0) emit.syncTotal(total, labels);
  if (read !== undefined) emit.syncRead(read, labels);
}
