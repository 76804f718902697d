import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';

for (const program of ['exporter', 'remediator']) {
  test(`${program}: a reader that has gone (| head) is no fault`, async () => {
    const main = join(import.meta.dirname, '../../..', program, 'main.ts');
    const child = spawn(process.execPath, [main, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy(); // before it has begun
    const [complaint, ended] = await Promise.all([text(child.stderr), once(child, 'close')]);
    assert.deepEqual([complaint, ended], ['', [0, null]]);
  });
}
