// Which errors of a replication thread a start may answer, what is said to which server, and whether data has moved.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { grantsOf } from '../../../exporter/systems/mysql/facts-grants.ts';
import { parseVersion } from '../../../exporter/systems/mysql/facts-version.ts';
import { dialectOf, type Thread } from '../../../remediator/actions/mysql/dialect.ts';
import { errnosOf, ioClass, sqlClass } from '../../../remediator/actions/mysql/errors.ts';
import { judgeMovement, type Sample } from '../../../remediator/actions/mysql/movement.ts';
import { adminPrivilege, needFindings, replicaNeeds, sourceNeeds } from '../../../remediator/actions/mysql/needs.ts';
import { otherServer, outcomeOf, sameServer } from '../../../remediator/actions/mysql/session.ts';
import { mysqlReplicaRestartThread } from '../../../remediator/actions/mysql-replica-restart-thread.ts';
import type { Json } from '../../../remediator/model.ts';
import type { World } from '../../../remediator/world.ts';

const io: readonly (readonly [errno: number, text: string, code: string, remedy: string])[] = [
  [2002, '', 'transient', 'retry'],
  [2003, "error reconnecting to master 'repl@10.0.0.1:3306'", 'transient', 'retry'],
  [2005, '', 'transient', 'retry'],
  [2006, '', 'transient', 'retry'],
  [2013, '', 'transient', 'retry'],
  [1040, 'Too many connections', 'transient', 'retry'],
  [1053, 'Server shutdown in progress', 'transient', 'retry'],
  [1158, '', 'transient', 'retry'],
  [1161, '', 'transient', 'retry'],
  [1045, 'Access denied', 'credentials', 'never'],
  [1129, 'Host is blocked', 'credentials', 'never'],
  [1130, 'Host is not allowed', 'credentials', 'never'],
  [1227, '', 'credentials', 'never'],
  [2026, 'SSL connection error', 'credentials', 'never'],
  [
    1593,
    'Fatal error: The slave I/O thread stops because master and slave have equal MySQL server ids',
    'identity',
    'never',
  ],
  [
    13117,
    'Fatal error: The replica I/O thread stops because source and replica have equal MySQL server UUIDs',
    'identity',
    'never',
  ],
  [13117, 'Fatal error: something else', 'fatal', 'never'],
  [1593, 'Fatal error: something else', 'fatal', 'never'],
  [1236, 'Got fatal error 1236 from master: Could not find first log file name', 'purged', 'never'],
  [13114, 'Got fatal error 1236 from source: the source has purged required binary logs', 'purged', 'never'],
  [1595, 'Relay log write failure: could not queue event from master', 'disk', 'wait'],
  [9999, 'write failed: No space left on device', 'disk', 'wait'],
  [1064, 'syntax', 'unknown_error', 'never'],
  [31415, '', 'unknown_error', 'never'],
];

for (const [errno, text, code, remedy] of io) {
  test(`receiver: error ${errno}${text === '' ? '' : ` (${text.slice(0, 40)})`} is ${code}: ${remedy}`, () => {
    const found = ioClass(errno, text);
    assert.deepEqual([found.code, found.remedy], [code, remedy]);
    assert.ok(found.because.length > 20);
  });
}

const sql: readonly (readonly [errno: number, text: string, code: string, remedy: string])[] = [
  [1205, 'Lock wait timeout exceeded', 'retryable', 'retry'],
  [1213, 'Deadlock found', 'retryable', 'retry'],
  ...[1032, 1050, 1051, 1054, 1062, 1091, 1146, 1396, 1451, 1452, 1677].map(
    (errno) => [errno, '', 'drift', 'never'] as const,
  ),
  [1594, 'Relay log read failure', 'relay_corruption', 'never'],
  [13121, 'Relay log read failure: Could not parse relay log event entry', 'relay_corruption', 'never'],
  [1236, 'from the relay log', 'relay_corruption', 'never'],
  [1755, '', 'worker_gaps', 'never'],
  [1756, 'The slave coordinator and worker threads are stopped', 'worker_gaps', 'never'],
  [
    1950,
    'An attempt was made to binlog GTID 0-1-5 which would create an out-of-order sequence number',
    'gtid_strict',
    'never',
  ],
  [1114, 'The table is full', 'disk', 'wait'],
  [2013, '', 'unknown_error', 'never'],
  [27182, '', 'unknown_error', 'never'],
];

