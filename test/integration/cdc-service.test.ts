// The CDC service and Debezium: what Prometheus would get.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { DatabaseLab } from '../../deploy/lab/databases.ts';
import type { Finding } from '../../exporter/findings.ts';
import { cuts, floods, hangs, json, text, type Reply, type StandIn } from '../support/cdc-stand-in.ts';
import { valueOf } from '../support/exposition-parser.ts';
import {
  connectPath,
  connectStatus,
  debeziumPage,
  endpoint,
  openCdcRoom,
  sound,
  state,
  stateOf,
  success,
  type CdcRoom,
} from './cdc-service-room.ts';

let room: CdcRoom;
let lab: DatabaseLab;
let stand: StandIn;
const scrape: CdcRoom['scrape'] = (...how) => room.scrape(...how);

before(async () => {
  room = await openCdcRoom();
  ({ lab, stand } = room);
});
after(async () => {
  await room.stop();
});
beforeEach(() => {
  room.heal();
});

test('a sound service: its page under its own names, its API under ours, its stage in the pipeline', async () => {
  await scrape();
  const found = await scrape();
  assert.equal(stateOf(found, 'cdc'), 'running');
  assert.equal(found.get('cdc_errors_total')?.type, 'counter');
  assert.equal(found.get('cdc_binlog_lag_seconds')?.help, 'Lag.');
  assert.equal(valueOf(found, 'cdc_errors_total', { target: 'cdc', env: 'prod', type: 'apply' }), 3);
  assert.equal(valueOf(found, 'cdc_ingest_rate', { target: 'cdc' }), 12);
  assert.equal(
    valueOf(found, 'cdc_binlog_lag_seconds', { target: 'cdc', env: 'prod', exported_target: 'its', exported_env: 'x', source: 'b' }),
    4,
  );
  assert.equal(valueOf(found, 'cdc_service_lag_seconds', { target: 'cdc' }), 4);
  assert.equal(valueOf(found, 'cdc_service_queue_records', { target: 'cdc' }), 17);
  assert.equal(valueOf(found, 'cdc_service_ingest_rate', { target: 'cdc' }), 120.5);
  assert.equal(valueOf(found, 'cdc_service_error_rate', { target: 'cdc' }), 0.002);
  assert.equal(valueOf(found, 'cdc_service_info', { target: 'cdc', version: '2.1.0' }), 1);
  assert.equal(state(found, 'cdc_service_component_state', { target: 'cdc', component: 'target' }), 'degraded');
  assert.equal(valueOf(found, 'cdc_service_ddl_alerts', { target: 'cdc' }), 1);
  assert.equal(found.get('cdc_service_ddl_alert_statements')?.samples.filter((s) => s.labels['target'] === 'cdc').length, 1);
  assert.equal(valueOf(found, 'cdc_service_ddl_history_entries', { target: 'cdc' }), 0);
  assert.equal(valueOf(found, 'cdc_service_page_samples_dropped', { target: 'cdc', reason: 'nan' }), 1);
  assert.equal(valueOf(found, 'cdc_service_page_samples_dropped', { target: 'cdc', reason: 'name' }), 1);
  assert.equal(found.has('jvm_threads_current'), false);
  assert.equal(valueOf(found, 'pipeline_stage_lag_seconds', { pipeline: 'orders', stage: 'cdc_read', target: 'cdc' }), 4);
  assert.equal(valueOf(found, 'pipeline_lag_seconds', { pipeline: 'orders', method: 'computed' }), 4);
  for (const collector of ['state', 'page', 'status', 'components', 'ddl', 'offsets']) assert.equal(success(found, collector), 1, collector);
  for (const { samples } of found.values()) {
    for (const { labels } of samples) assert.doesNotMatch(Object.values(labels).join(), /private/);
  }
}); // prettier-ignore

test('offsets: the same age by three kinds of column; a table that is not there is said with its grant', async () => {
  const found = await scrape();
  const age = (target: string): number => valueOf(found, 'cdc_service_offsets_age_seconds', { target }) ?? NaN;
  assert.ok(age('cdc') >= 30 && age('cdc') < 90, String(age('cdc')));
  assert.ok(age('ms') - age('cdc') > 8 && age('ms') - age('cdc') < 12, String(age('ms')));
  assert.ok(age('local') - age('cdc') > 18 && age('local') - age('cdc') < 22, String(age('local')));
  assert.equal(valueOf(found, 'cdc_service_offsets_rows', { target: 'cdc' }), 1);
  assert.equal(endpoint(found, 'offsets', 'none'), 'failed');
  assert.equal(valueOf(found, 'pipemedic_collector_error_info', { target: 'none', collector: 'offsets' }), 1);
  assert.equal(success(found, 'state', 'none'), 1);
});

