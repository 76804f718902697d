// Files in a folder that may be on a mount that hangs: off the event loop, one use at a time, each with an end.
import { resolve } from 'node:path';
import { until, within } from '../exporter/runtime/deadline.ts';

/** The use under way of each folder, whoever still waits for it. */
const underWay = new Map<string, Promise<void>>();

/**
 * A call to a mount that hangs keeps one of the few threads that all reading and writing of files shares for as long as it
 * hangs. So the uses of one folder wait for each other, and one whose turn does not come in time is never begun: whatever
 * hangs holds one thread.
 *
 * @param use makes no further call when its signal has aborted: nobody waits for what it does then
 * @throws TargetError `deadline`, and what `use` throws
 */
export async function inFolder<T>(
  folder: string,
  timeoutMs: number,
  use: (signal: AbortSignal) => Promise<T>,
  leave?: AbortSignal,
): Promise<T> {
  const signal = within(timeoutMs, leave);
  const key = resolve(folder);
  const begun = (underWay.get(key) ?? Promise.resolve()).then(() => {
    signal.throwIfAborted();
    return use(signal);
  });
  const done = (): void => {
    if (underWay.get(key) === over) underWay.delete(key);
  };
  const over = begun.then(done, done);
  underWay.set(key, over);
  return await until(signal, folder, begun);
}