for (const [errno, text, code, remedy] of sql) {
  test(`applier: error ${errno} is ${code}: ${remedy}`, () => {
    const found = sqlClass(errno, text, new Set());
    assert.deepEqual([found.code, found.remedy], [code, remedy]);
  });
}

test('what the server counts among passing errors is retried, but never what stands for a difference', () => {
  const also = errnosOf('1158,1159,1160,1161,1205,1213,1020,1429,2013,12701, ALL, x,-1');
  assert.equal(sqlClass(12701, '', also).code, 'retryable');
  assert.equal(sqlClass(2013, '', also).remedy, 'retry');
  assert.equal(sqlClass(1062, '', new Set([1062])).code, 'drift');
  assert.equal(also.has(NaN) || also.has(-1), false);
});

const said: readonly (readonly [version: string, thread: Thread, channel: string, start: string, stop: string])[] = [
  ['10.11.19-MariaDB', 'io', '', 'START SLAVE IO_THREAD', 'STOP SLAVE IO_THREAD'],
  ['10.3.39-MariaDB', 'sql', 'east', "START SLAVE 'east' SQL_THREAD", "STOP SLAVE 'east' SQL_THREAD"],
  ['9.7.4', 'sql', '', "START REPLICA SQL_THREAD FOR CHANNEL ''", "STOP REPLICA SQL_THREAD FOR CHANNEL ''"],
  ['8.0.22', 'io', 'c1', "START REPLICA IO_THREAD FOR CHANNEL 'c1'", "STOP REPLICA IO_THREAD FOR CHANNEL 'c1'"],
  ['8.0.21', 'io', 'c1', "START SLAVE IO_THREAD FOR CHANNEL 'c1'", "STOP SLAVE IO_THREAD FOR CHANNEL 'c1'"],
  [
    '5.7.44',
    'sql',
    "o'c\\",
    "START SLAVE SQL_THREAD FOR CHANNEL 'o''c\\\\'",
    "STOP SLAVE SQL_THREAD FOR CHANNEL 'o''c\\\\'",
  ],
];

for (const [text, thread, channel, start, stop] of said) {
  test(`${text}: ${start}`, () => {
    const flavour = text.includes('MariaDB') ? 'mariadb' : 'mysql';
    const dialect = dialectOf({ flavour, version: parseVersion(text) });
    assert.equal(dialect.start(thread, channel), start);
    assert.equal(dialect.stop(thread, channel), stop);
  });
}

test('only an error reply of the server says that nothing was done', () => {
  const reply = (errno: number): Error =>
    new TargetError('failed', 'no', { cause: Object.assign(new Error(), { errno }) });
  assert.deepEqual([outcomeOf(reply(1227)).is, outcomeOf(reply(1227)).code], ['refused', 'mysql_1227']);
  assert.equal(outcomeOf(reply(1200)).is, 'refused');
  // the thread was told to end and ends later: that is no refusal, or the receiver would stay stopped for good
  for (const errno of [1875, 1876]) assert.equal(outcomeOf(reply(errno)).is, 'done');
  for (const errno of [1317, 1969, 3024, 1053, 1927, 4031]) assert.equal(outcomeOf(reply(errno)).is, 'unknown');
  assert.equal(outcomeOf(Object.assign(new Error('reset'), { code: 'ECONNRESET', errno: -104 })).is, 'unknown');
  assert.equal(outcomeOf(new TargetError('deadline', 'late')).is, 'unknown');
  assert.equal(outcomeOf(new Error("Can't add new command when connection is in closed state")).is, 'unknown');
});

