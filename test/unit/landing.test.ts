import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inventoryOf, type Target } from '../../exporter/config/inventory.ts';
import { landingPage, type Landing } from '../../exporter/landing.ts';
import { systems } from '../../exporter/systems/index.ts';
import type { TargetState } from '../../exporter/scrape/sweeper.ts';

const targets = ['a', 'b', 'c', 'd'].map((name) => ({ name, kind: 'redis', address: { host: '127.0.0.1', port: 1 } }));
const inventory = inventoryOf({ targets }, 'test.yml', systems);
const now = Date.UTC(2026, 0, 31);

function target(name: string, as = name): Target {
  const found = inventory.targets.get(name);
  if (found === undefined) throw new Error(`no target ${name}`);
  return { ...found, name: as };
}

function page(states: readonly TargetState[], more: Partial<Landing> = {}): string {
  const rest = { pipelines: [], settled: true, version: '1.2.3', nowMs: now, withReasons: true };
  return landingPage({ states, ...rest, ...more });
}

const seen = (failed: readonly string[] = [], ageMs = 0): TargetState['seen'] => ({
  ...{ atMs: now - ageMs, down: undefined, failed },
});
const down = (why: string): TargetState['seen'] => ({
  ...{ atMs: now - 90_000, down: { class: 'auth', why }, failed: [] },
});

test('what is wrong stands first, with counts, ages and reasons', () => {
  const html = page(
    [
      { target: target('a'), seen: seen([], 4000) },
      { target: target('b'), seen: seen(['slow'], 300_000) },
      { target: target('c'), seen: undefined },
      { target: target('d'), seen: down('no such user') },
    ],
    { settled: false, pipelines: ['orders & more'] },
  );
  const names = [...html.matchAll(/<tr><td><a href="\/probe\?target=(\w)">/g)].map(([, name]) => name);
  assert.deepEqual(names, ['d', 'b', 'c', 'a']);
  const text = html.replace(/<style>.*<\/style>/s, '').replace(/<[^>]+>/g, ' ');
  assert.match(text, /1 down , {2}1 partly failing , {2}1 not seen yet , {2}1 up/);
  assert.match(text, /The first look at all of them has not ended/);
  assert.match(text, /d\s+redis\s+down \(auth\)\s+no such user\s+90 s ago/);
  assert.match(text, /b\s+redis\s+partly failing\s+collectors: slow\s+5 min ago/);
  assert.ok(html.includes('<a href="/probe?pipeline=orders%20%26%20more">orders &amp; more</a>'));
  assert.match(html, /Version 1\.2\.3\. <a href="\/metrics">/);
});

test('who was not asked in time is not called down', () => {
  const queued = { atMs: now, down: { class: 'queue', why: 'others were before it' }, failed: [] } as const;
  const html = page([{ target: target('a'), seen: queued }]);
  assert.match(html, />1 not asked</);
  assert.match(html, />not asked<\/span><\/td><td>its turn did not come in time</);
  assert.doesNotMatch(html, />1 down|>down/);
});

test('without users: the class and no word of the server', () => {
  const states = [{ target: target('a'), seen: down("Access denied for user 'ann'@'10.9.8.7'") }];
  const html = page(states, { withReasons: false });
  assert.doesNotMatch(html, /ann|10\.9\.8\.7/);
  assert.match(html, /down \(auth\)<\/span><\/td><td>the login was not accepted/);
  assert.match(html, /--web\.config\.file/);
});

test('names and reasons are text, whatever they hold, and no password of a URL is shown', () => {
  const name = `"><script>alert(1)</script>&'\ud800`;
  const why = `<img src=x onerror=y> https://ann:s3cr@t@db.example/x ${'long '.repeat(200)}`;
  const html = page([{ target: target('a', name), seen: down(why) }], { pipelines: [name], version: name });
  assert.doesNotMatch(html, /<script|<img|s3cr|ann:/);
  assert.match(html, /https:\/\/…@db\.example/);
  assert.match(html, /href="\/probe\?target=%22%3E%3Cscript%3Ealert\(1\)%3C%2Fscript%3E%26&#39;%EF%BF%BD"/);
  assert.ok(html.length < 5000);
});

test('no targets', () => {
  const html = page([]);
  assert.match(html, /There are none\./);
  assert.doesNotMatch(html, /<table/);
});
