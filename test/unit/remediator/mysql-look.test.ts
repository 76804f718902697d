// Every condition of mysql.replica.restart-thread, from rows as real servers have answered them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unknown } from '../../../exporter/runtime/known.ts';
import type { MysqlServer } from '../../../exporter/systems/mysql/facts-server.ts';
import { serverOf } from '../../../exporter/systems/mysql/facts-server.ts';
import { channelOf } from '../../../exporter/systems/mysql/facts-replication.ts';
import type { ReplicaGtids } from '../../../exporter/systems/mysql/facts-gtid-replica.ts';
import type { RestartFacts, SourceFacts, SourceView, WatchedChannel } from '../../../remediator/actions/mysql/facts.ts';
import { judge, type LookParams } from '../../../remediator/actions/mysql/look.ts';
import { hashOf } from '../../../remediator/canonical.ts';
import { fixture } from '../mysql/fake-client.ts';

const row = fixture('mariadb-10.11.19-running')[0] ?? {};
const at = 1_700_000_000_000;

function server(id: number, change: Partial<MysqlServer> = {}): MysqlServer {
  const variables = new Map([
    ['version', '10.11.19-MariaDB'],
    ['server_id', String(id)],
    ['log_bin', 'ON'],
    ['read_only', 'OFF'],
  ]);
  return { ...serverOf(variables, 'mariadb'), serverId: id, logBin: true, readOnly: false, ...change };
}

function watched(cells: Record<string, unknown> = {}, change: Partial<WatchedChannel> = {}): WatchedChannel {
  const channel = channelOf(
    {
      ...row,
      Master_Server_Id: 1,
      Using_Gtid: 'Slave_Pos',
      Gtid_IO_Pos: '0-1-55',
      Gtid_Slave_Pos: '0-1-55',
      Last_IO_Errno: 0,
      Last_SQL_Errno: 0,
      Slave_IO_Running: 'Yes',
      Slave_SQL_Running: 'Yes',
      Master_User: 'repl',
      Connection_name: '',
      ...cells,
    },
    at,
  );
  return {
    channel,
    name: channel.connectionName,
    ioSeconds: 600,
    sqlSeconds: 600,
    incarnation: known('77', at),
    ...change,
  };
}

const gtids = (change: Partial<ReplicaGtids> = {}, lost = 0, name = ''): ReplicaGtids => ({
  state: 'ok',
  why: '',
  channels: [{ channelName: '', connectionName: name, missing: known(3, at), missingPurged: known(lost, at) }],
  errant: known(0, at),
  ...change,
});

function source(change: Partial<SourceFacts> = {}): SourceView {
  const facts: SourceFacts = {
    server: server(1),
    at: '127.0.0.1:23311',
    isReplica: known(false, at),
    binlogs: known(
      {
        files: [{ name: 'binlog.000003', number: 3, sizeBytes: 900 }],
        current: { file: 'binlog.000003', position: 900 },
      },
      at,
    ),
    gtids: unknown('not read'),
    dumpThreads: known([], at),
    ...change,
  };
  return { target: 'db1', facts: known(facts, at), down: false };
}

const gone: SourceView = { target: 'db1', facts: unknown('refused'), down: true };

interface Given {
  readonly channels?: readonly WatchedChannel[];
  readonly sources?: readonly SourceView[];
  readonly gtids?: RestartFacts['gtids'];
  readonly replica?: Partial<MysqlServer>;
  readonly params?: Partial<LookParams>;
  readonly alsoRetried?: ReadonlySet<number>;
}

function look(given: Given = {}): ReturnType<typeof judge> {
  const facts: RestartFacts = {
    replica: known(
      {
        server: server(2, given.replica),
        channels: given.channels ?? [watched()],
        alsoRetried: given.alsoRetried ?? new Set(),
        gtids: unknown('not read'),
      },
      at,
    ),
    sources: given.sources ?? [source()],
    gtids: given.gtids ?? known(gtids(), at),
  };
  const params: LookParams = {
    thread: 'auto',
    channel: undefined,
    connection: undefined,
    stuckSeconds: 60,
    resumeCleanStopSeconds: undefined,
    ...given.params,
  };
  return judge(facts, params, at);
}

