// One wrong target for each refusal of a system: what is written, and exactly what is said.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { load } from 'js-yaml';
import { inventoryOf } from '../../../exporter/config/inventory.ts';
import { ConfigError } from '../../../exporter/runtime/errors.ts';
import { systems } from '../../../exporter/systems/index.ts';

function refusedOf(target: string): readonly string[] {
  const others = ['{name: db, kind: mysql, address: {host: h}}', '{name: red, kind: redis, address: {host: h}}'];
  try {
    inventoryOf(load(`targets: [{name: t, ${target}}, ${others.join(', ')}]`), 'pipemedic.yml', systems);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems;
  }
  return [];
}

/** Of the target's address, unless the place begins with something else. */
type Case = readonly [written: string, ...problems: string[]];

const duration = 'a duration such as 30s, 5m or 1h30m';
const url = 'an http or https URL without user, password, query and fragment';
const folder = 'directory: /b, pattern: x';
const regex = 'a regular expression; this is none:';
const unfit = 'this does not fit together. Write';
const seen = 'seen_at: [{target: red, key: k}]';
const byRow = 'write: {target: db, table: d.t}';

const addresses: Readonly<Record<string, readonly Case[]>> = {
  mysql: [
    ['', `: ${unfit} either host (and port) or socket`],
    ['host: h, socket: /s', `: ${unfit} either host (and port) or socket`],
    ['socket: /s, allow_public_key_retrieval: true', `: ${unfit} either host (and port) or socket`],
    ['host: u@h', '.host: "…@h" cannot stand here. Write a host name or address, without user, scheme or path'],
    ['host: h, port: 70000', '.port: 70000 is too large. Write at most 65535'],
    ['host: h, port: "3306"', '.port: "3306" is a string. Write a number, without quotes'],
    ['host: h, prot: 1', '.prot: no such key. Write port'],
    ['socket: s', '.socket: "s" cannot stand here. Write an absolute path'],
    ['host: h, server_public_key_file: k', '.server_public_key_file: "k" cannot stand here. Write an absolute path'],
    [
      'host: h, allow_public_key_retrieval: yes please',
      '.allow_public_key_retrieval: "yes please" is a string. Write true or false',
    ],
  ],
  redis: [
    ['', `: ${unfit} either host (and port) or socket`],
    ['host: h, socket: /s', `: ${unfit} either host (and port) or socket`],
    ['socket: /s, port: 1', `: ${unfit} a socket without a port, or host with one`],
    ['host: h, log_file: l', '.log_file: "l" cannot stand here. Write an absolute path'],
  ],
  maxwell: [
    ['', '.mysql: missing. Add it: the name of a target'],
    [
      'mysql: "d b"',
      '.mysql: "d b" cannot stand here. Write letters, digits and . _ : / @ -, beginning with a letter or digit',
    ],
    ['mysql: red', '.mysql: red is of kind redis, wanted is mysql. Name a target of that kind'],
    ['mysql: db, source: db9', '.source: there is no target db9. Add it under targets, or name one of kind mysql: db'],
    [
      'mysql: db, schema_database: a`b',
      '.schema_database: "a`b" cannot stand here. Write a database name without backticks',
    ],
    ['mysql: db, client_id: ""', '.client_id: "" is too short. Write at least 1 character'],
    [
      'mysql: db, log_state_file: /s',
      '.log_state_file: "/s" cannot stand here. Write no log_state_file, or beside it the log_file that it is about',
    ],
    ["mysql: db, http: {url: 'ftp://h'}", `.http.url: "ftp://h" cannot stand here. Write ${url}`],
    ['mysql: db, http: {}', `.http.url: missing. Add it: ${url}`],
    ['mysql: db, hsperfdata: {pid_file: /p, main_class: c}', `.hsperfdata: ${unfit} either pid_file or main_class`],
    ['mysql: db, witness_file: w', '.witness_file: "w" cannot stand here. Write an absolute path'],
  ],
  'cdc-service': [
    ['source: db', `: ${unfit} http, metrics or both`],
    ["http: 'http://u:geheim@h'", `.http: "…@h" cannot stand here. Write ${url}`],
    ["http: 'http://h', offsets: {database: d}", '.offsets.mysql: missing. Add it: the name of a target'],
    [
      "http: 'http://h', offsets: {mysql: db, database: 'a`b'}",
      '.offsets.database: "a`b" cannot stand here. Write a name without backticks',
    ],
    [
      "http: 'http://h', offsets: {mysql: db, database: d, time_zone: UTC}",
      '.offsets.time_zone: "UTC" cannot stand here. Write SYSTEM or an offset such as +02:00',
    ],
  ],
  debezium: [
    ['source: db', `.metrics: missing. Add it: ${url}`],
    ["metrics: 'http://h', connect: {connector: c}", `.connect.url: missing. Add it: ${url}`],
    ["metrics: 'http://h', connect: {url: 'http://h?x', connector: c}", `.connect.url: "http://h?x" cannot stand here. Write ${url}`], // prettier-ignore
  ],
  'kafka-connect': [
    ['', `.url: missing. Add it: ${url}`],
    ['url: connect1', `.url: "connect1" cannot stand here. Write ${url}`],
  ],
  kafka: [
    ['', '.brokers: missing. Add it: a list'],
    ['brokers: []', '.brokers: too few entries. Write at least 1'],
    ["brokers: 'h:1'", '.brokers: "h:1" is a string. Write a list'],
    ["brokers: ['http://h:1']", '.brokers[0]: "http://h:1" cannot stand here. Write host:port, without a scheme'],
    ["brokers: ['h:70000']", '.brokers[0]: "h:70000" cannot stand here. Write a port up to 65535'],
    [
      "brokers: ['h:1'], sasl: SCRAM-SHA-265",
      '.sasl: "SCRAM-SHA-265" is not known. Write SCRAM-SHA-256; there are PLAIN, SCRAM-SHA-256, SCRAM-SHA-512',
    ],
    [
      "brokers: ['h:1'], sasl: GSSAPI",
      '.sasl: "GSSAPI" is not known. Write one of: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512',
    ],
  ],
  jvm: [
    ['', `: ${unfit} at least one of hsperfdata, maxwell_http, prometheus and jolokia`],
    ['hsperfdata: {}', `.hsperfdata: ${unfit} either pid_file or main_class`],
    [
      'hsperfdata: {main_class: "a b"}',
      '.hsperfdata.main_class: "a b" cannot stand here. Write a class name or the path of a jar',
    ],
    ['hsperfdata: {main_class: a, user: "u/v"}', '.hsperfdata.user: "u/v" cannot stand here. Write a user name'],
    ["jolokia: {url: 'http://h/?x=1'}", `.jolokia.url: "http://h/?x=1" cannot stand here. Write ${url}`],
    [
      "prometheus: {url: 'http://h/#x'}",
      '.prometheus.url: "http://h/#x" cannot stand here. Write an http or https URL without user, password and fragment',
    ],
    [
      "prometheus: {url: 'http://h', timeout: 2m}",
      '.prometheus.timeout: "2m" cannot stand here. Write a duration up to 1m',
    ],
    [
      "prometheus: {url: 'http://h', timeout: soon}",
      `.prometheus.timeout: "soon" cannot stand here. Write ${duration}`,
    ],
  ],
  backup: [
    ['', '.directory: missing. Add it: an absolute path', '.pattern: missing. Add it: a string'],
    ['directory: b, pattern: x', '.directory: "b" cannot stand here. Write an absolute path'],
    ['directory: /b, pattern: x/y', '.pattern: "x/y" cannot stand here. Write a file name pattern, without a folder'],
    [
      `${folder}, tool: mysqldmp`,
      '.tool: "mysqldmp" is not known. Write mysqldump; there are mysqldump, mydumper, xtrabackup, binlog, rdb, aof, status_file',
    ],
    [`${folder}, max_age: 26`, `.max_age: 26 cannot stand here. Write ${duration} or a mapping`],
    [`${folder}, max_age: {ful: 1d}`, '.max_age.ful: no such key. Write full'],
    [`${folder}, max_age: {full: 1x}`, `.max_age.full: "1x" cannot stand here. Write ${duration}`],
    [`${folder}, archive: db`, '.archive: db is of kind mysql, wanted is backup. Name a target of that kind'],
  ],
  host: [
    [
      'folders: {"a b": /x}',
      '.folders["a b"]: "a b" cannot be a name here. Write letters, digits and . _ -, beginning with a letter or digit',
    ],
    ['folders: {a: x}', '.folders.a: "x" cannot stand here. Write an absolute path'],
    ['processes: {a: {}}', `.processes.a: ${unfit} pid_file, program or arguments (or several of them)`],
    [
      'processes: {a: {program: /usr/sbin/x}}',
      '.processes.a.program: "/usr/sbin/x" cannot stand here. Write the name of a program, without its folder',
    ],
    ['processes: {a: {arguments: []}}', '.processes.a.arguments: too few entries. Write at least 1'],
    ['window: 5', `.window: 5 is a number. Write ${duration}`],
  ],
  canary: [
    ['', '.write: missing. Add it: a mapping', '.seen_at: missing. Add it: a list'],
    [
      `write: {target: db}, ${seen}`,
      `.write: ${unfit} either table (of a target of kind mysql) or key (of one of kind redis)`,
    ],
    [
      `write: {target: db, table: t}, ${seen}`,
      '.write.table: "t" cannot stand here. Write DATABASE.TABLE, without backticks',
    ],
    [
      `${byRow}, seen_at: [{target: red, key: k, topic: t}]`,
      `.seen_at[0]: ${unfit} one of table, key (with field, or without) and topic`,
    ],
    [
      `${byRow}, seen_at: [{target: red, key: k}, {target: red, key: l}]`,
      '.seen_at[1].target: "red" cannot stand here. Write each target once: the series bear its name',
    ],
    [`${byRow}, seen_at: []`, '.seen_at: too few entries. Write at least 1'],
    [`${byRow}, ${seen}, every: 2h`, '.every: "2h" cannot stand here. Write a duration from 1s to 1h'],
    [
      `${byRow}, ${seen}, give_up_after: 5s`,
      '.give_up_after: "5s" cannot stand here. Write a duration that is not shorter than every',
    ],
    [`${byRow}, ${seen}, every: 10m`, '.give_up_after: missing. Write a duration that is not shorter than every'],
    [`${byRow}, ${seen}, late_after: 5`, `.late_after: 5 is a number. Write ${duration}`],
  ],
  consistency: [
    ['source: db', '.copy: missing. Add it: the name of a target'],
    ['copy: db', `: ${unfit} either source (mysql) or primary (redis)`],
    ['source: db, primary: red, copy: db', `: ${unfit} either source (mysql) or primary (redis)`],
    ['source: db, copy: db2', '.tables: missing. Write a list of the tables that are compared'],
    ['source: db, copy: db, tables: [a.b]', '.copy: "db" cannot stand here. Write another target than source'],
    ['primary: red, copy: red', '.copy: "red" cannot stand here. Write another target than primary'],
    ['source: db, copy: x, tables: [a.b], match: x', `: ${unfit} sample_keys and match only beside primary`],
    [
      'primary: red, copy: x, max_lag: 1s',
      `: ${unfit} tables, map, chunk_rows, max_lag, max_load and state_file only beside source`,
    ],
    [
      'source: db, copy: x, tables: [t]',
      '.tables[0]: "t" cannot stand here. Write DATABASE.TABLE, without backticks; * stands for any characters',
    ],
    [
      'source: db, copy: x, tables: [a.b], map: {"a*": b}',
      '.map["a*"]: "a*" cannot be a name here. Write the name of a database',
    ],
    [
      'source: db, copy: x, tables: [a.b], every: 60d',
      '.every: "60d" cannot stand here. Write a duration from 1s to 30d',
    ],
    [
      'source: db, copy: x, tables: [a.b], settle: 1h',
      '.settle: "1h" cannot stand here. Write a duration from 50ms to 10m',
    ],
    ['source: db, copy: x, tables: [a.b], chunk_rows: 5', '.chunk_rows: 5 is too small. Write at least 10'],
  ],
};

