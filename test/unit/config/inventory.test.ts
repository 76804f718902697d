import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from 'js-yaml';
import { inventoryOf, type Inventory } from '../../../exporter/config/inventory.ts';
import { summaryOf } from '../../../exporter/config/summary.ts';
import { gapIn } from '../../../exporter/systems/pipeline/facts-gaps.ts';
import { ConfigError } from '../../../exporter/runtime/errors.ts';
import { systems as registered } from '../../../exporter/systems/index.ts';
import { fakeSystem } from '../../support/fake-system.ts';

const systems = ['mysql', 'maxwell', 'kafka', 'redis', 'backup'].map((kind) => fakeSystem({}, kind));

const read = (yaml: string): Inventory => inventoryOf(load(yaml), 'pipemedic.yml', systems);

function problemsOf(yaml: string): readonly string[] {
  try {
    read(yaml);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems;
  }
  return [];
}

const target = (name: string, kind: string, more = ''): string =>
  `{name: ${name}, kind: ${kind}, address: {id: x}${more === '' ? '' : `, ${more}`}}`;
const one = (more: string): string => `targets: [${target('db1', 'mysql', more)}]`;
const all = `targets:
  - ${target('db1', 'mysql')}
  - ${target('db2', 'mysql')}
  - ${target('maxwell1', 'maxwell')}
  - ${target('kafka1', 'kafka')}
  - ${target('redis1', 'redis')}
  - ${target('redis2', 'redis')}
  - ${target('nightly', 'backup')}
`;
const orders = `{name: orders, objective: 30s, source: db1, replicas: [db2], cdc: maxwell1,
  bus: {target: kafka1, topics: [orders]}, consumers: [{group: sink}],
  cache: {primary: redis1, replicas: [redis2]}, backups: [nightly]}`;

test('a whole inventory: targets, members, transitive dependencies', () => {
  const inventory = read(`${all}pipelines: [${orders}]\nremediation: {anything: [goes]}`);
  assert.deepEqual([...inventory.targets.keys()], ['db1', 'db2', 'maxwell1', 'kafka1', 'redis1', 'redis2', 'nightly']);
  assert.equal(inventory.pipelines[0]?.objective, 30_000);
  assert.deepEqual(
    inventory.members.map((m) => `${m.role} ${m.target}`),
    [
      'source db1',
      'replica db2',
      'cdc maxwell1',
      'bus kafka1',
      'cache_primary redis1',
      'cache_replica redis2',
      'backup nightly',
    ],
  );
  const needs = Object.fromEntries(
    [...inventory.upstreams].flatMap(([t, up]) => (up.size > 0 ? [[t, [...up]] as const] : [])),
  );
  assert.deepEqual(needs, { db2: ['db1'], maxwell1: ['db1', 'kafka1'], redis2: ['redis1'], nightly: ['db1'] });
  assert.deepEqual(inventory.remediation, { anything: ['goes'] });
});

test('references between targets are dependencies, also through one another', () => {
  const inventory = read(`targets:
  - {name: a, kind: mysql, address: {id: x}}
  - {name: b, kind: mysql, address: {id: x, needs: a}}
  - {name: c, kind: mysql, address: {id: x, needs: b}}`);
  assert.deepEqual([...(inventory.upstreams.get('c') ?? [])].sort(), ['a', 'b']);
});

test('thresholds: numbers, off is +Inf, what is not set is not there', () => {
  const inventory = read(one('thresholds: {value: {warning: 5, critical: "off"}}'));
  assert.deepEqual(inventory.targets.get('db1')?.thresholds, [
    { threshold: 'value', severity: 'warning', value: 5 },
    { threshold: 'value', severity: 'critical', value: Infinity },
  ]);
  assert.deepEqual(read(one('')).targets.get('db1')?.thresholds, []);
});

