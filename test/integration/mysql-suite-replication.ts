// What the replication collectors must do on every server, whatever its flavour and version: a replica of one source and of
// two, its threads stopped one by one, refused, cut off, broken, on a dead link. Its lag is in mysql-suite-lag.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { databasePorts } from '../../deploy/lab/release.ts';
import { waitFor } from '../../deploy/lab/lab.ts';
import { replicationCollector } from '../../exporter/systems/mysql/collector-replication.ts';
import { readReplication, type ReplicaChannel } from '../../exporter/systems/mysql/facts-replication.ts';
import { runner, statesOf, testCall, type Series } from '../unit/mysql/fake-client.ts';
import { call, insertOrder, isRunning, nameOf, type Room } from './mysql-room.ts';
import { noStatementFails, sweeps } from './mysql-suite.ts';

const hasLag = (samples: Series): boolean =>
  [...samples.keys()].some((key) => key.startsWith('mysql_replication_lag_seconds'));

export function replicationSuite(room: Room): void {
  const { flavour, lab, open, unlogged, channelWhen } = room;
  const skip = room.missing;
  const run = runner(replicationCollector);
  const state = (channel: string, is: string): string => {
    const [channelName, connectionName] = flavour.kind === 'mysql' ? [channel, ''] : ['', channel];
    return `mysql_replication_state{channel_name="${channelName}",connection_name="${connectionName}",state="${is}"}`;
  };
  const replica = (statement: string): Promise<unknown> => lab().sql('replica', statement);

  test('a replica: its threads stopped one by one, and running again', { skip }, async () => {
    await using client = await open('replica');
    await channelWhen(client, 'the replica to run', isRunning);
    assert.ok(hasLag((await run(client)).samples));
    for (const [threads, io, applier] of [
      ['receiver', 'no', true],
      ['applier', 'yes', false],
      ['both', 'no', false],
    ] as const) {
      await replica(flavour.stop(threads));
      const stopped = await channelWhen(
        client,
        `${threads} stopped`,
        (c) => c.ioRunning === io && c.sqlRunning === applier,
      );
      assert.deepEqual(
        [stopped.state, stopped.lagSeconds.known, stopped.lastIoErrno, stopped.lastSqlErrno],
        ['stopped', false, 0, 0],
        threads,
      );
      const { samples } = await run(client);
      assert.ok(!hasLag(samples), threads);
      assert.deepEqual(statesOf(samples, 'mysql_replication_state'), [state('', 'stopped')]);
      await noStatementFails(room, 'replica', () => sweeps(room, 'replica', 1));
      await replica(flavour.start(threads));
      await channelWhen(client, 'the replica to run again', isRunning);
    }
  });

  test('a replica that is cut off, refused, broken by an error, and running again', { skip }, async () => {
    await using client = await open('replica');
    const restartReceiver = async (): Promise<void> => {
      await replica(flavour.stop('receiver'));
      await replica(flavour.start('receiver'));
    };
    await replica(flavour.stop('receiver'));
    await lab().link('replica->source').cut();
    await replica(flavour.start('receiver'));
    const cut = await channelWhen(client, 'a refused connection', (c) => c.lastIoErrno !== 0);
    assert.deepEqual([cut.state, cut.ioRunning, cut.lagSeconds.known], ['connecting', 'connecting', false]);
    await lab().link('replica->source').restore();
    await channelWhen(client, 'the replica to run again', isRunning);

    await unlogged('source', "ALTER USER 'repl'@'%' IDENTIFIED BY 'another'");
    await restartReceiver();
    const refused = await channelWhen(client, 'a refused password', (c) => c.lastIoErrno === 1045);
    assert.deepEqual([refused.state, refused.lagSeconds.known], ['connecting', false]);
    assert.match(refused.why, /Access denied/);
    assert.ok(!refused.why.includes(lab().secret('repl')));
    await unlogged('source', `ALTER USER 'repl'@'%' IDENTIFIED BY '${lab().secret('repl')}'`);
    await channelWhen(client, 'the replica to run with the old password', isRunning);

    await unlogged('replica', insertOrder(7777777, 'here'));
    await lab().sql('source', insertOrder(7777777, 'there'));
    const broken = await channelWhen(client, 'the applier to break', (c) => !c.sqlRunning);
    assert.deepEqual([broken.state, broken.lastSqlErrno, broken.ioRunning], ['stopped', 1062, 'yes']);
    assert.equal(broken.lagSeconds.known, false);
    await unlogged('replica', 'DELETE FROM shop.orders WHERE id = 7777777');
    await replica(flavour.start('applier'));
    await channelWhen(client, 'the replica to run without the duplicate', isRunning);
  });

  test(
    'a receiver on a dead link says running and 0 s; it is called stalled after two heartbeat periods',
    { skip },
    async () => {
      await replica(flavour.stop('both'));
      await replica(flavour.heartbeat(0.5));
      await replica(flavour.start('both'));
      await using client = await open('replica');
      const isWaiting = (c: ReplicaChannel): boolean => c.state === 'running' && c.ioState.startsWith('Waiting for');
      await channelWhen(client, 'the replica to run', isWaiting);
      const look = async (): Promise<{ is: string | undefined; lags: readonly string[] }> => {
        const { samples } = await run(client, { ...testCall(), ...call() });
        const [current = ''] = statesOf(samples, 'mysql_replication_state');
        const lags = [...samples.keys()].filter((key) => key.startsWith('mysql_replication_lag_seconds'));
        return { is: /state="(\w+)"/.exec(current)?.[1], lags };
      };
      for (let i = 0; i < 4; i++) assert.equal((await look()).is, 'running');
      await lab().link('replica->source').blackhole();
      const stalled = await waitFor(
        async () => {
          const seen = await look();
          return seen.is === 'stalled' && seen;
        },
        { what: 'the stall to be seen', intervalMs: 200 },
      );
      assert.deepEqual(stalled.lags, []);
      const [row] = await readReplication(client, call());
      assert.deepEqual(
        [row?.ioRunning, row?.lagSeconds.known && row.lagSeconds.value],
        ['yes', 0],
        'what the server itself says of it',
      );
      await lab().link('replica->source').restore();
      await waitFor(async () => (await look()).is === 'running', { what: 'running again' });
    },
  );

  test(
    'two sources: each channel has its own state, and one whose binary logs are gone says so',
    { skip },
    async () => {
      await using client = await open('replica');
      const channel = 'stock';
      const second = (statement: string): Promise<unknown> => lab().sql('source2', statement);
      const to = { host: lab().address, port: databasePorts.source2, password: lab().secret('repl') };
      await replica(flavour.connect(to, channel));
      try {
        await replica(flavour.start('both', channel));
        await channelWhen(client, 'the second channel to run', isRunning, channel);
        await second('CREATE DATABASE stock');
        await channelWhen(client, 'both to run', isRunning);
        await noStatementFails(room, 'replica', () => sweeps(room, 'replica'));
        const both = await run(client);
        assert.deepEqual(statesOf(both.samples, 'mysql_replication_state').toSorted(), [
          state('', 'running'),
          state(channel, 'running'),
        ]);

        await replica(flavour.stop('receiver', channel));
        const stopped = await run(client);
        assert.deepEqual(statesOf(stopped.samples, 'mysql_replication_state').toSorted(), [
          state('', 'running'),
          state(channel, 'stopped'),
        ]);
        const lags = [...stopped.samples.keys()].filter((key) => key.startsWith('mysql_replication_lag_seconds'));
        assert.ok(lags.length > 0);
        assert.ok(!lags.join().includes(channel), 'a channel that is stopped has no lag');

        // gone before the replica has read it
        await second('CREATE TABLE stock.items (id INT PRIMARY KEY)');
        await second('FLUSH BINARY LOGS');
        await second('INSERT INTO stock.items VALUES (1)');
        // what a reader still has open is not purged, and a dump thread sees only when it sends that its replica is gone
        await waitFor(
          async () => {
            await second('INSERT INTO stock.items SELECT MAX(id) + 1 FROM stock.items');
            const logs = await lab().sql('source2', 'SHOW BINARY LOGS');
            await second(`PURGE BINARY LOGS TO '${String(logs.at(-1)?.['Log_name'])}'`);
            return (await lab().sql('source2', 'SHOW BINARY LOGS')).length === 1;
          },
          { what: 'the binary logs to be purged' },
        );
        await replica(flavour.start('receiver', channel));
        // MySQL 9.7 shows the error some milliseconds before the end of its thread
        const isGone = (c: ReplicaChannel): boolean => c.lastIoErrno !== 0 && c.ioRunning === 'no';
        const gone = await channelWhen(client, 'the purge to be seen', isGone, channel);
        assert.deepEqual(
          [gone.state, gone.ioRunning, gone.sqlRunning, gone.lastIoErrno, gone.lagSeconds.known],
          ['stopped', 'no', true, flavour.purgedErrno, false],
        );
        assert.match(gone.why, /1236|purged/);
        const purged = await run(client);
        assert.deepEqual(statesOf(purged.samples, 'mysql_replication_state').toSorted(), [
          state('', 'running'),
          state(channel, 'stopped'),
        ]);
      } finally {
        await replica(flavour.stop('both', channel));
        await replica(flavour.reset(channel));
      }
      assert.deepEqual((await readReplication(client, call())).map(nameOf), ['']);
    },
  );
}
