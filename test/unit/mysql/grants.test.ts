import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { known, unknown } from '../../../exporter/runtime/known.ts';
import {
  cdcChecks,
  cdcFindings,
  defaultNeeds,
  readReaderGrants,
  type CdcFinding,
  type CdcNeeds,
} from '../../../exporter/systems/mysql/facts-cdc.ts';
import type { Place } from '../../../exporter/system.ts';
import { clockFinding, examineMysql, grantFindings } from '../../../exporter/systems/mysql/facts-doctor.ts';
import { defaultAsking, grantsOf, holds, needsOf, type Asking } from '../../../exporter/systems/mysql/facts-grants.ts';
import { mysql } from '../../../exporter/systems/mysql/index.ts';
import { serverOf } from '../../../exporter/systems/mysql/facts-server.ts';
import { parseVersion } from '../../../exporter/systems/mysql/facts-version.ts';
import { fakeClient, testCall } from './fake-client.ts';

test('grants: everything, databases by pattern, tables, columns, roles', () => {
  const grants = grantsOf([
    "GRANT PROCESS, BINLOG MONITOR, SLAVE MONITOR ON *.* TO `e`@`%` IDENTIFIED BY PASSWORD '*A453'",
    'GRANT SELECT, INSERT ON `max\\_well`.* TO `e`@`%`',
    'GRANT SELECT ON `shop%`.* TO `e`@`%`',
    'GRANT SELECT (`a`, `b`), UPDATE (`a`) ON `crm`.`people` TO `e`@`%`',
    'GRANT SELECT ON `crm`.`or``ders` TO `e`@`%`',
    "GRANT PROXY ON ''@'%' TO 'e'@'%'",
  ]);
  assert.equal(holds(grants, 'PROCESS'), true);
  assert.equal(holds(grants, 'REPLICA MONITOR'), true, 'SHOW GRANTS has the other name');
  assert.equal(holds(grants, 'SELECT'), false);
  assert.equal(holds(grants, 'SELECT', 'max_well'), true);
  assert.equal(holds(grants, 'SELECT', 'maxiwell'), false, 'the backslash takes the meaning from _');
  assert.equal(holds(grants, 'SELECT', 'shop_eu'), true);
  assert.equal(holds(grants, 'SELECT', 'crm', 'people'), false, 'columns are not the table');
  assert.equal(holds(grants, 'SELECT', 'crm', 'or`ders'), true);
  assert.equal(grants.hasRoles, false);
  assert.equal(grantsOf(['GRANT `monitor`@`%` TO `r`@`%`', 'GRANT USAGE ON *.* TO `r`@`%`']).hasRoles, true);
  assert.equal(grantsOf(['GRANT `monitor` TO `r`@`%`']).hasRoles, true, 'as MariaDB writes it');
  assert.equal(
    holds(grantsOf(['GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION']), 'PROCESS'),
    true,
  );
  assert.equal(holds(grantsOf(['GRANT SELECT, PROCESS ON `maxwell`.* TO `x`@`%`']), 'PROCESS'), false);
});

test('grants: patterns as LIKE reads them, and lists with and without columns', () => {
  const inDatabase = (pattern: string, name: string): boolean =>
    holds(grantsOf([`GRANT SELECT ON \`${pattern}\`.* TO \`e\`@\`%\``]), 'SELECT', name);
  for (const [pattern, name, is] of [
    ['%', 'shop', true],
    ['shop', 'shop', true],
    ['shop', 'shops', false],
    ['sh%', 'shop', true],
    ['%op', 'shop', true],
    ['%o', 'shop', false],
    ['s%o%', 'shop', true],
    ['%s%h%o%p%', 'shop', true],
    ['%ab', 'aab', true],
    ['s_op', 'shop', true],
    ['s_op', 'sop', false],
    ['s\\_op', 'shop', false],
    ['100\\%', '100%', true],
    ['100\\%', '100x', false],
    ['a.c', 'abc', false],
    ['sh%%', 'sh', true],
    ['_', '', false],
  ] as const) {
    assert.equal(inDatabase(pattern, name), is, `${pattern} ${name}`);
  }
  const mixed = grantsOf(['GRANT INSERT, SELECT (`a`, `b`), UPDATE (`c`), DELETE ON `s`.`t` TO `e`@`%`']);
  assert.deepEqual([...(mixed.tables[0]?.privileges ?? [])].sort(), ['DELETE', 'INSERT']);
});

