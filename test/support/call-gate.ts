// On the way to a server: knows the calls that pass by name, and stops the world at one of them, before it goes on or when
// its answer comes back. What is kept back can be let through later, as by a network or a process that stood still.
import { connect, createServer, type Socket } from 'node:net';

export type Place = { readonly path: string } | { readonly host: string; readonly port: number };

/** The name of the call in these bytes, if it is one. One for each connection: it may remember what came before. */
export type Namer = (data: Buffer) => string | undefined;

export interface Held {
  /** Lets everything through that was kept back. */
  readonly pass: () => void;
  /** Ends the caller's connection; the server hears nothing of that. */
  readonly cut: () => void;
  /** Ends both connections. What was kept back never was. */
  readonly drop: () => void;
  /** The server's side has ended. */
  readonly over: Promise<void>;
}

type When = 'before' | 'after';

export interface CallGate extends AsyncDisposable {
  /** Names of the calls, in their order. */
  readonly seen: string[];
  /** At the next call of that name, within the turn in which it or its answer came. */
  readonly trap: (name: string, when: When, act: (held: Held) => void) => void;
}

export async function openGate(at: Place, to: Place, namer: () => Namer): Promise<CallGate> {
  const seen: string[] = [];
  const sockets = new Set<Socket>();
  let trap: { readonly name: string; readonly when: When; readonly act: (held: Held) => void } | undefined;

  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ ...to, allowHalfOpen: true });
    const nameOf = namer();
    let isKept = false;
    const kept: (() => void)[] = [];
    let awaiting: typeof trap;
    const go = (pass: () => void): void => {
      if (isKept) kept.push(pass);
      else pass();
    };
    const write = (socket: Socket, data: Buffer): void => {
      if (socket.writable) socket.write(data);
    };
    const over = new Promise<void>((resolve) => far.once('close', resolve));
    const keep = (): Held => {
      isKept = true;
      return {
        pass: () => {
          isKept = false;
          for (const pass of kept.splice(0)) pass();
        },
        cut: () => {
          near.destroy();
        },
        drop: () => {
          near.destroy();
          far.destroy();
        },
        over,
      };
    };
    near.on('data', (data: Buffer) => {
      const name = nameOf(data);
      if (name !== undefined) seen.push(name);
      if (name === undefined || trap?.name !== name) {
        go(() => {
          write(far, data);
        });
        return;
      }
      const caught = trap;
      trap = undefined;
      if (caught.when === 'after') {
        awaiting = caught;
        write(far, data);
        return;
      }
      const held = keep();
      kept.push(() => {
        write(far, data);
      });
      caught.act(held);
    });
    far.on('data', (data: Buffer) => {
      const caught = awaiting;
      awaiting = undefined;
      const held = caught === undefined ? undefined : keep();
      go(() => {
        write(near, data);
      });
      if (held !== undefined) caught?.act(held);
    });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => undefined); // 'close' follows
      socket.on('end', () => {
        go(() => other.end());
      });
      socket.on('close', () => {
        sockets.delete(socket);
        // what was written to it before still goes out
        go(() => {
          if (other.writable) other.end();
          else other.destroy();
        });
      });
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(at, resolve);
  });
  return {
    seen,
    trap: (name, when, act) => {
      trap = { name, when, act };
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      });
    },
  };
}

/** A statement of MySQL's text protocol (COM_QUERY); MySQL 8 and later take the attributes of a query before its text. */
function statementIn(data: Buffer): string | undefined {
  if (data.length < 6 || data[4] !== 3) return undefined;
  return data.subarray(5).toString('latin1');
}

/** Statements of that kind, by their text. */
export function statements(which: RegExp): () => Namer {
  return () => (data) => which.exec(statementIn(data) ?? '')?.[0];
}

/** What the store commits, by what it has written before the COMMIT; undefined where that is nothing. */
export function commits(): Namer {
  let written: string[] = [];
  return (data) => {
    const statement = statementIn(data);
    if (statement === undefined) return undefined;
    if (statement.endsWith('START TRANSACTION')) written = [];
    else if (/^.{0,2}(INSERT|UPDATE|DELETE)\b/s.test(statement)) written.push(statement);
    return statement.endsWith('COMMIT') ? commitName(written) : undefined;
  };
}

const journalEntry =
  /INSERT INTO journal\([^)]*\)\s*VALUES\('[^']*', \d+, '([^']*)', '([^']*)', \d+, (?:NULL|'([^']*)')/;

function commitName(written: readonly string[]): string | undefined {
  const all = written.join('\n');
  if (written.length === 0) return undefined;
  if (all.includes('INSERT INTO run(')) return 'claim';
  const entry = journalEntry.exec(all);
  if (entry !== null) {
    const [, kind = '', step = '', outcome] = entry;
    return `${step}:${kind}${outcome === undefined ? '' : `=${outcome}`}`;
  }
  if (all.includes('UPDATE lease SET fence = fence + 1')) return 'adopt';
  if (all.includes('UPDATE lease SET expires_ms')) return 'renew';
  if (all.includes('INSERT INTO lease')) return 'row of a lease';
  if (all.includes('UPDATE run SET state')) return all.includes("'soaking'") ? 'run soaking' : 'run evidence';
  if (/\bmeta\b/.test(all)) return 'clock';
  return `unknown: ${all.slice(0, 80)}`;
}
