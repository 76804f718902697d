// A full memory: once in 24 hours, and what is in it is written down first. `jcmd` is a stand-in that writes down its
// argv; the process is that of this test.
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { known } from '../../../exporter/runtime/known.ts';
import type { Checked } from '../../../remediator/action.ts';
import { capture, captureJvm, memoryVerdict } from '../../../remediator/actions/service/capture.ts';
import type { ServiceBefore } from '../../../remediator/actions/service/started.ts';
import type { ServiceState, Supervisor } from '../../../remediator/supervisors/supervisor.ts';
import type { World } from '../../../remediator/world.ts';

const path = process.env['PATH'];
const self = { id: 'process:self', pid: process.pid, startedAtMs: Date.now() - process.uptime() * 1000 };
const both = { threadDump: true, heapDump: true };
const soon = (): AbortSignal => AbortSignal.timeout(30_000);
let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pipemedic-capture-'));
  mkdirSync(join(dir, 'evidence'));
  jcmd('268435456');
  process.env['PATH'] = `${dir}:${path ?? ''}`;
});
afterEach(() => {
  process.env['PATH'] = path;
  rmSync(dir, { recursive: true, force: true });
});

function jcmd(maxHeap: string): void {
  writeFileSync(
    join(dir, 'jcmd'),
    `#!/bin/sh
echo "$@" >> ${dir}/argv
case "$2" in
  Thread.print) echo '"main" #1' ;;
  VM.flags) echo "-XX:InitialHeapSize=1 -XX:MaxHeapSize=${maxHeap} -XX:+UseG1GC" ;;
  GC.heap_dump) echo dump > "$3"; echo 'Heap dump file created [5 bytes in 0.1 secs]' ;;
esac
`,
  );
  chmodSync(join(dir, 'jcmd'), 0o700);
}

function asked(): readonly string[] {
  if (!existsSync(join(dir, 'argv'))) return [];
  return readFileSync(join(dir, 'argv'), 'utf8').trim().split('\n');
}

function captured(before: ServiceBefore, evidenceDir: string | undefined = join(dir, 'evidence')): Promise<Checked> {
  const state: ServiceState = {
    running: self,
    processState: known('S', 1),
    orphan: false,
    last: null,
    maxFence: null,
  };
  const supervisor: Pick<Supervisor, 'state'> = { state: () => Promise.resolve(known(state, 1)) };
  const world = { clock: systemClock, evidenceDir, supervisor: () => supervisor } as unknown as World;
  return capture('cdc1', both, world).verify({
    before,
    memo: {},
    fence: 1,
    runId: 'r1',
    attempt: 1,
    signal: soon(),
    note: () => undefined,
  });
}

test('threads and heap are in the folder of the run before anything is stopped', async () => {
  const seen = await captured({ running: self, last: null, memory: true });
  assert.deepEqual([seen.is, seen.data], ['yes', { threads: 'threads.txt', heap: 'heap.hprof' }]);
  assert.deepEqual(readdirSync(join(dir, 'evidence', 'r1')).sort(), ['heap.hprof', 'threads.txt']);
  const pid = String(process.pid);
  assert.deepEqual(asked(), [
    `${pid} Thread.print`,
    `${pid} VM.flags`,
    `${pid} GC.heap_dump ${join(dir, 'evidence', 'r1', 'heap.hprof')}`,
  ]);
});

test('once: a second time within 24 hours is for people, also after a crash right behind the note', async () => {
  const evidence = join(dir, 'evidence');
  const now = Date.now();
  assert.equal((await memoryVerdict('cdc1', evidence, now)).is, 'allow');
  await captured({ running: null, last: 'x', memory: true });
  assert.equal((await memoryVerdict('cdc1', evidence, Date.now())).is, 'deny');
  assert.equal((await memoryVerdict('cdc1', evidence, now + 23 * 3_600_000)).is, 'deny');
  assert.equal((await memoryVerdict('cdc1', evidence, now + 25 * 3_600_000)).is, 'allow');
  assert.equal((await memoryVerdict('cdc1', evidence, now - 3_600_000)).is, 'deny', 'a clock that was set back');
  assert.equal((await memoryVerdict('other', evidence, now)).is, 'allow');
});

test('what was noted and cannot be read is not "never"', async () => {
  const evidence = join(dir, 'evidence');
  assert.equal((await memoryVerdict('cdc1', undefined, 1)).is, 'unknown');
  assert.equal((await memoryVerdict('cdc1', join(dir, 'jcmd'), 1)).is, 'unknown');
  rmSync(evidence, { recursive: true });
  mkdirSync(evidence);
  assert.equal((await memoryVerdict('cdc1', evidence, 1)).is, 'allow');
});

test('nothing is asked of a JVM whose memory is not what is wrong, and nothing is noted', async () => {
  assert.equal((await captured({ running: self, last: null, memory: false })).is, 'yes');
  assert.deepEqual(asked(), []);
  assert.deepEqual(readdirSync(join(dir, 'evidence')), []);
});

test('that cannot be noted: no restart', async () => {
  assert.equal((await captured({ running: self, last: null, memory: true }, join(dir, 'gone'))).is, 'no');
  assert.deepEqual(asked(), []);
});

test('a heap dump needs twice the heap as free space; the threads are written all the same', async () => {
  jcmd('1000000000000000');
  const seen = await captureJvm(self, join(dir, 'run'), both, Date.now(), soon());
  assert.equal(seen.threads, 'threads.txt');
  assert.match(seen.heap, /^left out: less than twice its heap/);
  assert.deepEqual(readdirSync(join(dir, 'run')), ['threads.txt']);
});

test('turned off, out of reach, another process by that number, no jcmd: left out with the reason', async () => {
  const run = (over: Partial<typeof self>, params = both): ReturnType<typeof captureJvm> =>
    captureJvm({ ...self, ...over }, join(dir, 'run'), params, Date.now(), soon());
  assert.deepEqual(await run({}, { threadDump: false, heapDump: false }), {
    threads: 'left out: turned off',
    heap: 'left out: turned off',
  });
  assert.match((await run({ pid: 4_194_303 })).threads, /cannot be reached/);
  assert.match((await run({ startedAtMs: 1 })).threads, /as seen from here is another one/);
  assert.deepEqual(asked(), []);
  process.env['PATH'] = join(dir, 'evidence');
  assert.match((await run({})).threads, /ENOENT/);
});
