// The remediator's README names every action, guard, supervisor and command, and no action that is not there.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { actions } from '../../remediator/actions/index.ts';
import { main } from '../../remediator/cli.ts';
import { guards } from '../../remediator/guards/index.ts';
import { changes } from '../../remediator/people.ts';

const text = readFileSync(join(import.meta.dirname, '../../remediator/README.md'), 'utf8');
const named = new Set([...text.matchAll(/`([^`\n]+)`/g)].flatMap(([, code = '']) => [code, code.split(' ')[0] ?? '']));

test('every action has its row, and no other has', () => {
  const rows = [...text.matchAll(/^\| `([a-z-]+\.[a-z.-]+)` \|/gm)].map(([, name = '']) => name);
  assert.deepEqual(rows.sort(), actions.map((a) => a.name).sort());
});

test('what only a person may begin is marked so', () => {
  for (const { name, highestMode } of actions) {
    const row = text.split('\n').find((line) => line.startsWith(`| \`${name}\` |`)) ?? '';
    assert.equal(row.includes('**approval only**'), highestMode === 'approve', name);
  }
});

test('every guard is named', () => {
  assert.deepEqual(
    guards.map((g) => g.name).filter((name) => !named.has(name)),
    [],
  );
});

test('every command of the usage is named', async () => {
  let usage = '';
  await main(['--help'], { out: (t) => (usage += t), err: () => undefined });
  const [, list = ''] = /Commands:\n([^]*?)\n\n/.exec(usage) ?? [];
  const commands = new Set([...list.matchAll(/^ {2}([a-z]+)/gm)].map(([, name = '']) => name));
  assert.ok(commands.size > 12);
  assert.deepEqual(
    [...commands].filter((name) => !named.has(name)),
    [],
  );
});

test('every change by the API is named', () => {
  const missing = changes.map((c) => c.path.replace(':id', 'ID')).filter((path) => !named.has(path));
  assert.deepEqual(missing, []);
});
