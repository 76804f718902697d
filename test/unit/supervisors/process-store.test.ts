import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { openStore, type Store } from '../../../remediator/supervisors/process/store.ts';

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'process-store-'));
  t.after(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  return dir;
}

const open = (dir: string): Store => openStore(dir, () => 1_700_000_000_000);
const numbers = (dir: string): number[] =>
  readFileSync(join(dir, 'witness.jsonl'), 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => (JSON.parse(line) as { n: number }).n);

test('what was committed is there again', (t) => {
  const dir = folder(t);
  const first = open(dir);
  first.commit({ maxFence: 3, seq: 1 }, { event: 'fence', fence: 3, by: 'a' }, { event: 'start-lost' });
  first.note({ resume: false }, { event: 'start-failed', why: 'w' });
  first.close();
  const second = open(dir);
  t.after(() => {
    second.close();
  });
  assert.deepEqual(
    [second.state.maxFence, second.state.seq, second.state.resume, second.state.lines],
    [3, 1, false, 3],
  );
  assert.deepEqual(numbers(dir), [1, 2, 3]);
});

test('one at a time; the lock ends with its holder', (t) => {
  const dir = folder(t);
  const first = open(dir);
  assert.throws(() => open(dir), /another supervisor runs on this folder/);
  first.close();
  open(dir).close();
});

test('a commit that fails changes nothing and leaves no gap, a note waits for its time', (t) => {
  const dir = folder(t);
  const store = open(dir);
  t.after(() => {
    store.close();
  });
  store.commit({ maxFence: 1 }, { event: 'fence' });
  mkdirSync(join(dir, 'state.json.new')); // every save fails, also for root
  assert.throws(() => {
    store.commit({ maxFence: 2 }, { event: 'fence' });
  }, /could not be made durable/);
  assert.equal(store.state.maxFence, 1);
  store.note({ seq: 7 }, { event: 'exit' });
  assert.equal(store.state.seq, 7);
  assert.match(store.error ?? '', /EISDIR/);
  assert.deepEqual(numbers(dir), [1]);
  rmdirSync(join(dir, 'state.json.new'));
  store.retry();
  assert.equal(store.error, null);
  assert.deepEqual(numbers(dir), [1, 2]);
});

test('lines that were saved but not appended before a crash are appended once', (t) => {
  const dir = folder(t);
  const store = open(dir);
  store.commit({}, { event: 'supervisor-start' });
  store.commit({ maxFence: 5 }, { event: 'fence', fence: 5 }, { event: 'start-request' });
  store.close();
  const whole = readFileSync(join(dir, 'witness.jsonl'), 'utf8');
  const lines = whole.split('\n');
  for (const cut of [
    lines[0] ?? '',
    `${lines[0] ?? ''}\n${(lines[1] ?? '').slice(0, 30)}`,
    lines.slice(0, 2).join('\n'),
  ]) {
    writeFileSync(join(dir, 'witness.jsonl'), cut.endsWith('}') ? `${cut}\n` : cut);
    const again = open(dir);
    again.commit({}, { event: 'supervisor-start' });
    again.close();
    assert.deepEqual(numbers(dir), [1, 2, 3, 4]);
    assert.ok(readFileSync(join(dir, 'witness.jsonl'), 'utf8').startsWith(whole));
    // back to the state of the crash
    const state = JSON.parse(readFileSync(join(dir, 'state.json'), 'utf8')) as object;
    const outbox = lines.slice(1, 3).map((text): unknown => JSON.parse(text));
    writeFileSync(join(dir, 'state.json'), JSON.stringify({ ...state, lines: 3, outbox }));
  }
});