const stuck = { Slave_IO_Running: 'Connecting', Last_IO_Errno: 2003, Last_IO_Error: 'error reconnecting' };
/** As STOP leaves it. */
const halted = (text: string): Record<string, unknown> => ({
  ...{ Slave_IO_Running: 'No', Last_IO_Errno: 2003 },
  Last_IO_Error: `error reconnecting to master 'repl@10.0.0.1:3306'${text}`,
});
const locked = { Slave_SQL_Running: 'No', Last_SQL_Errno: 1205, Last_SQL_Error: 'Lock wait timeout' };
function stalled(): WatchedChannel {
  const { channel, ...more } = watched();
  return { ...more, channel: { ...channel, state: 'stalled', why: 'neither an event nor a heartbeat came for 99 s' } };
}

const codesOf = (found: ReturnType<typeof judge>): string[] =>
  [found.alreadyFixed, ...Object.values(found.preconditions)]
    .filter((v) => v.is !== 'allow')
    .map((v) => `${v.is} ${v.code}`);

const cases: readonly (readonly [name: string, given: Given, against: readonly string[]])[] = [
  ['stuck while its source is there', { channels: [watched(stuck)] }, []],
  ['gave up on a lock', { channels: [watched(locked)] }, []],
  ['says Yes, and hears nothing', { channels: [stalled()] }, []],
  ['both run', {}, ['deny healthy']],
  ['connects for a moment only', { channels: [watched(stuck, { ioSeconds: 5 })] }, ['unknown connecting']],
  [
    'connects, without an error yet',
    { channels: [watched({ ...stuck, Last_IO_Errno: 0 }, { ioSeconds: 5 })] },
    ['unknown connecting'],
  ],
  ['connects with a wrong password', { channels: [watched({ ...stuck, Last_IO_Errno: 1045 })] }, ['deny credentials']],
  ['receiver ended, source lost', { channels: [watched({ ...stuck, Slave_IO_Running: 'No' })] }, []],
  [
    'receiver stopped by a person while it tried to connect (MariaDB)',
    { channels: [watched(halted(` - retry-time: 60  maximum-retries: 100000  message: Can't connect`))] },
    ['deny intentional_stop'],
  ],
  [
    'the same, long ago, and the policy resumes',
    {
      channels: [watched(halted(` - retry-time: 60  maximum-retries: 100000  message: Can't connect`))],
      params: { resumeCleanStopSeconds: 300 },
    },
    [],
  ],
  [
    'receiver with few tries, which are not counted',
    { channels: [watched(halted(` - retry-time: 10  maximum-retries: 5  message: Can't connect`))] },
    ['unknown stopped_or_given_up'],
  ],
  [
    'receiver stopped by a person while it tried to connect (MySQL)',
    { channels: [watched(halted('. This was attempt 3/10, with a delay of 60 seconds between attempts. Message: x'))] },
    ['deny intentional_stop'],
  ],
  [
    'receiver that gave up after its last try (MySQL)',
    {
      channels: [watched(halted('. This was attempt 10/10, with a delay of 60 seconds between attempts. Message: x'))],
    },
    [],
  ],
  [
    'receiver stopped by a person before its last try (MySQL 8.0)',
    { channels: [watched({ ...halted(' - retry-time: 60 retries: 3 message: x'), Master_Retry_Count: 10 })] },
    ['deny intentional_stop'],
  ],
  [
    'receiver that gave up (MySQL 8.0)',
    { channels: [watched({ ...halted(' - retry-time: 60 retries: 10 message: x'), Master_Retry_Count: 10 })] },
    [],
  ],
  ['receiver stopped by a person', { channels: [watched({ Slave_IO_Running: 'No' })] }, ['deny intentional_stop']],
  ['applier stopped by a person', { channels: [watched({ Slave_SQL_Running: 'No' })] }, ['deny intentional_stop']],
  [
    'stopped by a person, and the policy resumes later',
    { channels: [watched({ Slave_SQL_Running: 'No' })], params: { resumeCleanStopSeconds: 3600 } },
    ['deny intentional_stop'],
  ],
  [
    'stopped by a person, long ago',
    { channels: [watched({ Slave_SQL_Running: 'No' })], params: { resumeCleanStopSeconds: 300 } },
    [],
  ],
  [
    'stuck, and the applier stopped by a person',
    { channels: [watched({ ...stuck, Slave_SQL_Running: 'No' })] },
    ['deny intentional_stop'],
  ],
  [
    'both stopped by a person after the applier gave up, and the policy names the applier',
    { channels: [watched({ ...locked, Slave_IO_Running: 'No' })], params: { thread: 'sql' } },
    ['deny intentional_stop'],
  ],
  [
    'the applier gave up, the receiver ended with an error of its own, and the policy names the applier',
    {
      channels: [watched({ ...locked, Slave_IO_Running: 'No', Last_IO_Errno: 1045, Last_IO_Error: 'denied' })],
      params: { thread: 'sql' },
    },
    [],
  ],
  ['errno 1236', { channels: [watched({ Slave_IO_Running: 'No', Last_IO_Errno: 1236 })] }, ['deny purged']],
  ['errno 13114', { channels: [watched({ Slave_IO_Running: 'No', Last_IO_Errno: 13114 })] }, ['deny purged']],
  [
    'stuck, and what it needs is purged',
    { channels: [watched(stuck)], gtids: known(gtids({}, 4), at) },
    ['deny purged'],
  ],
  ['duplicate key', { channels: [watched({ ...locked, Last_SQL_Errno: 1062 })] }, ['deny drift']],
  ['an error that nobody knows', { channels: [watched({ ...locked, Last_SQL_Errno: 31415 })] }, ['deny unknown_error']],
  [
    'one that its server retries',
    { channels: [watched({ ...locked, Last_SQL_Errno: 12701 })], alsoRetried: new Set([12701]) },
    [],
  ],
  [
    'no space for relay logs',
    { channels: [watched({ Slave_IO_Running: 'No', Last_IO_Errno: 1595 })] },
    ['unknown disk'],
  ],
  [
    'the source is down',
    { channels: [watched(stuck)], sources: [gone] },
    ['deny primary_down', 'unknown purged_unknown'],
  ],
  [
    'the source cannot be asked',
    { channels: [watched(stuck)], sources: [{ ...gone, down: false }] },
    ['unknown primary_unknown', 'unknown purged_unknown'],
  ],
  [
    'the inventory names no source',
    { channels: [watched(stuck)], sources: [] },
    ['unknown no_source', 'unknown purged_unknown'],
  ],
  [
    'another server than the inventory says',
    { channels: [watched(stuck)], sources: [source({ server: server(9) })] },
    ['deny unexpected_primary'],
  ],
  [
    'a source that is read only',
    { channels: [watched(stuck)], sources: [source({ server: server(1, { readOnly: true }) })] },
    ['deny primary_read_only'],
  ],
  [
    'a read-only source in the middle of a chain',
    {
      channels: [watched(stuck)],
      sources: [source({ server: server(1, { readOnly: true }), isReplica: known(true, at) })],
    },
    [],
  ],
  [
    'a source without binary log',
    { channels: [watched(stuck)], sources: [source({ server: server(1, { logBin: false }) })] },
    ['deny primary_without_binlog'],
  ],
  [
    'it has transactions of its own',
    { channels: [watched(stuck)], gtids: known(gtids({ errant: known(2, at) }), at) },
    ['deny errant'],
  ],
  [
    'own transactions cannot be told',
    { channels: [watched(stuck)], gtids: known(gtids({ errant: unknown('?') }), at) },
    ['unknown errant_unknown'],
  ],
  [
    'own transactions cannot be told, but it writes no binary log',
    { channels: [watched(stuck)], replica: { logBin: false }, gtids: known(gtids({ errant: unknown('?') }), at) },
    [],
  ],
  [
    'which receiver it is cannot be told',
    { channels: [watched(stuck, { incarnation: unknown('no grant') })] },
    ['unknown thread_unknown'],
  ],
  ['no replica', { channels: [] }, ['deny no_replica']],
  [
    'a connection that is not there',
    { channels: [watched(stuck)], params: { connection: 'east' } },
    ['deny no_such_channel'],
  ],
  [
    'two connections, none named',
    { channels: [watched({ ...stuck, Connection_name: 'east' }), watched({ Connection_name: 'west' })] },
    ['deny ambiguous_channel'],
  ],
  ['MySQL’s label on MariaDB names nothing', { channels: [watched(stuck)], params: { channel: 'east' } }, []],
  [
    'of two connections, one named as MySQL would: the default one is not meant by that',
    { channels: [watched(stuck), watched({ ...stuck, Connection_name: 'east' })], params: { channel: 'east' } },
    ['deny ambiguous_channel'],
  ],
];

