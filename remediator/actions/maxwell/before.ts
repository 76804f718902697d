import type { ServiceBefore } from '../service/started.ts';
import type { SnapshotInput } from './snapshot.ts';

/** Frozen under the claim; goes through the journal as JSON. */
export interface Before extends ServiceBefore {
  /** Dump threads that were there: connections of the old process, alive or left behind. */
  readonly dumpIds: readonly number[];
  readonly position: {
    readonly serverId: number;
    readonly file: string;
    readonly position: number;
    readonly place: string;
    readonly lastReadMs: number | null;
  };
  /** Of the incarnation before; counted anew by the next one. */
  readonly failedMessages: number | null;
  readonly snapshot: SnapshotInput;
}
