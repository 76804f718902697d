import type { Json } from '../../model.ts';
import type { ServiceIncarnation } from '../../supervisors/supervisor.ts';

/** What the steps of any service need, frozen under the claim. */
export interface ServiceBefore {
  /** The incarnation that a stop ends; null: it was down. */
  readonly running: ServiceIncarnation | null;
  /** Id of the incarnation that had ended last. */
  readonly last: string | null;
  /** Its class is the memory: what is in it is written down before it is stopped. */
  readonly memory?: boolean;
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

/** `by` of our own requests to a supervisor. */
export function byRun(runId: string): string {
  return `run:${runId}`;
}
