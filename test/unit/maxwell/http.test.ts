// Both pages of a Maxwell 1.44.1, taken one after the other.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import type { HttpAnswer, HttpGetter } from '../../../exporter/systems/jvm/facts-fetch.ts';
import { maxwellAddress } from '../../../exporter/systems/maxwell/address.ts';
import { openMaxwell, type MaxwellClient } from '../../../exporter/systems/maxwell/client.ts';
import { httpCollector } from '../../../exporter/systems/maxwell/collector-http.ts';
import { readMaxwellHttp } from '../../../exporter/systems/maxwell/facts-http.ts';
import { seriesOfJson, seriesOfPage } from '../../../exporter/systems/maxwell/facts-http-page.ts';
import { runner, statesOf, testCall } from '../mysql/fake-client.ts';

const fixture = (name: string): string =>
  readFileSync(new URL(`fixtures/maxwell-1.44.1-${name}`, import.meta.url), 'utf8');
const json = fixture('metrics-beside.json');
const page = fixture('prometheus.txt');

test('the JSON page and the Prometheus page give the same series under the same names', async () => {
  const [fromJson, fromPage] = [seriesOfJson(json), await seriesOfPage(page, systemClock)];
  assert.ok(fromPage.size >= 20);
  for (const [name, series] of fromPage) {
    const same = fromJson.get(name);
    assert.ok(same, `${name} is on both`);
    assert.equal(same.type, series.type, name);
    assert.equal(same.samples.length, series.samples.length, name);
    if (name.includes('jvm')) continue; // moved between the two requests
    assert.deepEqual(
      same.samples.map((s) => [s.labels.get('quantile'), s.value]),
      series.samples.map((s) => [s.labels.get('quantile'), s.value]),
      name,
    );
  }
  const missing = [...fromJson.keys()].filter((name) => !fromPage.has(name) && !name.includes('jvm'));
  assert.deepEqual(missing, []);
});

function getter(answers: Readonly<Record<string, HttpAnswer | Error>>): HttpGetter & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    url: 'http://192.0.2.1:8080',
    asked,
    get: (path) => {
      asked.push(path);
      const found = answers[path] ?? { status: 404, text: '' };
      return found instanceof Error ? Promise.reject(found) : Promise.resolve(found);
    },
  };
}

test('with any prefix, from the page that is to be had; nothing that writes is asked for', async () => {
  const other = json.replaceAll('MaxwellMetrics.', 'cdc-eu.1.');
  const answers: readonly (readonly [Readonly<Record<string, HttpAnswer>>, string | undefined])[] = [
    [{ '/metrics': { status: 200, text: json } }, undefined],
    [{ '/metrics': { status: 200, text: other } }, undefined],
    [{ '/metrics': { status: 200, text: other } }, 'cdc-eu.1'],
    [{ '/prometheus': { status: 200, text: page } }, undefined],
    [{ '/metrics': { status: 200, text: '<html>' }, '/prometheus': { status: 200, text: page } }, 'MaxwellMetrics'],
  ];
  for (const [pages, prefix] of answers) {
    const http = getter(pages);
    const found = await readMaxwellHttp(http, prefix, testCall());
    assert.ok(found.rowCount.known && found.rowCount.value === 920);
    assert.ok(found.messagesSucceeded.known && found.messagesSucceeded.value === 1);
    assert.ok(found.inflight.known && found.inflight.value === 0);
    assert.deepEqual(
      found.publishTime.known && found.publishTime.value.find((q) => q.quantile === '0.99')?.seconds,
      0.10400000000000001,
    );
    assert.ok(http.asked.every((path) => ['/metrics', '/prometheus'].includes(path)));
  }
  await assert.rejects(readMaxwellHttp(getter({}), undefined, testCall()), { code: 'protocol' });
});

test('quantiles of nothing are unknown, not 0', async () => {
  const none = json.replace(/("MaxwellMetrics\.message\.publish\.time":\{"count":)1/, '$10');
  assert.notEqual(none, json);
  const found = await readMaxwellHttp(getter({ '/metrics': { status: 200, text: none } }), undefined, testCall());
  assert.equal(found.publishTime.known, false);
  assert.equal(found.messageAge.known, true);
});

function clientOf(http: HttpGetter | undefined): MaxwellClient {
  const client = openMaxwell({
    target: 'm',
    address: maxwellAddress.parse({ mysql: 'db' }),
    auth: undefined,
    tls: undefined,
    resolve: () => {
      throw new Error('not asked');
    },
  });
  return { ...client, http };
}

const failedPage = (count: number): HttpGetter =>
  getter({
    '/metrics': { status: 200, text: JSON.stringify({ counters: { 'MaxwellMetrics.messages.failed': { count } } }) },
  });

test('collector: failed messages are remembered over the starts of Maxwell', async () => {
  const run = runner(httpCollector);
  const seen: (number | undefined)[] = [];
  for (const count of [2, 5, 0, 3]) {
    const { samples } = await run(clientOf(failedPage(count)));
    assert.equal(samples.get('maxwell_messages_failed_total{}'), count, 'as it says: its reset is a reset');
    seen.push(samples.get('maxwell_messages_failed_seen_total{}'));
  }
  assert.deepEqual(seen, [2, 5, 5, 8]);
});

test('collector: each way of not answering is a state of its own, and no number is left', async () => {
  for (const [answer, state, failed] of [
    [new TargetError('refused', 'no'), 'refused', false],
    [new TargetError('deadline', 'no'), 'silent', true],
    [{ status: 404, text: '' }, 'no_metrics', true],
    [new TargetError('tls', 'no'), 'unknown', true],
  ] as const) {
    const { samples, error } = await runner(httpCollector)(clientOf(getter({ '/metrics': answer })));
    assert.deepEqual(statesOf(samples, 'maxwell_http_state'), [`maxwell_http_state{state="${state}"}`]);
    assert.equal(samples.get('maxwell_http_up{}'), 0);
    assert.equal(error !== undefined, failed, state);
    assert.equal(samples.size, 1 + 6);
  }
  const { samples } = await runner(httpCollector)(clientOf(undefined));
  assert.deepEqual(statesOf(samples, 'maxwell_http_state'), ['maxwell_http_state{state="not_configured"}']);
  assert.ok(!samples.has('maxwell_http_up{}'));
});

test('collector: what it saw at an earlier look is not said again when there was no look', async () => {
  const run = runner(httpCollector);
  for (const answer of [new TargetError('refused', 'no'), new TargetError('deadline', 'no')]) {
    await run(clientOf(getter({ '/metrics': answer })));
    const { samples } = await run(new TargetError('deadline', 'no time to ask'));
    assert.deepEqual(statesOf(samples, 'maxwell_http_state'), ['maxwell_http_state{state="unknown"}']);
    assert.equal(samples.get('maxwell_http_up{}'), 0);
  }
});

test('collector: under its own names only where that is wanted', async () => {
  const answers = { '/metrics': { status: 200, text: json } };
  const names = async (config: unknown): Promise<string[]> => {
    const found: string[] = [];
    await httpCollector
      .prepare(config)
      .collect(clientOf(getter(answers)), (s) => found.push(s.family.name), testCall());
    return found.filter((name) => name.startsWith('MaxwellMetrics_'));
  };
  assert.deepEqual(await names({}), []);
  const own = await names({ own_names: true });
  for (const name of ['replication_lag', 'messages_failed', 'row_meter_total', 'message_publish_time_count']) {
    assert.ok(own.includes(`MaxwellMetrics_${name}`), name);
  }
});
