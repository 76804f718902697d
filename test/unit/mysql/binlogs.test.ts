import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { binlogCollector } from '../../../exporter/systems/mysql/collector-binlog.ts';
import { BinlogWatch, type BinlogGrowth } from '../../../exporter/systems/mysql/facts-binlog-growth.ts';
import { retentionOf } from '../../../exporter/systems/mysql/facts-binlog-server.ts';
import {
  binlogNumber,
  bytesBetween,
  comparePositions,
  filesOf,
  fileOf,
  positionStatement,
  readBinlogs,
  readBinlogsSparingly,
  type Binlogs,
  type BinlogsRead,
} from '../../../exporter/systems/mysql/facts-binlogs.ts';
import { parseVersion } from '../../../exporter/systems/mysql/facts-version.ts';
import type { MysqlClient } from '../../../exporter/systems/mysql/client.ts';
import { fakeClient, runner, testCall, type Series } from './fake-client.ts';

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

test('encrypted files of MySQL begin with a header that positions do not count', async () => {
  // as MySQL 9.7.4 answers
  const encrypted = filesOf([
    { Log_name: 'binlog.000001', File_size: '893', Encrypted: 'Yes' },
    { Log_name: 'binlog.000002', File_size: '889', Encrypted: 'Yes' },
  ]);
  const logs: Binlogs = { files: encrypted, current: at('binlog.000002', 377) };
  assert.equal(bytesBetween(logs, at('binlog.000001', 158), at('binlog.000002', 377)), 893 - 512 - 158 + 377);
  assert.equal(bytesBetween(logs, at('binlog.000001', 381), at('binlog.000002', 377)), 377);
  assert.equal(bytesBetween(logs, at('binlog.000001', 382), at('binlog.000002', 377)), undefined, 'behind its end');
  const { samples } = await runner(binlogCollector)(
    fakeClient('9.7.4', {
      'SHOW BINARY LOG STATUS': [{ File: 'binlog.000002', Position: '377' }],
      'SHOW BINARY LOGS': [
        { Log_name: 'binlog.000001', File_size: '893', Encrypted: 'Yes' },
        { Log_name: 'binlog.000002', File_size: '889', Encrypted: 'Yes' },
      ],
      'SHOW GLOBAL VARIABLES': [{ Variable_name: 'server_id', Value: '1' }],
    }),
  );
  assert.equal(samples.get('mysql_binlog_size_bytes{}'), 893 + 889);
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

const settings = [
  { Variable_name: 'server_id', Value: '7' },
  { Variable_name: 'binlog_expire_logs_seconds', Value: '86400' },
  { Variable_name: 'expire_logs_days', Value: '1' },
];

const answers = {
  'SHOW BINLOG STATUS': [{ File: 'b.000002', Position: '700', Binlog_Do_DB: '', Binlog_Ignore_DB: '' }],
  'SHOW BINARY LOGS': rows(['b.000001', 1000], ['b.000002', 700]),
  'SHOW GLOBAL VARIABLES': settings,
};

/** The samples, and of each stateset the state that is 1. */
function plain(samples: Series): Record<string, number | string> {
  return Object.fromEntries(
    [...samples].flatMap(([key, value]): [string, number | string][] => {
      const [, family = '', state = ''] = /^(\w+_state)\{state="(\w+)"\}$/.exec(key) ?? [];
      if (family === '') return [[key, value]];
      return value === 1 ? [[family, state]] : [];
    }),
  );
}

test('the position is asked before the list', async () => {
  const client = fakeClient('10.11.19-MariaDB', answers);
  assert.deepEqual(await readBinlogs(client, testCall()), {
    current: at('b.000002', 700),
    files: [
      { name: 'b.000001', number: 1, sizeBytes: 1000 },
      { name: 'b.000002', number: 2, sizeBytes: 700 },
    ],
  });
  assert.deepEqual(client.asked, ['SHOW BINLOG STATUS', 'SHOW BINARY LOGS']);
});

test('what is served of binary logs, of a server without them, and while it is down', async () => {
  const run = runner(binlogCollector);
  const { samples } = await run(fakeClient('10.11.19-MariaDB', answers));
  assert.deepEqual(plain(samples), {
    'mysql_binlog_size_bytes{}': 1700,
    'mysql_binlog_files{}': 2,
    'mysql_binlog_file_number{}': 2,
    'mysql_binlog_oldest_file_number{}': 1,
    'mysql_binlog_written_bytes_total{}': 0,
    'mysql_binlog_retention_seconds{}': 86400,
    mysql_binlog_state: 'on',
    mysql_binlog_retention_state: 'limited',
    mysql_binlog_retained_state: 'unknown',
  });

  const off = fakeClient('10.11.19-MariaDB', { 'SHOW GLOBAL VARIABLES': settings }, { logBin: false });
  assert.deepEqual(await readBinlogs(off, testCall()), { files: [], current: undefined });
  const states = (state: string): Record<string, string> => ({
    mysql_binlog_state: state,
    mysql_binlog_retention_state: state,
    mysql_binlog_retained_state: state,
  });
  assert.deepEqual(plain((await run(off)).samples), states('off'));
  assert.deepEqual(plain((await run(new Error('down'))).samples), states('unknown'));
});

test('retention as each flavour and version has it', () => {
  const of = (variables: Record<string, string>): unknown => retentionOf(new Map(Object.entries(variables)));
  const seconds = (value: number | undefined, bytes?: number): unknown => ({ seconds: value, bytes });
  // MySQL 5.7; 8.0 with both; 9
  assert.deepEqual(of({ expire_logs_days: '10' }), seconds(864_000));
  assert.deepEqual(of({ expire_logs_days: '10', binlog_expire_logs_seconds: '3600' }), seconds(3600));
  assert.deepEqual(of({ expire_logs_days: '10', binlog_expire_logs_seconds: '0' }), seconds(864_000));
  assert.deepEqual(
    of({ binlog_expire_logs_seconds: '2592000', binlog_expire_logs_auto_purge: 'ON' }),
    seconds(2592000),
  );
  assert.deepEqual(
    of({ binlog_expire_logs_seconds: '2592000', binlog_expire_logs_auto_purge: 'OFF' }),
    seconds(undefined),
  );
  // RDS and Aurora have a setting of their own
  const managed = { seconds: undefined, bytes: undefined, isManaged: true };
  assert.deepEqual(of({ binlog_expire_logs_seconds: '2592000', basedir: '/rdsdbbin/mysql-8.0.39.R1/' }), managed);
  assert.deepEqual(of({ binlog_expire_logs_seconds: '2592000', aurora_version: '3.08.0' }), managed);
  // MariaDB 10.11; 11.4
  assert.deepEqual(of({ expire_logs_days: '0.500000', binlog_expire_logs_seconds: '43200' }), seconds(43_200));
  assert.deepEqual(of({ expire_logs_days: '0.000000', binlog_expire_logs_seconds: '0' }), seconds(undefined));
  assert.deepEqual(
    of({ binlog_expire_logs_seconds: '0', max_binlog_total_size: '1048576' }),
    seconds(undefined, 1048576),
  );
});

/** A log as one stream of bytes that is cut into files. */
function look(watch: BinlogWatch, seconds: number, ...files: readonly (readonly [string, number])[]): BinlogGrowth {
  return lookAt(watch, seconds, 1, files);
}

function lookAt(
  watch: BinlogWatch,
  seconds: number,
  serverId: number,
  files: readonly (readonly [string, number])[],
): BinlogGrowth {
  const found = filesOf(rows(...files));
  const newest = found.at(-1);
  assert.ok(newest);
  const logs: Binlogs = { files: found, current: at(newest.name, newest.sizeBytes) };
  const now = { monoMs: seconds * 1000, wallMs: seconds * 1000 };
  const growth = watch.look(logs, now, { serverId, serverUuid: undefined });
  assert.ok(growth);
  return growth;
}

test('bytes written: across rotations and purges; where the way cannot be followed, what is proved', () => {
  const watch = new BinlogWatch();
  const written = (...files: readonly (readonly [string, number])[]): number => look(watch, 1, ...files).writtenBytes;
  assert.equal(written(['b.000001', 5000], ['b.000002', 700]), 0);
  assert.equal(written(['b.000001', 5000], ['b.000002', 900]), 200);
  assert.equal(written(['b.000002', 1000], ['b.000003', 500], ['b.000004', 50]), 200 + 100 + 500 + 50);
  // the file that was written last is purged: its tail is not known
  assert.equal(written(['b.000006', 300], ['b.000007', 40]), 850 + 340);
  // RESET: every file is new
  assert.equal(written(['b.000001', 200], ['b.000002', 10]), 1190 + 210);
  assert.equal(written(['b.000001', 4]), 1400 + 4, 'and again');
  // the end of the file was lost in a crash
  assert.equal(written(['b.000001', 900]), 1404 + 896);
  assert.equal(written(['b.000001', 600], ['b.000002', 30]), 2300 + 30);
  // another base name: older files of that name may be from before
  assert.equal(written(['c.000001', 9000], ['c.000002', 20]), 2330 + 20);
  assert.equal(written(['c.000001', 9000], ['c.000002', 20]), 2350, 'nothing new');
});

test('another server under the same address: its log has not grown from the end of the other one', () => {
  const watch = new BinlogWatch();
  const log = (end: number): readonly (readonly [string, number])[] => [
    ['b.000001', 1000],
    ['b.000002', end],
  ];
  for (let s = 0; s <= 600; s += 60) lookAt(watch, s, 1, log(1000 + s));
  assert.equal(lookAt(watch, 660, 1, log(1660)).writtenBytes, 660);
  // It begins where the other one was first looked at, and its files reach further
  const promoted = [['b.000001', 1000], ['b.000002', 5000], ['b.000003', 9000]] as const; // prettier-ignore
  const found = lookAt(watch, 720, 2, promoted);
  assert.equal(found.writtenBytes, 660, 'what it had is nothing new');
  assert.equal(found.retainedSeconds.known, false);
  assert.equal(found.estimatedSeconds.known, false);
  const purged = lookAt(watch, 780, 2, [['b.000003', 9500]]);
  assert.equal(purged.writtenBytes, 1160);
  assert.equal(purged.retainedSeconds.known, false, 'its file was begun before it was watched');
});

test('how far back the log reaches: seen, or estimated and said so, or not known', () => {
  const watch = new BinlogWatch();
  const begin = look(watch, 0, ['b.000001', 10_000], ['b.000002', 1000]);
  assert.equal(begin.retainedSeconds.known, false);
  assert.equal(begin.estimatedSeconds.known, false);
  // 10 bytes a second
  for (let s = 60; s <= 600; s += 60) look(watch, s, ['b.000001', 10_000], ['b.000002', 1000 + s * 10]);
  const later = look(watch, 660, ['b.000001', 10_000], ['b.000002', 1000 + 6600]);
  assert.equal(later.retainedSeconds.known, false);
  assert.ok(later.estimatedSeconds.known);
  assert.equal(Math.round(later.estimatedSeconds.value), 1760);
  // a new file at 700 s; the two old ones are purged at 1000 s
  for (let s = 720; s <= 960; s += 60) {
    look(watch, s, ['b.000001', 10_000], ['b.000002', 8000], ['b.000003', (s - 700) * 10]);
  }
  const purged = look(watch, 1020, ['b.000003', 3200]);
  assert.ok(purged.retainedSeconds.known);
  assert.ok(Math.abs(purged.retainedSeconds.value - 320) < 60, `${purged.retainedSeconds.value}`);
  // RESET: the new log was begun since the last look
  const reset = look(watch, 1080, ['b.000001', 100]);
  assert.equal(reset.retainedSeconds.known, false);
});

test('a slow list is read less often, brought up to date by the position; a quick one each time', async () => {
  const clock = { monoMs: 0 };
  const status = { File: 'b.000002', Position: '700' };
  let list = rows(['b.000001', 1000], ['b.000002', 700]);
  let listTakesMs = 400;
  let lists = 0;
  const fake = fakeClient('10.11.19-MariaDB', {});
  const client: MysqlClient = {
    ...fake,
    query: (sql) => {
      if (sql === 'SHOW BINLOG STATUS') return Promise.resolve([{ ...status }]);
      assert.equal(sql, 'SHOW BINARY LOGS');
      lists += 1;
      clock.monoMs += listTakesMs;
      return Promise.resolve(list);
    },
  };
  let read: BinlogsRead | undefined;
  const next = async (): Promise<BinlogsRead> => (read = await readBinlogsSparingly(client, read, testCall(clock)));
  assert.equal((await next()).listTookMs, 400);
  clock.monoMs = 4000;
  status.Position = '800';
  const kept = await next();
  assert.equal(lists, 1);
  assert.deepEqual(kept.binlogs.files.at(-1), { name: 'b.000002', number: 2, sizeBytes: 800 });
  assert.equal(kept.listedAtMs, 0);
  // 5 % of the time: due after 8 s
  clock.monoMs = 8001;
  await next();
  assert.equal(lists, 2);
  // another file is written: the list is needed
  clock.monoMs = 9000;
  status.File = 'b.000003';
  status.Position = '4';
  list = rows(['b.000001', 1000], ['b.000002', 900], ['b.000003', 4]);
  assert.equal((await next()).binlogs.files.length, 3);
  assert.equal(lists, 3);
  // so it is when the file is shorter than it was: RESET
  clock.monoMs = 9500;
  status.Position = '3';
  await next();
  assert.equal(lists, 4);
  listTakesMs = 100;
  clock.monoMs = 20_000;
  await next();
  clock.monoMs = 20_200;
  await next();
  assert.equal(lists, 6);
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
