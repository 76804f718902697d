// A GRANT reaches new connections only: the kept one is given up once the account may more, or less, than at first.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Call } from '../../../exporter/collector.ts';
import { within } from '../../../exporter/runtime/deadline.ts';
import { openMysql, type MysqlClient } from '../../../exporter/systems/mysql/client.ts';
import { hostileMysql, type HostileMysql, type Reply } from '../../support/hostile-mysql.ts';
import { saneServer } from '../../support/mysql-tape.ts';

interface World extends AsyncDisposable {
  readonly client: MysqlClient;
  readonly server: HostileMysql;
  readonly looks: () => number;
  readonly call: Call;
  now: number;
  grants: readonly string[] | Reply;
}

const refused = { errno: 1227, text: 'Access denied; you need the REPLICATION CLIENT privilege' };
const isList = (grants: World['grants']): grants is readonly string[] => Array.isArray(grants);

async function world(): Promise<World> {
  const sane = saneServer('mysql');
  const said: Pick<World, 'grants' | 'now'> = { grants: ['GRANT USAGE ON *.* TO `x`@`%`'], now: 0 };
  const server = await hostileMysql({
    reply: (sql) => {
      if (sql === 'SHOW REPLICA STATUS') return refused;
      if (sql !== 'SHOW GRANTS') return sane.reply(sql);
      const { grants } = said;
      return isList(grants) ? { columns: ['Grants'], rows: grants.map((line) => [line]) } : grants;
    },
  });
  const call: Call = { signal: within(10_000), clock: { monoMs: () => said.now, wallMs: () => said.now } };
  const address = { host: '127.0.0.1', port: server.port };
  const client = await openMysql({ address, auth: { user: 'x' }, tls: undefined }, call);
  const looks = (): number => server.asked.filter((sql) => sql === 'SHOW GRANTS').length;
  const end = async (): Promise<void> => {
    await client[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  };
  return Object.assign(said, { client, server, looks, call, [Symbol.asyncDispose]: end });
}

test('refused once, granted later: the connection is given up within a minute, and before that kept', async () => {
  await using w = await world();
  await w.client.ping(w.call);
  assert.equal(w.looks(), 0, 'nothing depends on it yet');
  await assert.rejects(w.client.query('SHOW REPLICA STATUS', [], w.call), { code: 'denied' });
  await w.client.ping(w.call);
  assert.equal(w.looks(), 1);
  w.grants = ['GRANT REPLICATION CLIENT ON *.* TO `x`@`%`'];
  w.now = 59_999;
  await w.client.ping(w.call);
  assert.equal(w.looks(), 1);
  assert.equal(w.client.usable(), true);
  w.now = 60_000;
  await w.client.ping(w.call);
  assert.equal(w.looks(), 2);
  assert.equal(w.client.usable(), false);
  // What is still asked in the same sweep is answered.
  assert.equal((await w.client.query('SELECT 1', [], w.call)).length, 0);
});

test('what is refused at the same time is looked at once', async () => {
  await using w = await world();
  const refusals = Array.from({ length: 4 }, () => w.client.query('SHOW REPLICA STATUS', [], w.call));
  for (const refusal of refusals) await assert.rejects(refusal, { code: 'denied' });
  await w.client.query('SELECT 1', [], w.call); // one connection: what was asked before it has been answered
  assert.equal(w.looks(), 1);
});

test('a collector that has looked at the grants itself: the same', async () => {
  await using w = await world();
  await w.client.query('SHOW GRANTS', [], w.call);
  w.grants = ['GRANT PROCESS ON *.* TO `x`@`%`'];
  w.now = 60_000;
  await w.client.ping(w.call);
  assert.equal(w.client.usable(), false);
});

test('another order, another password and a server that does not tell are no change', async () => {
  await using w = await world();
  w.grants = ["GRANT USAGE ON *.* TO `x`@`%` IDENTIFIED BY PASSWORD '*A'", 'GRANT SELECT ON `m`.* TO `x`@`%`'];
  await w.client.query('SHOW GRANTS', [], w.call);
  for (const [i, grants] of [
    ['GRANT SELECT ON `m`.* TO `x`@`%`', "GRANT USAGE ON *.* TO `x`@`%` IDENTIFIED BY PASSWORD '*B'"],
    { errno: 1317, text: 'Query execution was interrupted' },
  ].entries()) {
    w.grants = grants;
    w.now = (i + 1) * 60_000;
    await w.client.ping(w.call);
    assert.equal(w.looks(), i + 2);
    assert.equal(w.client.usable(), true);
  }
});
