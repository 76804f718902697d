// One source for every kind of database.
import { approvalsIn } from './approvals.ts';
import type { Db } from './db.ts';
import { decisionsIn } from './decisions.ts';
import { historyIn } from './history.ts';
import { intakeOf } from './intake.ts';
import { peopleIn } from './people.ts';
import { restraintsIn } from './restraints.ts';
import { retentionIn } from './retention.ts';
import { runsIn } from './runs.ts';
import type { Store } from './store.ts';

export interface StoreOptions {
  readonly wallMs?: () => number;
  /** A new episode this soon after the last one of the same alert is a relapse of it; asked for each notification. */
  readonly relapseMs?: number | (() => number);
  /** When the bodies of notifications take so much, none is taken any more (503): cleaning up should have kept it below. */
  readonly webhookCapBytes?: number;
}

export function storeOn(db: Db, options: StoreOptions): Store {
  const { wallMs = () => Date.now(), relapseMs = 900_000, webhookCapBytes = Infinity } = options;
  return {
    ...intakeOf({
      ...{ db, wallMs, webhookCapBytes },
      relapseMs: typeof relapseMs === 'number' ? () => relapseMs : relapseMs,
    }),
    ...decisionsIn(db),
    ...runsIn(db),
    ...peopleIn(db),
    ...approvalsIn(db),
    ...restraintsIn(db),
    ...historyIn(db),
    ...retentionIn(db),
    [Symbol.asyncDispose]: () => Promise.resolve(db[Symbol.asyncDispose]()),
  };
}
