// One whole lab (without exporter and remediator): what it brings up, and what its faults do.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { portsInUseOn, processesOf } from '../support/lab-witness.ts';
import { pipelineParts, startLab, waitFor, type Lab } from '../../deploy/lab/lab.ts';

let lab: Lab;
let tookMs = 0;

before(async () => {
  const begun = performance.now();
  lab = await startLab({
    parts: [...pipelineParts, 'prometheus', 'alertmanager'],
    rowsPerSecond: 10,
    backupEverySeconds: 3600,
  });
  tookMs = performance.now() - begun;
});

after(async () => {
  const { dir, address } = lab;
  await lab.stop();
  assert.equal(existsSync(dir), false);
  assert.deepEqual(processesOf(dir), []);
  assert.deepEqual(portsInUseOn(address), []);
});

/** Writes a row on the source and waits until the Redis replica has it. */
async function rowArrives(customer: string): Promise<string> {
  await lab.sql('source', `INSERT INTO shop.orders (customer, state, total) VALUES ('${customer}', 'new', 12.5)`);
  const [row] = await lab.sql('source', `SELECT MAX(id) AS id FROM shop.orders WHERE customer = '${customer}'`);
  const id = String(row?.['id']);
  await waitFor(
    async () => (await lab.redis('redisReplica', (redis) => redis.hget(`orders:${id}`, 'customer'))) === customer,
    { what: `row ${id} in the Redis replica` },
  );
  return id;
}

test('a row written on the source arrives in the Redis replica, and its change and deletion too', async (t) => {
  t.diagnostic(`the lab was up after ${Math.round(tookMs)} ms, with ${lab.maxwellRelease ?? 'no Maxwell'}`);
  const id = await rowArrives('Zoë Ωmega 🜁');
  const read = (): Promise<Record<string, string>> =>
    lab.redis('redisReplica', (redis) => redis.hgetall(`orders:${id}`));
  assert.match((await read())['total'] ?? '', /^\d+\.5$/); // the writer changes totals and states of new rows
  await lab.sql('source', `UPDATE shop.orders SET customer = 'changed' WHERE id = ${id}`);
  await waitFor(async () => (await read())['customer'] === 'changed', { what: 'the change' });
  await lab.sql('source', `DELETE FROM shop.orders WHERE id = ${id}`);
  await waitFor(async () => Object.keys(await read()).length === 0, { what: 'the deletion' });
});

test('no secret stands on a command line or in a file that others can read', () => {
  const users = ['lab', 'maxwell', 'repl', 'exporter', 'remediator', 'backup', 'writer'];
  const secrets = users.map((user) => lab.secret(user));
  assert.equal(new Set(secrets).size, users.length);
  for (const pid of processesOf(lab.dir)) {
    const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    assert.ok(!secrets.some((secret) => line.includes(secret)), line);
  }
  for (const file of [...users.map((user) => lab.secretFile(user)), join(lab.dir, 'backup.cnf'), lab.files.pipemedic]) {
    assert.equal(statSync(file).mode & 0o077, 0, file);
  }
  assert.ok(!secrets.some((secret) => readFileSync(lab.files.pipemedic, 'utf8').includes(secret)));
});

test('each user has the grants of its own and no more', async () => {
  const grants = async (user: string): Promise<string> =>
    (await lab.sql('source', `SHOW GRANTS FOR '${user}'@'%'`)).map((row) => Object.values(row).join()).join('\n');
  const exporter = await grants('exporter');
  for (const wanted of ['PROCESS', 'BINLOG MONITOR', 'SLAVE MONITOR', 'SELECT ON `maxwell`.*']) {
    assert.ok(exporter.includes(wanted), `${wanted} in ${exporter}`);
  }
  for (const other of [exporter, await grants('remediator')]) {
    assert.doesNotMatch(other, /SUPER|ALL PRIVILEGES|INSERT|UPDATE|DELETE|SELECT[^\n]* ON \*\.\*/);
  }
});

test('the backup is complete gzip of a complete dump with its position, and every way to spoil it shows', () => {
  const [file = ''] = lab.backups();
  assert.match(file, /orders-\d{8}T\d{6}Z\.sql\.gz$/);
  const text = gunzipSync(readFileSync(file)).toString('utf8');
  assert.match(text, /-- Dump completed on /);
  assert.match(text, /gtid_slave_pos/);
  assert.match(text, /CREATE TABLE `orders`/);
  assert.equal(lab.corruptBackup('noTrailer'), file);
  assert.doesNotMatch(gunzipSync(readFileSync(file)).toString('utf8'), /Dump completed/);
  lab.corruptBackup('truncate');
  assert.throws(() => gunzipSync(readFileSync(file)), { code: 'Z_BUF_ERROR' });
  lab.corruptBackup('garbage');
  assert.throws(() => gunzipSync(readFileSync(file)), { code: 'Z_DATA_ERROR' });
  lab.corruptBackup('empty');
  assert.equal(statSync(file).size, 0);
});

