// The file of the store is moved away or replaced while it is served: what is written then would be gone with the process.
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openSqlite } from '../../../remediator/store/sqlite.ts';
import { StoreError } from '../../../remediator/store/store.ts';

const hook = {
  ...{ source: 'main', receivedMs: 1, receivedBy: 't', body: Buffer.from('{}') },
  ...{ alertCount: 1, truncatedCount: 0 },
};

for (const where of ['here', 'thread'] as const) {
  for (const [what, change] of [
    [
      'moved away',
      (file: string) => {
        renameSync(file, `${file}.old`);
      },
    ],
    [
      'deleted',
      (file: string) => {
        rmSync(file);
      },
    ],
    [
      'replaced by a copy',
      (file: string) => {
        copyFileSync(file, `${file}.new`);
        renameSync(`${file}.new`, file);
      },
    ],
  ] as const) {
    test(`${where}: a file that was ${what} takes no notification, and nothing begins; a run is still written down`, async () => {
      const dir = mkdtempSync(join(tmpdir(), 'pipemedic-file-'));
      const file = join(dir, 'store.db');
      const store = openSqlite({ file, where });
      try {
        await store.appendWebhook(hook);
        await store.scheduleEval('e1', undefined, 1);
        change(file);
        const told = (error: unknown): boolean =>
          error instanceof StoreError && error.code === 'broken' && /store\.db .*moved or replaced/.test(error.message);
        await assert.rejects(store.appendWebhook(hook), told);
        await assert.rejects(store.scheduleEval('e1', undefined, 1), told, 'each evaluation begins with this');
        const hold = { runId: 'r', target: 't', holder: 'h', fence: 1 };
        // as far as the lease, which is not there: the transaction itself was begun
        await assert.rejects(
          store.endRun(hold, { outcome: 'failed', because: '', cooldownMs: 0 }, () => 1),
          /lease is missing/,
        );
      } finally {
        await store[Symbol.asyncDispose]();
        rmSync(dir, { recursive: true });
      }
    });
  }
}
