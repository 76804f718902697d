// The thread that holds the SQLite connection: does one call after the other and says what came of it.
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../exporter/runtime/errors.ts';
import { ConstraintError, type Processing, type Value } from './db.ts';
import { processOn } from './sqlite-process.ts';
import { openRaw, type SqliteOpening, type SqliteRaw } from './sqlite-raw.ts';
import { StoreError } from './store.ts';

export interface StatementCall {
  readonly n: number;
  readonly what: 'get' | 'all' | 'run' | 'runAll' | 'transactAll' | 'begin' | 'commit' | 'rollback' | 'close';
  readonly sql: string;
  /** Of runAll and transactAll: rows of them. */
  readonly values: readonly (Value | readonly Value[])[];
}

export type Call = StatementCall | { readonly n: number; readonly what: 'process'; readonly given: Processing };

/** Errors lose their class on the way between threads. */
export type Reply =
  | { readonly n: number; readonly value: unknown }
  | {
      readonly n: number;
      readonly error: {
        /** `other`: of what was to be written, not of the store. */
        readonly is: 'store' | 'constraint' | 'other';
        readonly code: StoreError['code'];
        readonly message: string;
      };
    };

if (parentPort !== null) serve(parentPort, openRaw(workerData as SqliteOpening));

function serve(port: NonNullable<typeof parentPort>, raw: SqliteRaw): void {
  port.on('message', (call: Call) => {
    // The sender waits for the answer before it sends anything else about the connection.
    void answered(raw, call).then((reply) => {
      port.postMessage(reply);
    });
  });
}

async function answered(raw: SqliteRaw, call: Call): Promise<Reply> {
  try {
    return { n: call.n, value: call.what === 'process' ? await processOn(raw, call.given) : answer(raw, call) };
  } catch (error) {
    const code = error instanceof StoreError ? error.code : 'broken';
    return { n: call.n, error: { is: kindOf(error), code, message: messageOf(error) } };
  }
}

function kindOf(error: unknown): 'store' | 'constraint' | 'other' {
  if (error instanceof ConstraintError) return 'constraint';
  return error instanceof StoreError ? 'store' : 'other';
}

function answer(raw: SqliteRaw, { what, sql, values }: StatementCall): unknown {
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
