import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { binlogCollector } from '../../../exporter/systems/mysql/collector-binlog.ts';
import {
  binlogNumber,
  bytesBetween,
  comparePositions,
  filesOf,
  fileOf,
  positionStatement,
  readBinlogs,
  type Binlogs,
} from '../../../exporter/systems/mysql/facts-binlogs.ts';
import { parseVersion } from '../../../exporter/systems/mysql/facts-version.ts';
import { fakeClient, runner, testCall } from './fake-client.ts';

const rows = (...files: readonly (readonly [string, number])[]): { Log_name: string; File_size: string }[] =>
  files.map(([name, size]) => ({ Log_name: name, File_size: String(size) }));

const binlogs: Binlogs = {
  files: filesOf(rows(['db.eu-bin.999998', 1000], ['db.eu-bin.999999', 500], ['db.eu-bin.1000000', 5_000_000_000])),
  current: { file: 'db.eu-bin.1000000', position: 4_900_000_000 },
};
const at = (file: string, position: number): { file: string; position: number } => ({ file, position });

test('the number of a file stands behind the last dot', () => {
  assert.equal(binlogNumber('db.eu-bin.000123'), 123);
  assert.equal(binlogNumber('mysql-bin.1000000'), 1_000_000);
  assert.equal(binlogNumber('mysql-bin'), undefined);
  assert.equal(binlogNumber('bin.12a'), undefined);
});

test('bytes are summed over the files between two places, by number and not by name', () => {
  assert.equal(bytesBetween(binlogs, at('db.eu-bin.999998', 100), at('db.eu-bin.999998', 400)), 300);
  assert.equal(bytesBetween(binlogs, at('db.eu-bin.999998', 400), at('db.eu-bin.999999', 4)), 604);
  assert.equal(
    bytesBetween(binlogs, at('db.eu-bin.999998', 400), at('db.eu-bin.1000000', 4_900_000_000)),
    600 + 500 + 4_900_000_000,
  );
  assert.equal(bytesBetween(binlogs, at('db.eu-bin.999999', 500), at('db.eu-bin.1000000', 4)), 4);
  assert.equal(bytesBetween(binlogs, at('db.eu-bin.999999', 7), at('db.eu-bin.999999', 7)), 0);
});

test('no number where a file is missing, where the order is wrong, and between different series', () => {
  assert.equal(bytesBetween(binlogs, at('db.eu-bin.999997', 4), at('db.eu-bin.999998', 4)), undefined);
  assert.equal(bytesBetween(binlogs, at('db.eu-bin.1000000', 4), at('db.eu-bin.1000001', 4)), undefined);
  assert.equal(bytesBetween(binlogs, at('db.eu-bin.1000000', 4), at('db.eu-bin.999999', 4)), undefined);
  assert.equal(bytesBetween(binlogs, at('other.999998', 4), at('db.eu-bin.999999', 4)), undefined);
  const [first, , last] = binlogs.files;
  const gap: Binlogs = { ...binlogs, files: [first, last].filter((f) => f !== undefined) };
  assert.equal(bytesBetween(gap, at('db.eu-bin.999998', 4), at('db.eu-bin.1000000', 4)), undefined);
});

test('places are compared by number', () => {
  assert.equal(comparePositions(at('b.999999', 9), at('b.1000000', 4)), -1);
  assert.equal(comparePositions(at('b.1000000', 4), at('b.999999', 9)), 1);
  assert.equal(comparePositions(at('b.000007', 4), at('b.000007', 4)), 0);
  assert.equal(comparePositions(at('a.000007', 4), at('b.000007', 4)), undefined);
  assert.equal(fileOf(binlogs, at('db.eu-bin.0999999', 4))?.name, 'db.eu-bin.999999');
});

test('the statement for the position is chosen by flavour and version', () => {
  const of = (text: string): string =>
    positionStatement({ flavour: text.includes('MariaDB') ? 'mariadb' : 'mysql', version: parseVersion(text) });
  assert.equal(of('5.7.44'), 'SHOW MASTER STATUS');
  assert.equal(of('8.1.0'), 'SHOW MASTER STATUS');
  assert.equal(of('8.2.0'), 'SHOW BINARY LOG STATUS');
  assert.equal(of('9.7.4'), 'SHOW BINARY LOG STATUS');
  assert.equal(of('10.5.1-MariaDB'), 'SHOW MASTER STATUS');
  assert.equal(of('10.11.19-MariaDB'), 'SHOW BINLOG STATUS');
});

test('the position is asked before the list, and a server without binary logs is asked nothing', async () => {
  const answers = {
    'SHOW BINLOG STATUS': [{ File: 'b.000002', Position: '700', Binlog_Do_DB: '', Binlog_Ignore_DB: '' }],
    'SHOW BINARY LOGS': rows(['b.000001', 1000], ['b.000002', 700]),
  };
  const client = fakeClient('10.11.19-MariaDB', answers);
  assert.deepEqual(await readBinlogs(client, testCall()), {
    current: at('b.000002', 700),
    files: [
      { name: 'b.000001', number: 1, sizeBytes: 1000 },
      { name: 'b.000002', number: 2, sizeBytes: 700 },
    ],
  });
  assert.deepEqual(client.asked, ['SHOW BINLOG STATUS', 'SHOW BINARY LOGS']);

  const off = fakeClient('10.11.19-MariaDB', {}, { logBin: false });
  assert.deepEqual(await readBinlogs(off, testCall()), { files: [], current: undefined });

  const run = runner(binlogCollector);
  const { samples } = await run(fakeClient('10.11.19-MariaDB', answers));
  assert.deepEqual(Object.fromEntries(samples), {
    'mysql_binlog_size_bytes{}': 1700,
    'mysql_binlog_files{}': 2,
    'mysql_binlog_file_number{}': 2,
    'mysql_binlog_oldest_file_number{}': 1,
  });
  assert.equal((await run(off)).samples.size, 0);
});

test('a missing grant names the privilege of the version', async () => {
  const denied = new TargetError('denied', 'no');
  for (const [version, statement, privilege] of [
    ['10.11.19-MariaDB', 'SHOW BINLOG STATUS', 'BINLOG MONITOR'],
    ['10.4.9-MariaDB', 'SHOW MASTER STATUS', 'REPLICATION CLIENT'],
    ['8.4.5', 'SHOW BINARY LOG STATUS', 'REPLICATION CLIENT'],
  ] as const) {
    await assert.rejects(readBinlogs(fakeClient(version, { [statement]: denied }), testCall()), {
      code: 'denied',
      message: `no. To allow it: GRANT ${privilege} ON *.* TO 'exporter'@'%'`,
    });
  }
});
