import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import {
  livingOfGroup,
  livingWithEnv,
  parseStat,
  readBootId,
  readStat,
} from '../../../remediator/supervisors/process/proc.ts';

const rest = '1 4242 4242 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 987654 4096 100 18446744073709551615';

test('stat: a name may hold anything, the fields go on after its last parenthesis', () => {
  for (const name of ['java', 'a b', 'x) Z 1 1 (y', ') S 1', 'new\nline', '']) {
    assert.deepEqual(parseStat(`4242 (${name}) S ${rest}\n`), {
      pid: 4242,
      state: 'S',
      group: 4242,
      session: 4242,
      startTicks: 987654,
    });
  }
});

test('stat: what is not one is an error, never a zero', () => {
  for (const text of [
    '',
    '4242 java S',
    '4242 (java)',
    '4242 (java) S 1 2',
    `4242 (java) S ${rest.replace('987654', 'x')}`,
  ]) {
    assert.throws(() => parseStat(text), text);
  }
});

test('processes: this one is found, one that cannot be is not, a group and an environment are found by their owner', async (t) => {
  assert.equal(readStat(process.pid)?.pid, process.pid);
  assert.equal(readStat(2 ** 30), undefined); // beyond the greatest pid_max
  assert.match(readBootId(), /^[0-9a-f-]{36}$/);
  const child = spawn('sleep', ['100'], {
    detached: true,
    env: { ...process.env, FIND_ME: 'by this' },
    stdio: 'ignore',
  });
  const pid = child.pid ?? assert.fail();
  t.after(() => child.kill('SIGKILL'));
  assert.deepEqual(
    livingOfGroup(pid).map((stat) => stat.pid),
    [pid],
  );
  assert.deepEqual(
    livingWithEnv('FIND_ME=by this').map((stat) => stat.pid),
    [pid],
  );
  assert.deepEqual(livingWithEnv('FIND_ME=by'), [], 'the whole entry, not a part');
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.deepEqual(livingOfGroup(pid), []);
});