test('the source text changes with what the connection is made of, and with what it refers to', () => {
  const source = (a: string, b = ''): string | undefined =>
    read(
      `targets: [{name: a, kind: mysql, address: {id: x}${a}}, {name: b, kind: mysql, address: {id: x, needs: a}${b}}]`,
    ).targets.get('b')?.source;
  const before = source('');
  assert.equal(source('', ', labels: {dc: x}, thresholds: {value: {warning: 1}}, series_limit: 5'), before);
  assert.notEqual(source('', ', collectors: {other: false}'), before);
  assert.notEqual(source(', auth: {user: u}'), before);
});

test('collectors: off, on with options, as they are', () => {
  const names = (more: string): string[] | undefined =>
    read(one(more))
      .targets.get('db1')
      ?.bind()
      .collectors.map((c) => c.name);
  assert.deepEqual(names(''), ['value', 'other']);
  assert.deepEqual(names('collectors: {value: {every: 3}, other: false}'), ['value']);
});

/** One invalid example per message: what is written, and what is said. */
const invalid: readonly (readonly [name: string, yaml: string, ...problems: string[]])[] = [
  ['an empty document', '~', 'the file: an empty value cannot stand here. Write a mapping'],
  ['not a mapping', '[]', 'the file: a list cannot stand here. Write a mapping'],
  ['no targets', 'pipelines: []', 'targets: missing. Add it: a list'],
  ['empty targets', 'targets: []', 'targets: too few entries. Write at least 1'],
  [
    'unknown key at the top',
    `${one('')}\ntarget: []`,
    'target: no such key. Take it out, or write one of: include, targets, pipelines, remediation',
  ],
  [
    'unknown key of a target',
    one('adress: x'),
    'targets[0] (db1).adress: no such key. Take it out, or write one of: name, instance, auth, tls, series_limit, labels, kind, address, thresholds, collectors',
  ],
  ['key in another spelling', one('seriesLimit: 5'), 'targets[0] (db1).seriesLimit: no such key. Write series_limit'],
  [
    'unknown key of an address',
    'targets: [{name: a, kind: mysql, address: {id: x, prot: 1}}]',
    'targets[0] (a).address.prot: no such key. Take it out, or write one of: id, needs',
  ],
  [
    'key with a slip of the keyboard',
    'targets: [{name: a, kind: mysql, adress: {id: x}}]',
    'targets[0] (a).address: missing. Add it: a mapping',
    'targets[0] (a).adress: no such key. Write address',
  ],
  ['key with its neighbours exchanged', one('instnace: x'), 'targets[0] (db1).instnace: no such key. Write instance'],
  [
    'a merge key',
    'targets: [&a {name: a, kind: mysql, address: {id: x}}, {<<: *a, name: b, kind: mysql, address: {id: x}}]',
    'targets[1] (b)["<<"]: merge keys are not read. Write the keys out, or give each value an anchor',
  ],
  [
    'key one level too high',
    one('password_file: /p'),
    'targets[0] (db1).password_file: no such key here. Put it under auth',
  ],
  [
    'key one level too low',
    'targets: [{name: a, kind: mysql, address: {id: x, labels: {}}}]',
    'targets[0] (a).address.labels: no such key here. Put it beside address, not under it',
  ],
  [
    'kind with a slip of the keyboard',
    'targets: [{name: a, kind: maxwel, address: {id: x}}]',
    'targets[0] (a).kind: "maxwel" is not known. Write maxwell; there are mysql, maxwell, kafka, redis, backup',
  ],
  [
    'a number between quotes',
    one('series_limit: "5"'),
    'targets[0] (db1).series_limit: "5" is a string. Write a number, without quotes',
  ],
  ['no whole number', one('series_limit: 1.5'), 'targets[0] (db1).series_limit: 1.5 is a number. Write a whole number'],
  [
    'true where text is wanted',
    one('instance: true'),
    'targets[0] (db1).instance: true cannot stand here. Write a string, in quotes',
  ],
  ['an empty string', one('instance: ""'), 'targets[0] (db1).instance: "" is too short. Write at least 1 character'],
  [
    'a certificate without its key',
    one('tls: {cert_file: /c}'),
    'targets[0] (db1).tls: this does not fit together. Write cert_file and key_file, or neither',
  ],
  [
    'label of Prometheus itself',
    one('labels: {__x: y}'),
    'targets[0] (db1).labels.__x: "__x" cannot be a name here. Write another one; taken are target, instance, job, exporter, pipeline, severity, state, __name__ and __*',
  ],
  [
    'no kind',
    'targets: [{name: a}]',
    'targets[0] (a).kind: missing. Write one of: mysql, maxwell, kafka, redis, backup',
  ],
  [
    'unknown kind',
    'targets: [{name: a, kind: oracle, address: {id: x}}]',
    'targets[0] (a).kind: "oracle" is not known. Write one of: mysql, maxwell, kafka, redis, backup',
  ],
  ['no address', 'targets: [{name: a, kind: mysql}]', 'targets[0] (a).address: missing. Add it: a mapping'],
  [
    'wrong type',
    'targets: [{name: a, kind: mysql, address: {id: 5}}]',
    'targets[0] (a).address.id: 5 is a number. Write a string, in quotes',
  ],
  [
    'empty value',
    'targets: [{name: a, kind: mysql, address: }]',
    'targets[0] (a).address: an empty value cannot stand here. Write a mapping',
  ],
  [
    'bad target name',
    `targets: [${target('"a b"', 'mysql')}]`,
    'targets[0].name: "a b" cannot stand here. Write letters, digits and . _ : / @ -, beginning with a letter or digit',
  ],
  [
    'long target name',
    `targets: [${target('a'.repeat(101), 'mysql')}]`,
    `targets[0].name: "${'a'.repeat(60)}…" is too long. Write at most 100 characters`,
  ],
  [
    'duplicate target',
    `targets: [${target('a', 'mysql')}, ${target('a', 'redis')}]`,
    'targets[1] (a).name: a is the name of targets[0] (a) too. Give each target its own name',
  ],
  [
    'bad label name',
    one('labels: {"a-b": x}'),
    'targets[0] (db1).labels["a-b"]: "a-b" cannot be a name here. Write a Prometheus label name',
  ],
  [
    'label that is taken',
    one('labels: {instance: x}'),
    'targets[0] (db1).labels.instance: "instance" cannot be a name here. Write another one; taken are target, instance, job, exporter, pipeline, severity, state, __name__ and __*',
  ],
  [
    'label of a family',
    one('labels: {key: x}'),
    'targets[0] (db1).labels.key: fake_value has a label of this name. Choose another name',
  ],
  [
    'label of our own family',
    one('labels: {collector: x}'),
    'targets[0] (db1).labels.collector: pipemedic_collector_success has a label of this name. Choose another name',
  ],
  [
    'label value that is no string',
    one('labels: {dc: 5}'),
    'targets[0] (db1).labels.dc: 5 is a number. Write a string, in quotes',
  ],
  [
    'unknown threshold',
    one('thresholds: {lag: {warning: 5}}'),
    'targets[0] (db1).thresholds.lag: no such key. Take it out, or write one of: value',
  ],
  [
    'unknown severity',
    one('thresholds: {value: {page: 5}}'),
    'targets[0] (db1).thresholds.value.page: no such key. Take it out, or write one of: warning, critical',
  ],
  [
    'limit that is none',
    one('thresholds: {value: {warning: high}}'),
    'targets[0] (db1).thresholds.value.warning: "high" cannot stand here. Write a number or off',
  ],
  ['unknown collector', one('collectors: {vaule: {}}'), 'targets[0] (db1).collectors.vaule: no such key. Write value'],
  [
    'collector neither off nor on',
    one('collectors: {value: 5}'),
    'targets[0] (db1).collectors.value: 5 cannot stand here. Write false or a mapping',
  ],
  [
    'collector: true',
    one('collectors: {value: true}'),
    'targets[0] (db1).collectors.value: true cannot stand here. Write {} to switch it on, or false to switch it off',
  ],
  [
    'unknown option of a collector',
    one('collectors: {value: {evry: 5}}'),
    'targets[0] (db1).collectors.value.evry: no such key. Write every',
  ],
  [
    'wrong option of a collector',
    one('collectors: {value: {every: 50}}'),
    'targets[0] (db1).collectors.value.every: 50 is too large. Write at most 9',
  ],
  ['series_limit 0', one('series_limit: 0'), 'targets[0] (db1).series_limit: 0 is too small. Write at least 1'],
  [
    'password in clear',
    one('auth: {password: geheim}'),
    'targets[0] (db1).auth.password: no such key: a secret never stands in here. Put it into a file of its own, and write password_file',
  ],
  [
    'two passwords',
    one('auth: {password_file: /a, password_env: B}'),
    'targets[0] (db1).auth: this does not fit together. Write password_file or password_env, not both',
  ],
  [
    'relative path',
    one('auth: {password_file: a}'),
    'targets[0] (db1).auth.password_file: this value cannot stand here. Write an absolute path',
  ],
  [
    'bad environment variable',
    one('auth: {password_env: A-B}'),
    'targets[0] (db1).auth.password_env: this value cannot stand here. Write the name of an environment variable',
  ],
  [
    'dangling reference',
    'targets: [{name: a, kind: mysql, address: {id: x, needs: b}}]',
    'targets[0] (a).address.needs: there is no target b. Add it under targets, or name one of kind mysql: a',
  ],
  [
    'reference of the wrong kind',
    `targets: [{name: a, kind: mysql, address: {id: x, needs: b}}, ${target('b', 'redis')}]`,
    'targets[0] (a).address.needs: b is of kind redis, wanted is mysql. Name a target of that kind',
  ],
  [
    'circle of references',
    'targets: [{name: a, kind: mysql, address: {id: x, needs: b}}, {name: b, kind: mysql, address: {id: x, needs: a}}]',
    'targets[0] (a).address.needs: a -> b -> a is a circle: each would wait for the other. Take one role out',
  ],
  [
    'target that refers to itself',
    'targets: [{name: a, kind: mysql, address: {id: x, needs: a}}]',
    'targets[0] (a).address.needs: a -> a is a circle: each would wait for the other. Take one role out',
  ],
  [
    'pipeline without a source',
    `${all}pipelines: [{name: p, objective: 30s}]`,
    'pipelines[0] (p).source: missing. Add it: the name of a target',
  ],
  [
    'pipeline with an unknown source',
    `${all}pipelines: [{name: p, objective: 30s, source: db9}]`,
    'pipelines[0] (p).source: there is no target db9. Add it under targets, or name one of kind mysql: db1, db2',
  ],
  [
    'pipeline with a source of the wrong kind',
    `${all}pipelines: [{name: p, objective: 30s, source: redis1}]`,
    'pipelines[0] (p).source: redis1 is of kind redis, wanted is mysql. Name a target of that kind',
  ],
  [
    'replica of the wrong kind',
    `${all}pipelines: [{name: p, objective: 30s, source: db1, replicas: [db2, kafka1]}]`,
    'pipelines[0] (p).replicas[1]: kafka1 is of kind kafka, wanted is mysql. Name a target of that kind',
  ],
  [
    'a password where a mapping belongs',
    one('auth: hunter2'),
    'targets[0] (db1).auth: this value is a string. Write a mapping',
  ],
  [
    'consumers without a bus',
    `${all}pipelines: [{name: p, objective: 30s, source: db1, consumers: [{group: g}]}]`,
    'pipelines[0] (p).consumers: this does not fit together. Write no consumers, or beside them the bus that they read from',
  ],
  [
    'cdc of the wrong kind',
    `${all}pipelines: [{name: p, objective: 30s, source: db1, cdc: db2}]`,
    'pipelines[0] (p).cdc: db2 is of kind mysql, wanted is maxwell or cdc-service or debezium. Name a target of that kind',
  ],
  [
    'bus without topics',
    `${all}pipelines: [{name: p, objective: 30s, source: db1, bus: {target: kafka1, topics: []}}]`,
    'pipelines[0] (p).bus.topics: too few entries. Write at least 1',
  ],
  [
    'bad duration',
    `${all}pipelines: [{name: p, objective: 30 seconds, source: db1}]`,
    'pipelines[0] (p).objective: "30 seconds" cannot stand here. Write a duration such as 30s, 5m or 1h30m',
  ],
  [
    'duration that is a number',
    `${all}pipelines: [{name: p, objective: 30, source: db1}]`,
    'pipelines[0] (p).objective: 30 is a number. Write a duration such as 30s, 5m or 1h30m',
  ],
  [
    'bad pipeline name',
    `${all}pipelines: [{name: p/q, objective: 30s, source: db1}]`,
    'pipelines[0] (p/q).name: "p/q" cannot stand here. Write letters, digits and . _ -, beginning with a letter or digit',
  ],
  [
    'duplicate pipeline',
    `${all}pipelines: [{name: p, objective: 30s, source: db1}, {name: p, objective: 30s, source: db2}]`,
    'pipelines[1] (p).name: p is the name of pipelines[0] (p) too. Give each pipeline its own name',
  ],
  [
    'circle of pipelines',
    `${all}pipelines: [{name: p, objective: 30s, source: db1, replicas: [db2]}, {name: q, objective: 30s, source: db2, replicas: [db1]}]`,
    'pipelines[0] (p).replicas[0]: db2 -> db1 -> db2 is a circle: each would wait for the other. Take one role out',
  ],
  [
    'unknown key of a consumer',
    `${all}pipelines: [{name: p, objective: 30s, source: db1, bus: {target: kafka1, topics: [t]}, consumers: [{groups: a, group: b}]}]`,
    'pipelines[0] (p).consumers[0].groups: no such key. Take it out, or write one of: group, topics',
  ],
];

