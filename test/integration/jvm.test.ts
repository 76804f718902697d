// The JVM seen from outside, with real JVMs.
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { waitFor } from '../../deploy/lab/lab.ts';
import type { Call } from '../../exporter/collector.ts';
import { within } from '../../exporter/runtime/deadline.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { jvmAddress } from '../../exporter/systems/jvm/address.ts';
import { openJvm, type JvmClient } from '../../exporter/systems/jvm/client.ts';
import { jvmCollectorOf } from '../../exporter/systems/jvm/collector-jvm.ts';
import { runner, statesOf } from '../unit/mysql/fake-client.ts';

const mainClass = `PipemedicLoop${process.pid}`;
const dir = mkdtempSync(join(tmpdir(), 'pipemedic-jvm-'));
const perfFolder = `/tmp/hsperfdata_${userInfo().username}`;
const started = new Set<ChildProcess>();

// Keeps 2 MB, makes garbage, collects it, and prints its own idea of its heap each time it is told to.
const program = `
import java.lang.management.*;
import java.util.*;
public class ${mainClass} {
  static List<byte[]> keep = new ArrayList<>();
  public static void main(String[] a) throws Exception {
    for (int i = 0; i < 20; i++) keep.add(new byte[100_000]);
    Scanner in = new Scanner(System.in);
    System.out.println("ready");
    while (in.hasNextLine()) {
      in.nextLine();
      for (int i = 0; i < 200; i++) { byte[] b = new byte[50_000]; b[0] = 1; }
      System.gc();
      Thread.sleep(300);
      MemoryUsage h = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage();
      long n = 0, ms = 0;
      for (GarbageCollectorMXBean g : ManagementFactory.getGarbageCollectorMXBeans()) { n += g.getCollectionCount(); ms += g.getCollectionTime(); }
      System.out.println(h.getUsed() + " " + h.getCommitted() + " " + h.getMax() + " " + n + " " + ms);
    }
  }
}`;

interface Jvm {
  readonly pid: number;
  readonly process: ChildProcess;
  /** Collects, and says used, committed and largest heap in bytes, collections and their milliseconds. */
  readonly beans: () => Promise<readonly number[]>;
  readonly end: (signal: NodeJS.Signals) => Promise<void>;
}

