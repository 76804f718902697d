// With real files, as logrotate, logback and people move and empty them.
import assert from 'node:assert/strict';
import {
  appendFileSync,
  copyFileSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { LogTail, type LogTailOptions, type TailMark, type TailReport } from '../../../exporter/runtime/log-tail.ts';

interface Bench {
  readonly path: string;
  readonly tail: LogTail;
  /** The lines that one more read gives. */
  readonly read: (options?: { budgetBytes?: number; atMs?: number }) => Promise<string[]>;
  readonly report: () => TailReport;
  readonly restart: (options?: Partial<LogTailOptions>) => Bench;
}

function bench(t: TestContext, options: Partial<LogTailOptions> = {}, before?: string): Bench {
  const folder = mkdtempSync(join(tmpdir(), 'log-tail-'));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  const path = join(folder, 'maxwell.log');
  if (before !== undefined) writeFileSync(path, before);
  return at(t, path, options);
}

function at(t: TestContext, path: string, options: Partial<LogTailOptions>): Bench {
  const tail = new LogTail({ path, ...options });
  t.after(() => tail.close());
  let report: TailReport | undefined;
  return {
    path,
    tail,
    read: async ({ budgetBytes = 1e9, atMs = 0 } = {}) => {
      const lines: string[] = [];
      const signal = new AbortController().signal;
      report = await tail.read({ onLine: (line) => lines.push(line), signal, budgetBytes }, atMs);
      return lines;
    },
    report: () => {
      assert.ok(report);
      return report;
    },
    restart: (changed = {}) => at(t, path, { ...options, ...changed }),
  };
}

/** Lines long enough that equal ones are no chance. */
const line = (n: number): string =>
  `2026-11-21 15:14:${String(n).padStart(2, '0')} ERROR Maxwell - something number ${n}\n`;
const lines = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, i) => line(from + i)).join('');
const numbers = (found: readonly string[]): number[] => found.map((l) => Number(/\d+$/.exec(l)?.[0]));

test('a file that is already there is read from its end on; one that comes later, from its beginning', async (t) => {
  const old = bench(t, {}, lines(1, 3));
  assert.deepEqual(await old.read(), []);
  assert.equal(old.report().began, 'end');
  appendFileSync(old.path, line(4));
  assert.deepEqual(numbers(await old.read()), [4]);

  const late = bench(t);
  assert.deepEqual(await late.read(), []);
  assert.equal(late.report().isThere, false);
  writeFileSync(late.path, lines(1, 2));
  assert.deepEqual(numbers(await late.read()), [1, 2]);
  assert.deepEqual([late.report().isThere, late.report().began], [true, 'beginning']);
});

test('a line counts once it has ended, however it was written', async (t) => {
  const { path, read } = bench(t, {}, '');
  await read();
  appendFileSync(path, 'one, tw');
  assert.deepEqual(await read(), []);
  appendFileSync(path, 'o\nthr');
  assert.deepEqual(await read(), ['one, two']);
  appendFileSync(path, 'ee\r\n\nfour\n');
  assert.deepEqual(await read(), ['three', '', 'four']);
});

test('the end of a line that had begun before the first look is no line', async (t) => {
  const { path, read } = bench(t, {}, 'half of');
  await read();
  appendFileSync(path, ' a line\nwhole\n');
  assert.deepEqual(await read(), ['whole']);
});

test('renamed and made anew: the rest of the old file, what is still written to it, then the new one', async (t) => {
  const { path, read, report } = bench(t, { lingerMs: 1000 }, '');
  await read();
  appendFileSync(path, lines(1, 2));
  await read();
  appendFileSync(path, line(3));
  renameSync(path, `${path}.1`);
  assert.deepEqual(numbers(await read()), [3], 'before there is a new one');
  writeFileSync(path, line(5));
  appendFileSync(`${path}.1`, line(4));
  assert.deepEqual(numbers(await read()), [4, 5]);
  appendFileSync(`${path}.1`, 'the last words');
  assert.deepEqual(await read({ atMs: 1500 }), []);
  assert.deepEqual(await read({ atMs: 5000 }), ['the last words'], 'a file that was let go ends its last line');
  appendFileSync(path, line(6));
  assert.deepEqual(numbers(await read({ atMs: 6000 })), [6]);
  assert.deepEqual([report().gaps, report().rotations, report().behindBytes], [0, 1, 0]);
});