for (const [name, yaml, ...problems] of invalid) {
  test(`refused: ${name}`, () => {
    assert.deepEqual(problemsOf(yaml), problems);
  });
}

test('every problem is named at once', () => {
  const problems = problemsOf(
    `targets: [{name: "a b", kind: mysql, address: {id: 5}, labels: {job: x}}, {name: c, kind: z}]\nx: 1`,
  );
  assert.deepEqual(
    problems.map((p) => p.split(':')[0]),
    ['targets[0].name', 'targets[0].labels.job', 'targets[0].address.id', 'targets[1] (c).kind', 'x'],
  );
  assert.equal(problems.length, 5);
});

test('a value is never shown whole, nor a mapping at all: it may hold a secret in the wrong place', () => {
  const text = problemsOf(`${all}pipelines: [{name: {password: geheim}, objective: 30s, source: db1}]`).join('\n');
  assert.ok(text.length > 0);
  assert.doesNotMatch(text, /geheim/);
});

test('who logs in is never shown, nor with what', () => {
  for (const text of ['user:geheim@host name', 'http://user:geheim@h/ x', 'geheim@']) {
    const [problem = ''] = problemsOf(`targets: [${target('a', 'mysql', `collectors: {value: "${text}"}`)}]`);
    assert.match(problem, /cannot stand here/);
    assert.doesNotMatch(problem, /geheim/);
  }
  assert.doesNotMatch(problemsOf(one('auth: {password_file: geheim}')).join(), /geheim/);
  assert.doesNotMatch(problemsOf(one('auth: {password_env: ge-heim}')).join(), /ge-heim/);
});