test('credentials go to the host that they were given for', async () => {
  await scrape();
  const basic = `Basic ${Buffer.from(`exporter:${lab.secret('exporter')}`).toString('base64')}`;
  assert.ok(stand.asked.includes(`/status ${basic}`));
  assert.ok(stand.asked.includes(`/metrics ${basic}`), 'the page of cdc, on the host of its API');
  // ms and local have no auth; the page of none is on another host than its API
  assert.equal(stand.asked.filter((a) => a === `/metrics ${basic}`).length, 1);
});

test('an endpoint that the service does not have is missing, not an error', async () => {
  for (const path of Object.keys(sound)) stand.replies.delete(path);
  const found = await scrape();
  for (const part of ['status', 'components', 'ddl_alerts', 'ddl_history', 'metrics']) {
    assert.equal(endpoint(found, part), 'missing', part);
  }
  assert.equal(endpoint(found, 'metrics', 'local'), 'not_configured');
  for (const collector of ['state', 'page', 'status', 'components', 'ddl']) assert.equal(success(found, collector), 1);
  assert.equal(stateOf(found, 'cdc'), 'unknown', 'it answers, and nothing that it says tells whether it works');
  assert.equal(valueOf(found, 'cdc_service_lag_seconds', { target: 'cdc' }), undefined);
  assert.equal(state(found, 'pipeline_stage_state', { pipeline: 'orders' }), 'unknown');
});

const redirects: Reply = (_request, response) => {
  response.writeHead(302, { location: `${stand.url}/elsewhere` });
  response.end();
};
const hostile: readonly (readonly [string, Reply, string])[] = [
  ['500', { status: 500, body: 'stack trace' }, 'failed'],
  ['401', { status: 401 }, 'auth'],
  ['403', { status: 403 }, 'denied'],
  ['a redirect', redirects, 'protocol'],
  ['an answer without an end', floods, 'protocol'],
  ['an answer cut off', cuts, 'unreachable'],
  ['no answer', hangs, 'deadline'],
  ['no JSON and no page', { body: '<html>private</html>' }, 'protocol'],
  ['JSON of another kind', json(7), 'protocol'],
  ['binary', { body: '\0\u0001\ufffd{{{{' }, 'protocol'],
];
for (const [what, reply, expected] of hostile) {
  test(`hostile answers: ${what}, from everything but /health`, async () => {
    for (const path of Object.keys(sound)) if (path !== '/health') stand.replies.set(path, reply);
    const found = await scrape();
    for (const [collector, of] of [['page', 'metrics'], ['status', 'status'], ['components', 'components'], ['ddl', 'ddl_alerts']] as const) {
      assert.equal(success(found, collector), 0, collector);
      assert.equal(endpoint(found, of), 'failed', of);
      const [error] = (found.get('pipemedic_collector_error_info')?.samples ?? []).filter((s) => s.labels['target'] === 'cdc' && s.labels['collector'] === collector);
      assert.equal(error?.labels['class'], expected, collector);
    }
    // What its health check says stands, and the failure is told.
    assert.equal(stateOf(found, 'cdc'), 'running');
    assert.equal(success(found, 'state'), 0);
    assert.equal(success(found, 'offsets'), 1);
    assert.equal(valueOf(found, 'cdc_service_lag_seconds', { target: 'cdc' }), undefined);
    assert.equal(found.has('cdc_service_ingest_rate'), false);
    assert.equal(state(found, 'pipeline_stage_state', { pipeline: 'orders' }), 'unknown');
    assert.equal(stand.asked.some((a) => a.startsWith('/elsewhere')), false);
  }); // prettier-ignore
}

test('one endpoint that fails hides no other', async () => {
  stand.replies.set('/api/ddl/history', { status: 500 });
  const found = await scrape();
  assert.equal(success(found, 'ddl'), 0);
  assert.equal(endpoint(found, 'ddl_history'), 'failed');
  assert.equal(endpoint(found, 'ddl_alerts'), 'ok');
  assert.equal(valueOf(found, 'cdc_service_ddl_alerts', { target: 'cdc' }), 1);
  assert.equal(valueOf(found, 'cdc_service_ingest_rate', { target: 'cdc' }), 120.5);
});