test('grants: a server that makes lines of megabytes or patterns of wildcards costs no time', () => {
  const long = 4 * 1024 * 1024;
  const startedAtMs = performance.now();
  for (const list of [
    'A'.repeat(long),
    'A('.repeat(long / 2),
    'A(b)'.repeat(long / 4),
    '('.repeat(long),
    ' '.repeat(long),
  ]) {
    grantsOf([`GRANT ${list} ON *.* TO x`]);
  }
  const wild = grantsOf([
    `GRANT SELECT ON \`${'%a'.repeat(30)}b\`.* TO x`,
    `GRANT SELECT ON \`${'%'.repeat(long)}\`.* TO x`,
  ]);
  assert.equal(holds(wild, 'SELECT', 'a'.repeat(64)), false);
  // As it was, the first line alone took hours.
  assert.ok(performance.now() - startedAtMs < 10_000);
});

test('what is needed follows flavour and version, and a missing one is told with the exact GRANT', () => {
  const of = (version: string): string[] => needsOf(fakeClient(version, {}), { collectors: new Set(['replication', 'binlog']) }).filter((n) => n.database === undefined).map((n) => n.privilege); // prettier-ignore
  assert.deepEqual(of('9.7.4'), ['REPLICATION CLIENT', 'REPLICATION CLIENT']);
  assert.deepEqual(of('10.4.1-MariaDB'), ['REPLICATION CLIENT', 'REPLICATION CLIENT']);
  assert.deepEqual(of('10.5.2-MariaDB'), ['REPLICATION SLAVE ADMIN', 'BINLOG MONITOR']);
  assert.deepEqual(of('10.11.19-MariaDB'), ['REPLICA MONITOR', 'BINLOG MONITOR']);
  const client = fakeClient('10.11.19-MariaDB', {});
  const findings = grantFindings(client, grantsOf(['GRANT BINLOG MONITOR ON *.* TO `exporter`@`%`']));
  assert.deepEqual(
    findings.map(({ check, ok, fix }) => [check, ok, fix]),
    [
      ['grant_replica_monitor', false, "GRANT REPLICA MONITOR ON *.* TO 'exporter'@'%'"],
      ['grant_binlog_monitor', true, undefined],
      ['grant_process', false, "GRANT PROCESS ON *.* TO 'exporter'@'%'"],
    ],
  );
});

test('the GRANT lines are those of the collectors that are on, with their options', async () => {
  const fixes = async (version: string, collectors: object, logBin = true): Promise<readonly string[]> => {
    const client = fakeClient(
      version,
      {
        'SHOW GLOBAL VARIABLES': Object.entries({ ...good, version, read_only: 'OFF' }).map(
          ([Variable_name, Value]) => ({ Variable_name, Value }),
        ),
        'SHOW GRANTS': [{ g: 'GRANT USAGE ON *.* TO `exporter`@`%`' }],
        'SHOW REPLICA STATUS': [],
        'SHOW ALL SLAVES STATUS': [],
        'SHOW SLAVE STATUS': [],
        'SHOW SESSION STATUS': [{ Variable_name: 'Ssl_cipher', Value: 'x' }],
        'SELECT UNIX_TIMESTAMP': [{ now_ms: '1700000000000.000' }],
      },
      { logBin },
    );
    const target = { name: 'db', kind: 'mysql', address: { host: '127.0.0.1', port: 1 }, collectors };
    const bound = mysql.bind(target, () => assert.fail('no reference'));
    const found = await bound.examine(client, testCall());
    return found.filter((f) => f.check.startsWith('grant_')).map((f) => f.fix?.replace(" TO 'exporter'@'%'", '') ?? '');
  };
  const none = Object.fromEntries(mysql.collectors.map(({ name }) => [name, false as const]));
  assert.deepEqual(await fixes('10.11.19-MariaDB', none), []);
  const some = { ...none, heartbeat: { database: 'shop', table: 'beats' }, slave_hosts: {} };
  assert.deepEqual(await fixes('10.11.19-MariaDB', some), [
    'GRANT SELECT ON shop.beats',
    'GRANT REPLICA MONITOR ON *.*',
    'GRANT REPLICATION MASTER ADMIN ON *.*',
  ]);
  assert.deepEqual(await fixes('9.7.4', some), [
    'GRANT SELECT ON shop.beats',
    'GRANT REPLICATION CLIENT ON *.*',
    'GRANT REPLICATION SLAVE ON *.*',
  ]);
  const reader = { ...none, cdc_ready: { cdc_user: 'maxwell@%' } };
  assert.deepEqual(await fixes('9.7.4', reader), ['GRANT REPLICATION CLIENT ON *.*', 'GRANT SELECT ON mysql.*']);
  assert.deepEqual(await fixes('9.7.4', { ...none, cdc_ready: { cdc_user: 'exporter' } }, false), []);
  assert.deepEqual(await fixes('10.11.19-MariaDB', { ...none, binlog: {} }), ['GRANT BINLOG MONITOR ON *.*']);
  assert.deepEqual(await fixes('10.11.19-MariaDB', { ...none, binlog: {} }, false), [], 'there are none to look at');
  const old = await fixes('5.7.44', { ...none, perf_schema_replication: {} });
  assert.deepEqual(old, [
    'GRANT SELECT ON performance_schema.replication_connection_status',
    'GRANT SELECT ON performance_schema.replication_connection_configuration',
  ]);
  // by default, as deploy/sql/exporter-mysql.sql has them
  const byDefault = await fixes('8.4.9', {});
  const file = readFileSync(new URL('../../../deploy/sql/exporter-mysql.sql', import.meta.url), 'utf8');
  for (const fix of byDefault) assert.ok(file.includes(`${fix} TO `), fix);
  assert.equal(byDefault.length, 8);
  for (const name of defaultAsking.collectors)
    assert.equal(mysql.collectors.find((c) => c.name === name)?.defaultOn, true, name);
});

