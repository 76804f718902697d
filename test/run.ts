// Runs every check in stages and prints one closing line. `node test/run.ts [stage…]`; no stage named = all.
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReportLine } from './support/reporter.ts';

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
  /** Test files, with how many files run at a time. */
  readonly tests?: { readonly files: string; readonly concurrency: number; readonly timeoutMs: number };
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
  { name: 'unit', tests: { files: 'test/{unit,contract}/**/*.test.ts', concurrency: 2, timeoutMs: 120_000 } },
  // Each file has its own servers or its own lab: two at a time on two cores, so that deadlines mean something.
  { name: 'integration', tests: { files: 'test/integration/**/*.test.ts', concurrency: 2, timeoutMs: 240_000 } },
  // These wait for most of their time: a repair is watched, an alert has its `for`.
  { name: 'e2e', tests: { files: 'test/{e2e,faults}/**/*.test.ts', concurrency: 3, timeoutMs: 900_000 } },
];

function run(argv: readonly string[]): Promise<number> {
  const [command = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('close', (code) => {
      resolve(code ?? 1);
    });
  });
}

async function runStage(stage: Stage, dir: string): Promise<Counts> {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  await Promise.all(
    (stage.checks ?? []).map(async (check) => {
      const ok = (await run(check)) === 0;
      counts[ok ? 'passed' : 'failed']++;
      process.stdout.write(
        `${ok ? 'ok' : 'FAILED'}: ${check.slice(check[0] === process.execPath ? 1 : 0).join(' ')}\n`,
      );
    }),
  );
  if (stage.tests === undefined) return counts;
  const files = globSync(stage.tests.files);
  if (files.length === 0) {
    process.stdout.write(`FAILED: stage ${stage.name} has no test files (${stage.tests.files})\n`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const lines = join(dir, `${stage.name}.jsonl`);
  const code = await run([
    process.execPath,
    '--test',
    `--test-concurrency=${String(stage.tests.concurrency)}`,
    `--test-timeout=${String(stage.tests.timeoutMs)}`,
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=./test/support/reporter.ts',
    `--test-reporter-destination=${lines}`,
    ...files,
  ]);
  const report = (await readFile(lines, 'utf8'))
    .split('\n')
    .filter((text) => text !== '')
    .map((text) => JSON.parse(text) as ReportLine);
  failures.push(...report.filter((line) => line.kind === 'failed'));
  const slowest = report.filter((line) => line.kind === 'file').toSorted((a, b) => b.seconds - a.seconds);
  for (const { file, seconds } of slowest.slice(0, 5)) process.stdout.write(`${seconds.toFixed(0)} s ${file}\n`);
  const total = report.find((line) => line.kind === 'total');
  // An end without counts, or with a code that they do not explain, is a failure too.
  if (total === undefined || (code !== 0 && total.failed === 0)) return { ...counts, failed: 1 };
  return total;
}

const failures: (ReportLine & { kind: 'failed' })[] = [];
const wanted = process.argv.slice(2);
for (const name of wanted) {
  if (!stages.some((s) => s.name === name)) {
    process.stderr.write(`no stage ${name}; there are: ${stages.map((s) => s.name).join(', ')}\n`);
    process.exit(2);
  }
}
const dir = await mkdtemp(join(tmpdir(), 'pipemedic-test-'));
const sum: Counts = { passed: 0, failed: 0, skipped: 0 };
const lines: string[] = [];
try {
  for (const stage of stages.filter((s) => wanted.length === 0 || wanted.includes(s.name))) {
    process.stdout.write(`\n=== ${stage.name}\n`);
    const started = performance.now();
    const counts = await runStage(stage, dir);
    const seconds = Math.round((performance.now() - started) / 1000);
    lines.push(
      `${stage.name.padEnd(12)} ${String(counts.passed)} passed, ${String(counts.failed)} failed, ${String(counts.skipped)} skipped in ${String(seconds)} s`,
    );
    sum.passed += counts.passed;
    sum.failed += counts.failed;
    sum.skipped += counts.skipped;
    if (stage.name === 'static' && counts.failed > 0) break; // nothing after it would mean much
  }
} finally {
  await rm(dir, { recursive: true, force: true });
}
// Last, where whoever reads only the end of a long log finds it.
for (const { at, name, why } of failures.slice(0, 20)) {
  process.stdout.write(`\nFAILED ${at} ${name}\n  ${why.slice(0, 800).replaceAll('\n', '\n  ')}\n`);
}
process.stdout.write(`\n${lines.join('\n')}\n`);
process.stdout.write(`${String(sum.passed)} passed, ${String(sum.failed)} failed, ${String(sum.skipped)} skipped\n`);
process.exitCode = sum.failed === 0 ? 0 : 1;
