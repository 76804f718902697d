// The connection in a thread of its own: while it waits for a lock or the disk, leases are renewed and webhooks read on.
import { Worker } from 'node:worker_threads';
import { ConstraintError, type Processed, type Row } from './db.ts';
import { openRaw, type SqliteCalls, type SqliteOpening } from './sqlite-raw.ts';
import type { Call, Reply, StatementCall } from './sqlite-worker.ts';
import { StoreError } from './store.ts';

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (why: unknown) => void;
}

/** @throws StoreError at once when the file cannot be opened */
export function openThread(opening: SqliteOpening): SqliteCalls {
  // Made, checked and brought to this version here, so that what is wrong with it is said now.
  openRaw(opening)[Symbol.dispose]();
  const worker = new Worker(new URL(`./sqlite-worker${import.meta.url.slice(-3)}`, import.meta.url), {
    workerData: opening,
  });
  const waiting = new Map<number, Waiting>();
  let last = 0;
  let broken: unknown;
  const settle = (n: number): Waiting | undefined => {
    const one = waiting.get(n);
    waiting.delete(n);
    // An idle thread keeps no program alive.
    if (waiting.size === 0) worker.unref();
    return one;
  };
  const giveUp = (why: unknown): void => {
    broken = why;
    for (const n of [...waiting.keys()]) settle(n)?.reject(why);
  };
  worker.on('message', (reply: Reply) => {
    if ('value' in reply) settle(reply.n)?.resolve(reply.value);
    else settle(reply.n)?.reject(errorOf(reply.error));
  });
  worker.on('error', (error) => {
    giveUp(new StoreError('broken', 'the thread of the store failed', { cause: error }));
  });
  worker.on('exit', () => {
    giveUp(new StoreError('broken', 'the store is closed'));
  });
  worker.unref();

  const call = (
    what: Exclude<Call['what'], 'process'>,
    sql: string,
    values: StatementCall['values'],
  ): Promise<unknown> => send((n) => ({ n, what, sql, values }));
  const send = (callOf: (n: number) => Call): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (broken !== undefined) {
        reject(broken instanceof Error ? broken : new StoreError('broken', 'the store is closed'));
        return;
      }
      last++;
      waiting.set(last, { resolve, reject });
      if (waiting.size === 1) worker.ref();
      worker.postMessage(callOf(last));
    });
  return {
    get: async (sql, values) => (await call('get', sql, values)) as Row | undefined,
    all: async (sql, values) => (await call('all', sql, values)) as readonly Row[],
    run: async (sql, values) => (await call('run', sql, values)) as number,
    runAll: async (sql, rows) => (await call('runAll', sql, rows)) as readonly number[],
    transactAll: async (sql, rows) => (await call('transactAll', sql, rows)) as readonly number[],
    process: async (given) => (await send((n) => ({ n, what: 'process', given }))) as Processed,
    begin: async () => {
      await call('begin', '', []);
    },
    commit: async () => {
      await call('commit', '', []);
    },
    rollback: async () => {
      await call('rollback', '', []);
    },
    [Symbol.asyncDispose]: async () => {
      if (broken !== undefined) return;
      await call('close', '', []);
      await worker.terminate();
    },
  };
}

function errorOf({ is, code, message }: Extract<Reply, { error: unknown }>['error']): Error {
  switch (is) {
    case 'constraint':
      return new ConstraintError(message);
    case 'store':
      return new StoreError(code, message);
    case 'other':
      return new Error(message);
  }
}