const good = {
  version: '9.7.4',
  server_id: '1',
  log_bin: 'ON',
  binlog_format: 'ROW',
  binlog_row_image: 'FULL',
  binlog_row_metadata: 'MINIMAL',
  binlog_row_value_options: '',
  gtid_mode: 'ON',
  enforce_gtid_consistency: 'ON',
  log_replica_updates: 'ON',
  binlog_expire_logs_seconds: '2592000',
};

function findings(
  changes: Readonly<Record<string, string | undefined>>,
  needs: Partial<CdcNeeds> = {},
  seen: Partial<Parameters<typeof cdcFindings>[0]> = {},
  version = '9.7.4',
): ReadonlyMap<string, CdcFinding> {
  const all: Readonly<Record<string, string | undefined>> = { ...good, ...changes };
  const entries = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  const flavour = version.includes('MariaDB') ? 'mariadb' : 'mysql';
  const source = {
    server: serverOf(new Map(entries), flavour),
    client: { flavour, version: parseVersion(version) } as const,
    filters: known('', 0),
    isReplica: known(false, 0),
    grants: unknown('not asked'),
    ...seen,
  };
  const found = cdcFindings(source, { ...defaultNeeds, ...needs });
  return new Map(found.map((f) => [f.check, f]));
}

test('a server as it should be is ready in every check', () => {
  const found = findings({});
  assert.deepEqual([...found.keys()], [...cdcChecks]);
  assert.deepEqual(
    [...found.values()].filter((f) => f.ok !== true || f.fix !== undefined),
    [],
  );
});

test('each setting that breaks readers is told with what mends it', () => {
  for (const [check, changes, fix, needs, seen] of [
    ['log_bin', { log_bin: 'OFF' }, /log_bin=binlog under \[mysqld\].*restart/],
    ['binlog_format', { binlog_format: 'MIXED' }, /^SET PERSIST binlog_format = 'ROW'; connections that are open/],
    ['binlog_row_image', { binlog_row_image: 'MINIMAL' }, /^SET PERSIST binlog_row_image = 'FULL'/],
    ['binlog_row_metadata', {}, /^SET PERSIST binlog_row_metadata = 'FULL'$/, { rowMetadata: 'full' }],
    ['binlog_row_value_options', { binlog_row_value_options: 'PARTIAL_JSON' }, /^SET PERSIST .* = ''$/],
    [
      'gtid_mode',
      { gtid_mode: 'ON_PERMISSIVE' },
      /gtid_mode = ON_PERMISSIVE; SET PERSIST gtid_mode = ON$/,
      { gtid: true },
    ],
    ['retention', { binlog_expire_logs_seconds: '3600' }, /^SET PERSIST binlog_expire_logs_seconds = 86400$/],
    ['server_id', { server_id: '0' }, /^SET PERSIST server_id = 1$/],
    ['binlog_filters', {}, /allow_filters/, {}, { filters: known('binlog_do_db=a', 0) }],
    [
      'log_replica_updates',
      { log_replica_updates: 'OFF' },
      /log_replica_updates=ON/,
      {},
      { isReplica: known(true, 0) },
    ],
  ] as const) {
    const found = findings(changes, needs, seen);
    const finding = found.get(check);
    assert.equal(finding?.state, 'not_ready', check);
    assert.equal(finding.ok, false);
    assert.match(finding.fix ?? '', fix, check);
    const others = [...found.values()].filter((f) => f.check !== check && f.ok !== true);
    assert.deepEqual(others, [], `${check} is told as that alone`);
  }
  const { fix } = findings({ binlog_format: 'MIXED' }, {}, {}, '10.11.19-MariaDB').get('binlog_format') ?? {};
  assert.match(fix ?? '', /^SET GLOBAL binlog_format = 'ROW', and binlog_format=ROW under \[mariadbd\]/);
});

