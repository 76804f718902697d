// How a status value becomes a number. Pure.

/** A Map: the words are the server's, and `constructor` is one. */
const words: ReadonlyMap<string, number> = new Map(
  Object.entries({
    yes: 1,
    on: 1,
    primary: 1,
    no: 0,
    off: 0,
    disabled: 0,
    connecting: 0, // the receiver does not run then
    'non-primary': 0,
    disconnected: 0,
  }),
);

/**
 * A status value as mysqld_exporter reads it, so that series made of it agree: yes and on are 1, no, off and connecting
 * are 0, dates are seconds since the epoch (in UTC, as our sessions are), numbers are numbers. Undefined for NULL and
 * for text: there is no series then.
 */
export function statusNumber(text: string | null | undefined): number | undefined {
  if (text === null || text === undefined || text.trim() === '') return undefined;
  const word = words.get(text.toLowerCase());
  if (word !== undefined) return word;
  if (/^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$/.test(text)) {
    const ms = Date.parse(`${text.replace(' ', 'T')}Z`);
    return Number.isNaN(ms) ? undefined : ms / 1000;
  }
  const value = Number(text);
  return /^[+-]?[\d.]/.test(text) && Number.isFinite(value) ? value : undefined;
}

export interface MariadbGtid {
  readonly domainId: string;
  readonly serverId: string;
  readonly sequence: number;
}

/** `0-1-100,1-2-7` */
export function parseMariadbGtids(text: string): readonly MariadbGtid[] {
  return text.split(',').flatMap((gtid) => {
    const [, domainId, serverId, sequence] = /^(\d+)-(\d+)-(\d+)$/.exec(gtid.trim()) ?? [];
    if (domainId === undefined || serverId === undefined) return [];
    return [{ domainId, serverId, sequence: Number(sequence) }];
  });
}
