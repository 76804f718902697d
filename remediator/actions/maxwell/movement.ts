// Does the data move? Over several looks, by what came back through the binary log. Pure.

export interface MovementSample {
  /** Ids of binlog dump threads of Maxwell's user. */
  readonly dumpIds: readonly number[];
  /** positions.last_heartbeat_read, by Maxwell's clock. */
  readonly lastReadMs: number | undefined;
  /** Server id, file, position and GTID set as one text. */
  readonly place: string;
  readonly lagSeconds: number | undefined;
  /** Since its start; undefined where it cannot be read, 'off' where it is not configured. */
  readonly failedMessages: number | undefined | 'off';
}

export interface MovementBefore {
  readonly dumpIds: readonly number[];
  readonly lastReadMs: number | undefined;
  readonly place: string;
}

export type Movement =
  | { readonly is: 'moves' }
  | { readonly is: 'not_yet'; readonly missing: readonly string[] }
  | { readonly is: 'failed'; readonly because: string };

const wantedAdvances = 2;
const lagSamples = 3;
/** Heartbeats come once a second at best: below that lag only jitters. */
const lagJitterSeconds = 1.5;

/**
 * A fresh row in `heartbeats` proves nothing, it is written at every start, by a crash loop too. What proves it are
 * heartbeats that were read back from the binary log: twice, later than this start and than anything before it.
 */
export function judgeMovement(
  samples: readonly MovementSample[],
  before: MovementBefore,
  startedAtMs: number,
): Movement {
  const last = samples.at(-1);
  if (last === undefined) return { is: 'not_yet', missing: ['it was not looked at yet'] };
  if (typeof last.failedMessages === 'number' && last.failedMessages > 0) {
    return {
      is: 'failed',
      because: `${last.failedMessages} messages were lost since its start: those rows need a bootstrap`,
    };
  }
  const missing: string[] = [];
  if (last.failedMessages === undefined) missing.push('its count of failed messages cannot be read');
  if (!last.dumpIds.some((id) => !before.dumpIds.includes(id))) missing.push('no new connection reads the binary log');

  const after = Math.max(startedAtMs, before.lastReadMs ?? 0);
  const read = samples.flatMap((s) => (s.lastReadMs !== undefined && s.lastReadMs > after ? [s.lastReadMs] : []));
  const advances = new Set(read).size;
  if (advances < wantedAdvances) {
    missing.push(
      `${advances} of ${wantedAdvances} heartbeats written since its start came back through the binary log`,
    );
  }
  if (last.place === before.place || new Set(samples.map((s) => s.place)).size < 2)
    missing.push('its position has not moved');

  const lags = samples.slice(-lagSamples).map((s) => s.lagSeconds);
  const [first, end] = [lags.at(0), lags.at(-1)];
  if (lags.length < lagSamples || first === undefined || end === undefined) missing.push('too few samples of its lag');
  else if (end > first + lagJitterSeconds) missing.push(`its lag rises: ${lags.map(String).join(', ')} s`);
  return missing.length === 0 ? { is: 'moves' } : { is: 'not_yet', missing };
}