test('what is not needed is no fault, and what cannot be known is neither', () => {
  const state = (
    check: string,
    ...args: Parameters<typeof findings>
  ): readonly [string | undefined, boolean | 'unknown' | undefined] => {
    const found = findings(...args).get(check);
    return [found?.state, found?.ok];
  };
  assert.deepEqual(state('gtid_mode', { gtid_mode: 'OFF' }), ['not_required', true]);
  assert.deepEqual(state('gtid_mode', { gtid_mode: undefined }, { gtid: true }, {}, '10.11.1-MariaDB'), [
    'ready',
    true,
  ]);
  assert.deepEqual(state('binlog_row_metadata', {}), ['not_required', true]);
  assert.deepEqual(state('binlog_filters', {}, { allowFilters: true }, { filters: known('binlog_do_db=a', 0) }), [
    'not_required',
    true,
  ]);
  assert.deepEqual(state('log_replica_updates', { log_replica_updates: 'OFF' }), ['not_required', true]);
  assert.deepEqual(state('binlog_row_image', { binlog_row_image: undefined }), ['ready', true]);
  const unknowns: readonly (readonly [string, ...Parameters<typeof findings>])[] = [
    ['log_replica_updates', { log_replica_updates: 'OFF' }, {}, { isReplica: unknown('denied') }],
    ['binlog_filters', {}, {}, { filters: unknown('denied') }],
    ['retention', { max_binlog_total_size: '5' }],
    ['binlog_format', { binlog_format: undefined }],
    ['grants', {}, { user: 'maxwell@%' }],
  ];
  for (const [check, ...args] of unknowns) {
    assert.deepEqual(state(check, ...args), ['unknown', 'unknown'], check);
  }
});

test('the grants of the reader: enough, missing, perhaps by a role, no account, not to be seen', async () => {
  const finding = (lines: readonly string[], version = '9.7.4'): CdcFinding | undefined =>
    findings({}, { user: 'maxwell' }, { grants: known(grantsOf(lines), 0) }, version).get('grants');
  const all = 'GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `maxwell`@`%`';
  assert.equal(finding([all])?.state, 'ready');
  const missing = finding([
    'GRANT REPLICATION CLIENT ON *.* TO `maxwell`@`%`',
    'GRANT ALL PRIVILEGES ON `maxwell`.* TO …',
  ]);
  assert.equal(missing?.fix, "GRANT REPLICATION SLAVE ON *.* TO 'maxwell'@'%'");
  assert.equal(finding(['GRANT REPLICATION SLAVE ON *.* TO `m`@`%`', 'GRANT `r`@`%` TO `m`@`%`'])?.state, 'unknown');
  assert.match(finding([all], '10.11.1-MariaDB')?.fix ?? '', /^GRANT BINLOG MONITOR ON/);

  const nobody = Object.assign(new Error('There is no such grant'), { errno: 1141 });
  const mine = 'GRANT SELECT ON `mysql`.* TO `exporter`@`%`';
  const may = { "SHOW GRANTS FOR 'gone'": nobody, 'SHOW GRANTS': [{ g: mine }] };
  const gone = await readReaderGrants(fakeClient('9.7.4', may), 'gone', testCall());
  assert.equal(gone.known && gone.value.global.size, 0);
  const blind = fakeClient('9.7.4', { 'SHOW GRANTS': [{ g: 'GRANT PROCESS ON *.* TO `exporter`@`%`' }] });
  const unseen = await readReaderGrants(blind, 'maxwell', testCall());
  assert.match(unseen.known ? '' : unseen.why, /GRANT SELECT ON mysql\.\* TO 'exporter'@'%'$/);
  assert.deepEqual(blind.asked, ['SHOW GRANTS'], 'what would be refused is not asked');
  assert.equal((await readReaderGrants(blind, 'exporter', testCall())).known, true, 'our own account');
});

