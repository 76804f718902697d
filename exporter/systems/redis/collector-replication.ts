import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { known, unknown } from '../../runtime/known.ts';
import type { OffsetAge } from '../../runtime/offset-history.ts';
import type { RedisClient } from './client.ts';
import {
  readUnlessSentinel,
  redisReplicationFact,
  redisStreamFact,
  StreamMemory,
  type RedisReplicaSeen,
  type RedisFields,
  type RedisReplication,
} from './facts-replication.ts';
import { redisFamilies } from './families.ts';
import { redisReplicationStates, type RedisReplicationState } from './state.ts';

type RedisEmit = Emit<typeof redisFamilies>;

export const redisReplication = collectorOf<RedisClient>()({
  name: 'redis_replication',
  help: 'Role, replication link, offsets and lag, from one INFO.',
  keeps: 'how the stream grew: lags in seconds',
  config: z.strictObject({}),
  families: redisFamilies,
  state: () => new StreamMemory(),
  async collect({ client, emit, call, state }) {
    const found = await readUnlessSentinel(client, call, state);
    if (found === undefined) {
      call.board.publish(call.target, redisReplicationFact, unknown('a Sentinel has no replication'));
      emitReplicationState(emit, 'sentinel');
      return;
    }
    call.board.publish(call.target, redisReplicationFact, known(found, call.clock.wallMs()));
    const history = state.of(found.replId);
    const ageOf = (offset: number): OffsetAge | undefined => history.ageAt(offset, call.clock.monoMs());
    call.board.publish(call.target, redisStreamFact, known({ replId: found.replId, ageOf }, call.clock.wallMs()));
    emitStream(emit, found.fields);
    emitReplicationState(emit, found.state);
    emitLink(emit, found);
    emitReplicas(emit, found);
  },
  unknown({ emit, call, why }) {
    call.board.publish(call.target, redisReplicationFact, unknown(why));
    call.board.publish(call.target, redisStreamFact, unknown(why));
    emitReplicationState(emit, 'unknown');
  },
});

function emitStream(emit: RedisEmit, fields: RedisFields): void {
  passOn(fields, 'connected_slaves', emit.connectedSlaves);
  passOn(fields, 'master_repl_offset', emit.masterOffset);
  passOn(fields, 'second_repl_offset', emit.secondOffset);
  passOn(fields, 'repl_backlog_active', emit.backlogActive);
  passOn(fields, 'repl_backlog_first_byte_offset', emit.backlogFirst);
  passOn(fields, 'repl_backlog_histlen', emit.backlogHistory);
  passOn(fields, 'repl_backlog_size', emit.backlogSize);
  passOn(fields, 'sync_full', emit.resyncsFull);
  passOn(fields, 'sync_partial_ok', emit.partialAccepted);
  passOn(fields, 'sync_partial_err', emit.partialDenied);
}

/** A field that this server's version does not have yields nothing. */
function passOn(fields: RedisFields, name: string, emit: (value: number) => void): void {
  const value = fields.get(name);
  if (value !== undefined && /^-?\d+(\.\d+)?$/.test(value)) emit(Number(value));
}

function emitReplicationState(emit: RedisEmit, state: RedisReplicationState): void {
  emitState(
    (value, of) => {
      emit.replicationState(value, { state: of });
    },
    redisReplicationStates,
    state,
  );
}

function emitLink(emit: RedisEmit, { link }: RedisReplication): void {
  if (link === undefined) return;
  const labels = { master_host: link.host, master_port: link.port };
  emit.slaveInfo(1, { ...labels, read_only: link.readOnly ? '1' : '0' });
  emit.linkUp(link.up ? 1 : 0, labels);
  if (link.lastIoSecondsAgo !== undefined) emit.lastIo(link.lastIoSecondsAgo, labels);
  emit.syncInProgress(link.syncInProgress ? 1 : 0, labels);
  emit.slaveOffset(link.offset, labels);
  if (link.readOffset !== undefined) emit.unapplied(Math.max(0, link.readOffset - link.offset));
  if (link.downSinceSeconds !== undefined) emit.downSince(link.downSinceSeconds, labels);
}

function emitReplicas(emit: RedisEmit, { replicas }: RedisReplication): void {
  for (const r of furthestBehind(replicas)) {
    const labels = { slave_ip: r.ip, slave_port: r.port };
    emit.slaveOffsetSeen(r.offset, { ...labels, slave_state: r.state });
    if (r.ackAgeSeconds !== undefined) emit.slaveAckAge(r.ackAgeSeconds, { ...labels, slave_state: r.state });
    if (r.behindBytes.known) emit.behind(r.behindBytes.value, labels);
    if (r.backlogHeadroomBytes.known) emit.headroom(r.backlogHeadroomBytes.value, labels);
    if (r.lag.known) emit.lag(r.lag.value.seconds, labels);
  }
}

/** Replicas behind one address (NAT, containers) have the same labels: the one that is furthest behind is told of. */
function furthestBehind(replicas: readonly RedisReplicaSeen[]): Iterable<RedisReplicaSeen> {
  const found = new Map<string, RedisReplicaSeen>();
  for (const replica of replicas) {
    const key = `${replica.ip} ${replica.port}`;
    const other = found.get(key);
    if (other === undefined || replica.offset < other.offset) found.set(key, replica);
  }
  return found.values();
}
