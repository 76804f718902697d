// What every CDC process tells a pipeline, whichever it is: Maxwell, the CDC service, Debezium.
import type { FactBoard } from '../../facts.ts';
import { known, mapKnown, unknown, type Known } from '../../runtime/known.ts';
import { cdcServiceHealthFact } from '../cdc-service/facts-health.ts';
import type { OffsetAge } from '../../runtime/offset-history.ts';
import { maxwellHealthFact } from '../maxwell/facts-health.ts';
import { maxwellHalvesFact, maxwellPlaceFact, passingOf } from '../maxwell/facts-passing.ts';
import { binlogAgesFact } from '../mysql/facts-binlog-history.ts';

/** stalled: its process lives and passes nothing on. position_lost: what it has to read next is gone from the source. */
export type CdcState = 'running' | 'stalled' | 'down' | 'position_lost' | 'unknown';

export interface CdcFacts {
  readonly state: CdcState;
  /** For people. */
  readonly why: string;
  /** Age of the oldest change on the source that it has not passed on; only not read, with `lagIsOfReader`. */
  readonly lagSeconds: Known<number>;
  readonly lagIsOfReader?: boolean;
  /** For when only this much of the lag is certain. */
  readonly lagAtLeastSeconds?: Known<number>;
  /** Its two halves, where it tells them apart. */
  readonly parts?: Known<CdcParts>;
}

export interface CdcParts {
  /** Age of the oldest change that it has not read. */
  readonly readSeconds: Known<number>;
  /** How long the oldest change that it has read waits to be taken by where it produces to. */
  readonly publishing: OffsetAge;
}

/** One line per kind of CDC process. `source`: whose binary log it reads. */
const kinds: readonly ((board: FactBoard, target: string, source: string) => Known<CdcFacts>)[] = [
  maxwellOf,
  serviceOf,
];

function maxwellOf(board: FactBoard, target: string, source: string): Known<CdcFacts> {
  const health = board.read(target, maxwellHealthFact);
  if (!health.known) return health;
  const at = board.read(target, maxwellPlaceFact);
  const halves = board.read(target, maxwellHalvesFact);
  const passing = passingOf(health.value, at, halves, board.read(source, binlogAgesFact));
  return known({ state: health.value.state, why: health.value.why, ...passing }, health.observedAtMs);
}

/** What is in the producer of Kafka Connect is told by nobody: it takes in 32 MB (buffer.memory) before the queue fills. */
function serviceOf(board: FactBoard, target: string): Known<CdcFacts> {
  return mapKnown(board.read(target, cdcServiceHealthFact), (health) => {
    const { state, why, lagSeconds, lagAtLeastSeconds, queued } = health;
    const facts = { state, why, lagSeconds, lagAtLeastSeconds };
    if (queued === undefined) return facts;
    const parts = mapKnown(queued, (publishing): CdcParts => ({ readSeconds: lagSeconds, publishing }));
    return { ...facts, lagIsOfReader: parts.known, parts };
  });
}

/** A target is of one kind: one of them has been published, when any was. */
export function cdcFactsOf(board: FactBoard, target: string, source: string): Known<CdcFacts> {
  for (const read of kinds) {
    const found = read(board, target, source);
    if (found.known) return found;
  }
  return unknown(`nothing about ${target} was collected`);
}
