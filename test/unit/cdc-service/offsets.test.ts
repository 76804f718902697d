import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classOf } from '../../../exporter/runtime/errors.ts';
import type { OffsetsAddress } from '../../../exporter/systems/cdc-service/address.ts';
import { cdcServiceAddress, debeziumAddress } from '../../../exporter/systems/cdc-service/address.ts';
import { offsetsOf, readOffsets } from '../../../exporter/systems/cdc-service/facts-offsets.ts';
import { fakeClient, testCall } from '../mysql/fake-client.ts';

const address: OffsetsAddress = { mysql: 'db', database: 'app', table: 'cdc_offsets', column: 'updated_at', timeZone: undefined }; // prettier-ignore

test('the statement depends on what the column is; a table that is not there makes no statement fail', async () => {
  for (const [type, timeZone, expected] of [
    ['timestamp', undefined, /TIMESTAMPDIFF\(MICROSECOND, MAX\(`updated_at`\), NOW\(6\)\)/],
    ['datetime', '+02:00', /CONVERT_TZ\(MAX\(`updated_at`\), '\+02:00', '\+00:00'\)/],
    ['bigint', undefined, /UNIX_TIMESTAMP\(NOW\(6\)\) - MAX/],
  ] as const) {
    const client = fakeClient('8.4.0', { 'SELECT DATA_TYPE': [{ type }], 'SELECT COUNT': [{ row_count: '2', age_seconds: '3.25' }] });
    const found = await readOffsets(client, { ...address, timeZone }, testCall());
    assert.deepEqual([found.rows, found.ageSeconds.known && found.ageSeconds.value], [2, 3.25]);
    assert.match(client.asked[1] ?? '', expected);
    assert.match(client.asked[1] ?? '', /FROM `app`\.`cdc_offsets`$/);
  }
  for (const [type, why] of [['datetime', /set offsets\.time_zone/], ['varchar', /which is no time/]] as const) {
    const client = fakeClient('8.4.0', { 'SELECT DATA_TYPE': [{ type }], 'SELECT COUNT': [{ row_count: 2 }] });
    const { rows, ageSeconds } = await readOffsets(client, address, testCall());
    assert.equal(rows, 2);
    assert.ok(!ageSeconds.known);
    assert.match(ageSeconds.why, why);
  }
  const client = fakeClient('8.4.0', { 'SELECT DATA_TYPE': [] });
  await assert.rejects(readOffsets(client, address, testCall()), (error: unknown) => {
    assert.equal(classOf(error), 'denied');
    assert.match(String(error), /GRANT SELECT ON `app`\.`cdc_offsets` TO 'exporter'@'%'/);
    return true;
  });
}); // prettier-ignore

test('an age that cannot be: unknown, never 0', () => {
  const age = (row: object): unknown => {
    const { ageSeconds } = offsetsOf(row as Record<string, unknown>, 0);
    return ageSeconds.known ? ageSeconds.value : 'unknown';
  };
  assert.equal(age({ row_count: 0, age_seconds: null }), 'unknown');
  assert.equal(age({ row_count: 1, age_seconds: null }), 'unknown');
  assert.equal(age({ row_count: 1, age_seconds: 'soon' }), 'unknown');
  assert.equal(age({ row_count: 1, age_seconds: '-3600' }), 'unknown');
  assert.equal(age({ row_count: 1, age_seconds: '1795277823.4' }), 'unknown');
  assert.equal(age({ row_count: 1, age_seconds: '-0.4' }), 0);
  assert.equal(age({ row_count: 1, age_seconds: '7' }), 7);
});

test('addresses', () => {
  const parsed = cdcServiceAddress.parse({ http: 'http://127.0.0.1:8080/', offsets: { mysql: 'db', database: 'app' } });
  assert.deepEqual(parsed, {
    http: 'http://127.0.0.1:8080',
    metrics: undefined,
    source: undefined,
    offsets: { mysql: 'db', database: 'app', table: 'cdc_offsets', column: 'updated_at', timeZone: undefined },
  });
  for (const wrong of [
    {},
    { http: 'ftp://x' },
    { http: 'http://user:secret@x' },
    { http: 'http://x/?token=1' },
    { metrics: 'x' },
    { http: 'http://x', offsets: { mysql: 'db' } },
    { http: 'http://x', offsets: { mysql: 'db', database: 'a`b' } },
    { http: 'http://x', offsets: { mysql: 'db', database: 'a', time_zone: "'; DROP" } },
    { http: 'http://x', other: 1 },
  ]) {
    assert.equal(cdcServiceAddress.safeParse(wrong).success, false, JSON.stringify(wrong));
  }
  assert.equal(debeziumAddress.parse({ metrics: 'http://127.0.0.1:7071/metrics' }).server, undefined);
  assert.equal(debeziumAddress.safeParse({ server: 'x' }).success, false);
});
