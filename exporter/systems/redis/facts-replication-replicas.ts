// The replicas of a server, as it sees them: both sides of each number come from its one reply.
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { OffsetHistory } from '../../runtime/offset-history.ts';
import { numberOf, type RedisFields } from './facts-replication-fields.ts';

export interface RedisBacklog {
  readonly active: boolean;
  readonly sizeBytes: number;
  readonly firstByteOffset: number;
  readonly historyBytes: number;
}

export interface RedisReplicaSeen {
  readonly ip: string;
  readonly port: string;
  /** online, or wait_bgsave, send_bulk, send_bulk_and_stream… while it is being copied to */
  readonly state: string;
  /** Last offset that it acknowledged (once a second); 0 while it is not online, and until its first acknowledgement. */
  readonly offset: number;
  /** Seconds since the last acknowledgement; 0 while it is not online. Says nothing about data. */
  readonly ackAgeSeconds: number | undefined;
  /** Bytes of the stream that it has not acknowledged. Unknown while its offset is not known. */
  readonly behindBytes: Known<number>;
  /** How much further it may fall behind before a reconnect costs a full copy; below 0 it would already. */
  readonly backlogHeadroomBytes: Known<number>;
  /** Age of the oldest byte that it has not acknowledged. Needs the history of an earlier sweep. */
  readonly lag: Known<RedisLag>;
}

export interface RedisLag {
  readonly seconds: number;
  /** True: the lag is older than the history, and at least this. */
  readonly atLeast: boolean;
}

interface Now {
  readonly nowMs: number;
  readonly monoMs: number;
}

/** `slave0:ip=127.0.0.1,port=6380,state=online,offset=70,lag=1` */
export function replicasOf(
  fields: RedisFields,
  end: number,
  backlog: RedisBacklog,
  history: OffsetHistory | undefined,
  context: Now,
): RedisReplicaSeen[] {
  const replicas: RedisReplicaSeen[] = [];
  for (const name of fields.keys()) {
    if (!name.startsWith('slave') || !/^slave\d+$/.test(name)) continue;
    const value = fields.get(name) ?? '';
    const parts = new Map(
      value.split(',').map((part) => {
        const at = part.indexOf('=');
        return [part.slice(0, at), part.slice(at + 1)] as const;
      }),
    );
    const offset = numberOf(parts, 'offset') ?? 0;
    const state = parts.get('state') ?? '';
    // Online, but loading what it was sent: it acknowledges nothing before that ends (seen on Redis 7.0.15)
    const isSilent = state === 'online' && offset === 0 && end > 0;
    const online = state === 'online' && !isSilent;
    const behind = Math.max(0, end - offset);
    const notOnline = unknown(
      isSilent
        ? 'the replica has not acknowledged anything yet: it loads the copy that it was sent'
        : `the replica is not online but ${state}: its offset is not known`,
    );
    replicas.push({
      ip: parts.get('ip') ?? '',
      port: parts.get('port') ?? '',
      state,
      offset,
      ackAgeSeconds: numberOf(parts, 'lag'),
      behindBytes: online ? known(behind, context.nowMs) : notOnline,
      backlogHeadroomBytes: !online
        ? notOnline
        : backlog.active
          ? known(headroomOf(offset, end, backlog), context.nowMs)
          : unknown('there is no replication backlog'),
      lag: online ? lagOf(offset, behind, history, context) : notOnline,
    });
  }
  return replicas;
}

/**
 * Bytes that may still be written until the byte after `offset` leaves the backlog (it keeps the last `sizeBytes`).
 * Below 0 it has left already: the next reconnect is a full copy.
 */
function headroomOf(offset: number, end: number, backlog: RedisBacklog): number {
  const kept = offset + 1 - backlog.firstByteOffset;
  return kept < 0 ? kept : backlog.sizeBytes - (end - offset);
}

function lagOf(offset: number, behind: number, history: OffsetHistory | undefined, context: Now): Known<RedisLag> {
  if (behind === 0) return known({ seconds: 0, atLeast: false }, context.nowMs);
  const age = history?.ageAt(offset, context.monoMs);
  if (age === undefined) return unknown('there is no history of the stream');
  if (age.atLeast && age.seconds === 0) return unknown('the history of the stream begins only now');
  return known(age, context.nowMs);
}
