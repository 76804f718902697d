import type { Json } from '../../model.ts';
import type { ServiceIncarnation } from '../../supervisors/supervisor.ts';
import type { SnapshotInput } from './snapshot.ts';

/** Frozen under the claim; goes through the journal as JSON. */
export interface Before {
  /** The incarnation that a stop ends; null: it was down. */
  readonly running: ServiceIncarnation | null;
  /** Id of the incarnation that had ended last. */
  readonly last: string | null;
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

/** What the start leaves for the steps after it. */
export interface Started {
  readonly id: string;
  readonly startedAtMs: number;
  readonly pid: number | null;
}

export function startedOf(memo: Json | undefined): Started | undefined {
  if (typeof memo !== 'object' || memo === null || Array.isArray(memo)) return undefined;
  const { id, startedAtMs, pid } = memo as Readonly<Record<string, Json>>;
  if (typeof id !== 'string' || typeof startedAtMs !== 'number') return undefined;
  return { id, startedAtMs, pid: typeof pid === 'number' ? pid : null };
}
