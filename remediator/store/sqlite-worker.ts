// The thread that holds the SQLite connection: does one call after the other and says what came of it.
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../exporter/runtime/errors.ts';
import { ConstraintError, type Value } from './db.ts';
import { openRaw, type SqliteOpening, type SqliteRaw } from './sqlite-raw.ts';
import { StoreError } from './store.ts';

export interface Call {
  readonly n: number;
  readonly what: 'get' | 'all' | 'run' | 'runAll' | 'transactAll' | 'begin' | 'commit' | 'rollback' | 'close';
  readonly sql: string;
  /** Of runAll and transactAll: rows of them. */
  readonly values: readonly (Value | readonly Value[])[];
}

/** Errors lose their class on the way between threads. */
export type Reply =
  | { readonly n: number; readonly value: unknown }
  | {
      readonly n: number;
      readonly error: {
        readonly is: 'store' | 'constraint';
        readonly code: StoreError['code'];
        readonly message: string;
      };
    };

if (parentPort !== null) serve(parentPort, openRaw(workerData as SqliteOpening));

function serve(port: NonNullable<typeof parentPort>, raw: SqliteRaw): void {
  port.on('message', (call: Call) => {
    let reply: Reply;
    try {
      reply = { n: call.n, value: answer(raw, call) };
    } catch (error) {
      const is = error instanceof ConstraintError ? 'constraint' : 'store';
      const code = error instanceof StoreError ? error.code : 'broken';
      reply = { n: call.n, error: { is, code, message: messageOf(error) } };
    }
    port.postMessage(reply);
  });
}

function answer(raw: SqliteRaw, { what, sql, values }: Call): unknown {
  switch (what) {
    case 'runAll':
    case 'transactAll':
      return raw[what](sql, values as readonly (readonly Value[])[]);
    case 'begin':
    case 'commit':
    case 'rollback':
      raw[what]();
      return undefined;
    case 'close':
      raw[Symbol.dispose]();
      return undefined;
    case 'get':
    case 'all':
    case 'run':
      return raw[what](sql, values as readonly Value[]);
  }
}