test('renamed twice between two looks: the file in between is read too, compressed or foreign ones are not', async (t) => {
  for (const [first, second] of [
    ['maxwell.log.2', 'maxwell.log.1'],
    ['maxwell-1.log', 'maxwell-2.log'],
    ['maxwell.log-20261120', 'maxwell.log-20261121'],
    ['maxwell.2026-11-20.log', 'maxwell.2026-11-21.log'],
  ] as const) {
    const { path, read, report } = bench(t, {}, '');
    const beside = (name: string): string => join(path, '..', name);
    await read();
    writeFileSync(path, line(1));
    renameSync(path, beside(first));
    await later(beside(first));
    writeFileSync(path, line(2));
    renameSync(path, beside(second));
    writeFileSync(beside('maxwell.log.3.gz'), line(8));
    writeFileSync(beside('maxwell.log.err'), line(9));
    writeFileSync(path, line(3));
    assert.deepEqual(numbers(await read()), [1, 2, 3], first);
    assert.equal(report().gaps, 0);
  }
});

/** Until a file that is written now has a later time than this one. */
async function later(path: string): Promise<void> {
  const { mtimeMs } = statSync(path);
  const probe = `${path}.probe`;
  do {
    writeFileSync(probe, 'x');
    await new Promise((resolve) => setImmediate(resolve));
  } while (statSync(probe).mtimeMs <= mtimeMs);
  rmSync(probe);
}

test('removed and made anew, at once or later', async (t) => {
  const { path, read, report } = bench(t, {}, '');
  await read();
  appendFileSync(path, line(1));
  rmSync(path);
  assert.deepEqual(numbers(await read()), [1], 'what was written before is still there for who has it open');
  writeFileSync(path, line(2));
  assert.deepEqual(numbers(await read()), [2]);
  assert.equal(report().gaps, 0);
});

test('copied and emptied: what was not read yet is read from the copy', async (t) => {
  const { path, read, report } = bench(t, {}, '');
  await read();
  appendFileSync(path, lines(1, 2));
  await read();
  appendFileSync(path, lines(3, 4));
  copyFileSync(path, `${path}.1`);
  truncateSync(path);
  appendFileSync(path, line(5));
  assert.deepEqual(numbers(await read()), [3, 4, 5]);
  appendFileSync(path, line(6));
  assert.deepEqual(numbers(await read()), [6]);
  assert.deepEqual([report().gaps, report().rotations], [0, 1]);
});

