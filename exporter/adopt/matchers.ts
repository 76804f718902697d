// Matchers of a selector, as they are read and as they are written.
import type { Matcher } from '../promql.ts';
import type { Peer } from './peers.ts';

/** A matcher that leaves every choice open: a variable of Grafana, `.*`, nothing. */
export function isOpen({ op, value }: Matcher): boolean {
  return op.startsWith('!') ? value === '' : /^[.*+()?|]*$/.test(value);
}

/** Words as they stand, anything else quoted. */
export function plain(value: string): string {
  return /^[\w.:-]+$/.test(value) ? value : JSON.stringify(value);
}

/** Names of jobs that a matcher may mean: each side of `|` by itself. */
export function jobNames(op: string, value: string): readonly string[] {
  return op === '=~' ? value.replaceAll(/[()^$]/g, '').split('|') : [value];
}

/** Whether the name of a job says by itself that it is that exporter's; `kafka-consumer` may be anybody's. */
export function isNamedAfter(peer: Peer, jobs: readonly string[]): boolean {
  return jobs.some((job) => /exporter/i.test(job) || peer.words.includes(job.toLowerCase()));
}
