// Maxwell watched through its tables, its HTTP server and its process, in a lab where each of them can be taken away.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startLab, waitFor, type Lab } from '../../deploy/lab/lab.ts';
import { loadInventory } from '../../exporter/config/loader.ts';
import { FactBoard } from '../../exporter/facts.ts';
import type { Sample } from '../../exporter/families.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { within } from '../../exporter/runtime/deadline.ts';
import { classOf } from '../../exporter/runtime/errors.ts';
import type { BoundTarget, TargetClient } from '../../exporter/system.ts';
import { maxwellHealthFact, type MaxwellHealth } from '../../exporter/systems/maxwell/facts-health.ts';
import { series, statesOf, type Series } from '../unit/mysql/fake-client.ts';

let lab: Lab;
let bound: BoundTarget;
let client: TargetClient;

before(async () => {
  lab = await startLab({ parts: ['maxwell', 'exporter'] });
  const inventory = await loadInventory(lab.files.pipemedic);
  const target = [...inventory.targets.values()].find(({ kind }) => kind === 'maxwell');
  assert.ok(target);
  bound = target.bind();
  client = await bound.open({ signal: within(5000), clock: systemClock });
});

after(async () => {
  await client[Symbol.asyncDispose]();
  await lab.stop();
});

interface Seen {
  readonly up: string;
  readonly samples: Series;
  readonly failed: Readonly<Record<string, string>>;
  readonly health: MaxwellHealth;
  readonly state: string;
}

/** All collectors, as the exporter's sweep runs them. */
async function sweep(ms = 5000): Promise<Seen> {
  const board = new FactBoard();
  const call = { signal: within(ms), clock: systemClock, target: 'm', board };
  const up = await client.ping(call).then(() => 'up', classOf);
  const samples: Sample[] = [];
  const failed: Record<string, string> = {};
  for (const collector of bound.collectors) {
    const own: Sample[] = [];
    try {
      await collector.collect(client, (sample) => own.push(sample), call);
      samples.push(...own);
    } catch (error) {
      failed[collector.name] = classOf(error);
      collector.unknown(String(error), (sample) => samples.push(sample), call);
    }
  }
  const health = board.read('m', maxwellHealthFact);
  assert.ok(health.known);
  const found = series(samples);
  const states = statesOf(found, 'maxwell_state');
  assert.equal(states.length, 1, 'exactly one state');
  const [, state = ''] = /state="(\w+)"/.exec(states[0] ?? '') ?? [];
  assert.equal(state, health.value.state);
  return { up, samples: found, failed, health: health.value, state };
}

function sweepWhen(what: string, is: (seen: Seen) => boolean, deadlineMs = 20_000): Promise<Seen> {
  return waitFor(
    async () => {
      const seen = await sweep();
      return is(seen) && seen;
    },
    { deadlineMs, what, intervalMs: 500 },
  );
}

const labels = '{client_id="maxwell",server_id="1"}';

async function write(n: number): Promise<void> {
  const rows = Array.from({ length: n }, (_, i) => `('c${i}', 'new', 1)`).join(', ');
  await lab.sql('source', `INSERT INTO shop.orders (customer, state, total) VALUES ${rows}`);
}

test('a healthy Maxwell: running, little lag, all families, and messages are counted', async () => {
  await write(50);
  const seen = await sweepWhen(
    '50 messages',
    ({ samples }) => (samples.get('maxwell_messages_succeeded_total{}') ?? 0) >= 50,
  );
  assert.deepEqual(seen.failed, {});
  assert.deepEqual([seen.up, seen.state], ['up', 'running'], seen.health.why);
  const value = (name: string): number => seen.samples.get(`${name}${labels}`) ?? NaN;
  assert.ok(value('maxwell_heartbeat_lag_seconds') >= 0 && value('maxwell_heartbeat_lag_seconds') < 10);
  assert.ok(value('maxwell_heartbeat_age_seconds') < 20);
  assert.ok(value('maxwell_position_behind_bytes') >= 0);
  assert.ok(value('maxwell_position_purge_headroom_bytes') > 0);
  assert.equal(value('maxwell_position_purge_headroom_files'), 0);
  assert.equal(value('maxwell_position_lost'), 0);
  assert.equal(seen.samples.get('maxwell_http_up{}'), 1);
  assert.equal(seen.samples.get('maxwell_messages_failed_total{}'), 0);
  assert.ok(seen.samples.has('maxwell_replication_lag_milliseconds{}'));
  assert.equal(seen.samples.get('maxwell_bootstraps_running{client_id="maxwell"}'), 0);
  assert.deepEqual(statesOf(seen.samples, 'jvm_state'), [
    'jvm_state{source="hsperfdata",state="visible"}',
    'jvm_state{source="maxwell_http",state="visible"}',
  ]);
  assert.equal(seen.samples.get('jvm_memory_max_bytes{area="heap"}'), 256 * 1024 * 1024);
});

