import { TargetError } from './errors.ts';

/**
 * Waits for `work`, but no longer than until `signal` aborts. Libraries that take no AbortSignal keep running in the
 * background then; what they hold is ended by `onAbort` (destroy the connection), and their late result is dropped.
 * Rejects with TargetError `deadline`.
 */
export async function until<T>(signal: AbortSignal, what: string, work: Promise<T>, onAbort?: () => void): Promise<T> {
  let abort = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => {
      onAbort?.();
      reject(new TargetError('deadline', `${what}: no answer in time`, { cause: signal.reason }));
    };
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
  work.catch(() => undefined); // its late rejection must not end the process
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** A signal that aborts after `ms`, or with `parent`. */
export function within(ms: number, parent?: AbortSignal): AbortSignal {
  const timeout = AbortSignal.timeout(Math.max(0, Math.ceil(ms)));
  return parent === undefined ? timeout : AbortSignal.any([parent, timeout]);
}

/** Resolves after `ms`, or rejects when the signal aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(new TargetError('deadline', 'aborted while waiting', { cause: signal.reason }));
      return;
    }
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(new TargetError('deadline', 'aborted while waiting', { cause: signal?.reason }));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