async function startJvm(...options: string[]): Promise<Jvm> {
  const child = spawn('java', ['-Xmx64m', ...options, '-cp', dir, mainClass], { stdio: ['pipe', 'pipe', 'inherit'] });
  started.add(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  assert.equal((await lines.next()).value, 'ready');
  return {
    pid: child.pid ?? 0,
    process: child,
    beans: async () => {
      child.stdin.write('\n');
      return String((await lines.next()).value)
        .split(' ')
        .map(Number);
    },
    end: async (signal) => {
      const exit = once(child, 'exit');
      child.kill(signal);
      await exit;
    },
  };
}

before(() => {
  writeFileSync(join(dir, `${mainClass}.java`), program);
  execFileSync('javac', ['-d', dir, join(dir, `${mainClass}.java`)]);
});

after(() => {
  for (const child of started) {
    child.kill('SIGKILL');
    rmSync(join(perfFolder, String(child.pid)), { force: true }); // kill -9 leaves it behind
  }
  rmSync(dir, { recursive: true, force: true });
});

function call(): Call {
  return { signal: within(5000), clock: systemClock };
}

function client(hsperfdata: Readonly<Record<string, string>>): JvmClient {
  return openJvm(jvmAddress.parse({ hsperfdata }), undefined);
}

const byClass = (): JvmClient => client({ main_class: mainClass });

test('a running JVM is found by its main class, and its heap is what its own beans say', async () => {
  const jvm = await startJvm('-XX:+UseG1GC');
  const [used, committed, max, count, milliseconds] = await jvm.beans();
  // the counters are sampled every 50 ms
  const heap = await waitFor(
    async () => {
      const look = await byClass().look(call());
      assert.equal(look.state, 'visible', look.why);
      assert.equal(look.pid, jvm.pid);
      assert.ok(look.process.known && look.process.value === 'alive');
      assert.ok(look.heap.known);
      const [area] = look.heap.value.areas;
      assert.deepEqual([area?.committedBytes, area?.maxBytes], [committed, max]);
      return Math.abs((area?.usedBytes ?? 0) - (used ?? NaN)) < 2_000_000 && look.heap.value;
    },
    { deadlineMs: 3000, what: 'the same heap' },
  );
  assert.equal(
    heap.gcs.reduce((sum, gc) => sum + gc.count, 0),
    count,
  );
  const seconds = heap.gcs.reduce((sum, gc) => sum + gc.seconds, 0);
  assert.ok(Math.abs(seconds - (milliseconds ?? NaN) / 1000) < 0.05, `${seconds} s`);
  assert.ok(heap.afterGcRatio.known && heap.afterGcRatio.value > 2_000_000 / 67_108_864);
  assert.ok(heap.afterGcRatio.value < 0.5);
  await byClass().ping(call());

  const collector = jvmCollectorOf<JvmClient>({
    sources: ({ source }) => [source],
    looks: async (c, given) => [await c.look(given)],
  });
  const run = runner(collector);
  const { samples } = await run(byClass());
  assert.deepEqual(statesOf(samples, 'jvm_state'), ['jvm_state{source="hsperfdata",state="visible"}']);
  for (const name of ['jvm_memory_max_bytes', 'jvm_memory_bytes_max']) {
    assert.equal(samples.get(`${name}{area="heap"}`), max, name);
  }
  assert.ok(samples.has('jvm_heap_after_gc_ratio{}'));
  assert.ok(samples.has('jvm_gc_collection_seconds_count{gc="G1 Young Generation"}'));

  process.kill(jvm.pid, 'SIGSTOP');
  assert.equal((await byClass().look(call())).state, 'visible', 'a stopped process is not gone');
  process.kill(jvm.pid, 'SIGCONT');

  await jvm.end('SIGKILL');
  assert.ok(existsSync(join(perfFolder, String(jvm.pid))), 'kill -9 leaves the file behind');
  const left = await byClass().look(call());
  assert.equal(left.state, 'gone', left.why);
  assert.deepEqual(left.process.known && left.process.value, 'gone');
  assert.equal(left.heap.known, false);
  await assert.rejects(byClass().ping(call()), { code: 'refused' });
  const gone = await run(byClass());
  assert.deepEqual(statesOf(gone.samples, 'jvm_state'), ['jvm_state{source="hsperfdata",state="gone"}']);
  assert.equal(gone.samples.size, 3, 'no number of a JVM that is gone');

  // A new one beside the file that was left behind
  const next = await startJvm('-XX:+UseSerialGC');
  const again = await byClass().look(call());
  assert.deepEqual([again.state, again.pid], ['visible', next.pid]);
  await next.end('SIGTERM');
  assert.equal((await byClass().look(call())).state, 'gone');
});

test('several JVMs of one class are told apart by pid file only', async () => {
  const [one, two] = await Promise.all([startJvm(), startJvm()]);
  const look = await byClass().look(call());
  assert.equal(look.state, 'unknown');
  assert.match(look.why, /several JVMs/);
  assert.equal(look.process.known, false);

  const pidFile = join(dir, 'jvm.pid');
  writeFileSync(pidFile, `${two.pid}\n`);
  const byPid = await client({ pid_file: pidFile }).look(call());
  assert.deepEqual([byPid.state, byPid.pid], ['visible', two.pid]);

  await two.end('SIGKILL');
  assert.equal((await client({ pid_file: pidFile }).look(call())).state, 'gone');
  assert.deepEqual((await byClass().look(call())).pid, one.pid);
  await one.end('SIGTERM');

  writeFileSync(pidFile, `${process.pid}`);
  const foreign = await client({ pid_file: pidFile }).look(call());
  assert.equal(foreign.state, 'unknown');
  assert.match(foreign.why, /is no JVM/);
  rmSync(pidFile);
  const missing = await client({ pid_file: pidFile }).look(call());
  assert.deepEqual([missing.state, missing.process.known], ['unknown', false], 'no pid file is no evidence');
});

test('a JVM without a performance file is alive and its heap unknown', async () => {
  const jvm = await startJvm('-XX:-UsePerfData');
  const look = await byClass().look(call());
  assert.equal(look.state, 'unknown');
  assert.deepEqual(look.process.known && look.process.value, 'alive');
  assert.equal(look.pid, jvm.pid);
  await jvm.end('SIGTERM');
});

test('a file whose process id belongs to somebody else by now counts for nothing, and links are not followed', async () => {
  const jvm = await startJvm();
  const file = join(perfFolder, String(jvm.pid));
  const folder = join(dir, `hsperfdata_${userInfo().username}`);
  mkdirSync(folder);
  copyFileSync(file, join(folder, String(process.pid)));
  const copied = client({ main_class: mainClass, dir });
  assert.equal((await copied.look(call())).state, 'unknown', 'this process runs no such class');
  rmSync(join(folder, String(process.pid)));

  symlinkSync(file, join(folder, String(jvm.pid)));
  assert.equal((await copied.look(call())).state, 'unknown', 'a link');
  rmSync(join(folder, String(jvm.pid)));
  assert.ok(readFileSync(file).length > 0);
  copyFileSync(file, join(folder, String(jvm.pid)));
  assert.equal((await copied.look(call())).state, 'visible', 'its own file, in a folder of that name');
  await jvm.end('SIGTERM');
});

test('by HTTP: refused is gone, no answer in time is unknown, another status is alive and unknown', async () => {
  const answers: { status: number; text: string; wait?: true }[] = [];
  const server = createServer((_request, response) => {
    const answer = answers.at(-1);
    if (answer?.wait === true) return;
    response.writeHead(answer?.status ?? 500, answer?.status === 302 ? { location: 'http://127.0.0.1:1/' } : {});
    response.end(answer?.text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const jvm = openJvm(jvmAddress.parse({ maxwell_http: { url: `http://127.0.0.1:${address.port}` } }), undefined);
  const look = async (ms = 3000): Promise<readonly [string, string]> => {
    const found = await jvm.look({ signal: within(ms), clock: systemClock });
    return [found.state, found.process.known ? found.process.value : 'unknown'];
  };

  answers.push({
    status: 200,
    text: '{"gauges":{"X.jvm.memory_usage.heap.used":{"value":5},"X.jvm.memory_usage.heap.max":{"value":9}}}',
  });
  assert.deepEqual(await look(), ['visible', 'alive']);
  answers.push({ status: 302, text: '' });
  assert.deepEqual(await look(), ['unknown', 'alive'], 'redirects are not followed');
  answers.push({ status: 503, text: '' });
  assert.deepEqual(await look(), ['unknown', 'alive']);
  answers.push({ status: 200, text: 'x'.repeat(5_000_000) });
  assert.deepEqual(await look(), ['unknown', 'unknown'], 'too large');
  answers.push({ status: 200, text: '', wait: true });
  assert.deepEqual(await look(300), ['unknown', 'unknown']);
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
  assert.deepEqual(await look(), ['gone', 'gone']);
});
