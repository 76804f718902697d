// What the lines of a server's log say about replication. Pure. Texts as seen on Redis 7.0.15 and 8.0.6 and on Valkey 9.1.2,
// which says primary for master; those not seen there are of redis/src/replication.c and networking.c.

export const logClasses = [
  'partial_resync_asked', // a replica asks to go on where it was
  'partial_resync', // and may
  'full_resync', // a full copy was asked for, or begins
  'backlog_too_small', // no partial one: its bytes have left the backlog
  'id_mismatch', // no partial one: another history
  'connection_lost', // a link that was up
  'connection_refused', // or could not be made
  'timeout', // nothing came for repl-timeout
  'auth', // the primary wants another password, or none was given
  'sync_failed', // a copy was broken off, or an attempt
  'output_buffer', // a client, a replica mostly, was dropped for what waits for it
] as const;
export type LogClass = (typeof logClasses)[number];

/** Where a line fits several, the first counts. */
const markers: readonly (readonly [LogClass, RegExp])[] = [
  ['output_buffer', /(?:scheduled to be closed ASAP|closed) for overcoming of output buffer limits/],
  ['backlog_too_small', /^Unable to partial resync with (?:replica|slave) /],
  ['id_mismatch', /^Partial resynchronization not accepted: /],
  ['partial_resync', /^Partial resynchronization request from .* accepted|^Successful partial resynchronization with /],
  ['partial_resync_asked', /^Trying a partial resynchronization /],
  [
    'full_resync',
    /^Full resync requested by |^Full resync from (?:master|primary): |^PSYNC is not possible, initialize RDB channel/,
  ],
  // "(Non critical) …" and "Unexpected reply to PSYNC …" stand around it and say the same
  ['auth', /^(?:MASTER|PRIMARY) aborted replication with an error: (?:NOAUTH|WRONGPASS|NOPERM)|^Unable to AUTH to (?:MASTER|PRIMARY): |^Error reply to PING from (?:master|primary): '-(?:NOAUTH|WRONGPASS|NOPERM)/], // prettier-ignore
  // the channel of a full copy ends with it (Redis 8)
  ['connection_lost', /^Connection with (?:replica|slave) (?!\(rdbchannel\)).*lost\.$|^Connection with (?:master|primary) lost/], // prettier-ignore
  ['connection_refused', /^Error condition on socket for SYNC: |^Unable to connect to (?:MASTER|PRIMARY): /],
  ['timeout', /^(?:MASTER|PRIMARY) timeout: |^Timeout connecting to the (?:MASTER|PRIMARY)|^Timeout receiving bulk data from |^Disconnecting timedout (?:replica|slave)/], // prettier-ignore
  ['sync_failed', /^(?:MASTER|PRIMARY) aborted replication with an error|^(?:MASTER|PRIMARY) did not respond|^(?:Master|Primary) did not respond to command during SYNC|^I\/O error trying to sync with |^Failed trying to (?:load|rename) |^Failed trying to load the |^SYNC failed\. |^Bad protocol from (?:MASTER|PRIMARY)|^BGSAVE for replication failed|BGSAVE failed, (?:replicas|slaves)|RDB download failure/], // prettier-ignore
];

/** `5823:M 21 Nov 2026 18:22:27.620 * text`; S: replica, C: child, X: Sentinel. Valkey can leave the time in another form. */
const header = /^\d+:[MSCX] .{0,40}? [.\-*#] (?:Replica bio thread: |Replica main thread )?(.*)$/;

/** The class of one line; undefined when it says nothing about replication. */
export function logClassOf(line: string): LogClass | undefined {
  const [, text] = header.exec(line) ?? [];
  if (text === undefined) return undefined;
  return markers.find(([, marker]) => marker.test(text))?.[0];
}

export class LogCounts {
  readonly events = Object.fromEntries(logClasses.map((c) => [c, 0])) as Record<LogClass, number>;

  readonly onLine = (line: string): void => {
    const found = logClassOf(line);
    if (found !== undefined) this.events[found] += 1;
  };
}
