// The report of one table, on a disk that may be full: what is found is counted all the same.
import { messageOf } from '../../runtime/errors.ts';
import { Report } from './background-store.ts';
import type { PassProgress } from './state.ts';

export interface TableReport {
  readonly begin: (head: object) => Promise<void>;
  /** False when it cannot go on where that pass was: the table is begun anew. */
  readonly resume: (at: PassProgress) => Promise<boolean>;
  readonly append: (objects: readonly object[]) => Promise<void>;
  readonly finish: (tail: object) => Promise<void>;
  readonly bytes: number;
  readonly lines: number;
}

/** @param told why it could not be written, undefined when it could */
export function tableReport(
  dir: string | undefined,
  name: string,
  told: (why: string | undefined) => void,
): TableReport {
  let report: Report | undefined;
  const tried = async (write: () => Promise<void>): Promise<void> => {
    if (dir === undefined) return;
    try {
      await write();
      told(undefined);
    } catch (error) {
      told(messageOf(error));
    }
  };
  return {
    begin: (head) =>
      tried(async () => {
        report = undefined;
        if (dir !== undefined) report = await Report.begin(dir, name, head);
      }),
    resume: async (at) => {
      if (dir === undefined) return true;
      await tried(async () => {
        report = await Report.resume(dir, name, at);
      });
      return report !== undefined;
    },
    append: (objects) =>
      tried(async () => {
        await report?.append(objects);
      }),
    finish: (tail) =>
      tried(async () => {
        // A table that could not be looked at has no report of this pass yet
        if (dir !== undefined) report ??= await Report.begin(dir, name, { note: 'nothing was compared' });
        await report?.finish(tail);
        report = undefined;
      }),
    get bytes() {
      return report?.bytes ?? 0;
    },
    get lines() {
      return report?.lines ?? 0;
    },
  };
}
