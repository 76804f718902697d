// Looks for streams by pattern, with SCAN on a connection of its own: a pass over all keys can take long, and is gentle.
import type { Background, Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import { paused, repeat } from '../../runtime/repeat.ts';
import type { RedisClient } from './client.ts';
import type { StreamName } from './facts-streams.ts';

export interface StreamPattern {
  readonly db: number;
  readonly pattern: string;
}

export interface SearchOptions {
  readonly patterns: readonly StreamPattern[];
  readonly everyMs: number;
  readonly maxStreams: number;
}

/** What the search has found, for the sweeps. */
export interface StreamSearch {
  /** Undefined until the first pass has ended. */
  found: readonly StreamName[] | undefined;
  /** More streams than may be served match. */
  isCut: boolean;
}

const keysPerCall = 500;
const betweenCallsMs = 10;
const perCallMs = 5_000;

export async function searchStreams(
  options: SearchOptions,
  search: StreamSearch,
  work: Background<RedisClient>,
): Promise<void> {
  if (options.patterns.length === 0) return;
  const { signal, clock } = work;
  await repeat({ signal, clock, everyMs: options.everyMs }, async () => {
    try {
      await pass(options, search, work);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof TargetError)) throw error;
      // What was found before is still looked at; whether it is there, its own state says
      work.log.warn({ target: work.target, code: error.code, why: error.message }, 'streams could not be searched for');
    }
  });
}

/** One pass over the keys, for all patterns. */
async function pass(options: SearchOptions, search: StreamSearch, work: Background<RedisClient>): Promise<void> {
  const call = (): Call => ({
    clock: work.clock,
    signal: AbortSignal.any([work.signal, AbortSignal.timeout(perCallMs)]),
  });
  await using client = await work.open(call());
  const found: StreamName[] = [];
  const seen = new Set<string>();
  for (const { db, pattern } of options.patterns) {
    if (options.patterns.some((p) => p.db !== 0)) await client.send(call(), 'SELECT', String(db));
    let cursor = '0';
    do {
      const reply = await client.send(call(), 'SCAN', cursor, 'MATCH', pattern, 'COUNT', String(keysPerCall), 'TYPE', 'stream'); // prettier-ignore
      const [next, keys] = Array.isArray(reply) ? (reply as readonly unknown[]) : [];
      if (typeof next !== 'string' || !Array.isArray(keys)) {
        throw new TargetError('protocol', 'SCAN: the reply is not a cursor and a list');
      }
      for (const key of keys.map(String)) {
        if (seen.has(`${String(db)} ${key}`)) continue; // SCAN may tell of a key several times
        seen.add(`${String(db)} ${key}`);
        found.push({ db, key });
      }
      cursor = next;
    } while (cursor !== '0' && found.length <= options.maxStreams && (await paused(betweenCallsMs, work.signal)));
  }
  if (work.signal.aborted) return;
  search.isCut = found.length > options.maxStreams;
  search.found = found.slice(0, options.maxStreams);
}