test('a number of a connection counts only on the same server since the same start', () => {
  const one = { serverId: 2, serverUuid: null, startedAtSeconds: 1000, connection: 7 };
  assert.equal(sameServer(one, { ...one, startedAtSeconds: 1001 }), 'same');
  assert.equal(sameServer(one, { ...one, startedAtSeconds: 1100 }), 'other_start');
  assert.equal(sameServer(one, { ...one, serverId: 3 }), 'other_server');
  assert.equal(sameServer(one, { ...one, serverUuid: 'a' }), 'other_server');
});

test('a session with another server than the one that was looked at says nothing: behind a name there may be several', async () => {
  const server = { serverId: 2, serverUuid: 'aaaa' };
  const before = {
    ...{ server, channel: '', thread: 'io', mustStop: true, incarnation: '7', sqlRunning: true, received: null },
    ...{ executed: null, missing: null, dumpIds: null, heartbeats: null, source: 'db1', snapshot: {} },
  } as const;
  const identity = { ...server, startedAtSeconds: 1000, connection: 7 };
  const disposable = { [Symbol.asyncDispose]: () => Promise.resolve() };
  const sessionWith = (known: Json) => ({ identity: known, ...disposable });
  assert.equal(otherServer(sessionWith(identity), before), undefined);
  assert.equal(otherServer(sessionWith({ ...identity, serverUuid: 'bbbb' }), {}), undefined, 'it was not kept');
  for (const other of [{ ...identity, serverUuid: 'bbbb' }, { ...identity, serverId: 3 }, {}]) {
    assert.equal(otherServer(sessionWith(other), before)?.code, 'other_server');
  }
  const said: string[] = [];
  const client = {
    ...{ flavour: 'mysql', version: parseVersion('9.1.0'), usable: () => true },
    query: (sql: string) => Promise.resolve(said.push(sql)),
  };
  const run = {
    ...{ before, memo: {}, fence: 1, runId: 'r', attempt: 1, signal: AbortSignal.timeout(5_000) },
    note: () => undefined,
  };
  const elsewhere = { ...sessionWith({ ...identity, serverUuid: 'bbbb' }), client };
  for (const step of mysqlReplicaRestartThread.steps('db2', {}, {} as World).filter((s) => s.apply !== undefined)) {
    assert.equal((await step.apply?.(run, elsewhere))?.code, 'other_server', step.name);
  }
  assert.deepEqual(said, []);
});

const place = (position: number): { file: string; position: number } => ({ file: 'binlog.000003', position });
const before = {
  thread: 'io' as const,
  sqlRunning: true,
  received: place(100),
  executed: place(100),
  missing: 3,
  dumpIds: [5],
  heartbeats: 4,
};
const sample: Sample = {
  ioRunning: true,
  sqlRunning: true,
  received: place(200),
  executed: place(200),
  lagSeconds: 0,
  heartbeats: 4,
  reached: true,
  sourceAt: place(200),
  dumpIds: [6],
};

