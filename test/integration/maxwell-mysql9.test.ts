// A Maxwell in GTID mode on MySQL 9, with a metrics_prefix of its own.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ports } from '../../deploy/lab/address.ts';
import { fromCache, program } from '../../deploy/lab/context.ts';
import { startDatabases, type DatabaseLab } from '../../deploy/lab/databases.ts';
import { waitFor } from '../../deploy/lab/lab.ts';
import { maxwellRelease } from '../../deploy/lab/maxwell.ts';
import { mysql9, mysql9Missing } from '../../deploy/lab/mysql9.ts';
import { FactBoard } from '../../exporter/facts.ts';
import type { Sample } from '../../exporter/families.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { within } from '../../exporter/runtime/deadline.ts';
import type { BoundTarget, TargetClient } from '../../exporter/system.ts';
import { maxwell } from '../../exporter/systems/maxwell/index.ts';
import { series, statesOf, type Series } from '../unit/mysql/fake-client.ts';

const missing = mysql9Missing();
// 1.22.6 knows neither the statements nor the authentication of MySQL 9
const skip = missing !== false ? missing : maxwellRelease() === 'maxwell-1.22.6' ? 'too old a Maxwell' : false;

let lab: DatabaseLab;
let process: ChildProcess;
let bound: BoundTarget;
let client: TargetClient;

before(async () => {
  if (skip !== false) return;
  lab = await startDatabases(mysql9, { databases: ['source'] });
  const config = join(lab.dir, 'maxwell.properties');
  writeFileSync(config, `password=${lab.secret('maxwell')}\n`, { mode: 0o600 });
  const options: Readonly<Record<string, string | number>> = {
    host: lab.address,
    port: ports.source,
    user: 'maxwell',
    config,
    producer: 'stdout',
    gtid_mode: 'true',
    replica_server_id: 7001,
    http_port: ports.maxwellHttp,
    http_bind_address: lab.address,
    http_path_prefix: '/cdc',
    metrics_type: 'http',
    metrics_prefix: 'cdc-eu',
  };
  const argv = Object.entries(options).map(([key, value]) => `--${key}=${value}`);
  const path = join(fromCache(maxwellRelease()), 'lib', '*');
  // It ends by itself when its MySQL is gone
  process = spawn(program('java'), ['-Xmx200m', '-cp', path, 'com.zendesk.maxwell.Maxwell', ...argv], {
    stdio: 'ignore',
  });
  const auth = { user: 'exporter', password_file: lab.secretFile('exporter') };
  const source = {
    name: 'db',
    kind: 'mysql',
    address: { host: lab.address, port: ports.source },
    auth,
    tls: undefined,
  };
  const http = { url: `http://${lab.address}:${ports.maxwellHttp}/cdc` };
  bound = maxwell.bind({ name: 'm', kind: 'maxwell', address: { mysql: 'db', http } }, () => source);
  client = await bound.open({ signal: within(5000), clock: systemClock });
});

after(async () => {
  if (skip !== false) return;
  process.kill('SIGKILL');
  await client[Symbol.asyncDispose]();
  await lab.stop();
});

/** Undefined when a collector failed. */
async function sweep(): Promise<Series | undefined> {
  const call = { signal: within(5000), clock: systemClock, target: 'm', board: new FactBoard() };
  const samples: Sample[] = [];
  try {
    for (const collector of bound.collectors) await collector.collect(client, (s) => samples.push(s), call);
  } catch {
    return undefined;
  }
  return series(samples);
}

const of = '{client_id="maxwell",server_id="0"}';

test('GTID mode on MySQL 9: it is seen as a whole, and so is the loss of what it has not read', { skip }, async () => {
  const running = await waitFor(
    async () => {
      const found = await sweep();
      const isRunning = found?.get('maxwell_state{client_id="maxwell",state="running"}') === 1;
      return isRunning && found.get('maxwell_http_up{}') === 1 && found;
    },
    { deadlineMs: 60_000, what: 'Maxwell to run', intervalMs: 500 },
  );
  assert.deepEqual(statesOf(running, 'maxwell_position_mode'), [
    'maxwell_position_mode{client_id="maxwell",mode="gtid"}',
  ]);
  assert.ok((running.get(`maxwell_heartbeat_lag_seconds${of}`) ?? NaN) < 20);
  assert.equal(running.get(`maxwell_position_lost${of}`), 0);
  const seconds = running.get(`maxwell_position_purge_headroom_seconds${of}`) ?? NaN;
  assert.ok(seconds > 2_592_000 - 60 && seconds <= 2_592_000, 'the default of MySQL is 30 days');
  assert.ok((running.get('maxwell_rows_total{}') ?? 0) > 0, 'whatever its metrics_prefix is');

  process.kill('SIGKILL');
  await once(process, 'exit');
  await lab.sql('source', "INSERT INTO shop.orders (customer, state, total) VALUES ('a', 'new', 1)");
  await lab.sql('source', 'FLUSH BINARY LOGS');
  const kept = await sweep();
  assert.equal(kept?.get(`maxwell_position_lost${of}`), 0);
  const logs = await lab.sql('source', 'SHOW BINARY LOGS');
  await lab.sql('source', `PURGE BINARY LOGS TO '${String(logs.at(-1)?.['Log_name'])}'`);
  const lost = await sweep();
  assert.equal(lost?.get(`maxwell_position_lost${of}`), 1);
  assert.deepEqual(statesOf(lost, 'maxwell_state_reason_info'), [
    'maxwell_state_reason_info{client_id="maxwell",reason="gtids_purged",state="position_lost"}',
  ]);
});
