// What people are told to type, in pages, runbooks and alerts, is taken by the programs.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileOf, namedAmong, parse as parseExporter } from '../../exporter/cli.ts';
import { parse as parseRemediator } from '../../remediator/cli-options.ts';

const root = join(import.meta.dirname, '..', '..');
const pages = globSync(['*.md', '{exporter,remediator,deploy}/*.{md,yml}', 'rules/runbooks/*.md', 'rules/*.yml'], {
  cwd: root,
});

interface Told {
  readonly page: string;
  readonly program: string;
  readonly args: readonly string[];
}

/** In backticks, or a line of its own. `A|B` in an example stands for either. */
function toldIn(page: string): Told[] {
  const text = readFileSync(join(root, page), 'utf8');
  return [...text.matchAll(/(?:`|^)pipemedic-(exporter|remediator) ([^`\n]+)/gm)].map(
    ([, program = '', rest = '']) => ({
      page,
      program,
      args: rest
        .replaceAll(/"[^"]*"/g, 'TEXT')
        .trim()
        .split(/\s+/),
    }),
  );
}

const told = pages.flatMap(toldIn);

test('every option of a command that is told to people exists', () => {
  assert.ok(told.length > 30, 'the pages are full of them');
  const refused = told.flatMap(({ page, program, args }) => {
    try {
      (program === 'exporter' ? parseExporter : parseRemediator)(args);
      return [];
    } catch (error) {
      return [`${page}: ${args.join(' ')}: ${String(error)}`];
    }
  });
  assert.deepEqual(refused, []);
});

test('doctor of one target: its report alone, and a name that does not exist is a mistake', () => {
  const reports = [{ target: 'db1' }, { target: 'db2' }, { target: 'redis1' }];
  assert.deepEqual(namedAmong(reports, undefined), reports);
  assert.deepEqual(namedAmong(reports, ['db2']), [{ target: 'db2' }]);
  assert.deepEqual(namedAmong(reports, ['redis1', 'db2']), [{ target: 'db2' }, { target: 'redis1' }]);
  assert.throws(() => namedAmong(reports, ['db3']), /--target: there is no db3 in the inventory/);
});

test('the inventory may be named once, in the environment; an option says more', () => {
  const set = { PIPEMEDIC_CONFIG_FILE: '/a.yml' };
  assert.equal(fileOf(parseExporter(['doctor']).values, set), '/a.yml');
  assert.equal(fileOf(parseExporter(['doctor', '--config.file=/b.yml']).values, set), '/b.yml');
  assert.throws(() => fileOf(parseExporter(['doctor']).values, {}), /--config\.file=pipemedic\.yml/);
  assert.throws(() => fileOf(parseExporter(['doctor']).values, { PIPEMEDIC_CONFIG_FILE: ' ' }), /--config\.file/);
});