const movements: readonly (readonly [name: string, samples: readonly Sample[], wanted: object, is: string])[] = [
  ['no look', [], {}, 'waits'],
  ['it has advanced to what the source has', [sample], {}, 'moves'],
  ['threads say Yes and nothing else happens', [{ ...sample, executed: place(100), reached: false }], {}, 'waits'],
  ['received but not executed', [{ ...sample, executed: place(100), reached: false }], {}, 'waits'],
  ['it went back', [{ ...sample, executed: place(50) }], {}, 'waits'],
  ['the receiver is down again', [{ ...sample, ioRunning: false }], {}, 'waits'],
  ['the applier is down again', [{ ...sample, sqlRunning: false }], {}, 'waits'],
  [
    'the applier was down before: received is enough',
    [{ ...sample, sqlRunning: false }],
    { sqlRunning: false },
    'moves',
  ],
  ['advanced, not there yet', [{ ...sample, reached: false }], {}, 'waits'],
  [
    'lag falls over three looks',
    [90, 80, 60, 30].map((lag, i) => ({ ...sample, reached: false, lagSeconds: lag, executed: place(200 + i) })),
    {},
    'moves',
  ],
  [
    'lag falls and rises',
    [90, 80, 85, 30].map((lag, i) => ({ ...sample, reached: false, lagSeconds: lag, executed: place(200 + i) })),
    {},
    'waits',
  ],
  [
    'lag falls by itself, nothing is executed',
    [90, 80, 60, 30].map((lag) => ({ ...sample, reached: false, lagSeconds: lag })),
    {},
    'waits',
  ],
  [
    'lag unknown',
    [1, 2, 3, 4].map((n) => ({ ...sample, reached: false, lagSeconds: null, executed: place(200 + n) })),
    {},
    'waits',
  ],
  ['idle, and a heartbeat came', [{ ...sample, executed: place(100), heartbeats: 5 }], { missing: 0 }, 'moves'],
  [
    'idle, and a new connection reads at the end',
    [{ ...sample, executed: place(100), received: place(100), sourceAt: place(100) }],
    { missing: 0 },
    'moves',
  ],
  [
    'idle, and only the position of before',
    [{ ...sample, executed: place(100), received: place(100), sourceAt: place(100), dumpIds: [5] }],
    { missing: 0 },
    'waits',
  ],
  [
    'idle, new connection, not at the end',
    [{ ...sample, executed: place(100), received: place(100) }],
    { missing: 0 },
    'waits',
  ],
  ['an applier with nothing to do', [{ ...sample, executed: place(100) }], { thread: 'sql', missing: 0 }, 'moves'],
  [
    'an applier that had something to do',
    [{ ...sample, executed: place(100) }],
    { thread: 'sql', missing: 2 },
    'waits',
  ],
  ['another series of files', [{ ...sample, executed: { file: 'other.000001', position: 4 } }], {}, 'moves'],
];

for (const [name, samples, wanted, is] of movements) {
  test(`movement: ${name}: ${is}`, () => {
    const found = judgeMovement(samples, { ...before, ...wanted });
    assert.equal(found.is, is, JSON.stringify(found));
    if (found.is === 'waits') assert.ok(found.missing.length > 0);
  });
}

test('privileges by flavour and version, each with the GRANT that is missing', () => {
  const kind = (text: string): { flavour: 'mysql' | 'mariadb'; version: readonly [number, number, number] } => ({
    flavour: text.includes('MariaDB') ? 'mariadb' : 'mysql',
    version: parseVersion(text),
  });
  assert.equal(adminPrivilege(kind('10.11.19-MariaDB')), 'REPLICATION SLAVE ADMIN');
  assert.equal(adminPrivilege(kind('10.4.1-MariaDB')), 'SUPER');
  assert.equal(adminPrivilege(kind('9.7.4')), 'REPLICATION_SLAVE_ADMIN');
  assert.equal(adminPrivilege(kind('5.7.44')), 'SUPER');
  const grants = grantsOf(['GRANT PROCESS, REPLICA MONITOR ON *.* TO `r`@`%`', 'GRANT SELECT ON `shop`.* TO `r`@`%`']);
  const findings = needFindings({ account: 'r@%' }, grants, 'db2', replicaNeeds(kind('10.11.19-MariaDB')));
  assert.deepEqual(
    findings.map((f) => [f.check, f.ok]),
    [
      ['grant_replication_slave_admin', false],
      ['grant_replica_monitor', true],
      ['grant_process', true],
    ],
  );
  assert.equal(findings[0]?.fix, "GRANT REPLICATION SLAVE ADMIN ON *.* TO 'r'@'%'");
  const source = needFindings({ account: 'r@%' }, grants, 'db1', sourceNeeds(kind('10.11.19-MariaDB')));
  assert.deepEqual(
    source.filter((f) => f.ok !== true).map((f) => f.check),
    ['grant_binlog_monitor'],
  );
  const modern = replicaNeeds(kind('9.7.4')).map((n) => [n.privilege, n.table ?? ''].join(' ').trim());
  assert.ok(modern.includes('SELECT replication_connection_status'), modern.join());
  const role = grantsOf(['GRANT `ops`@`%` TO `r`@`%`', 'GRANT USAGE ON *.* TO `r`@`%`']);
  assert.ok(
    needFindings({ account: 'r@%' }, role, 'db2', replicaNeeds(kind('9.7.4'))).every((f) => f.ok === 'unknown'),
  );
});
