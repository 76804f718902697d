import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { BackupSurvey } from '../../../exporter/systems/backup/client.ts';
import { readFindings } from '../../../exporter/systems/backup/facts-doctor.ts';

test('the newest backup must be one that can be read', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-doctor-'));
  t.after(() => {
    rmSync(dir, { recursive: true });
  });
  writeFileSync(join(dir, 'a'), 'x');
  const at = (name: string, modifiedAtMs: number, isFolder = false): object => ({
    path: join(dir, name),
    modifiedAtMs,
    isFolder,
  });
  const survey = (...files: readonly object[]): BackupSurvey => ({ files }) as unknown as BackupSurvey;
  assert.deepEqual(await readFindings(survey()), []);
  assert.deepEqual(await readFindings(survey(at('gone', 1), at('a', 2))), []);
  const [found, ...others] = await readFindings(survey(at('a', 1), at('gone', 2)));
  assert.deepEqual(others, []);
  assert.equal(found?.check, 'readable');
  assert.equal(found.ok, false);
  assert.match(found.text, /^ENOENT: .*gone'$/);
  assert.equal(found.fix, `let the user of this program read ${join(dir, 'gone')}`);
});
