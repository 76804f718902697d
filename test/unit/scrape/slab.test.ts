// Lines of many families share memory: whoever writes between, each keeps its own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gauge } from '../../../exporter/families.ts';
import { piecesOf } from '../../../exporter/scrape/exposition.ts';
import { SampleWriter, shareSeries, type Block } from '../../../exporter/scrape/writer.ts';
import { generator } from '../../support/random.ts';

test('families of several writers that are written in any order keep their lines', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = generator(seed);
    const pick = (n: number): number => Math.floor(random() * n);
    const writers = ['a', 'b', 'c'].map((target) => ({
      target,
      writer: new SampleWriter({ level: 'target', constant: { target } }),
      expected: new Map<string, string>(),
    }));
    const families = Array.from({ length: 12 }, (_, i) => gauge(`f${String(i)}`, 'Help.', i % 3 === 0 ? [] : ['n']));
    for (let n = 0; n < 3000; n++) {
      const { target, writer, expected } = writers[pick(3)] ?? assert.fail();
      const family = families[pick(12)] ?? assert.fail();
      if (family.labels.length === 0 && expected.has(family.name)) continue;
      // Now and then one that has no room in what is left of a chunk, or in any, and one that is not ASCII
      const text = `${String(n)}${n % 7 === 0 ? 'é' : ''}${n % 97 === 0 ? 'x'.repeat(pick(70_000)) : ''}`;
      const labels: Readonly<Record<string, string>> = family.labels.length === 0 ? {} : { n: text };
      writer.put({ family, labels, value: n });
      const own = family.labels.length === 0 ? '' : `,n="${text}"`;
      const line = `${family.name}{target="${target}"${own}} ${String(n)}\n`;
      expected.set(family.name, `${expected.get(family.name) ?? ''}${line}`);
    }
    for (const { writer, expected } of writers) {
      const found = new Map(writer.finish().map(({ header, bytes }) => [header.name, bytes.toString()]));
      assert.deepEqual(found, expected, `seed ${String(seed)}`);
    }
  }
});

test('a family without labels has one series, which two collectors share', () => {
  const family = gauge('up', 'Help.', []);
  const blockOf = (write: (writer: SampleWriter) => void): Block => {
    const writer = new SampleWriter({ level: 'target', constant: { target: 't' } });
    write(writer);
    return writer.finish()[0] ?? assert.fail();
  };
  const one = blockOf((w) => {
    w.put({ family, labels: {}, value: 1 });
    assert.throws(() => { new SampleWriter({ level: 'pipeline' }).put({ family, labels: {}, value: 1 }); }, /level/); // prettier-ignore
  });
  const two = blockOf((w) => {
    w.put({ family, labels: {}, value: 2 });
  });
  const other = blockOf((w) => {
    w.put({ family: gauge('up', 'Help.', ['n']), labels: { n: '' }, value: 2 });
  });
  assert.equal(one.series.size, 1);
  assert.equal(shareSeries(one, two), true);
  assert.equal(shareSeries(one, other), false);
  const twice = new SampleWriter({ level: 'target' });
  twice.put({ family, labels: {}, value: 1 });
  assert.throws(() => {
    twice.put({ family, labels: {}, value: 1 });
  }, /emitted twice: up /);
});

test('pieces are the parts in order, small ones together', () => {
  const sizes = [1, 0, 70_000, 5, 65_535, 65_536, 3, 40_000, 40_000, 0];
  const parts = sizes.map((size, i) => Buffer.alloc(size, i + 1));
  const pieces = [...piecesOf({ parts })].map((piece) => Buffer.from(piece));
  assert.ok(Buffer.concat(pieces).equals(Buffer.concat(parts)));
  assert.ok(pieces.every((piece) => piece.length > 0));
  const many = [...piecesOf({ parts: Array.from({ length: 10_000 }, () => Buffer.from('line\n')) })];
  assert.equal(many.length, 1);
  assert.deepEqual([...piecesOf({ parts: [] })], []);
});
