// One serving process per SQLite store. While it serves, other processes write through its API.
import { DatabaseSync } from 'node:sqlite';
import { messageOf } from '../exporter/runtime/errors.ts';

/**
 * An exclusive transaction on a database beside the store that stays empty: the kernel frees the lock when the process
 * ends, however it ends, so there is no stale lock to detect. undefined: another process serves.
 */
export function takeServeLock(store: string): Disposable | undefined {
  const file = `${store}.serving`;
  const lock = new DatabaseSync(file, { timeout: 0 });
  try {
    lock.exec('PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (/locked|busy/i.test(messageOf(error))) return undefined;
    throw new Error(`${file}: ${messageOf(error)}`, { cause: error });
  }
  return {
    [Symbol.dispose]: () => {
      lock.close();
    },
  };
}
