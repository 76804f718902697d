// Binary logs and GTIDs of a real source and replica, through whole scrapes of an inventory that pairs the two.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startDatabases, type DatabaseLab } from '../../deploy/lab/databases.ts';
import { waitFor } from '../../deploy/lab/lab.ts';
import { mariadbInstalled } from '../../deploy/lab/mariadb.ts';
import { mysql9 } from '../../deploy/lab/mysql9.ts';
import { databasePorts } from '../../deploy/lab/release.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { join } from '../../exporter/scrape/exposition.ts';
import { Rounds } from '../../exporter/scrape/rounds.ts';
import {
  countGtids,
  formatGtidSet,
  gtidsWithin,
  parseGtidSet,
  subtractGtids,
} from '../../exporter/systems/mysql/facts-gtid-sets.ts';
import { parseExposition, valueOf } from '../support/exposition-parser.ts';
import { roundsDeps } from '../support/fake-system.ts';
import { generator } from '../support/random.ts';
import { anyGtidSet, gtidUuids } from '../unit/mysql/any-gtid-set.ts';
import { mariadbFlavour, mysqlFlavour, type Flavour } from './mysql-flavours.ts';
import {
  caughtUp,
  errant,
  inventoryFor,
  oneAfterAnother,
  pipelines,
  seenIn,
  stateOf,
  type Found,
  type Seen,
} from './mysql-gtid-harness.ts';

const [a] = gtidUuids;

/** Of sets that are made up, and of what a server prints of its own history, with a tag. */
async function agreesWithServer(lab: DatabaseLab): Promise<void> {
  const pairs = Array.from({ length: 200 }, (_, i) => {
    const random = generator(1000 + i);
    return [anyGtidSet(random), anyGtidSet(random)] as const;
  });
  pairs.push(
    [`${a}:1-9223372036854775806`, `${a}:9007199254740993-9223372036854775805`],
    [`${a.toUpperCase()} : 1 - 3 : Tag : 4 - 5`, `${a}:tag:5`],
    ['', `${a}:1`],
    [`${a}:5-3`, ''],
  );
  const select = ([x, y]: readonly [string, string], i: number): string =>
    `SELECT ${i} AS i, GTID_SUBTRACT('${x}', '${y}') AS difference, GTID_SUBSET('${x}', '${y}') AS within,
            GTID_SUBTRACT('${x}', '') AS whole`;
  const rows = await lab.sql('source', pairs.map(select).join(' UNION ALL '));
  assert.equal(rows.length, pairs.length);
  for (const row of rows) {
    const [x = '', y = ''] = pairs[Number(row['i'])] ?? [];
    const [setX, setY] = [parseGtidSet(x), parseGtidSet(y)];
    const plain = (value: unknown): string => String(value).replaceAll(/\s/g, '').toLowerCase();
    assert.equal(formatGtidSet(subtractGtids(setX, setY)), plain(row['difference']), `${x} - ${y}`);
    assert.equal(gtidsWithin(setX, setY), Number(row['within']) === 1, `${x} in ${y}`);
    assert.equal(formatGtidSet(setX), plain(row['whole']), x);
  }
  const executed = async (): Promise<string> =>
    String((await lab.sql('source', 'SELECT @@GLOBAL.gtid_executed AS executed'))[0]?.['executed']);
  const begin = parseGtidSet(await executed());
  await oneAfterAnother(lab, 'source', [
    'CREATE DATABASE one',
    "SET gtid_next = 'AUTOMATIC:Tagged'",
    'CREATE DATABASE two',
  ]);
  const end = parseGtidSet(await executed());
  assert.equal(countGtids(subtractGtids(end, begin)), 2);
  assert.match(formatGtidSet(end), /:tagged:1$/);
}