/** What the options of collectors say, by kind. */
const options: readonly (readonly [kind: string, address: string, ...Case])[] = [
  ['kafka', "brokers: ['h:1']", "kafka_lag: {groups: {include: ['a(']}}", `.kafka_lag.groups.include[0]: "a(" cannot stand here. Write ${regex} missing closing ): \`a(\``], // prettier-ignore
  ['kafka', "brokers: ['h:1']", 'kafka_lag: {every: 1h}', '.kafka_lag.every: "1h" cannot stand here. Write a duration from 1s to 10m'], // prettier-ignore
  ['kafka', "brokers: ['h:1']", 'kafka_lag: {granularity: topics}', '.kafka_lag.granularity: "topics" is not known. Write topic; there are partition, topic'], // prettier-ignore
  ['kafka', "brokers: ['h:1']", 'kafka_lga: {}', '.kafka_lga: no such key. Write kafka_lag'],
  ['redis', 'host: h', 'redis_streams: {}', `.redis_streams: ${unfit} streams or patterns, with at least one`],
  ['redis', 'host: h', 'redis_streams: {streams: [{db: 0}]}', '.redis_streams.streams[0].key: missing. Add it: a string'], // prettier-ignore
  ['redis', 'host: h', 'replication_config: {cover: long}', `.replication_config.cover: "long" cannot stand here. Write ${duration}`], // prettier-ignore
  ['mysql', 'host: h', 'global_status: {also: ["a b"]}', '.global_status.also[0]: "a b" cannot stand here. Write the name of a status variable'], // prettier-ignore
  ['mysql', 'host: h', 'global_variables: {also: ["a b"]}', '.global_variables.also[0]: "a b" cannot stand here. Write the name of a variable'], // prettier-ignore
  ['mysql', 'host: h', 'heartbeat: {server_id: x}', '.heartbeat.server_id: "x" cannot stand here. Write a number or a list'], // prettier-ignore
  ['mysql', 'host: h', 'binlog: true', '.binlog: true cannot stand here. Write {} to switch it on, or false to switch it off'], // prettier-ignore
  ['backup', folder, 'backup_files: {verify_rate: 50MB/s}', '.backup_files.verify_rate: "50MB/s" cannot stand here. Write bytes per second, such as 50MB'], // prettier-ignore
  ['backup', folder, 'restore_test: {state_file: /s}', '.restore_test.scratch_directory: missing. Add it: an absolute path'], // prettier-ignore
  ['backup', folder, 'restore_test: {state_file: /s, scratch_directory: /t, expect_tables: [t]}', '.restore_test.expect_tables[0]: "t" cannot stand here. Write database.table'], // prettier-ignore
];

