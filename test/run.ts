// Runs every check in stages and prints one closing line. `node test/run.ts [stage…]`; no stage named = all.
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { finished } from 'node:stream/promises';
import { run } from 'node:test';
import { spec, type TestEvent } from 'node:test/reporters';
import { lineOf, type ReportLine } from './support/report.ts';

const [major = 0] = process.versions.node.split('.').map(Number);
if (major < 24) throw new Error(`tests need Node 24, this is ${process.version}: run them by \`make test\``);

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

interface Stage {
  readonly name: string;
  /** Commands that run side by side; each counts as one check. */
  readonly checks?: readonly (readonly string[])[];
  readonly tests?: Tests;
}

interface Tests {
  readonly files: string;
  /** How many files run at a time. */
  readonly concurrency: number;
  readonly timeoutMs: number;
  /** What takes longest begins first, so that nothing long runs alone at the end. Names without `.test.ts`. */
  readonly first?: readonly string[];
}

const bin = (name: string): string => join('node_modules', '.bin', name);

const stages: readonly Stage[] = [
  {
    name: 'static',
    checks: [
      [bin('tsc'), '--noEmit'],
      [bin('eslint'), '--max-warnings', '0', '.'],
      [bin('prettier'), '--check', '--log-level', 'warn', '.'],
      [process.execPath, '--test', '--test-reporter=dot', 'test/unit/imports.test.ts'],
    ],
  },
  {
    name: 'unit',
    tests: {
      files: 'test/{unit,contract}/**/*.test.ts',
      concurrency: 2,
      timeoutMs: 120_000,
      first: ['contract/rules-promtool'],
    },
  },
  // Each file has its own servers. Three at a time on two cores, because they wait for much of their time.
  {
    name: 'servers',
    tests: {
      files: 'test/{integration,faults}/**/*.test.ts',
      concurrency: 3,
      timeoutMs: 900_000,
      first: [
        'faults/kill9-after',
        'faults/kill9-before',
        'integration/remediator-maxwell-faults',
        'faults/contract-sweep',
        'faults/action-sweep',
        'faults/store-sweep',
        'integration/remediator-store',
        'integration/maxwell',
        'integration/remediator-maxwell',
        'integration/remediator-mysql',
        'integration/canary',
        'integration/pack',
      ],
    },
  },
  // A whole lab each, with rules whose `for` is a tenth of what is shipped: what starves for some seconds fires in truth.
  // So no more of them at a time than there are cores.
  {
    name: 'e2e',
    tests: {
      files: 'test/e2e/**/*.test.ts',
      concurrency: 2,
      timeoutMs: 900_000,
      first: ['e2e/never-verified', 'e2e/two-alertmanagers', 'e2e/source-stops', 'e2e/stages', 'e2e/healthy'],
    },
  },
];

// Node keeps what it has compiled, and the tests start hundreds of programs.
process.env['NODE_COMPILE_CACHE'] ??= resolve('.cache/compiled');

function command(argv: readonly string[]): Promise<number> {
  const [program = '', ...args] = argv;
  return new Promise((done, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('close', (code) => {
      done(code ?? 1);
    });
  });
}

function filesOf({ files, first = [] }: Tests): string[] {
  const found = globSync(files);
  const begin = first.map((name) => join('test', `${name}.test.ts`));
  const gone = begin.filter((file) => !found.includes(file));
  if (gone.length > 0) throw new Error(`no such test file: ${gone.join(', ')} (test/run.ts)`);
  return [...begin, ...found.toSorted().filter((file) => !begin.includes(file))];
}

async function runStage(stage: Stage): Promise<Counts> {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  await Promise.all(
    (stage.checks ?? []).map(async (check) => {
      const ok = (await command(check)) === 0;
      counts[ok ? 'passed' : 'failed']++;
      process.stdout.write(
        `${ok ? 'ok' : 'FAILED'}: ${check.slice(check[0] === process.execPath ? 1 : 0).join(' ')}\n`,
      );
    }),
  );
  if (stage.tests === undefined) return counts;
  const { concurrency, timeoutMs: timeout } = stage.tests;
  const files = filesOf(stage.tests);
  if (files.length === 0) {
    process.stdout.write(`FAILED: stage ${stage.name} has no test files (${stage.tests.files})\n`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const report: ReportLine[] = [];
  const text = new spec();
  text.pipe(process.stdout, { end: false });
  for await (const event of run({ files, concurrency, timeout }) as AsyncIterable<TestEvent>) {
    text.write(event);
    const line = lineOf(event);
    if (line !== undefined) report.push(line);
  }
  text.end();
  await finished(text);
  failures.push(...report.filter((line) => line.kind === 'failed'));
  const slowest = report.filter((line) => line.kind === 'file').toSorted((a, b) => b.seconds - a.seconds);
  for (const { file, seconds } of slowest.slice(0, 20)) process.stdout.write(`${seconds.toFixed(0)} s ${file}\n`);
  const total = report.find((line) => line.kind === 'total');
  // An end without counts is a failure too, and so is a file that is not told of.
  if (total === undefined) return { ...counts, failed: 1 };
  return slowest.length < files.length ? { ...total, failed: total.failed + 1 } : total;
}

const failures: (ReportLine & { kind: 'failed' })[] = [];
const wanted = process.argv.slice(2);
for (const name of wanted) {
  if (!stages.some((s) => s.name === name)) {
    process.stderr.write(`no stage ${name}; there are: ${stages.map((s) => s.name).join(', ')}\n`);
    process.exit(2);
  }
}
const sum: Counts = { passed: 0, failed: 0, skipped: 0 };
const lines: string[] = [];
for (const stage of stages.filter((s) => wanted.length === 0 || wanted.includes(s.name))) {
  process.stdout.write(`\n=== ${stage.name}\n`);
  const started = performance.now();
  const counts = await runStage(stage);
  const seconds = Math.round((performance.now() - started) / 1000);
  lines.push(
    `${stage.name.padEnd(12)} ${String(counts.passed)} passed, ${String(counts.failed)} failed, ${String(counts.skipped)} skipped in ${String(seconds)} s`,
  );
  sum.passed += counts.passed;
  sum.failed += counts.failed;
  sum.skipped += counts.skipped;
  if (stage.name === 'static' && counts.failed > 0) break; // nothing after it would mean much
}
// Last, where whoever reads only the end of a long log finds it.
for (const { at, name, why } of failures.slice(0, 20)) {
  process.stdout.write(`\nFAILED ${at} ${name}\n  ${why.slice(0, 800).replaceAll('\n', '\n  ')}\n`);
}
process.stdout.write(`\n${lines.join('\n')}\n`);
process.stdout.write(`${String(sum.passed)} passed, ${String(sum.failed)} failed, ${String(sum.skipped)} skipped\n`);
process.exitCode = sum.failed === 0 ? 0 : 1;
