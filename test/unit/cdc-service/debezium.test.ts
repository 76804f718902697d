import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { readPage, type Page } from '../../../exporter/runtime/exposition-text.ts';
import type { Known } from '../../../exporter/runtime/known.ts';
import {
  chosenServer,
  debeziumNumbersOf,
  type DebeziumNumbers,
} from '../../../exporter/systems/cdc-service/facts-debezium.ts';
import { passedOf } from '../../../exporter/systems/cdc-service/facts-page.ts'; // prettier-ignore

type Attributes = Readonly<Record<string, number | string>>;

/** The three ways in which jmx_exporter writes the same beans: its rules of the Debezium project, lower-cased, none. */
const spellings: Readonly<Record<string, (attribute: string, server: string, context: string) => string>> = {
  'official rules': (a, server, context) => `debezium_metrics_${a}{plugin="mysql",name="${server}",context="${context}"}`,
  'lower-cased': (a, server, context) => `debezium_metrics_${a.toLowerCase()}{context="${context}",name="${server}",plugin="mysql",}`,
  'no rules': (a, server, context) => `debezium_mysql_connector_metrics_${a}{context="${context}",server="${server}",}`,
  'no rules, MariaDB': (a, server, context) => `debezium_mariadb_connector_metrics_${a}{context="${context}",server="${server}",}`,
}; // prettier-ignore

const healthy: Attributes = {
  Connected: '1.0',
  MilliSecondsBehindSource: '350.0',
  MilliSecondsSinceLastEvent: '1200.0',
  QueueTotalCapacity: '8192.0',
  QueueRemainingCapacity: '8190.0',
  BinlogPosition: '4711.0',
  TotalNumberOfEventsSeen: '1.2E7',
};
/** Another context, with the same names: not to be taken for streaming. */
const snapshot: Attributes = {
  Connected: 0,
  MilliSecondsSinceLastEvent: 9e9,
  QueueTotalCapacity: 1,
  RemainingTableCount: 3,
};

function page(parts: readonly { readonly server?: string; readonly context?: string; readonly of: Attributes }[], spelling = 'official rules'): Promise<Page> {
  const lines = parts.flatMap(({ server = 'orders', context = 'streaming', of }) =>
    Object.entries(of).map(([a, value]) => `${spellings[spelling]?.(a, server, context) ?? ''} ${String(value)}\n`),
  );
  return readPage(lines.join(''), systemClock);
} // prettier-ignore

async function numbers(of: Attributes, server?: string): Promise<DebeziumNumbers> {
  const found = await page([{ of }, { context: 'snapshot', of: snapshot }]);
  return debeziumNumbersOf({ state: 'ok', value: found }, server, 1_000);
}

const value = <T>(fact: Known<T>): T | string => (fact.known ? fact.value : `? ${fact.why}`);

for (const spelling of Object.keys(spellings)) {
  test(`the numbers of a page written by: ${spelling}`, async () => {
    const found = await page([{ of: healthy }, { context: 'snapshot', of: snapshot }], spelling);
    const { connected, lagSeconds, queueDepth, progress } = debeziumNumbersOf({ state: 'ok', value: found }, undefined, 1_000);
    assert.deepEqual([value(connected), value(lagSeconds), value(queueDepth), value(progress)], [true, 0.35, 2, '4711']);
  }); // prettier-ignore
}

for (const [what, of, expected] of [
  ['behind, and events come', { MilliSecondsBehindSource: 90_000, MilliSecondsSinceLastEvent: 19_000 }, 90],
  ['-1 is none yet', { MilliSecondsBehindSource: -1 }, /seen no event/],
  ['NaN', { MilliSecondsBehindSource: 'NaN' }, /no MilliSecondsBehindSource/],
  ['infinite', { MilliSecondsBehindSource: '+Inf' }, /seen no event/],
  ['an old value, idle since', { MilliSecondsBehindSource: 90_000, MilliSecondsSinceLastEvent: 600_000 }, /last event, 600 s ago/],
  ['a heartbeat has set it to 0, idle since', { MilliSecondsBehindSource: 0, MilliSecondsSinceLastEvent: 600_000 }, 0],
  ['caught up, idle since', { MilliSecondsBehindSource: 1_900, MilliSecondsSinceLastEvent: 600_000 }, 1.9],
  ['an old value, no event since the start', { MilliSecondsBehindSource: 90_000, MilliSecondsSinceLastEvent: -1 }, /how old its lag is/],
  ['not connected: the value stands still', { Connected: 0, MilliSecondsBehindSource: 0 }, /not connected/],
] as const) {
  test(`lag: ${what}`, async () => {
    const found = value((await numbers({ ...healthy, ...of })).lagSeconds);
    if (typeof expected === 'number') assert.equal(found, expected);
    else assert.match(String(found), expected);
  });
} // prettier-ignore