for (const [name, given, against] of cases) {
  test(`${name}: ${against.length === 0 ? 'nothing against it' : against.join(', ')}`, () => {
    assert.deepEqual(codesOf(look(given)), against);
  });
}

const unapplied = { Gtid_IO_Pos: '0-1-55', Gtid_Slave_Pos: '0-1-5' };
const traps: readonly (readonly [name: string, given: Given, code: string])[] = [
  [
    'source down, applier stopped, received events not applied',
    {
      channels: [watched({ ...stuck, ...unapplied, Slave_SQL_Running: 'No' })],
      sources: [gone],
      params: { thread: 'io' },
    },
    'gtid_relay_trap',
  ],
  [
    'the same with the source there',
    { channels: [watched({ ...stuck, ...unapplied, Slave_SQL_Running: 'No' })], params: { thread: 'io' } },
    'can_be_fetched_again',
  ],
  [
    'the same, but the source has purged them',
    {
      channels: [watched({ ...stuck, ...unapplied, Slave_SQL_Running: 'No' })],
      params: { thread: 'io' },
      gtids: known(gtids({}, 1), at),
    },
    'gtid_relay_trap',
  ],
  [
    'the same, but the source is unknown',
    {
      channels: [watched({ ...stuck, ...unapplied, Slave_SQL_Running: 'No' })],
      params: { thread: 'io' },
      sources: [{ ...gone, down: false }],
    },
    'gtid_relay_trap',
  ],
  [
    'source down, applier stopped, all applied',
    { channels: [watched({ ...stuck, Slave_SQL_Running: 'No' })], sources: [gone], params: { thread: 'io' } },
    'relay_applied',
  ],
  [
    'source down, applier stopped, not known what is applied',
    {
      channels: [watched({ ...stuck, Gtid_IO_Pos: '', Slave_SQL_Running: 'No' })],
      sources: [gone],
      params: { thread: 'io' },
    },
    'gtid_relay_trap',
  ],
  [
    'source down, the applier runs',
    { channels: [watched({ ...stuck, ...unapplied })], sources: [gone] },
    'applier_runs',
  ],
  [
    'the applier, while the receiver is there',
    { channels: [watched({ ...locked, ...unapplied })], sources: [gone] },
    'receiver_runs',
  ],
  [
    'the applier, with the receiver stopped',
    {
      channels: [watched({ ...locked, ...unapplied, Slave_IO_Running: 'No' })],
      sources: [gone],
      params: { thread: 'sql' },
    },
    'gtid_relay_trap',
  ],
  [
    'another domain is behind',
    {
      channels: [
        watched({ ...stuck, Gtid_IO_Pos: '0-1-5,2-3-9', Gtid_Slave_Pos: '0-1-5,2-3-8', Slave_SQL_Running: 'No' }),
      ],
      sources: [gone],
      params: { thread: 'io' },
    },
    'gtid_relay_trap',
  ],
  [
    'without GTID',
    {
      channels: [watched({ ...stuck, ...unapplied, Using_Gtid: 'No', Slave_SQL_Running: 'No' })],
      sources: [gone],
      params: { thread: 'io' },
    },
    'relay_kept',
  ],
  [
    'MySQL',
    {
      channels: [watched({ ...stuck, ...unapplied, Slave_SQL_Running: 'No' })],
      sources: [gone],
      params: { thread: 'io' },
      replica: { flavour: 'mysql' },
    },
    'relay_kept',
  ],
];

