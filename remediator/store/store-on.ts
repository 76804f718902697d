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
  /** A new episode this soon after the last one of the same alert is a relapse of it. */
  readonly relapseMs?: number;
}

export function storeOn(db: Db, { wallMs = () => Date.now(), relapseMs = 900_000 }: StoreOptions): Store {
  return {
    ...intakeOf({ db, wallMs, relapseMs }),
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