test('of many targets the nearest are named', () => {
  const many = Array.from({ length: 300 }, (_, i) => target(`db${String(i)}`, 'mysql')).join(', ');
  const [problem = ''] = problemsOf(`targets: [${many}]\npipelines: [{name: p, objective: 30s, source: db1x}]`);
  assert.match(
    problem,
    /^pipelines\[0\] \(p\)\.source: there is no target db1x\. .* of kind mysql: db1, .* and 288 more$/,
  );
});

test('a file that is kept by one is written by no other, and is none that another reads', () => {
  const at = (name: string, kind: string, more: string): string => `{name: ${name}, kind: ${kind}, ${more}}`;
  const backup = (name: string, state: string): string =>
    at(name, 'backup', `address: {directory: /b, pattern: x}, collectors: {backup_files: {state_file: ${state}}}`);
  const restore = 'restore_test: {scratch_directory: /tmp, state_file: /s/1}';
  const of = (...targets: string[]): readonly string[] => {
    try {
      inventoryOf(load(`targets: [${targets.join(', ')}]`), 'pipemedic.yml', registered);
    } catch (error) {
      assert.ok(error instanceof ConfigError, String(error));
      return error.problems;
    }
    return [];
  };
  assert.deepEqual(of(backup('a', '/s/1'), backup('b', '/s/2')), []);
  assert.deepEqual(of(backup('a', '/s/1'), backup('b', '/s/../s/1')), [
    'targets[1] (b).collectors.backup_files.state_file: /s/1 is named by targets[0] (a).collectors.backup_files.state_file too. Give each its own file',
  ]);
  assert.deepEqual(of(backup('a', `/s/1}, ${restore}, backup_listing: {`)), [
    'targets[0] (a).collectors.restore_test.state_file: /s/1 is named by targets[0] (a).collectors.backup_files.state_file too. Give each its own file',
  ]);
  const db = at('db', 'mysql', 'address: {host: h}');
  assert.deepEqual(of(db, at('m', 'maxwell', 'address: {mysql: db, log_file: /l, log_state_file: /l}')), [
    'targets[1] (m).address.log_state_file: /l is named by targets[1] (m).address.log_file too. Give each its own file',
  ]);
  assert.deepEqual(of(db, at('r', 'redis', 'address: {host: h}, auth: {password_file: /s/1}'), backup('a', '/s/1')), [
    'targets[2] (a).collectors.backup_files.state_file: /s/1 is named by targets[1] (r).auth.password_file too. Give each its own file',
  ]);
});