for (const [name, given, code] of traps) {
  test(`relay logs, ${name}: ${code}`, () => {
    const found = look(given).preconditions['relay_log'];
    assert.equal(found?.code, code, found?.because);
    assert.equal(found.is, code === 'gtid_relay_trap' ? 'deny' : 'allow');
  });
}

test('the evidence holds what decides and nothing that moves', () => {
  const one = look({ channels: [watched(stuck)] });
  const moved = look({
    channels: [
      watched({ ...stuck, Last_IO_Errno: 2013, Read_Master_Log_Pos: 5555, Gtid_IO_Pos: '0-1-99' }, { ioSeconds: 999 }),
    ],
    gtids: known(gtids({ channels: [] }), at),
  });
  assert.equal(hashOf(one.evidence), hashOf(moved.evidence));
  const others: readonly Given[] = [
    { channels: [watched({ ...stuck, Last_IO_Errno: 1045 })] },
    { channels: [watched({ ...stuck, Slave_IO_Running: 'No' })] },
    { channels: [watched({ ...stuck, Master_Server_Id: 4 })] },
    { channels: [watched({ ...stuck, Connection_name: 'east' })] },
    { channels: [watched(locked)] },
  ];
  for (const given of others) assert.notEqual(hashOf(look(given).evidence), hashOf(one.evidence));
});