test('an examination: every part is told, and the clock has its error', async () => {
  const client = fakeClient('9.7.4', {
    'SHOW GLOBAL VARIABLES': Object.entries({ ...good, read_only: 'OFF' }).map(([Variable_name, Value]) => ({
      Variable_name,
      Value,
    })),
    'SHOW GRANTS': [
      { g: 'GRANT PROCESS, REPLICATION CLIENT ON *.* TO `exporter`@`%`' },
      { g: 'GRANT SELECT ON `performance_schema`.* TO `exporter`@`%`' },
    ],
    'SHOW BINARY LOG STATUS': [{ File: 'b.1', Position: '4', Binlog_Do_DB: '', Binlog_Ignore_DB: '' }],
    'SHOW REPLICA STATUS': [],
    'SHOW SESSION STATUS': [{ Variable_name: 'Ssl_cipher', Value: '' }],
    'SELECT UNIX_TIMESTAMP': [{ now_ms: '1700000002500.000' }],
  });
  const found = new Map((await examineMysql(client, testCall())).map((f) => [f.check, f]));
  assert.equal(found.get('version')?.text, 'MySQL 9.7.4 (), as exporter@%');
  assert.match(found.get('statements')?.text ?? '', /SHOW REPLICA STATUS.*SHOW BINARY LOG STATUS.*performance_schema/);
  assert.deepEqual(
    [...found.values()].filter((f) => f.ok !== true).map((f) => [f.check, f.ok, f.fix !== undefined]),
    [
      ['encryption', false, true],
      ['clock', false, true],
    ],
  );
  assert.equal(clockFinding({ offsetMs: -1200, uncertaintyMs: 300 }).ok, 'unknown');
  assert.match(clockFinding({ offsetMs: -1200, uncertaintyMs: 3 }).text, /1\.200 s behind ours, ± 0\.003 s/);
  assert.equal(clockFinding({ offsetMs: 20, uncertaintyMs: 3 }).ok, true);
});

test('a setting that breaks readers is a fault where there are readers: by the pipelines and collectors, or everywhere without them', async () => {
  const client = fakeClient('9.7.4', {
    'SHOW GLOBAL VARIABLES': Object.entries({ ...good, binlog_format: 'STATEMENT', read_only: 'OFF' }).map(
      ([Variable_name, Value]) => ({ Variable_name, Value }),
    ),
    'SHOW GRANTS': [{ g: 'GRANT ALL PRIVILEGES ON *.* TO `exporter`@`%`' }],
    'SHOW BINARY LOG STATUS': [{ File: 'b.1', Position: '4', Binlog_Do_DB: '', Binlog_Ignore_DB: '' }],
    'SHOW REPLICA STATUS': [],
    'SHOW SESSION STATUS': [{ Variable_name: 'Ssl_cipher', Value: 'TLS_AES_256_GCM_SHA384' }],
    'SELECT UNIX_TIMESTAMP': [{ now_ms: '1700000000000.000' }],
  });
  const look = async (place?: Place, asking?: Asking): Promise<readonly [unknown, string]> => {
    const findings = await examineMysql(client, testCall(), undefined, place, asking);
    const found = findings.find((f) => f.check === 'binlog_format');
    return [found?.ok, found?.text ?? ''];
  };
  const text = 'binlog_format = STATEMENT: readers see no rows in statements';
  assert.deepEqual(await look(), [false, text]);
  assert.deepEqual(await look({ isSource: true, readers: ['mx', 'svc'] }), [false, `${text} (read by mx, svc)`]);
  assert.deepEqual(await look({ isSource: false, readers: ['mx'] }), [false, `${text} (read by mx)`]);
  assert.deepEqual(await look({ isSource: true, readers: [] }), [false, text]);
  const nobody = 'nobody in this inventory reads its changes';
  assert.deepEqual(await look({ isSource: false, readers: [] }), ['unknown', `${text}; ${nobody}`]);
  // a source that feeds replicas only, by its collectors; who reads from it needs it in any case
  const off = { collectors: new Set(['replication', 'binlog']) };
  assert.deepEqual(await look({ isSource: true, readers: [] }, off), ['unknown', `${text}; ${nobody}`]);
  assert.deepEqual(await look({ isSource: true, readers: ['mx'] }, off), [false, `${text} (read by mx)`]);
});