test('emptied without a copy: a gap, also when it has grown beyond its former size since', async (t) => {
  const { path, read, report } = bench(t, {}, '');
  await read();
  appendFileSync(path, lines(1, 2));
  await read();
  truncateSync(path);
  appendFileSync(path, lines(11, 20));
  assert.deepEqual(numbers(await read()), [11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
  assert.deepEqual([report().gaps, report().rotations], [1, 1]);
  truncateSync(path);
  assert.deepEqual(await read(), []);
  appendFileSync(path, line(21));
  assert.deepEqual(numbers(await read()), [21]);
});

test('a budget bounds each read; nothing is lost or read twice', async (t) => {
  const { path, read, report } = bench(t, {}, '');
  await read();
  const text = Array.from(
    { length: 50_000 },
    (_, i) => `2026-11-21 INFO Reconnection attempt: ${i} of unlimited\n`,
  ).join('');
  appendFileSync(path, text);
  const found: string[] = [];
  for (let reads = 0; found.length < 50_000; reads += 1) {
    const some = await read({ budgetBytes: 512 * 1024 });
    assert.ok(some.length > 0 && some.length < 20_000);
    found.push(...some);
    if (found.length < 50_000) assert.ok(report().behindBytes > 0);
    assert.ok(reads < 20);
  }
  assert.equal(`${found.join('\n')}\n`, text);
  assert.equal(report().behindBytes, 0);
});

test('a backlog beyond what is caught up with is left out, and is a gap', async (t) => {
  const { path, read, report } = bench(t, { maxBehindBytes: 1000 }, '');
  await read();
  appendFileSync(path, lines(1, 50));
  assert.deepEqual(await read(), []);
  assert.deepEqual([report().gaps, report().behindBytes], [1, 0]);
  appendFileSync(path, line(51));
  assert.deepEqual(numbers(await read()), [51]);
});

test('long lines are cut, bytes that are no UTF-8 are marked, and neither hides the next line', async (t) => {
  const { path, read } = bench(t, { maxLineBytes: 100 }, '');
  await read();
  appendFileSync(path, 'x'.repeat(300_000));
  assert.deepEqual(await read(), ['x'.repeat(100)]);
  appendFileSync(path, `${'x'.repeat(300_000)}\nnext\n`);
  assert.deepEqual(await read(), ['next']);
  appendFileSync(path, Buffer.from([0x61, 0xff, 0xfe, 0x62, 0x0a]));
  assert.deepEqual(await read(), ['a\uFFFD\uFFFDb']);
  appendFileSync(path, `short\n${'y'.repeat(150)}\nend\n`);
  assert.deepEqual(await read(), ['short', 'y'.repeat(100), 'end']);
});

test('what is no regular file is refused and does not hang', async (t) => {
  const { path } = bench(t);
  const tail = new LogTail({ path: join(path, '..') });
  await assert.rejects(
    tail.read({ onLine: () => undefined, signal: new AbortController().signal, budgetBytes: 1 }, 0),
    /not a regular file/,
  );
});

async function marked(t: TestContext): Promise<{ bench: Bench; mark: TailMark }> {
  const first = bench(t, {}, '');
  await first.read();
  appendFileSync(first.path, `${lines(1, 2)}half`);
  await first.read();
  const mark = JSON.parse(JSON.stringify(first.tail.mark)) as TailMark;
  await first.tail.close();
  return { bench: first, mark };
}

test('another tail goes on from a mark: in the same file', async (t) => {
  const { bench: first, mark } = await marked(t);
  appendFileSync(first.path, ` a line\n${line(3)}`);
  const next = first.restart({ from: mark });
  assert.deepEqual(await next.read(), ['half a line', line(3).trim()]);
  assert.deepEqual([next.report().began, next.report().gaps], ['mark', 0]);
});

test('from a mark after a rename: the rest of the old file, then the new one', async (t) => {
  const { bench: first, mark } = await marked(t);
  appendFileSync(first.path, ` a line\n${line(3)}`);
  renameSync(first.path, `${first.path}.1`);
  writeFileSync(first.path, line(4));
  const next = first.restart({ from: mark });
  assert.deepEqual(await next.read(), ['half a line', line(3).trim(), line(4).trim()]);
  assert.equal(next.report().gaps, 0);
});

test('from a mark after copy and truncate: the rest from the copy, then what was written since', async (t) => {
  const { bench: first, mark } = await marked(t);
  appendFileSync(first.path, ` a line\n${line(3)}`);
  copyFileSync(first.path, `${first.path}.1`);
  truncateSync(first.path);
  appendFileSync(first.path, lines(4, 9));
  const next = first.restart({ from: mark });
  assert.deepEqual(await next.read(), ['half a line', ...lines(3, 9).trim().split('\n')]);
  assert.equal(next.report().gaps, 0);
});

test('from a mark whose file is gone: a gap, and the present file from its beginning', async (t) => {
  const { bench: first, mark } = await marked(t);
  rmSync(first.path);
  writeFileSync(first.path, lines(4, 5));
  const next = first.restart({ from: mark });
  assert.deepEqual(numbers(await next.read()), [4, 5]);
  assert.equal(next.report().gaps, 1);
});
