import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { TargetError } from '../../../exporter/runtime/errors.ts';
import { known, unknown } from '../../../exporter/runtime/known.ts';
import { heapOfGauges, parseDropwizard } from '../../../exporter/systems/jvm/facts-dropwizard.ts';
import { maxwellAddress } from '../../../exporter/systems/maxwell/address.ts';
import { processOf } from '../../../exporter/systems/maxwell/client.ts';
import { maxwellHttpOf } from '../../../exporter/systems/maxwell/facts-http.ts';
import { seriesOfJson } from '../../../exporter/systems/maxwell/facts-http-page.ts';
import { positionOf, readMaxwellPosition } from '../../../exporter/systems/maxwell/facts-position.ts';
import { maxwell } from '../../../exporter/systems/maxwell/index.ts';
import { mysqlError } from '../../../exporter/systems/mysql/facts-errors.ts';
import { fakeClient, testCall } from '../mysql/fake-client.ts';

const row = {
  server_id: 1,
  binlog_file: 'bin.000005',
  binlog_position: '500',
  gtid_set: null,
  last_heartbeat_read: '1800000000000',
  heartbeat: '1800000001000',
};

test('the row of the source is read; NULL and 0 mean never', () => {
  assert.deepEqual(positionOf([row], 1_800_000_002_000, 9, 'c1'), {
    found: true,
    serverId: 1,
    binlogFile: 'bin.000005',
    binlogPosition: 500,
    gtidSet: undefined,
    lastHeartbeatReadMs: known(1_800_000_000_000, 9),
    heartbeatMs: known(1_800_000_001_000, 9),
    databaseNowMs: 1_800_000_002_000,
  });
  for (const last_heartbeat_read of [null, 0, '0']) {
    const found = positionOf([{ ...row, last_heartbeat_read, heartbeat: null }], 1, 9, 'c1');
    assert.ok(found.found);
    assert.equal(found.lastHeartbeatReadMs.known, false);
    assert.equal(found.heartbeatMs.known, false);
  }
});

test('of a row of GTID mode and one from before, the one with the newer heartbeat is in use', () => {
  const gtid = { ...row, server_id: '0', gtid_set: 'uuid:1-5', heartbeat: '1800000009000' };
  const inUse = positionOf([row, gtid], 1, 9, 'c1');
  assert.deepEqual(inUse.found && [inUse.serverId, inUse.gtidSet], [0, 'uuid:1-5']);
  const left = positionOf([{ ...gtid, heartbeat: '1700000000000' }, row], 1, 9, 'c1');
  assert.equal(left.found && left.serverId, 1);
});

test('no row is an answer, not an error', () => {
  assert.deepEqual(positionOf([], 5, 9, 'c1'), {
    found: false,
    why: 'positions has no row of client c1 for this source',
    databaseNowMs: 5,
  });
});

test('only rows of the client and the source are asked for; a schema name is quoted', async () => {
  const answers = { 'SELECT p.server_id': [row], 'SELECT UNIX_TIMESTAMP': [{ now_ms: '1800000002000.000' }] };
  const client = fakeClient('10.11.19-MariaDB', answers);
  const found = await readMaxwellPosition(client, { schema: 'my`cdc', clientId: 'c1' }, testCall());
  assert.equal(found.databaseNowMs, 1_800_000_002_000);
  assert.match(client.asked[0] ?? '', /FROM `my``cdc`\.positions p/);
  assert.match(client.asked[0] ?? '', /client_id = \? AND p\.server_id IN \(0, @@GLOBAL\.server_id\)/);
});

test('missing grants and missing tables are told with what to do', async () => {
  const from = (errno: number): TargetError => mysqlError(Object.assign(new Error('no'), { errno }), 'mysql db');
  const ask = (errno: number): Promise<unknown> =>
    readMaxwellPosition(
      fakeClient('10.11.19-MariaDB', { 'SELECT p.server_id': from(errno) }),
      { schema: 'maxwell', clientId: 'c1' },
      testCall(),
    );
  await assert.rejects(ask(1142), {
    code: 'denied',
    message: "mysql db: no (error 1142). To allow it: GRANT SELECT ON `maxwell`.* TO 'exporter'@'%'",
  });
  await assert.rejects(ask(1146), { code: 'failed', message: /maxwell holds no tables of Maxwell/ });
});

for (const release of ['1.22.6', '1.44.1']) {
  test(`Maxwell ${release}: its JSON metrics are read with the prefix found or given`, () => {
    const text = readFileSync(new URL(`fixtures/maxwell-${release}-metrics.json`, import.meta.url), 'utf8');
    const metrics = seriesOfJson(text);
    const found = maxwellHttpOf(metrics, undefined, 3);
    assert.deepEqual(found.messagesFailed, known(0, 3));
    assert.deepEqual(found.messagesSucceeded, known(0, 3));
    assert.ok(found.rowCount.known && found.rowCount.value > 0);
    assert.ok(found.replicationLagMs.known);
    assert.deepEqual(maxwellHttpOf(metrics, 'MaxwellMetrics', 3).messagesFailed, known(0, 3));
    assert.equal(maxwellHttpOf(metrics, 'Other', 3).messagesFailed.known, false);
    const heapFound = heapOfGauges(parseDropwizard(text), undefined, 3);
    assert.ok(heapFound.known);
    const [heap, nonheap] = heapFound.value.areas;
    assert.equal(heap?.maxBytes, 134_217_728);
    assert.equal(nonheap?.maxBytes, undefined, 'without limit');
    assert.deepEqual(heapFound.value.gcs.map(({ gc }) => gc).sort(), ['G1 Old Generation', 'G1 Young Generation']);
    // 1.22 tells only the share of each pool that is used
    assert.equal(heapFound.value.pools.length, release === '1.22.6' ? 0 : 8);
    assert.equal(heapFound.value.afterGcRatio.known, release !== '1.22.6');
  });
}

