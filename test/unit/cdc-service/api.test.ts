import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classOf } from '../../../exporter/runtime/errors.ts';
import { componentsOf, componentStateOf, ddlOf, statusOf } from '../../../exporter/systems/cdc-service/facts-api.ts';
import { digestOf } from '../../../exporter/systems/cdc-service/facts-digest.ts';

const isProtocol = (error: unknown): boolean => classOf(error) === 'protocol';

test('/status: numbers and the version, nested or with dots in the name', () => {
  for (const status of [
    { version: '2.1.0', cdc: { ingestTPS: 120.5, applyTPS: 118, errorRate: 0.002 } },
    { 'cdc.version': '2.1.0', 'cdc.ingestTPS': 120.5, 'cdc.applyTPS': 118, 'cdc.errorRate': 0.002 },
  ]) {
    const { ingestRate, applyRate, errorRate, version } = statusOf(JSON.stringify(status), 5);
    assert.deepEqual(ingestRate, { known: true, value: 120.5, observedAtMs: 5 });
    assert.deepEqual(applyRate, { known: true, value: 118, observedAtMs: 5 });
    assert.deepEqual(errorRate, { known: true, value: 0.002, observedAtMs: 5 });
    assert.deepEqual(version, { known: true, value: '2.1.0', observedAtMs: 5 });
  }
});

test('/status: what has the wrong type is unknown, never 0; what is no object is refused', () => {
  for (const value of ['12', '', null, true, -1, [3], { value: 3 }]) {
    const { ingestRate, applyRate, version } = statusOf(JSON.stringify({ version: value, cdc: { ingestTPS: value } }), 5);
    assert.equal(ingestRate.known, false);
    assert.equal(applyRate.known, false);
    assert.equal(version.known, typeof value === 'string');
  }
  assert.equal(statusOf('{"cdc": {"ingestTPS": 1e999}}', 0).ingestRate.known, false);
  assert.equal(statusOf('{"__proto__": {"cdc.ingestTPS": 1}, "cdc": 7}', 0).ingestRate.known, false);
  for (const text of ['', 'null', '[]', '7', '"x"', '<html>secret</html>', '{"a":']) {
    assert.throws(() => statusOf(text, 0), isProtocol, text);
    assert.throws(() => statusOf(text, 0), (error: unknown) => !String(error).includes('secret')); // prettier-ignore
  }
}); // prettier-ignore

test('a version cannot bring control characters or a book into a label', () => {
  const { version } = statusOf(JSON.stringify({ version: `1.0\n\u0000${'x'.repeat(500)}` }), 0);
  assert.ok(version.known);
  assert.equal(version.value, `1.0${'x'.repeat(97)}`);
});

test('components: by name or as a list; an unheard-of word is unknown', () => {
  const expected = { source: 'up', queue: 'degraded', target: 'down', odd: 'unknown', flag: 'up' };
  const byName = { source: { status: 'UP' }, queue: 'WARN', target: { state: 'OUT_OF_SERVICE' }, odd: { status: 'FINE?' }, flag: true }; // prettier-ignore
  const asList = Object.entries(byName).map(([name, status]) => ({ name, status }));
  for (const answer of [{ status: 'DOWN', components: byName }, { components: asList }, { checks: byName }]) {
    assert.deepEqual(Object.fromEntries(componentsOf(JSON.stringify(answer))), expected);
  }
  assert.equal(componentsOf('{"components": {}}').size, 0);
  assert.throws(() => componentsOf('{"components": 3}'), isProtocol);
  for (const value of [null, 7, [], {}, { status: { status: 'UP' } }]) {
    assert.equal(componentStateOf(value), value !== null && typeof value === 'object' && 'status' in value ? 'up' : 'unknown');
  }
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`c${String(i)}`, 'UP']));
  // None is left out here, where nobody would be told: one behind the others may be down
  const all = componentsOf(JSON.stringify({ components: { ...many, last: 'DOWN' } }));
  assert.deepEqual([all.size, all.get('last')], [501, 'down']);
  const twice = [['UP', 'DOWN'], ['DOWN', 'UP']].map((of) => of.map((status) => ({ name: 'a', status })));
  for (const components of twice) assert.equal(componentsOf(JSON.stringify({ components })).get('a'), 'down');
}); // prettier-ignore

test('DDL: counts, and the digest of each statement; the statement itself is nowhere', () => {
  const alert = (sql: string): object => ({ statement: sql, table: 'orders' });
  const list = [
    alert("ALTER TABLE orders ADD COLUMN note VARCHAR(20) DEFAULT 'secret'"),
    alert("alter table orders\n add column note varchar(40) /* secret */ default 'other';"),
    alert('DROP TABLE users'),
    { message: 'without a statement' },
    7,
  ];
  for (const answer of [list, { alerts: list }, { data: list }, { items: list }]) {
    const { count, byDigest } = ddlOf(JSON.stringify(answer), 'alerts');
    assert.equal(count, 5);
    assert.deepEqual([...byDigest.values()], [2, 1]);
    assert.ok([...byDigest.keys()].every((digest) => /^[0-9a-f]{16}$/.test(digest)));
  }
  assert.deepEqual(ddlOf('[]', 'history'), { count: 0, byDigest: new Map() });
  const many = Array.from({ length: 50 }, (_, i) => ({ sql: `DROP TABLE t_${'x'.repeat(i)}` }));
  assert.equal(ddlOf(JSON.stringify({ history: many }), 'history').byDigest.size, 20);
  for (const text of ['{}', 'null', '"x"', '{"alerts": {}}']) assert.throws(() => ddlOf(text, 'alerts'), isProtocol);
});

test('digests: the same for other values, another for other names', () => {
  const same = [
    "INSERT INTO t VALUES (1, 'a', 0xFF, 1.5e3)",
    'insert into t  values (22, "b\\"c", 0x01, 2) -- secret',
    "INSERT INTO t /* x */ VALUES (1, 'it''s', 7,\n1) # secret",
  ];
  assert.equal(new Set(same.map(digestOf)).size, 1);
  const different = [
    'ALTER TABLE a ADD b INT',
    'ALTER TABLE `a` ADD b INT',
    'ALTER TABLE a2 ADD b INT',
    'DROP TABLE a',
  ];
  assert.equal(new Set(different.map(digestOf)).size, different.length);
  const before = performance.now();
  for (const text of ["'", '"', '`', "''", '/*', '\\', "'\\"]) digestOf(text.repeat(100_000));
  assert.ok(performance.now() - before < 2000);
});
