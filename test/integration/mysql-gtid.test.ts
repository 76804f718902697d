// Binary logs and GTIDs of a real source and replica, through whole scrapes of an inventory that pairs the two.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createConnection } from 'mysql2/promise';
import { startDatabases, type DatabaseLab } from '../../deploy/lab/databases.ts';
import { waitFor } from '../../deploy/lab/lab.ts';
import { databasePorts, mariadbInstalled, type Database } from '../../deploy/lab/mariadb.ts';
import { mysql9 } from '../../deploy/lab/mysql9.ts';
import { inventoryOf, type Inventory } from '../../exporter/config/inventory.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { join } from '../../exporter/scrape/exposition.ts';
import { Rounds } from '../../exporter/scrape/rounds.ts';
import { mysql } from '../../exporter/systems/mysql/index.ts';
import {
  countGtids,
  formatGtidSet,
  gtidsWithin,
  parseGtidSet,
  subtractGtids,
} from '../../exporter/systems/mysql/facts-gtid-sets.ts';
import { parseExposition, valueOf, type ParsedFamily } from '../support/exposition-parser.ts';
import { roundsDeps } from '../support/fake-system.ts';
import { generator } from '../support/random.ts';
import { anyGtidSet, gtidUuids } from '../unit/mysql/any-gtid-set.ts';
import { mariadbFlavour, mysqlFlavour, type Flavour } from './mysql-flavours.ts';

type Found = Map<string, ParsedFamily>;

/** What is looked at of the replica. */
interface Seen {
  readonly distance: string | undefined;
  readonly behind: number | undefined;
  readonly unreceived: number | undefined;
  readonly gtid: string | undefined;
  readonly missing: number | undefined;
  readonly missingPurged: number | undefined;
  readonly errant: number | undefined;
}

const caughtUp: Seen = {
  distance: 'ok',
  behind: 0,
  unreceived: 0,
  gtid: 'ok',
  missing: 0,
  missingPurged: 0,
  errant: 0,
};

function stateOf(found: Found, family: string, target: string): string | undefined {
  return found.get(family)?.samples.find((s) => s.labels['target'] === target && s.value === 1)?.labels['state'];
}

function seenIn(found: Found): Seen {
  const of = (name: string): number | undefined => valueOf(found, name, { target: 'db2' });
  return {
    distance: stateOf(found, 'mysql_replication_distance_state', 'db2'),
    behind: of('mysql_replication_behind_bytes'),
    unreceived: of('mysql_replication_unreceived_bytes'),
    gtid: stateOf(found, 'mysql_gtid_state', 'db2'),
    missing: of('mysql_gtid_missing_transactions'),
    missingPurged: of('mysql_gtid_missing_purged_transactions'),
    errant: of('mysql_gtid_errant_transactions'),
  };
}

function inventoryFor(lab: DatabaseLab, pipelines: readonly unknown[]): Inventory {
  const auth = { user: 'exporter', password_file: lab.secretFile('exporter') };
  const target = (name: string, database: Database): unknown => ({
    name,
    kind: 'mysql',
    address: { host: lab.address, port: databasePorts[database] },
    auth,
  });
  // the replica first: its sweep begins before its source's
  return inventoryOf({ targets: [target('db2', 'replica'), target('db1', 'source')], pipelines }, 'test', [mysql]);
}

const pipelines = [{ name: 'orders', objective: '30s', source: 'db1', replicas: ['db2'] }];

async function oneAfterAnother(lab: DatabaseLab, name: Database, statements: readonly string[]): Promise<void> {
  const password = lab.secret('lab');
  const connection = await createConnection({ host: lab.address, port: databasePorts[name], user: 'lab', password });
  for (const statement of statements) await connection.query(statement);
  await connection.end();
}

/** A transaction of the replica's own, and how to be rid of it. */
function errant(flavour: Flavour, lab: DatabaseLab): { make: () => Promise<void>; mend: () => Promise<void> } {
  if (flavour.kind === 'mysql') {
    return {
      make: () => oneAfterAnother(lab, 'replica', ['CREATE DATABASE errant']),
      // an empty transaction of the same GTID on the source
      mend: async () => {
        const [row] = await lab.sql('replica', 'SELECT @@server_uuid AS uuid');
        const next = `SET gtid_next = '${String(row?.['uuid'])}:1'`;
        await oneAfterAnother(lab, 'source', [next, 'BEGIN', 'COMMIT', "SET gtid_next = 'AUTOMATIC'"]);
      },
    };
  }
  return {
    // in a domain of its own: with strict GTIDs the replica would stop at the source's next transaction otherwise
    make: () => oneAfterAnother(lab, 'replica', ['SET gtid_domain_id = 9', 'CREATE DATABASE errant']),
    // the server forgets a domain when no file holds it any more; it keeps files that it still needs, without an error
    mend: () =>
      waitFor(
        async () => {
          await lab.sql('replica', 'FLUSH BINARY LOGS');
          const last = String((await lab.sql('replica', 'SHOW BINARY LOGS')).at(-1)?.['Log_name']);
          await lab.sql('replica', `PURGE BINARY LOGS TO '${last}'`);
          await lab.sql('replica', 'FLUSH BINARY LOGS DELETE_DOMAIN_ID = (9)');
          return true;
        },
        { deadlineMs: 5000, what: 'the replica to forget the domain', intervalMs: 200 },
      ).then(() => undefined),
  };
}

const insert = "INSERT INTO shop.orders (customer, state, total) VALUES ('a', 'new', 1)";

for (const flavour of [mariadbFlavour(mariadbInstalled), mysqlFlavour(mysql9)]) {
  const skip = flavour.release.missing();
  test(`${flavour.kind}: bytes behind across files, missing, errant and purged transactions`, { skip }, async () => {
    await using lab = await startDatabases(flavour.release);
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
        { deadlineMs: 10_000, what, detail: () => JSON.stringify(seen) },
      );
    };
    const position = async (): Promise<{ files: Map<string, number>; last: string; at: number }> => {
      const rows = await lab.sql('source', 'SHOW BINARY LOGS');
      const files = new Map(rows.map((row) => [String(row['Log_name']), Number(row['File_size'])]));
      const [last, at] = [...files].at(-1) ?? ['', 0];
      return { files, last, at };
    };

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
      { deadlineMs: 10_000, what: 'the source to purge' },
    );
    await lab.sql('source', insert);
    await when('the loss to be seen', {
      distance: 'files_gone',
      behind: undefined,
      unreceived: undefined,
      missing: 5,
      missingPurged: 4,
      errant: 0,
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

const [a] = gtidUuids;

test(
  'the arithmetic agrees with GTID_SUBTRACT and GTID_SUBSET of MySQL, with tags',
  { skip: mysql9.missing() },
  async () => {
    await using lab = await startDatabases(mysql9, { databases: ['source'] });
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
  },
);
