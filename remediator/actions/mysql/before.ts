import type { BinlogPosition } from '../../../exporter/systems/mysql/facts-binlogs.ts';
import type { Json } from '../../model.ts';
import type { Thread } from './dialect.ts';

/** Frozen under the claim; goes through the journal as JSON. */
export interface Before {
  /** The one that was looked at. Absent: of a run that an older version has begun. */
  readonly server?: Pick<SessionIdentity, 'serverId' | 'serverUuid'>;
  /** As the server itself has listed it; '' is the default one. */
  readonly channel: string;
  readonly thread: Thread;
  /** The receiver is alive and stuck: it is stopped first. The applier is never stopped. */
  readonly mustStop: boolean;
  /** Of the receiver that a stop ends; null: none ran. */
  readonly incarnation: string | null;
  readonly sqlRunning: boolean;
  readonly received: BinlogPosition | null;
  readonly executed: BinlogPosition | null;
  /** Transactions that the source had and the replica had not executed; null: not known. */
  readonly missing: number | null;
  /** Connections that read the source's binary log; null: not known. */
  readonly dumpIds: readonly number[] | null;
  readonly heartbeats: number | null;
  /** Where the source is asked, by its name in the inventory. */
  readonly source: string;
  readonly snapshot: Json;
}

/** What tells servers and their starts apart; connection numbers begin anew with each start. */
export interface SessionIdentity {
  readonly serverId: number;
  readonly serverUuid: string | null;
  /** s since the epoch by the server's own clock */
  readonly startedAtSeconds: number;
  readonly connection: number;
}