test('what the page does not have is unknown', async () => {
  const { connected, lagSeconds, queueDepth, progress } = await numbers({ TotalNumberOfEventsSeen: 5 });
  for (const fact of [connected, lagSeconds, queueDepth, progress]) assert.equal(fact.known, false);
  const { queueDepth: wrong } = await numbers({ ...healthy, QueueTotalCapacity: 1, QueueRemainingCapacity: 5 });
  assert.equal(wrong.known, false);
});

test('copying tables: no streaming metrics, so nothing is known of the lag', async () => {
  const found = await page([{ context: 'snapshot', of: snapshot }]);
  assert.match(String(value(debeziumNumbersOf({ state: 'ok', value: found }, undefined, 0).lagSeconds)), /copying tables/);
}); // prettier-ignore

test('one of several connectors must be named, and its series alone are passed on', async () => {
  const both = await page([{ of: healthy }, { server: 'users', of: { ...healthy, MilliSecondsBehindSource: 7_000 } }]);
  const lagOf = (server?: string): unknown =>
    value(debeziumNumbersOf({ state: 'ok', value: both }, server, 0).lagSeconds);
  assert.match(String(lagOf()), /several connectors \(orders, users\): set server/);
  assert.equal(lagOf('users'), 7);
  assert.match(String(lagOf('gone')), /no connector gone/);
  assert.match(value(chosenServer({ samples: [], dropped: both.dropped }, undefined)), /no connector/);
});

test('a connector of another database on the page is not looked at', async () => {
  const text = 'debezium_metrics_Connected{plugin="postgres",name="pg",context="streaming"} 1\n';
  const found = await readPage(text, systemClock);
  assert.match(value(chosenServer(found, undefined)), /no connector/);
});

test('passed on: not what is stale, would pass for ours, or belongs to others', async () => {
  const now = 1_700_000_000_000;
  const found = await readPage(
    `cdc_a 1 ${String(now - 61_000)}\ncdc_b 2 ${String(now - 59_000)}\ncdc_service_state{state="running"} 1\ncdc_c:d 1\ncdc_e{x="other"} 1\ncdc_f NaN\n`,
    systemClock,
  );
  const { names, dropped } = passedOf(found, now, ({ labels }) => labels.get('x') !== 'other');
  assert.deepEqual(
    names.map(({ name }) => name),
    ['cdc_b'],
  );
  assert.deepEqual(dropped, { nan: 1, duplicate: 0, too_long: 0, over_limit: 0, labels: 0, stale: 1, name: 2 });
});

test('what has left its queue: what it has seen, but for what it left out and what is in the queue', async () => {
  const of = async (more: Attributes): Promise<number | string> => value((await numbers({ ...healthy, ...more })).dequeued); // prettier-ignore
  assert.equal(await of({}), 11_999_998);
  assert.equal(await of({ NumberOfEventsFiltered: 7, NumberOfErroneousEvents: 1 }), 11_999_990);
  assert.equal(await of({ TotalNumberOfEventsSeen: 1 }), 0, 'a heartbeat is in its queue and is not counted');
  assert.match(`${await of({ TotalNumberOfEventsSeen: 'NaN' })}`, /^\? the page has no TotalNumberOfEventsSeen/);
  assert.match(`${await of({ QueueTotalCapacity: 'NaN' })}`, /^\? the page has no queue/);
});