const said: string[] = [];

const account = ', auth: {user: u, password_file: /p}';
for (const [kind, cases] of Object.entries(addresses)) {
  for (const [written, ...problems] of cases) {
    test(`${kind}: {${written}}`, () => {
      const found = refusedOf(`kind: ${kind}, address: {${written}}${kind === 'canary' ? account : ''}`);
      said.push(...found);
      assert.deepEqual(
        found,
        problems.map((problem) => `targets[0] (t).address${problem}`),
      );
    });
  }
}

for (const [kind, address, written, ...problems] of options) {
  test(`${kind}: collectors: {${written}}`, () => {
    const found = refusedOf(`kind: ${kind}, address: {${address}}, collectors: {${written}}`);
    said.push(...found);
    assert.deepEqual(
      found,
      problems.map((problem) => `targets[0] (t).collectors${problem}`),
    );
  });
}

test('every refusal that an address has words for is above, and none is told in the words of the library', () => {
  const repo = join(import.meta.dirname, '..', '..', '..');
  const files = [...globSync('exporter/systems/*/address.ts', { cwd: repo }), 'exporter/fields.ts'];
  assert.ok(files.length > 10);
  // Words stand in quotes and have a space; code and comments are left aside. Those of fields.ts are in inventory.test.ts too.
  const elsewhere = ['the name of an environment variable', 'not both', 'or neither'];
  const words = files.flatMap((file) =>
    readFileSync(join(repo, file), 'utf8')
      .replaceAll(/^\s*(\/?\*|\/\/).*$/gm, '')
      .split('\n')
      .filter((line) => !/^import|\/\*\*/.test(line))
      .flatMap((line) => [...line.matchAll(/'((?:[^'\\]|\\.)*)'/g)].map(([, text = '']) => text))
      .filter((text) => text.includes(' ')),
  );
  assert.ok(words.length > 30, String(words.length));
  const all = said.join('\n');
  assert.deepEqual(
    words.filter((text) => !all.includes(text) && !elsewhere.some((end) => text.endsWith(end))),
    [],
  );
  assert.doesNotMatch(all, /Invalid|[Ee]xpected|Too (small|big)|undefined|must match/);
  assert.doesNotMatch(all, /geheim/);
});
