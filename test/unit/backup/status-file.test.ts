// The status file that any tool may write: what it says is believed only when all of it is understood.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { judgeBackup } from '../../../exporter/systems/backup/facts-judge.ts';
import { parseStatus } from '../../../exporter/systems/backup/facts-status-file.ts';
import { Fault, stateOf, type Verdict } from '../../../exporter/systems/backup/facts-verdict.ts';
import { backup } from '../../../exporter/systems/backup/index.ts';
import { WatchedTarget } from '../../support/watched-target.ts';

const reading = { signal: new AbortController().signal, clock: systemClock };
const content = 'what the tool wrote';
const sum = createHash('sha256').update(content).digest('hex');
const good = { started: '2026-11-21T01:00:00Z', finished: '2026-11-21T01:10:00+00:00', exit_code: 0, bytes: content.length }; // prettier-ignore
const lines = 'started=1795222800\nfinished=1795223400\nbytes=19\npath=b.bin\n# a comment\ntool=own\nexit_code=0\n';

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-status-'));
  t.after(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  writeFileSync(join(dir, 'b.bin'), content);
  return dir;
}

async function judged(t: TestContext, status: object | string): Promise<Verdict> {
  const path = join(folder(t), 'b.status');
  writeFileSync(path, typeof status === 'string' ? status : JSON.stringify(status));
  return await judgeBackup(path, 'status_file', reading);
}

const cases: readonly [string, object | string, Verdict['class']][] = [
  ['it ended well, elsewhere', good, 'complete'],
  ['it ended well, and is here', { ...good, path: 'b.bin' }, 'complete'],
  ['with its check sum', { ...good, path: 'b.bin', checksum: `sha256:${sum}` }, 'complete'],
  ['key=value', lines, 'complete'],
  ['another check sum', { ...good, path: 'b.bin', checksum: `sha256:${'0'.repeat(64)}` }, 'checksum'],
  ['the backup is not there', { ...good, path: 'other.bin' }, 'parts_missing'],
  ['the backup is shorter', { ...good, path: 'b.bin', bytes: 20 }, 'truncated'],
  ['the backup is longer', { ...good, path: 'b.bin', bytes: 18 }, 'corrupt'],
  ['exit code 2', { ...good, exit_code: 2 }, 'not_finished'],
  ['no end', { ...good, finished: undefined }, 'not_finished'],
  ['empty', { ...good, bytes: 0 }, 'empty'],
  ['an unknown key', { ...good, sucess: true }, 'unreadable'],
  ['no exit code', { ...good, exit_code: undefined }, 'unreadable'],
  ['an exit code that is text', { ...good, exit_code: '0' }, 'unreadable'],
  ['a time without its zone', { ...good, finished: '2026-11-21T01:10:00' }, 'unreadable'],
  ['finished before it was started', { ...good, finished: '2026-11-20T01:10:00Z' }, 'unreadable'],
  ['a file without a position', { ...good, binlog_file: 'b.000001' }, 'unreadable'],
  ['JSON cut off', JSON.stringify(good).slice(0, -5), 'unreadable'],
  ['lines cut off within the last one', lines.slice(0, -2), 'unreadable'],
  ['lines cut off before the last one', lines.replace('exit_code=0\n', ''), 'unreadable'],
  ['exit_code is not the last line', `exit_code=0\n${lines.replace('exit_code=0\n', '')}`, 'unreadable'],
  ['a key twice', lines.replace('bytes=19', 'bytes=19\nbytes=20'), 'unreadable'],
  ['garbage', 'garbage', 'unreadable'],
];
for (const [what, status, expected] of cases) {
  test(`status file: ${what}: ${expected}`, async (t) => {
    const verdict = await judged(t, status);
    assert.equal(verdict.class, expected, verdict.why);
    assert.notEqual(verdict.why, '');
    if (expected !== 'complete') assert.notEqual(stateOf(verdict), 'verified');
    if (expected === 'unreadable') assert.equal(stateOf(verdict), 'unverifiable');
  });
}

test('what it tells: times, tool, place in the binary log', async (t) => {
  const { told } = await judged(t, { ...good, tool: 'own', binlog_file: 'b.000007', binlog_position: 99, tables: 3 });
  assert.equal(told.startedAtMs, Date.parse('2026-11-21T01:00:00Z'));
  assert.equal(told.finishedAtMs, Date.parse('2026-11-21T01:10:00Z'));
  assert.deepEqual(told.coordinates?.position, { file: 'b.000007', position: 99 });
  assert.deepEqual([told.tool, told.tables], ['own', 3]);
});

test('cut off anywhere, it is never a success', () => {
  for (const whole of [lines, JSON.stringify({ ...good, path: 'b.bin' })]) {
    for (let length = 0; length < whole.length; length++) {
      assert.throws(() => parseStatus(whole.slice(0, length)), Fault, `after ${length} characters`);
    }
  }
});

test('the size that is compared is that of the backup, not of the status file', async (t) => {
  const dir = folder(t);
  [100, 100, 100, 100, 10].forEach((bytes, i) => {
    const path = join(dir, `b-${i}.json`);
    writeFileSync(path, JSON.stringify({ ...good, bytes }));
    utimesSync(path, 1_700_000_000 + i * 60, 1_700_000_000 + i * 60);
  });
  await using target = new WatchedTarget(backup, {
    address: { directory: dir, pattern: 'b-*.json', tool: 'status_file' },
    collectors: { backup_files: false, backup_chain: false },
  });
  const m = await target.measure();
  assert.equal(m.state('backup_size_state', { type: 'full' }), 'small');
  assert.equal(m.value('backup_kept_bytes', { type: 'full' }), 410);
});