test('files and bytes of headroom grow when the binary log is rotated', async () => {
  const before = await sweep();
  await lab.sql('source', 'FLUSH BINARY LOGS');
  await write(1);
  const seen = await sweepWhen(
    'Maxwell to read the next file',
    ({ samples }) => samples.get(`maxwell_position_purge_headroom_files${labels}`) === 1,
  );
  const bytes = (from: Seen): number => from.samples.get(`maxwell_position_purge_headroom_bytes${labels}`) ?? NaN;
  assert.ok(bytes(seen) > bytes(before));
});

test('rows of other servers and clients say nothing', async () => {
  const { health } = await sweep();
  await lab.sql(
    'source',
    "INSERT INTO maxwell.positions (server_id, client_id, binlog_file, binlog_position) VALUES (99, 'maxwell', 'old.000001', 4), (1, 'other', 'old.000001', 4)",
  );
  const seen = await sweep();
  assert.deepEqual(seen.health.serverId.known && seen.health.serverId.value, 1);
  assert.equal(seen.state, health.state);
  await lab.sql('source', "DELETE FROM maxwell.positions WHERE server_id = 99 OR client_id = 'other'");
});

test('a bootstrap that runs is counted', async () => {
  // started_at set by hand: Maxwell takes up only those without it
  await lab.sql(
    'source',
    "INSERT INTO maxwell.bootstrap (database_name, table_name, client_id, started_at, is_complete) VALUES ('shop', 'orders', 'maxwell', NOW(), 0)",
  );
  assert.equal((await sweep()).samples.get('maxwell_bootstraps_running{client_id="maxwell"}'), 1);
  await lab.sql('source', 'UPDATE maxwell.bootstrap SET is_complete = 1');
  assert.equal((await sweep()).samples.get('maxwell_bootstraps_running{client_id="maxwell"}'), 0);
});

test('without the grant for its tables the process is still seen, and the failure names the class', async () => {
  await lab.sql('source', "REVOKE SELECT ON maxwell.* FROM 'exporter'@'%'");
  const seen = await sweep();
  assert.deepEqual([seen.up, seen.state], ['up', 'unknown']);
  assert.match(seen.health.why, /GRANT SELECT ON `maxwell`\.\* TO 'exporter'@'%'/);
  assert.deepEqual([seen.failed['position'], seen.failed['bootstrap']], ['denied', 'denied']);
  assert.equal(seen.samples.get('maxwell_http_up{}'), 1);
  await lab.sql('source', "GRANT SELECT ON maxwell.* TO 'exporter'@'%'");

  await lab.sql('source', "REVOKE BINLOG MONITOR ON *.* FROM 'exporter'@'%'");
  await client[Symbol.asyncDispose](); // global grants count for new connections
  const partial = await sweep();
  assert.equal(partial.state, 'running', 'the tables are enough for the state');
  assert.equal(partial.failed['position'], 'denied');
  assert.ok(partial.samples.has(`maxwell_heartbeat_lag_seconds${labels}`), 'what could be read is served');
  assert.ok(!partial.samples.has(`maxwell_position_lost${labels}`));
  await lab.sql('source', "GRANT BINLOG MONITOR ON *.* TO 'exporter'@'%'");
  await client[Symbol.asyncDispose]();
  assert.deepEqual((await sweep()).failed, {});
});

