// What every CDC process tells a pipeline, whichever it is: Maxwell, the CDC service, Debezium.
import type { FactBoard } from '../../facts.ts';
import { unknown, type Known } from '../../runtime/known.ts';
import { cdcServiceHealthFact } from '../cdc-service/facts-health.ts';
import { maxwellHealthFact } from '../maxwell/facts-health.ts';

/** stalled: its process lives and passes nothing on. position_lost: what it has to read next is gone from the source. */
export type CdcState = 'running' | 'stalled' | 'down' | 'position_lost' | 'unknown';

export interface CdcFacts {
  readonly state: CdcState;
  /** For people. */
  readonly why: string;
  /** Age of the oldest change on the source that it has not passed on. */
  readonly lagSeconds: Known<number>;
  /** For when only this much of the lag is certain. */
  readonly lagAtLeastSeconds?: Known<number>;
}

/** One line per kind of CDC process. */
const kinds: readonly ((board: FactBoard, target: string) => Known<CdcFacts>)[] = [
  (board, target) => board.read(target, maxwellHealthFact),
  (board, target) => board.read(target, cdcServiceHealthFact),
];

/** A target is of one kind: one of them has been published, when any was. */
export function cdcFactsOf(board: FactBoard, target: string): Known<CdcFacts> {
  for (const read of kinds) {
    const found = read(board, target);
    if (found.known) return found;
  }
  return unknown(`nothing about ${target} was collected`);
}
