// Waiting for conditions, never for time: the one way in the lab, the demo and the tests.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  /** Completes "waited N ms for …". */
  readonly what: string;
  /**
   * When it is given up, 30 s if left out: for what comes soon on any machine. It is no promise; where how long something
   * takes is part of what is promised, that is asserted beside.
   */
  readonly deadlineMs?: number;
  /** Between two looks. When left out, 10 ms at first, then longer, up to 50. */
  readonly intervalMs?: number;
  readonly signal?: AbortSignal;
  /** Added to the message when the deadline passes, such as the tail of a log. */
  readonly detail?: () => string;
}

/** Thrown by a condition that can never become true: ends the wait at once. */
export class NeverReady extends Error {
  override name = 'NeverReady';
}

type Falsy = false | undefined | null | 0 | '';

/**
 * Calls `condition` until it gives a truthy value, and returns that. An error in it counts as "not yet" and becomes the
 * cause when the deadline passes; a call that hangs is given up at the deadline, its signal aborted.
 */
export async function waitFor<T>(
  condition: (signal: AbortSignal) => T | Falsy | Promise<T | Falsy>,
  options: WaitOptions,
): Promise<T> {
  const { deadlineMs = 30_000, what, intervalMs } = options;
  // A timer of our own: one of AbortSignal.timeout does not keep the event loop alive.
  const deadline = new AbortController();
  const timer = setTimeout(() => {
    deadline.abort();
  }, deadlineMs);
  const signal = options.signal === undefined ? deadline.signal : AbortSignal.any([deadline.signal, options.signal]);
  const over = new Promise<undefined>((resolve) => {
    signal.addEventListener('abort', () => {
      resolve(undefined);
    });
  });
  let lastError: unknown;
  let pauseMs = intervalMs ?? 10;
  try {
    const isOver = (): boolean => signal.aborted;
    while (!isOver()) {
      try {
        const value = await Promise.race([condition(signal), over]);
        if (value) return value;
      } catch (error) {
        if (error instanceof NeverReady) throw error;
        if (!isOver()) lastError = error;
      }
      await Promise.race([sleep(pauseMs), over]);
      if (intervalMs === undefined) pauseMs = Math.min(50, pauseMs * 1.5);
    }
  } finally {
    clearTimeout(timer);
    deadline.abort();
  }
  if (options.signal?.aborted === true)
    throw new Error(`waiting for ${what} was ended`, { cause: options.signal.reason });
  const why = lastError instanceof Error ? `; last: ${lastError.message}` : '';
  const detail = options.detail === undefined ? '' : `\n${options.detail()}`;
  throw new Error(`waited ${deadlineMs} ms for ${what}${why}${detail}`, { cause: lastError });
}

/** Whether something accepts connections there: a TCP port, or the path of a unix socket. */
export function socketAnswers(where: { host: string; port: number } | string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = typeof where === 'string' ? connect({ path: where }) : connect(where);
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => {
      end(true);
    });
    socket.once('error', () => {
      end(false);
    });
    signal.addEventListener('abort', () => {
      end(false);
    });
  });
}

export async function httpOk(url: string, signal: AbortSignal): Promise<boolean> {
  const response = await fetch(url, { signal });
  await response.arrayBuffer();
  return response.ok;
}

/** The last lines of a file, or a note that there is none. */
export function tail(file: string, lines = 25): string {
  try {
    const text = readFileSync(file, 'utf8').trimEnd();
    return text === '' ? '(its log is empty)' : text.split('\n').slice(-lines).join('\n');
  } catch {
    return '(it has no log)';
  }
}