test('the shipped rules are loaded, with shorter durations, and the Alertmanager is known', async () => {
  const get = async (path: string): Promise<unknown> => (await fetch(`${lab.urls.prometheus}${path}`)).json();
  const { data } = (await get('/api/v1/rules?type=alert')) as {
    data: { groups: { rules: { name: string; duration: number }[] }[] };
  };
  const rules = data.groups.flatMap((group) => group.rules);
  assert.equal(rules.find((rule) => rule.name === 'MaxwellDown')?.duration, 60 / lab.timeFactor);
  await waitFor(
    async () => {
      const known = (await get('/api/v1/alertmanagers')) as { data: { activeAlertmanagers: { url: string }[] } };
      return known.data.activeAlertmanagers.some(({ url }) => url.startsWith(lab.urls.alertmanagers[0] ?? '?'));
    },
    { what: 'Prometheus to know its Alertmanager' },
  );
});

test('what Alertmanager sends to people is remembered', async () => {
  const alert = { labels: { alertname: 'OfThisTest', severity: 'warning' }, annotations: { summary: 'seen' } };
  const response = await fetch(`${lab.urls.alertmanagers[0] ?? ''}/api/v2/alerts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify([alert]),
  });
  assert.equal(response.status, 200);
  const page = await waitFor(() => lab.pages.find((p) => p.labels['alertname'] === 'OfThisTest'), {
    what: 'the page',
  });
  assert.deepEqual([page.receiver, page.status, page.annotations['summary']], ['warning', 'firing', 'seen']);
});

test('a link that is cut stops the replica, and it comes back', async () => {
  const state = async (): Promise<unknown> => (await lab.sql('replica', 'SHOW SLAVE STATUS'))[0]?.['Slave_IO_Running'];
  const link = lab.link('replica->source');
  await link.cut();
  await waitFor(async () => (await state()) === 'Connecting', { what: 'the replica to notice' });
  await link.restore();
  await waitFor(async () => (await state()) === 'Yes', { what: 'the replica to be back' });
});

test('a black hole between the Redis servers keeps the link and passes nothing', async () => {
  const link = lab.link('redisReplica->redis');
  await link.blackhole();
  await lab.redis('redis', (redis) => redis.set('canary', 'held back'));
  const offsets = await lab.redis('redis', (redis) => redis.info('replication'));
  assert.match(offsets, /connected_slaves:1/);
  const replica = await lab.redis('redisReplica', (redis) => redis.info('replication'));
  assert.match(replica, /master_link_status:up/); // it does not know yet
  assert.equal(await lab.redis('redisReplica', (redis) => redis.get('canary')), null);
  await link.restore();
  await waitFor(async () => (await lab.redis('redisReplica', (redis) => redis.get('canary'))) === 'held back', {
    what: 'what was held back',
  });
});

test('a part can be killed, stopped, frozen and started again, and the pipeline goes on', async () => {
  const maxwell = lab.part('maxwell');
  const before = maxwell.pid;
  await maxwell.kill();
  assert.equal(maxwell.pid, undefined);
  await lab.part('redis').stop();
  assert.equal(lab.part('redis').pid, undefined);
  await Promise.all([maxwell.start(), lab.part('redis').start()]);
  assert.notEqual(maxwell.pid, before);
  lab.part('sink').freeze();
  const arriving = rowArrives('held by the sink');
  const [row] = await waitFor(
    async () => {
      const rows = await lab.sql('source', "SELECT id FROM shop.orders WHERE customer = 'held by the sink'");
      return rows.length > 0 && rows;
    },
    { what: 'the row on the source' },
  );
  assert.equal(await lab.redis('redis', (redis) => redis.exists(`orders:${String(row?.['id'])}`)), 0);
  lab.part('sink').thaw();
  await arriving;
  await maxwell.start(); // runs already
});

test('what Maxwell has not read is gone after a purge while it is down, and it says so', async () => {
  const maxwell = lab.part('maxwell');
  await maxwell.stop();
  assert.equal(maxwell.pid, undefined);
  await lab.sql('source', "INSERT INTO shop.orders (customer, state, total) VALUES ('lost', 'new', 1)");
  const left = await lab.purgeBinlogs();
  const [first] = await lab.sql('source', 'SHOW BINARY LOGS');
  assert.equal(first?.['Log_name'], left);
  await assert.rejects(maxwell.start(), (error: Error) => {
    assert.match(error.message, /Could not find first log file name in binary log index file/);
    assert.match(error.message, /"exitCode":[12],/); // 1.44.1: mostly 2, on a busy machine also 1; 1.22.6: 1
    return true;
  });
});

test('a small disk is full when it is full', (t) => {
  const disk = lab.smallDisk(1024 * 1024);
  if (!disk.available) {
    t.skip(disk.why);
    return;
  }
  const write = (): void => {
    writeFileSync(join(disk.path, 'file'), Buffer.alloc(8192));
  };
  disk.fill();
  assert.throws(write, { code: 'ENOSPC' });
  disk.fill(65_536);
  write();
  disk.fill();
  disk.empty();
  write();
});