test('two who look: the replica at its threads, the source at what the replica has', () => {
  const says = (given: Given): readonly string[] => look(given).observers?.map((o) => o.says) ?? [];
  assert.deepEqual(says({ channels: [watched(stuck)] }), ['broken', 'broken']);
  const all = known(
    gtids({ channels: [{ channelName: '', connectionName: '', missing: known(0, at), missingPurged: known(0, at) }] }),
    at,
  );
  const reader = { id: 5, user: 'repl', host: '192.0.2.2:1', command: 'Binlog Dump', seconds: 1, state: '' };
  const idle = (user: string): Given => ({
    gtids: all,
    sources: [source({ dumpThreads: known([{ ...reader, user }], at) })],
  });
  assert.deepEqual(says({ ...idle('repl'), channels: [watched(stuck)] }), ['broken', 'unknown']);
  assert.deepEqual(says({ ...idle('other'), channels: [watched(stuck)] }), ['broken', 'broken']);
  assert.deepEqual(says(idle('repl')), ['healthy', 'healthy']);
  assert.deepEqual(says({ channels: [watched(stuck)], sources: [gone] }), ['broken', 'unknown']);
});

test('a source that the replica has not been connected to since its start is taken for it by its address alone', () => {
  const started = { ...stuck, Master_Server_Id: 0 };
  const primaryOf = (cells: Record<string, unknown>): string | undefined =>
    look({ channels: [watched({ ...started, ...cells })] }).preconditions['primary']?.code;
  assert.equal(primaryOf({}), 'primary_there');
  assert.equal(primaryOf({ Master_Host: '192.0.2.7' }), 'primary_unconfirmed');
  // another server that is well must not vouch for received events
  const cells = { ...started, ...unapplied, Slave_SQL_Running: 'No', Slave_IO_Running: 'No', Master_Host: '192.0.2.7' };
  const trapped = look({ channels: [watched(cells)], params: { thread: 'io' } });
  assert.equal(trapped.preconditions['relay_log']?.code, 'gtid_relay_trap');
});

test('what people are told where nothing is done', () => {
  const told = (cells: Record<string, unknown>): string =>
    look({ channels: [watched(cells)] })
      .advice.map((a) => `${a.title}: ${a.text}`)
      .join('\n');
  assert.match(
    told({ Slave_IO_Running: 'No', Last_IO_Errno: 1236, Last_IO_Error: 'purged' }),
    /set up anew[^]*binlog\.000003/,
  );
  assert.match(told({ ...locked, Last_SQL_Errno: 1062 }), /sql_slave_skip_counter[^]*pt-table-checksum/);
  assert.match(told({ Slave_SQL_Running: 'No' }), /resumeCleanStopSeconds/);
  assert.equal(told(stuck), '');
  const trapped = (cells: Record<string, unknown>): string =>
    look({
      channels: [watched({ ...stuck, ...unapplied, Slave_SQL_Running: 'No', ...cells })],
      sources: [gone],
      params: { thread: 'io' },
    })
      .advice.map((a) => a.text)
      .join('\n');
  assert.match(trapped({}), /START SLAVE SQL_THREAD\. Do not stop the receiver/);
  assert.match(trapped({ Slave_IO_Running: 'No' }), /start neither/);
});

test('without the facts there is nothing to work from', () => {
  const blind = judge(
    { replica: unknown('refused'), sources: [], gtids: unknown('refused') },
    { thread: 'auto', channel: undefined, connection: undefined, stuckSeconds: 60, resumeCleanStopSeconds: undefined },
    at,
  );
  assert.equal(blind.alreadyFixed.is, 'unknown');
  assert.equal(blind.before, undefined);
  assert.equal(look({ channels: [watched(stuck)], sources: [gone] }).before, undefined);
  assert.equal(look({ channels: [watched(stuck, { incarnation: unknown('?') })] }).before, undefined);
  assert.deepEqual(look({ channels: [watched(stuck)] }).before?.mustStop, true);
  assert.deepEqual(look({ channels: [watched(locked)] }).before?.thread, 'sql');
});
