// As on MariaDB, with the words of MySQL 9: channels, performance_schema's receivers, error 13114.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mysql9, mysql9Missing } from '../../deploy/lab/mysql9.ts';
import { waitFor } from '../../deploy/lab/ready.ts';
import type { Step } from '../../remediator/action.ts';
import { startMysqlRepair, type MysqlRepair } from '../support/mysql-repair.ts';
import { insertOrder } from './mysql-room.ts';

const skip = mysql9Missing();
let repair: MysqlRepair;

before(async () => {
  if (skip === false) repair = await startMysqlRepair(mysql9);
});
after(async () => {
  if (skip === false) await repair.lab.stop();
});

const onReplica = (statement: string): Promise<readonly Readonly<Record<string, unknown>>[]> =>
  repair.lab.sql('replica', statement);

async function statusIs(what: string, is: (row: Readonly<Record<string, string>>) => boolean): Promise<void> {
  let last = '';
  await waitFor(
    async () => {
      const [row] = await onReplica('SHOW REPLICA STATUS');
      last = JSON.stringify(row);
      return is(Object.fromEntries(Object.entries(row ?? {}).map(([name, value]) => [name, String(value)])));
    },
    { what, detail: () => last },
  );
}

async function sleepyReceiver(): Promise<void> {
  await onReplica('STOP REPLICA');
  await onReplica('CHANGE REPLICATION SOURCE TO SOURCE_CONNECT_RETRY = 3600');
  await onReplica('START REPLICA');
  await statusIs(
    'replication',
    (r) => r['Replica_IO_Running'] === 'Yes' && String(r['Replica_IO_State']).startsWith('Waiting for source'),
  );
}

test('a receiver that sleeps is stopped and started on the session with the lock', { skip }, async () => {
  await sleepyReceiver();
  await repair.lab.link('replica->source').cut();
  await statusIs('the loss', (r) => r['Replica_IO_Running'] === 'Connecting' && r['Last_IO_Errno'] !== '0');
  await repair.lab.sql('source', insertOrder(1, 'somebody'));
  await repair.lab.link('replica->source').restore();
  await repair.mark();
  const run = await repair.run();
  assert.equal(run.outcome, 'verified', run.because);
  assert.equal((await onReplica('SELECT id FROM shop.orders WHERE id = 1')).length, 1);
  const said = await repair.said();
  assert.deepEqual(
    said.map((s) => s.statement),
    ["STOP REPLICA IO_THREAD FOR CHANNEL ''", "START REPLICA IO_THREAD FOR CHANNEL ''"],
  );
  assert.equal(new Set(said.map((s) => s.connection)).size, 1);
});

test('a START that is refused: the receiver is not left stopped', { skip }, async () => {
  await sleepyReceiver();
  await repair.lab.link('replica->source').cut();
  await statusIs('the loss', (r) => r['Replica_IO_Running'] === 'Connecting' && r['Last_IO_Errno'] !== '0');
  await repair.lab.link('replica->source').restore();
  await repair.mark();
  const refuse = (step: Step<unknown>): Step<unknown> =>
    step.name === 'start' ? { ...step, apply: () => Promise.resolve({ is: 'refused', because: 'no' }) } : step;
  const run = await repair.run(
    {},
    { change: (action) => ({ ...action, steps: (...args) => action.steps(...args).map(refuse) }) },
  );
  assert.equal(run.outcome, 'failed', run.because);
  assert.deepEqual(
    (await repair.said()).map((s) => s.statement),
    ["STOP REPLICA IO_THREAD FOR CHANNEL ''", "START REPLICA IO_THREAD FOR CHANNEL ''"],
  );
  await statusIs('the receiver', (r) => r['Replica_IO_Running'] === 'Yes');
});

test('an applier that was stopped without an error is held; resumed when the policy says so', { skip }, async () => {
  await onReplica('STOP REPLICA SQL_THREAD');
  await repair.lab.sql('source', insertOrder(2, 'somebody'));
  const look = await repair.look();
  assert.equal(look.preconditions['error_class']?.code, 'intentional_stop');
  assert.equal(look.preconditions['relay_log']?.code, 'relay_kept');
  await repair.mark();
  const run = await repair.run({ resumeCleanStopSeconds: 1 });
  assert.equal(run.outcome, 'verified', run.because);
  assert.deepEqual(
    (await repair.said()).map((s) => s.statement),
    ["START REPLICA SQL_THREAD FOR CHANNEL ''"],
  );
});

test('error 13114, the source has purged what is needed: never started', { skip }, async () => {
  await onReplica('STOP REPLICA IO_THREAD');
  await repair.lab.sql('source', insertOrder(3, 'somebody'));
  await repair.lab.sql('source', 'FLUSH BINARY LOGS');
  const [now] = await repair.lab.sql('source', 'SHOW BINARY LOG STATUS');
  await repair.lab.sql('source', `PURGE BINARY LOGS TO '${String(now?.['File'])}'`);
  await onReplica('START REPLICA IO_THREAD');
  await statusIs('the error', (r) => r['Last_IO_Errno'] === '13114');
  await repair.mark();
  const look = await repair.look();
  assert.deepEqual([look.preconditions['error_class']?.code, look.preconditions['purged']?.code], ['purged', 'purged']);
  const run = await repair.run({}, { now: true });
  assert.equal(run.outcome, 'refused', run.because);
  assert.deepEqual(await repair.said(), []);
});
