// Debezium's own numbers from the page of jmx_exporter. Their meaning: https://debezium.io/documentation/reference/stable/connectors/mysql.html#mysql-streaming-metrics
import type { Page, PageSample } from '../../runtime/exposition-text.ts';
import { largestOf } from '../../runtime/extremes.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { Endpoint } from './facts-endpoint.ts';
import { isStale } from './facts-page.ts';

export interface DebeziumNumbers {
  readonly connected: Known<boolean>;
  readonly lagSeconds: Known<number>;
  readonly queueDepth: Known<number>;
  /** Events that have left its queue since it started. */
  readonly dequeued: Known<number>;
  /** Changes whenever it has read something. */
  readonly progress: Known<string>;
}

/** An event within this time means that what it says of the lag is of now. */
const freshMs = 20_000;
/** Event times have whole seconds: one that has caught up stands at up to this. */
const caughtUpMs = 2_000;

/**
 * A series of the connector: the official rules give it `name` and keep the case (`debezium_metrics_Connected`) or lower
 * it; without rules jmx_exporter writes `debezium_mysql_connector_metrics_Connected{server=…}`.
 */
const series = /^debezium_(?:metrics|(?:mysql|mariadb)_connector_metrics)_(\w+)$/i;

export function serverOf({ labels }: PageSample): string | undefined {
  return labels.get('name') ?? labels.get('server');
}

/** The topic.prefix of the connectors of MySQL and MariaDB on a page. */
function serversOf(page: Page): readonly string[] {
  const found = page.samples.filter(isOfMysql).map(serverOf);
  return [...new Set(found.filter((server) => server !== undefined))].sort();
}

function isOfMysql({ name, labels }: PageSample): boolean {
  return series.test(name) && /^(mysql|mariadb)$/i.test(labels.get('plugin') ?? 'mysql');
}

/** The one connector that is meant: the only one of the page, unless one is named. */
export function chosenServer(page: Page, configured: string | undefined): Known<string> {
  const servers = serversOf(page);
  const [only, ...others] = servers;
  if (configured !== undefined) {
    if (servers.includes(configured)) return known(configured, 0);
    return unknown(`the page has no connector ${configured}: its task has ended, or runs in another worker`);
  }
  if (only === undefined) return unknown('the page has no connector: its task has ended, or runs in another worker');
  if (others.length > 0) return unknown(`the page has several connectors (${servers.join(', ').slice(0, 200)}): set server`); // prettier-ignore
  return known(only, 0);
}

export function debeziumNumbersOf(page: Endpoint<Page>, configured: string | undefined, nowMs: number): DebeziumNumbers {
  const none = (why: string): DebeziumNumbers => {
    const no = unknown(why);
    return { connected: no, lagSeconds: no, queueDepth: no, dequeued: no, progress: no };
  };
  if (page.state !== 'ok') return none(page.why);
  const server = chosenServer(page.value, configured);
  if (!server.known) return none(server.why);
  const streaming = new Map<string, number[]>();
  for (const sample of page.value.samples) {
    if (serverOf(sample) !== server.value || sample.labels.get('context') !== 'streaming' || isStale(sample, nowMs)) continue;
    const attribute = isOfMysql(sample) ? series.exec(sample.name)?.[1]?.toLowerCase() : undefined;
    if (attribute !== undefined) streaming.set(attribute, [...(streaming.get(attribute) ?? []), sample.value]);
  } // prettier-ignore
  if (streaming.size === 0) return none(`the page has no streaming metrics of ${server.value}: it may be copying tables`);
  const all = (attribute: string): readonly number[] => streaming.get(attribute.toLowerCase()) ?? [];
  const connected = connectedOf(all('Connected'), nowMs);
  const queueDepth = queueOf(all('QueueTotalCapacity'), all('QueueRemainingCapacity'), nowMs);
  return {
    connected,
    lagSeconds: lagOf(connected, all('MilliSecondsBehindSource'), all('MilliSecondsSinceLastEvent'), nowMs),
    queueDepth,
    dequeued: dequeuedOf(all, queueDepth, nowMs),
    progress: progressOf(all('BinlogPosition'), nowMs),
  };
} // prettier-ignore

/** Of several tasks each must be. */
function connectedOf(values: readonly number[], nowMs: number): Known<boolean> {
  if (values.length === 0) return unknown('the page has no Connected');
  return known(values.every((v) => v === 1), nowMs); // prettier-ignore
}

/**
 * MilliSecondsBehindSource is that of the last event: it keeps its value while nothing comes, and a heartbeat of the
 * source's binary log sets it to 0. So a large old value says nothing about now; -1 is none yet.
 */
function lagOf(
  connected: Known<boolean>,
  behindMs: readonly number[],
  sinceMs: readonly number[],
  nowMs: number,
): Known<number> {
  if (!connected.known) return connected;
  if (!connected.value) return unknown('it is not connected to its source: its lag keeps the last value');
  const behind = largestOf(behindMs);
  if (behindMs.length === 0) return unknown('the page has no MilliSecondsBehindSource');
  if (!behindMs.every(Number.isFinite) || behindMs.some((v) => v < 0)) return unknown('it has seen no event since it started'); // prettier-ignore
  const since = sinceMs.length === 0 || sinceMs.some((v) => !(v >= 0)) ? undefined : largestOf(sinceMs);
  if (behind <= caughtUpMs || (since !== undefined && since <= freshMs)) return known(behind / 1000, nowMs);
  if (since === undefined) return unknown('the page does not tell how old its lag is');
  return unknown(`its lag is that of its last event, ${Math.round(since / 1000)} s ago`);
}

function queueOf(total: readonly number[], remaining: readonly number[], nowMs: number): Known<number> {
  if (total.length === 0 || total.length !== remaining.length) return unknown('the page has no queue');
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  const depth = sum(total) - sum(remaining);
  return Number.isFinite(depth) && depth >= 0 ? known(depth, nowMs) : unknown('the queue of the page is no number');
}

/**
 * What it has seen and neither left out nor has in its queue. Heartbeats and changes of the schema go through the queue
 * uncounted: while one of them is in it, this is less by one.
 */
function dequeuedOf(
  all: (attribute: string) => readonly number[],
  queueDepth: Known<number>,
  nowMs: number,
): Known<number> {
  if (!queueDepth.known) return queueDepth;
  const sum = (attribute: string): number => all(attribute).reduce((a, b) => a + b, 0);
  const taken = sum('TotalNumberOfEventsSeen') - sum('NumberOfEventsFiltered') - sum('NumberOfErroneousEvents');
  if (all('TotalNumberOfEventsSeen').length === 0 || !Number.isFinite(taken)) return unknown('the page has no TotalNumberOfEventsSeen'); // prettier-ignore
  return known(Math.max(0, taken - queueDepth.value), nowMs);
}

/** Not the number of events: those of tables that it does not capture are not counted. */
function progressOf(values: readonly number[], nowMs: number): Known<string> {
  return values.length === 0 ? unknown('the page has no BinlogPosition') : known(values.join(' '), nowMs);
}