test('a Maxwell that is stopped by a signal is stalled once its tables are stale, though it lives', async () => {
  lab.part('maxwell').freeze();
  const first = await sweep(12_000);
  assert.deepEqual([first.up, first.samples.get('maxwell_http_up{}')], ['up', 0], 'its process is there');
  const isStale = /its process lives, but its heartbeat is \d+ s old/;
  const seen = await sweepWhen(
    'the stall',
    ({ state, health }) => state === 'stalled' && isStale.test(health.why),
    60_000,
  );
  assert.ok(seen.health.lagSeconds.known && seen.health.lagSeconds.value > 20);
  lab.part('maxwell').thaw();
  await sweepWhen('it to run again', ({ state }) => state === 'running', 40_000);
});

test('a Maxwell that cannot deliver writes heartbeats, and is stalled once its position was watched to stand still', async () => {
  lab.part('kafka').freeze();
  await write(5);
  const seen = await sweepWhen('the stall', ({ state }) => state === 'stalled', 90_000).finally(() => {
    lab.part('kafka').thaw();
  });
  assert.match(seen.health.why, /writes heartbeats, but its position has stood still/);
  assert.ok(seen.health.lagSeconds.known && seen.health.lagSeconds.value >= 10);
  await sweepWhen('it to run again', ({ state }) => state === 'running', 60_000);
});

test('MySQL being away does not make it down: its process and its HTTP are still seen', async () => {
  lab.part('source').freeze(); // its threads stop one after the other
  const seen = await sweepWhen('the outage', ({ failed }) => failed['position'] !== undefined).finally(() => {
    lab.part('source').thaw();
  });
  assert.deepEqual([seen.up, seen.state], ['up', 'unknown']);
  assert.ok(['deadline', 'unreachable'].includes(seen.failed['position'] ?? ''), seen.failed['position']);
  const after = await sweepWhen('it to run again', ({ state }) => state === 'running', 40_000);
  assert.deepEqual(after.failed, {});
});

test('kill -9: down, with its numbers as they stand; purged meanwhile: the position is lost', async () => {
  await lab.part('maxwell').kill();
  const seen = await sweep();
  assert.deepEqual([seen.up, seen.state], ['refused', 'down'], seen.health.why);
  assert.equal(seen.samples.get('maxwell_http_up{}'), 0);
  assert.deepEqual(statesOf(seen.samples, 'jvm_state'), [
    'jvm_state{source="hsperfdata",state="gone"}',
    'jvm_state{source="maxwell_http",state="gone"}',
  ]);
  assert.ok(seen.samples.has(`maxwell_heartbeat_lag_seconds${labels}`));
  assert.equal(seen.samples.get(`maxwell_position_lost${labels}`), 0);

  // Through the exporter's own door: the target is down, and what its tables tell is served all the same
  const served = await (await fetch(`${lab.urls.exporter}/metrics`)).text();
  for (const line of [
    'pipemedic_target_up{target="maxwell1"} 0',
    'pipemedic_target_error_info{target="maxwell1",class="refused"} 1',
    'maxwell_state{target="maxwell1",client_id="maxwell",state="down"} 1',
    'maxwell_position_lost{target="maxwell1",client_id="maxwell",server_id="1"} 0',
    'pipemedic_collector_success{target="maxwell1",collector="position"} 1',
  ]) {
    assert.ok(served.split('\n').includes(line), line);
  }

  await lab.purgeBinlogs();
  const lost = await sweep();
  assert.deepEqual([lost.up, lost.state], ['refused', 'position_lost'], lost.health.why);
  assert.equal(lost.samples.get(`maxwell_position_lost${labels}`), 1);
  assert.ok(!lost.samples.has(`maxwell_position_purge_headroom_bytes${labels}`));
  assert.ok(!lost.samples.has(`maxwell_position_behind_bytes${labels}`));

  await lab.part('source').stop();
  const away = await sweep();
  assert.deepEqual(
    [away.up, away.state],
    ['refused', 'down'],
    'the process is known to be gone, its position is not known',
  );
  assert.equal(away.failed['position'], 'refused');
});
