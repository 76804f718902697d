// The exporter's README names every kind of target and every collector, and nothing that is not there.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { systems } from '../../exporter/systems/index.ts';

const text = readFileSync(join(import.meta.dirname, '../../exporter/README.md'), 'utf8');

test('every kind has its place', () => {
  const words = new Set([...text.matchAll(/^## (.+)$/gm)].flatMap(([, title = '']) => title.split(/, | and /)));
  assert.deepEqual(words, new Set(systems.map(({ kind }) => kind)));
});

test('every collector is named, off by default where it is marked so', () => {
  const wrong = systems.flatMap(({ kind, collectors }) =>
    collectors.flatMap(({ name, defaultOn }) => {
      if (!text.includes(`\`${name}\``)) return [`${kind}: ${name} is not named`];
      const isMarkedOff = text.includes(`\`${name}\` (*off*)`);
      return isMarkedOff === defaultOn ? [`${kind}: ${name} is ${defaultOn ? 'on' : 'off'} by default`] : [];
    }),
  );
  assert.deepEqual(wrong, []);
});

test('no collector is named that is not there', () => {
  const known = new Set(systems.flatMap(({ collectors }) => collectors.map(({ name }) => name)));
  const named = [...text.matchAll(/^\| ((?:`\w+`(?:, )?)+)(?: \(\*off\*\))? \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`(\w+)`/g)].map(([, name = '']) => name),
  );
  assert.ok(named.length > 15);
  assert.deepEqual(
    named.filter((name) => !known.has(name)),
    [],
  );
});