/** A second source beside the first: each channel by its own, and nothing errant is said while one of them is not known. */
async function twoSources(
  flavour: Flavour,
  lab: DatabaseLab,
  rounds: Rounds,
  scrape: () => Promise<Found>,
): Promise<void> {
  const name = 'west';
  const label = flavour.kind === 'mysql' ? 'channel_name' : 'connection_name';
  await lab.sql('source2', 'CREATE DATABASE west');
  const to = { host: lab.address, port: databasePorts.source2, password: lab.secret('repl') };
  await lab.sql('replica', flavour.connect(to, name));
  await lab.sql('replica', flavour.start('both', name));
  const when = async (what: string, wanted: readonly unknown[]): Promise<void> => {
    let seen: readonly unknown[] = [];
    await waitFor(
      async () => {
        const found = await scrape();
        const of = (family: string, channel: string): number | undefined =>
          valueOf(found, family, { target: 'db2', [label]: channel });
        seen = [
          ...['', name].map((channel) => [
            of('mysql_replication_behind_bytes', channel),
            of('mysql_gtid_missing_transactions', channel),
          ]),
          valueOf(found, 'mysql_gtid_errant_transactions', { target: 'db2' }),
          stateOf(found, 'mysql_gtid_state', 'db2'),
        ];
        assert.deepEqual(seen, wanted);
        return true;
      },
      { what, detail: () => JSON.stringify(seen) },
    );
  };
  await when('the first channel by itself', [[0, 0], [undefined, undefined], undefined, 'not_paired']);
  const second = { ...pipelines[0], name: 'west', source: 'db3' };
  rounds.replace(inventoryFor(lab, [...pipelines, second]));
  await when('both channels to have caught up', [[0, 0], [0, 0], 0, 'ok']);
  await lab.sql('replica', flavour.stop('applier', name));
  const end = async (): Promise<number> => Number((await lab.sql('source2', 'SHOW BINARY LOGS')).at(-1)?.['File_size']);
  const before = await end();
  await lab.sql('source2', 'CREATE DATABASE west2');
  await when('one channel to be behind', [[0, 0], [(await end()) - before, 1], 0, 'ok']);
  await lab.sql('replica', flavour.start('applier', name));
  await when('both channels to have caught up again', [[0, 0], [0, 0], 0, 'ok']);
  // without the channel and its source what came from there would seem errant
  await lab.part('source2').stop();
  await when('the second source to be away', [[0, 0], [undefined, undefined], undefined, 'unknown']);
  await lab.part('source2').start();
  await when('the second source to be back', [[0, 0], [0, 0], 0, 'ok']);
  // the rest is about one source; what came from the other one is of it now
  await lab.sql('replica', flavour.stop('both', name));
  await lab.sql('replica', flavour.reset(name));
}

const insert = "INSERT INTO shop.orders (customer, state, total) VALUES ('a', 'new', 1)";