test('the summary says where a pipeline names nothing that moves changes on', () => {
  const part = '{name: part, objective: 30s, source: db1, bus: {target: kafka1, topics: [t]}, consumers: [{group: g}]}';
  assert.match(
    summaryOf(read(`${all}pipelines: [${part}]`), gapIn),
    /^pipeline part: .*\n {2}without `cdc` nothing tells what waits between db1 and kafka1: no lag is computed/m,
  );
});

test('the summary names targets, pipelines and who needs whom', () => {
  assert.equal(
    summaryOf(read(`${all}pipelines: [${orders}]`), gapIn),
    `7 targets, 1 pipeline
  db1: mysql
  db2: mysql
  maxwell1: maxwell
  kafka1: kafka
  redis1: redis
  redis2: redis
  nightly: backup
pipeline orders: source db1, replica db2, cdc maxwell1, bus kafka1, cache_primary redis1, cache_replica redis2, backup nightly, consumer group sink
db2 needs db1
maxwell1 needs db1, kafka1
redis2 needs redis1
nightly needs db1
`,
  );
});

test('a label that the exposition itself adds to a series: it would be there twice, and Prometheus would refuse the whole page', () => {
  const given = load('targets: [{name: cache, kind: redis, address: {host: a}, labels: {quantile: x}}]');
  assert.throws(
    () => inventoryOf(given, 'pipemedic.yml', registered),
    /targets\[0\] \(cache\)\.labels\.quantile: redis_latency_percentiles_usec has a label of this name\. Choose another name/,
  );
});
