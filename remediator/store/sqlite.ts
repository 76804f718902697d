// The embedded store: one SQLite file on a local file system.
import { approvalsIn } from './approvals.ts';
import { historyIn } from './history.ts';
import { restraintsIn } from './restraints.ts';
import { retentionIn } from './retention.ts';
import { decisionsIn } from './sqlite-decisions.ts';
import { openDb } from './sqlite-db.ts';
import { intakeOf } from './sqlite-intake.ts';
import { peopleIn } from './sqlite-people.ts';
import { runsIn } from './sqlite-runs.ts';
import type { Store } from './store.ts';

export interface SqliteOptions {
  readonly file: string;
  readonly wallMs?: () => number;
  /** A new episode this soon after the last one of the same alert is a relapse of it. */
  readonly relapseMs?: number;
  /** For reading beside a running remediator: nothing is created or changed. */
  readonly readOnly?: boolean;
  /** How long to wait for another process's transaction. */
  readonly timeoutMs?: number;
}

/** @throws StoreError when it cannot be opened, is of another version, or does not sync as asked */
export function openSqlite(options: SqliteOptions): Store {
  const { file, wallMs = () => Date.now(), relapseMs = 900_000, readOnly = false, timeoutMs = 5000 } = options;
  const db = openDb(file, { readOnly, timeoutMs });
  return {
    ...intakeOf({ db, wallMs, relapseMs }),
    ...decisionsIn(db),
    ...runsIn(db),
    ...peopleIn(db),
    ...approvalsIn(db),
    ...restraintsIn(db),
    ...historyIn(db),
    ...retentionIn(db),
    [Symbol.asyncDispose]: () => {
      db[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}