test('pools have the names of the JVM; what an old generation left is known only once it was collected', () => {
  const gauges = (used: number): string =>
    JSON.stringify({
      gauges: Object.fromEntries(
        Object.entries({
          'heap.used': 500,
          'heap.max': 1000,
          'pools.G1-Eden-Space.used': 300,
          'pools.G1-Eden-Space.used-after-gc': 0,
          'pools.G1-Survivor-Space.used': 40,
          'pools.G1-Survivor-Space.used-after-gc': 40,
          'pools.G1-Old-Gen.used': 160,
          'pools.G1-Old-Gen.used-after-gc': used,
          'pools.Metaspace.used': 70,
          "pools.CodeHeap-'non-nmethods'.used": 5,
          "pools.CodeHeap-'non-profiled-nmethods'.used": 6,
          "pools.CodeHeap-'profiled-nmethods'.used": 7,
        }).map(([name, value]) => [`P.jvm.memory_usage.${name}`, { value }]),
      ),
    });
  const heap = heapOfGauges(parseDropwizard(gauges(110)), undefined, 3);
  assert.ok(heap.known);
  assert.deepEqual(heap.value.afterGcRatio, known(0.15, 3));
  assert.deepEqual(
    heap.value.pools.map(({ pool }) => pool),
    [
      'G1 Eden Space',
      'G1 Survivor Space',
      'G1 Old Gen',
      'Metaspace',
      "CodeHeap 'non-nmethods'",
      "CodeHeap 'non-profiled nmethods'",
      "CodeHeap 'profiled nmethods'",
    ],
  );
  const early = heapOfGauges(parseDropwizard(gauges(0)), undefined, 3);
  assert.equal(early.known && early.value.afterGcRatio.known, false);
});

test('metrics of two prefixes are not guessed between; what is not JSON is refused', () => {
  const two = seriesOfJson('{"counters":{"a.messages.failed":{"count":1},"b.messages.failed":{"count":2}}}');
  assert.deepEqual(maxwellHttpOf(two, undefined, 3).messagesFailed, {
    known: false,
    why: 'the metrics hold no messages_failed, or several: set prefix',
  });
  assert.deepEqual(maxwellHttpOf(two, 'b', 3).messagesFailed, known(2, 3));
  assert.throws(() => seriesOfJson('<html>'), { code: 'protocol' });
  assert.equal(seriesOfJson('[]').size, 0);
  assert.equal(seriesOfJson('{"gauges":{"x":{"value":"NaN"},"y":null}}').size, 0);
});

test('evidence of life from one side is enough; evidence of death counts where no side shows life', () => {
  const [alive, gone, dark] = [known('alive' as const, 1), known('gone' as const, 1), unknown('dark')];
  assert.deepEqual(processOf(gone, alive), alive, 'HTTP refused, but the process is there');
  assert.deepEqual(processOf(alive, gone), alive);
  assert.deepEqual(processOf(dark, gone), gone);
  assert.deepEqual(processOf(gone, dark), gone);
  assert.deepEqual(processOf(gone, undefined), gone);
  assert.deepEqual(processOf(dark, unknown('too')), unknown('dark; too'));
  assert.equal(processOf(undefined, undefined).known, false);
});

test('an address names the targets that it needs, and has the defaults of Maxwell', () => {
  assert.deepEqual(maxwellAddress.parse({ mysql: 'db', hsperfdata: {} }), {
    mysql: 'db',
    source: 'db',
    schema: 'maxwell',
    clientId: 'maxwell',
    http: undefined,
    hsperfdata: { pidFile: undefined, mainClass: 'com.zendesk.maxwell.Maxwell', dir: '/tmp', user: undefined },
    logFile: undefined,
    logStateFile: undefined,
    witnessFile: undefined,
  });
  assert.equal(maxwellAddress.safeParse({ mysql: 'db', log_file: 'm.log' }).success, false, 'absolute paths');
  assert.equal(maxwellAddress.safeParse({ mysql: 'db', log_state_file: '/m.state' }).success, false);
  const target = (address: unknown): unknown => ({ name: 'm', kind: 'maxwell', address });
  assert.deepEqual(maxwell.references(target({ mysql: 'db' })), [{ path: 'mysql', target: 'db', kind: 'mysql' }]);
  assert.deepEqual(
    maxwell.references(target({ mysql: 'db', source: 'replica' })).map((r) => [r.path, r.target]),
    [
      ['mysql', 'db'],
      ['source', 'replica'],
    ],
  );
  assert.equal(maxwellAddress.safeParse({}).success, false);
  assert.equal(maxwellAddress.safeParse({ mysql: 'db', schema_database: 'a`b' }).success, false);
});