test('its health check says no: 503, or a word', async () => {
  for (const reply of [json({ status: 'DOWN' }, 503), json({ status: 'DOWN' }), { status: 500, body: 'oops' }]) {
    stand.replies.set('/health', reply);
    const found = await scrape();
    assert.equal(stateOf(found, 'cdc'), 'stalled');
    assert.equal(state(found, 'cdc_service_layer_state', { target: 'cdc', layer: 'function' }), 'failed');
    assert.equal(state(found, 'cdc_service_layer_state', { target: 'cdc', layer: 'process' }), 'ok');
    assert.equal(state(found, 'pipeline_stage_state', { pipeline: 'orders' }), 'stalled');
  }
});

test('a health check that answers something else does not say that it works', async () => {
  for (const body of ['<html>Sign in</html>', '{"foo":1}', 'fine, thank you']) {
    stand.replies.set('/health', { status: 200, body });
    const found = await scrape();
    assert.equal(state(found, 'cdc_service_layer_state', { target: 'cdc', layer: 'function' }), 'unknown', body);
  }
  stand.replies.set('/health', json({ status: 'DEGRADED' }));
  assert.equal(state(await scrape(), 'cdc_service_layer_state', { target: 'cdc', layer: 'function' }), 'ok');
});

test('gone: down, also in the pipeline, and back again', async () => {
  await stand.close();
  const gone = await scrape();
  assert.equal(stateOf(gone, 'cdc'), 'down');
  assert.equal(stateOf(gone, 'dbz'), 'down');
  assert.equal(valueOf(gone, 'pipemedic_target_up', { target: 'cdc' }), 0);
  assert.equal(valueOf(gone, 'pipemedic_target_error_info', { target: 'cdc', class: 'refused' }), 1);
  assert.equal(state(gone, 'cdc_service_layer_state', { target: 'cdc', layer: 'port' }), 'failed');
  assert.equal(state(gone, 'pipeline_stage_state', { pipeline: 'orders' }), 'down');
  assert.equal(success(gone, 'state'), 1, 'that it is gone is an answer');
  await stand.listen();
  const back = await scrape();
  assert.equal(stateOf(back, 'cdc'), 'running');
  assert.equal(valueOf(back, 'pipemedic_target_up', { target: 'cdc' }), 1);
});

test('a stopped process: it takes connections and answers nothing', async () => {
  for (const path of [...Object.keys(sound), '/debezium', connectPath]) stand.replies.set(path, hangs);
  const found = await scrape(15, 5000);
  assert.equal(stateOf(found, 'cdc'), 'unknown');
  assert.equal(stateOf(found, 'dbz'), 'unknown');
  assert.equal(valueOf(found, 'pipemedic_target_error_info', { target: 'cdc', class: 'deadline' }), 1);
  assert.equal(endpoint(found, 'status'), 'failed');
});

test('Debezium: passed on, and read into the same facts', async () => {
  stand.replies.set('/debezium', debeziumPage({ MilliSecondsBehindSource: 12_000 }));
  const found = await scrape();
  assert.equal(stateOf(found, 'dbz'), 'running');
  const labels = { target: 'dbz', plugin: 'mysql', name: 'orders', context: 'streaming' };
  assert.equal(valueOf(found, 'debezium_metrics_MilliSecondsBehindSource', labels), 12_000);
  assert.equal(valueOf(found, 'cdc_service_lag_seconds', { target: 'dbz' }), 12);
  assert.equal(valueOf(found, 'cdc_service_queue_records', { target: 'dbz' }), 192);
  assert.equal(valueOf(found, 'pipeline_stage_lag_seconds', { pipeline: 'users' }), 12);
  stand.replies.set('/debezium', debeziumPage({ Connected: 0 }));
  const cut = await scrape();
  assert.equal(stateOf(cut, 'dbz'), 'stalled');
  assert.equal(valueOf(cut, 'cdc_service_lag_seconds', { target: 'dbz' }), undefined);
  assert.equal(state(cut, 'pipeline_stage_state', { pipeline: 'users' }), 'stalled');
});

