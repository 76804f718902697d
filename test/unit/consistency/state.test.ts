// What is told of a table, and what is kept of it on disk.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { consistencyAddress, consistencyReferences } from '../../../exporter/systems/consistency/address.ts';
import { tableReport } from '../../../exporter/systems/consistency/background-reports.ts';
import { loadPlace, Report, savePlace } from '../../../exporter/systems/consistency/background-store.ts';
import {
  newMemory,
  noCounts,
  tableView,
  type PassProgress,
  type PassResult,
} from '../../../exporter/systems/consistency/state.ts';

const dir = mkdtempSync(join(tmpdir(), 'pipemedic-consistency-'));
after(() => {
  rmSync(dir, { recursive: true });
});

const hourMs = 3_600_000;
const running: PassProgress = {
  ...noCounts,
  ...{ startedAtMs: 0, signature: 's', lower: ['7'], reportBytes: 0, reportLines: 0 },
};
const same: PassResult = {
  ...noCounts,
  ...{ rows: 10, completedAtMs: 0, tookMs: 1000, verdict: 'consistent', why: 'same', columnsSkipped: 0 },
};

test('the state of a table: a pass that runs hides nothing, a difference shows at once', () => {
  const stateAt = (record: Parameters<typeof tableView>[1], nowMs = hourMs): string =>
    tableView('t', record, hourMs, nowMs).state;
  assert.equal(stateAt({ checkedTotal: 0 }), 'unknown');
  assert.equal(stateAt({ checkedTotal: 0, running }), 'running');
  assert.equal(stateAt({ checkedTotal: 0, last: same, running }), 'consistent');
  assert.equal(stateAt({ checkedTotal: 0, last: same, running: { ...running, extra: 1 } }), 'inconsistent');
  const bad = { ...same, missing: 2, verdict: 'inconsistent' } as const;
  assert.equal(stateAt({ checkedTotal: 0, last: bad, running }), 'inconsistent');
  assert.equal(stateAt({ checkedTotal: 0, last: same }, 3.1 * hourMs), 'stale');
  assert.equal(stateAt({ checkedTotal: 0, last: bad }, 99 * hourMs), 'inconsistent');
});

test('counts are absent before they are known; progress needs a guess', () => {
  const first = tableView('t', { checkedTotal: 5, running: { ...running, rows: 5 } }, hourMs, 0);
  assert.equal(first.hasCounts, false);
  assert.equal(first.progressRatio, undefined);
  const later = tableView(
    't',
    { checkedTotal: 5, rowsGuess: 10, last: same, running: { ...running, rows: 5 } },
    hourMs,
    0,
  );
  assert.equal(later.hasCounts, true);
  assert.equal(later.progressRatio, 0.5);
  const unverifiable = { ...same, verdict: 'unverifiable' } as const;
  assert.equal(tableView('t', { checkedTotal: 0, last: unverifiable }, hourMs, 0).hasCounts, false);
});

test('the place in the tables comes back; of another pair, or damaged, it does not', async () => {
  const path = join(dir, 'place.json');
  const memory = newMemory();
  memory.passStartedAtMs = 5;
  memory.tables.set('a.b', { checkedTotal: 9, last: same, running });
  await savePlace(path, 'db1 and db2', memory);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const back = newMemory();
  assert.equal(await loadPlace(path, 'db1 and db2', back), undefined);
  assert.deepEqual(back.tables.get('a.b'), { checkedTotal: 0, last: same, running });
  assert.equal(back.passStartedAtMs, 5);
  assert.match((await loadPlace(path, 'db1 and db3', newMemory())) ?? '', /another comparison/);
  writeFileSync(path, '{"version":1');
  assert.match((await loadPlace(path, 'db1 and db2', newMemory())) ?? '', /damaged/);
  assert.equal(await loadPlace(join(dir, 'none'), 'x', newMemory()), undefined);
});

test('a report goes on where the place was kept: what stands behind it is dropped', async () => {
  const report = await Report.begin(dir, 'x.a.b', { table: 'a.b' });
  await report.append([{ row: 'missing', id: { id: '1' } }]);
  const at = { ...running, reportBytes: report.bytes, reportLines: report.lines };
  await report.append([{ row: 'missing', id: { id: '2' } }]);
  assert.ok(!existsSync(join(dir, 'x.a.b.jsonl')));
  const again = await Report.resume(dir, 'x.a.b', at);
  assert.ok(again);
  await again.append([{ row: 'extra', id: { id: '3' } }]);
  await again.finish({ verdict: 'inconsistent' });
  const lines = readFileSync(join(dir, 'x.a.b.jsonl'), 'utf8').trim().split('\n');
  assert.deepEqual(lines, [
    '{"table":"a.b"}',
    '{"row":"missing","id":{"id":"1"}}',
    '{"row":"extra","id":{"id":"3"}}',
    '{"verdict":"inconsistent"}',
  ]);
  assert.equal(await Report.resume(dir, 'x.a.b', at), undefined);
});

test('a report is bounded and says so; its last line is what came of it', async () => {
  const report = await Report.begin(dir, 'x.long', {});
  for (let i = 0; i < 30; i += 1) await report.append(Array.from({ length: 500 }, (_, n) => ({ n })));
  await report.finish({ verdict: 'inconsistent' });
  const lines = readFileSync(join(dir, 'x.long.jsonl'), 'utf8').trim().split('\n');
  assert.ok(lines.length <= 10_003, String(lines.length));
  assert.ok(lines.includes('{"note":"no more than 10000 lines"}'));
  assert.ok(lines.slice(-2).includes('{"verdict":"inconsistent"}'));
});

test('a folder that cannot be written is told, and nothing is thrown', async () => {
  const told: (string | undefined)[] = [];
  const report = tableReport(join(dir, 'not-there'), 'x', (why) => told.push(why));
  await report.begin({});
  await report.append([{ row: 'missing' }]);
  assert.match(told[0] ?? '', /ENOENT/);
  assert.equal(report.bytes, 0);
});

test('addresses: tables of databases, or keys of Redis, and their references', () => {
  const tables = consistencyAddress.parse({ source: 'db1', copy: 'db2', tables: ['shop.*'], map: { shop: 'b' } });
  assert.deepEqual(
    consistencyReferences(tables).map(({ target, kind }) => `${target} ${kind}`),
    ['db1 mysql', 'db2 mysql'],
  );
  const keys = consistencyAddress.parse({ primary: 'r1', copy: 'r2' });
  assert.equal(keys.kind === 'redis' && keys.sampleKeys, 1000);
  for (const wrong of [
    { source: 'db1', copy: 'db2' },
    { source: 'db1', copy: 'db1', tables: ['a.b'] },
    { source: 'db1', primary: 'r1', copy: 'db2', tables: ['a.b'] },
    { primary: 'r1', copy: 'r2', tables: ['a.b'] },
    { source: 'db1', copy: 'db2', tables: ['orders'] },
    { source: 'db1', copy: 'db2', tables: ['a.b'], match: 'x*' },
  ]) {
    assert.ok(!consistencyAddress.safeParse(wrong).success, JSON.stringify(wrong));
  }
});