for (const flavour of [mariadbFlavour(mariadbInstalled), mysqlFlavour(mysql9)]) {
  const skip = flavour.release.missing();
  test(`${flavour.kind}: bytes behind across files, missing, errant and purged transactions`, { skip }, async (t) => {
    await using lab = await startDatabases(flavour.release, {
      databases: ['source', 'replica', 'source2'],
      // several sources of one MariaDB replica need a domain each
      options: flavour.kind === 'mariadb' ? { source2: { settings: { 'gtid-domain-id': 5 } } } : {},
    });
    const faults: string[] = [];
    const deps = roundsDeps({ fault: (part, error) => faults.push(`${part}: ${String(error)}`) });
    const rounds = new Rounds(inventoryFor(lab, pipelines), deps);
    const scrape = async (): Promise<Found> =>
      parseExposition((await join(await rounds.scrape(8000), 'text', systemClock)).toString());
    const when = async (what: string, wanted: Partial<Seen>): Promise<Found> => {
      let seen: Seen | undefined;
      return waitFor(
        async () => {
          const found = await scrape();
          seen = seenIn(found);
          assert.deepEqual({ ...seen, ...wanted }, seen);
          return found;
        },
        { what, detail: () => JSON.stringify(seen) },
      );
    };
    const position = async (): Promise<{ files: Map<string, number>; last: string; at: number }> => {
      const rows = await lab.sql('source', 'SHOW BINARY LOGS');
      const files = new Map(rows.map((row) => [String(row['Log_name']), Number(row['File_size'])]));
      const [last, at] = [...files].at(-1) ?? ['', 0];
      return { files, last, at };
    };

    if (flavour.kind === 'mysql') {
      await t.test('the arithmetic agrees with GTID_SUBTRACT and GTID_SUBSET, with tags', () => agreesWithServer(lab));
    }
    await lab.sql('source', insert);
    const begin = await when('the replica to have caught up', caughtUp);
    assert.equal(stateOf(begin, 'mysql_gtid_state', 'db1'), 'not_paired');
    assert.equal(stateOf(begin, 'mysql_replication_distance_state', 'db1'), 'not_paired');
    assert.equal(stateOf(begin, 'mysql_binlog_state', 'db1'), 'on');
    const written = (found: Found): number =>
      valueOf(found, 'mysql_binlog_written_bytes_total', { target: 'db1' }) ?? NaN;

    // the pairing is that of the inventory in use
    rounds.replace(inventoryFor(lab, []));
    assert.deepEqual(
      ((seen) => [seen.distance, seen.gtid, seen.behind, seen.missing, seen.errant])(seenIn(await scrape())),
      ['not_paired', 'not_paired', undefined, undefined, undefined],
    );
    rounds.replace(inventoryFor(lab, pipelines));

    // the applier stands still, the receiver goes on, the source goes on to another file
    const before = await position();
    await lab.sql('replica', flavour.stop('applier'));
    for (let i = 0; i < 3; i++) await lab.sql('source', insert);
    await lab.sql('source', 'FLUSH BINARY LOGS');
    for (let i = 0; i < 2; i++) await lab.sql('source', insert);
    const after = await position();
    assert.notEqual(after.last, before.last);
    const behind = (after.files.get(before.last) ?? NaN) - before.at + after.at;
    assert.ok(behind > after.at);
    const stopped = await when('the distance across two files', {
      distance: 'ok',
      behind,
      unreceived: 0,
      missing: 5,
      missingPurged: 0,
      errant: 0,
    });
    assert.equal(written(stopped) - written(begin), behind);
    await lab.sql('replica', flavour.start('applier'));
    await when('the replica to have caught up again', caughtUp);

    // a transaction of its own
    const own = errant(flavour, lab);
    await own.make();
    await when('the errant transaction to be seen', { ...caughtUp, errant: 1 });
    await own.mend();
    await when('the errant transaction to be gone', caughtUp);

    await twoSources(flavour, lab, rounds, scrape);

    // what it misses is purged
    await lab.sql('replica', flavour.stop('both'));
    for (let i = 0; i < 4; i++) await lab.sql('source', insert);
    await lab.sql('source', 'FLUSH BINARY LOGS');
    const { last } = await position();
    // a server keeps a file that it still needs itself or that is being read, without an error
    await waitFor(
      async () => {
        await lab.sql('source', `PURGE BINARY LOGS TO '${last}'`);
        return (await position()).files.size === 1;
      },
      { what: 'the source to purge' },
    );
    await lab.sql('source', insert);
    await when('the loss to be seen', {
      distance: 'files_gone',
      behind: undefined,
      unreceived: undefined,
      missing: 5,
      missingPurged: 4,
    });

    // what is not known has no number
    await lab.part('source').stop();
    const unknown = await when('the source to be away', {
      distance: 'unknown',
      behind: undefined,
      unreceived: undefined,
      gtid: 'unknown',
      missing: undefined,
      missingPurged: undefined,
      errant: undefined,
    });
    assert.equal(stateOf(unknown, 'mysql_gtid_state', 'db1'), 'unknown');
    assert.equal(stateOf(unknown, 'mysql_binlog_state', 'db1'), 'unknown');
    assert.equal(valueOf(unknown, 'pipemedic_collector_success', { target: 'db2', collector: 'gtid' }), 1);
    await rounds.close();
    assert.deepEqual(faults, []);
  });
}