test('Debezium whose task has failed: its page is there and its beans are gone, Kafka Connect knows why', async () => {
  stand.replies.set('/debezium', text('# nothing of it\n'));
  stand.replies.set(connectPath, connectStatus('FAILED'));
  const failed = await scrape();
  assert.equal(stateOf(failed, 'dbz'), 'stalled');
  assert.equal(state(failed, 'pipeline_stage_state', { pipeline: 'users' }), 'stalled');
  assert.equal(success(failed, 'state', 'dbz'), 1);
  stand.replies.set(connectPath, connectStatus('RUNNING'));
  assert.equal(stateOf(await scrape(), 'dbz'), 'unknown', 'it may run in another worker');
  for (const reply of [json({ error_code: 409 }, 409), json({ tasks: 7 }), { body: 'private' }]) {
    stand.replies.set(connectPath, reply);
    stand.replies.set('/debezium', debeziumPage({}));
    const found = await scrape();
    assert.equal(stateOf(found, 'dbz'), 'running', 'what its page says stands');
    assert.equal(success(found, 'state', 'dbz'), 0);
  }
});

test('Debezium that stands still: its lag of 0 is believed while the source is idle, and not once that goes on', async () => {
  await scrape();
  for (let i = 0; i < 6; i++) {
    const idle = await scrape();
    assert.equal(stateOf(idle, 'dbz'), 'running');
    assert.equal(valueOf(idle, 'cdc_service_lag_seconds', { target: 'dbz' }), 0);
  }
  let found = await scrape();
  for (let i = 0; i < 5; i++) {
    await lab.sql('source', `INSERT INTO app.cdc_offsets VALUES (${String(100 + i)}, NOW(6), 0, NOW(6))`);
    found = await scrape();
  }
  assert.equal(stateOf(found, 'dbz'), 'stalled');
  assert.equal(valueOf(found, 'cdc_service_lag_seconds', { target: 'dbz' }), undefined);
  const atLeast = valueOf(found, 'cdc_service_lag_at_least_seconds', { target: 'dbz' }) ?? 0;
  assert.ok(atLeast >= 60 && atLeast < 90, String(atLeast));
  assert.equal(state(found, 'pipeline_stage_state', { pipeline: 'users' }), 'stalled');
  assert.equal(valueOf(found, 'pipeline_lag_seconds', { pipeline: 'users', method: 'at_least' }), atLeast);
  assert.equal(valueOf(found, 'pipeline_stage_lag_seconds', { pipeline: 'users' }), undefined);

  stand.replies.set('/debezium', debeziumPage({ BinlogPosition: 9999 }));
  const moves = await scrape();
  assert.equal(stateOf(moves, 'dbz'), 'running');
  assert.equal(valueOf(moves, 'cdc_service_lag_seconds', { target: 'dbz' }), 0);
});

test('the time for the page is bounded by its size: 5000 samples count, the rest is left out and told', async () => {
  const lines = Array.from({ length: 12_000 }, (_, i) => `cdc_many{i="${String(i)}"} 1\n`).join('');
  stand.replies.set('/metrics', text(`cdc_binlog_lag_seconds 1\n${lines}`));
  const found = await scrape();
  assert.equal(valueOf(found, 'cdc_service_page_samples_dropped', { target: 'cdc', reason: 'over_limit' }), 7_001);
  assert.equal(valueOf(found, 'cdc_service_lag_seconds', { target: 'cdc' }), 1);
});

test('doctor: what can be read, what is missing, and the grant for what may not be', async () => {
  stand.replies.delete('/api/ddl/history');
  stand.replies.set('/status', { status: 500 });
  const examine = async (name: string): Promise<ReadonlyMap<string, Finding>> => {
    const bound = room.inventory.targets.get(name)?.bind();
    assert.ok(bound !== undefined);
    const call = { signal: AbortSignal.timeout(5000), clock: room.clock };
    await using client = await bound.open(call);
    return new Map((await bound.examine(client, call)).map((f) => [f.check, f]));
  };
  const cdc = await examine('cdc');
  assert.deepEqual(
    [...cdc.values()].map(({ check, ok }) => [check, ok]),
    [
      ['cdc_service_state', true],
      ['cdc_service_lag', true],
      ['cdc_service_source', true],
      ['cdc_service_metrics', true],
      ['cdc_service_status', false],
      ['cdc_service_components', true],
      ['cdc_service_ddl_alerts', true],
      ['cdc_service_ddl_history', 'unknown'],
      ['cdc_service_offsets', true],
    ],
  );
  const none = await examine('none');
  assert.match(none.get('cdc_service_offsets')?.text ?? '', /GRANT SELECT ON `app`\.`missing` TO 'exporter'@'%'/);
  assert.equal(none.get('cdc_service_source')?.ok, 'unknown');
  assert.equal((await examine('dbz')).get('debezium_position')?.ok, true);
});
