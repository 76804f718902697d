// The lab's own canary, independent of the exporter's: the truth that its numbers are measured against. A row on the
// source, looked for every few milliseconds where the pipeline ends. All times are of this process's monotonic clock.
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise';
import { ports } from './address.ts';
import type { Lab } from './lab.ts';
import { databasePorts, type Database } from './release.ts';
import type { RedisName } from './redis.ts';

type CanaryLab = Pick<Lab, 'address' | 'secret' | 'sql'>;

/** Redis: behind the sink; `replica`: the MySQL replica. */
export type CanaryEnd = RedisName | 'replica';

export interface LabCanary extends AsyncDisposable {
  /** The latency of the row that was seen last; undefined before the first. */
  readonly latencyMs: (at: CanaryEnd) => number | undefined;
  /** The age of the oldest row that was not seen yet; 0 when all were. */
  readonly outstandingMs: (at: CanaryEnd) => number;
  /** How late the end is now: the larger of the two. */
  readonly lagMs: (at: CanaryEnd) => number;
}

const table = 'shop.lab_canary';
const lookEveryMs = 3;
let lastId = 0;

/** Writes a row every `everyMs` until it is disposed of, and says at any time how late each end is. */
export async function startCanary(
  lab: CanaryLab,
  { at, everyMs = 200 }: { readonly at: readonly CanaryEnd[]; readonly everyMs?: number },
): Promise<LabCanary> {
  const id = await newRow(lab);
  const ending = new AbortController();
  const isEnding = (): boolean => ending.signal.aborted;
  /** When each token was sent, oldest first, as long as an end has not seen it. */
  const sent = new Map<number, number>();
  const ends = new Map(at.map((name) => [name, { seen: 0, latencyMs: undefined as number | undefined }]));
  const endOf = (name: CanaryEnd): { seen: number; latencyMs: number | undefined } => {
    const end = ends.get(name);
    if (end === undefined) throw new Error(`this canary does not look at ${name}`);
    return end;
  };

  const writing = async (): Promise<void> => {
    let connection: Connection | undefined;
    for (let token = 1; !isEnding();) {
      try {
        connection ??= await connectTo(lab, 'source');
        sent.set(token, performance.now());
        await write(connection, id, token);
        token += 1;
      } catch {
        // Not committed as far as is known; the same token is sent again
        sent.delete(token);
        connection?.destroy();
        connection = undefined;
      }
      await sleep(everyMs, undefined, { signal: ending.signal }).catch(() => undefined);
    }
    connection?.destroy();
  };
  const looking = async (name: CanaryEnd): Promise<void> => {
    const end = openEnd(lab, name, id);
    const state = endOf(name);
    while (!isEnding()) {
      const token = (await end.look()) ?? 0;
      const nowMs = performance.now();
      const sentAtMs = sent.get(token);
      if (token > state.seen && sentAtMs !== undefined) {
        state.seen = token;
        state.latencyMs = nowMs - sentAtMs;
        const everybodyHas = Math.min(...[...ends.values()].map(({ seen }) => seen));
        for (const older of sent.keys()) if (older <= everybodyHas) sent.delete(older);
      }
      await sleep(lookEveryMs);
    }
    end.close();
  };
  const jobs = [writing(), ...at.map(looking)];
  const outstandingMs = (name: CanaryEnd): number => {
    const { seen } = endOf(name);
    for (const [token, sentAtMs] of sent) if (token > seen) return performance.now() - sentAtMs;
    return 0;
  };
  return {
    latencyMs: (name) => endOf(name).latencyMs,
    outstandingMs,
    lagMs: (name) => Math.max(endOf(name).latencyMs ?? 0, outstandingMs(name)),
    [Symbol.asyncDispose]: async () => {
      ending.abort();
      await Promise.all(jobs);
    },
  };
}

async function newRow(lab: CanaryLab): Promise<number> {
  await lab.sql(
    'source',
    `CREATE TABLE IF NOT EXISTS ${table} (id BIGINT NOT NULL PRIMARY KEY, token BIGINT NOT NULL) ENGINE = InnoDB`,
  );
  lastId = Math.max(lastId + 1, process.pid * 1000);
  return lastId;
}

async function write(connection: Connection, id: number, token: number): Promise<void> {
  await connection.query({
    sql: `INSERT INTO ${table} (id, token) VALUES (?, ?) ON DUPLICATE KEY UPDATE token = VALUES(token)`,
    values: [id, token],
    timeout: 5_000,
  });
}

interface End {
  /** The token that is there; undefined when there is none or it cannot be told. */
  readonly look: () => Promise<number | undefined>;
  readonly close: () => void;
}

function openEnd(lab: CanaryLab, at: CanaryEnd, id: number): End {
  return at === 'replica' ? databaseEnd(lab, at, id) : redisEnd(lab, at, id);
}

function redisEnd(lab: CanaryLab, at: RedisName, id: number): End {
  const redis = new Redis({
    host: lab.address,
    port: ports[at],
    connectTimeout: 1_000,
    commandTimeout: 1_000,
    maxRetriesPerRequest: 0,
    retryStrategy: () => 50,
  });
  redis.on('error', () => undefined);
  return {
    // the sink makes TABLE:ID of a row
    look: async () => numberOf(await redis.hget(`lab_canary:${id}`, 'token').catch(() => null)),
    close: () => {
      redis.disconnect();
    },
  };
}

function databaseEnd(lab: CanaryLab, at: Database, id: number): End {
  let connection: Connection | undefined;
  return {
    look: async () => {
      try {
        connection ??= await connectTo(lab, at);
        const sql = `SELECT token FROM ${table} WHERE id = ?`;
        const [rows] = await connection.query<RowDataPacket[]>({ sql, values: [id], timeout: 1_000 });
        return numberOf(rows[0]?.['token']);
      } catch {
        connection?.destroy();
        connection = undefined;
        return undefined;
      }
    },
    close: () => {
      connection?.destroy();
    },
  };
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' || typeof value === 'string' ? Number(value) : undefined;
}

async function connectTo(lab: CanaryLab, name: Database): Promise<Connection> {
  const connection = await createConnection({
    host: lab.address,
    port: databasePorts[name],
    user: 'lab',
    password: lab.secret('lab'),
    connectTimeout: 2_000,
  });
  connection.on('error', () => undefined); // the next statement fails
  return connection;
}
