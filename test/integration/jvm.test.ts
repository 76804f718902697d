// The JVM seen from outside, with real JVMs.
import assert from 'node:assert/strict';
import {
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fromCache } from '../../deploy/lab/context.ts';
import { waitFor } from '../../deploy/lab/lab.ts';
import type { Call } from '../../exporter/collector.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { within } from '../../exporter/runtime/deadline.ts';
import { jvmAddress } from '../../exporter/systems/jvm/address.ts';
import { openJvm, type JvmClient } from '../../exporter/systems/jvm/client.ts';
import { jvmCollectorOf } from '../../exporter/systems/jvm/collector-jvm.ts';
import type { JvmHeap, JvmLook, JvmSource } from '../../exporter/systems/jvm/facts-model.ts';
import { freePort } from '../support/free-port.ts';
import { javaSince, mainClass, openJava, perfFolder } from '../support/java-process.ts';
import { runner, statesOf } from '../unit/mysql/fake-client.ts';

const java = openJava();
const { dir } = java;
after(java.close);

function call(): Call {
  return { signal: within(5000), clock: systemClock };
}

function client(hsperfdata: Readonly<Record<string, string>>): JvmClient {
  return openJvm(jvmAddress.parse({ hsperfdata }), undefined);
}

const byClass = (): JvmClient => client({ main_class: mainClass });

async function look(by: JvmClient, given = call()): Promise<JvmLook> {
  const [only] = await by.looks(given);
  assert.ok(only);
  return only;
}

const run = runner(
  jvmCollectorOf<JvmClient>({ sources: ({ sources }) => sources, looks: (c, given) => c.looks(given) }),
);

test('a running JVM is found by its main class, and its heap is what its own beans say', async () => {
  const jvm = await java.start(['-XX:+UseG1GC']);
  const beans = await jvm.beans('collect');
  // the counters are sampled every 50 ms
  const heap = await waitFor(
    async () => {
      const found = await look(byClass());
      assert.equal(found.state, 'visible', found.why);
      assert.equal(found.pid, jvm.pid);
      assert.ok(found.process.known && found.process.value === 'alive');
      assert.ok(found.heap.known);
      const [area] = found.heap.value.areas;
      assert.deepEqual([area?.committedBytes, area?.maxBytes], [beans.committedBytes, beans.maxBytes]);
      return Math.abs((area?.usedBytes ?? 0) - beans.usedBytes) < 2_000_000 && found.heap.value;
    },
    { what: 'the same heap' },
  );
  assert.equal(collections(heap), beans.collections);
  assert.ok(Math.abs(gcSeconds(heap) - beans.collectionMs / 1000) < 0.05, `${gcSeconds(heap)} s`);
  assert.ok(heap.afterGcRatio.known && heap.afterGcRatio.value > 2_000_000 / 67_108_864);
  assert.ok(heap.afterGcRatio.value < 0.5);
  await byClass().ping(call());

  const { samples } = await run(byClass());
  assert.deepEqual(statesOf(samples, 'jvm_state'), ['jvm_state{source="hsperfdata",state="visible"}']);
  for (const name of ['jvm_memory_max_bytes', 'jvm_memory_bytes_max']) {
    assert.equal(samples.get(`${name}{area="heap"}`), beans.maxBytes, name);
  }
  assert.ok(samples.has('jvm_heap_after_gc_ratio{}'));
  assert.ok(samples.has('jvm_gc_collection_seconds_count{gc="G1 Young Generation"}'));

  process.kill(jvm.pid, 'SIGSTOP');
  assert.equal((await look(byClass())).state, 'visible', 'a stopped process is not gone');
  process.kill(jvm.pid, 'SIGCONT');

  await jvm.end('SIGKILL');
  assert.ok(existsSync(join(perfFolder, String(jvm.pid))), 'kill -9 leaves the file behind');
  const left = await look(byClass());
  assert.equal(left.state, 'gone', left.why);
  assert.deepEqual(left.process.known && left.process.value, 'gone');
  assert.equal(left.heap.known, false);
  await assert.rejects(byClass().ping(call()), { code: 'refused' });
  const gone = await run(byClass());
  assert.deepEqual(statesOf(gone.samples, 'jvm_state'), ['jvm_state{source="hsperfdata",state="gone"}']);
  assert.equal(gone.samples.size, 3, 'no number of a JVM that is gone');

  // A new one beside the file that was left behind
  const next = await java.start(['-XX:+UseSerialGC']);
  const again = await look(byClass());
  assert.deepEqual([again.state, again.pid], ['visible', next.pid]);
  await next.end('SIGTERM');
  assert.equal((await look(byClass())).state, 'gone');
});

test('several JVMs of one class are told apart by pid file only', async () => {
  const [one, two] = await Promise.all([java.start(), java.start()]);
  const found = await look(byClass());
  assert.equal(found.state, 'unknown');
  assert.match(found.why, /several JVMs/);
  assert.equal(found.process.known, false);

  const pidFile = join(dir, 'jvm.pid');
  writeFileSync(pidFile, `${two.pid}\n`);
  const byPid = await look(client({ pid_file: pidFile }));
  assert.deepEqual([byPid.state, byPid.pid], ['visible', two.pid]);

  await two.end('SIGKILL');
  assert.equal((await look(client({ pid_file: pidFile }))).state, 'gone');
  assert.deepEqual((await look(byClass())).pid, one.pid);
  await one.end('SIGTERM');

  writeFileSync(pidFile, `${process.pid}`);
  const foreign = await look(client({ pid_file: pidFile }));
  assert.equal(foreign.state, 'unknown');
  assert.match(foreign.why, /is no JVM/);
  rmSync(pidFile);
  const missing = await look(client({ pid_file: pidFile }));
  assert.deepEqual([missing.state, missing.process.known], ['unknown', false], 'no pid file is no evidence');
});

test('a JVM without a performance file is alive and its heap unknown', async () => {
  const jvm = await java.start(['-XX:-UsePerfData']);
  const found = await look(byClass());
  assert.equal(found.state, 'unknown');
  assert.deepEqual(found.process.known && found.process.value, 'alive');
  assert.equal(found.pid, jvm.pid);
  await jvm.end('SIGTERM');
});

test('a file whose process id belongs to somebody else by now counts for nothing, and links are not followed', async () => {
  const jvm = await java.start();
  const file = join(perfFolder, String(jvm.pid));
  const folder = join(dir, `hsperfdata_${userInfo().username}`);
  mkdirSync(folder);
  copyFileSync(file, join(folder, String(process.pid)));
  const copied = client({ main_class: mainClass, dir });
  assert.equal((await look(copied)).state, 'unknown', 'this process runs no such class');
  rmSync(join(folder, String(process.pid)));

  symlinkSync(file, join(folder, String(jvm.pid)));
  assert.equal((await look(copied)).state, 'unknown', 'a link');
  rmSync(join(folder, String(jvm.pid)));
  const whole = readFileSync(file);
  for (const hostile of [whole.subarray(0, 1000), Buffer.alloc(0), Buffer.concat([whole, Buffer.alloc(2 ** 20)])]) {
    writeFileSync(join(folder, String(jvm.pid)), hostile);
    assert.equal((await look(copied)).state, 'unknown', `${hostile.length} bytes`);
  }
  copyFileSync(file, join(folder, String(jvm.pid)));
  assert.equal((await look(copied)).state, 'visible', 'its own file, in a folder of that name');
  if (process.getuid?.() === 0) {
    chownSync(join(folder, String(jvm.pid)), 12_345, 12_345);
    assert.equal((await look(copied)).state, 'unknown', "another user's file about this process");
    chownSync(join(folder, String(jvm.pid)), 0, 0);
  }
  renameSync(folder, join(dir, 'elsewhere'));
  symlinkSync(join(dir, 'elsewhere'), folder);
  assert.equal((await look(copied)).state, 'unknown', 'a folder that is a link');
  await jvm.end('SIGTERM');
});

function numberOf({ runtime }: JvmLook, name: keyof NonNullable<JvmLook['runtime']>['numbers']): number {
  return runtime?.numbers[name] ?? NaN;
}

function heapOf({ heap, source, why }: JvmLook): JvmHeap {
  assert.ok(heap.known, `${source}: ${why}`);
  return heap.value;
}

const counts = ({ gcs }: JvmHeap): string =>
  gcs
    .map(({ gc, count }) => `${gc} ${count}`)
    .sort()
    .join();

const gcSeconds = ({ gcs }: JvmHeap): number => gcs.reduce((sum, { seconds }) => sum + seconds, 0);
const collections = ({ gcs }: JvmHeap): number => gcs.reduce((sum, { count }) => sum + count, 0);

test('one JVM, three ways: its page, Jolokia and its performance file agree', async (t) => {
  const agents = join(fromCache('jvm-agents'), 'lib');
  const [pagePort, jolokiaPort] = [await freePort(), await freePort()];
  const [config, secret] = [join(dir, 'agent.yml'), join(dir, 'password')];
  writeFileSync(config, '{}');
  writeFileSync(secret, 'once\n');
  const jvm = await java.start([
    '-XX:+UseG1GC',
    '-Xmx256m', // the page itself makes megabytes of garbage
    `-javaagent:${agents}/jmx_prometheus_javaagent-1.0.1.jar=127.0.0.1:${pagePort}:${config}`,
    `-javaagent:${agents}/jolokia-agent-jvm-2.6.0-javaagent.jar=host=127.0.0.1,port=${jolokiaPort},user=u,password=once,discoveryEnabled=false`,
  ]);
  t.after(() => jvm.end('SIGKILL'));
  const address = jvmAddress.parse({
    prometheus: { url: `http://127.0.0.1:${pagePort}/metrics` },
    jolokia: { url: `http://127.0.0.1:${jolokiaPort}/jolokia` },
    hsperfdata: { main_class: mainClass },
  });
  const all = openJvm(address, undefined, { user: 'u', password_file: secret });
  assert.deepEqual(all.sources, ['jolokia', 'prometheus', 'hsperfdata'] satisfies JvmSource[]);
  await jvm.beans('collect');
  // Asking loads classes, starts threads and collects: they agree once that has come to rest.
  const { found: looks, beans } = await waitFor(
    async () => {
      const found = await all.looks(call());
      const beans = await jvm.beans('look');
      const same = (of: (look: JvmLook) => unknown): boolean => new Set(found.map(of)).size === 1;
      const isAtRest =
        found.every(({ state }) => state === 'visible') &&
        same((l) => counts(heapOf(l))) &&
        same((l) => numberOf(l, 'classesLoaded')) &&
        found.every((l) => collections(heapOf(l)) === beans.collections) &&
        // G1 gives memory back some time after a collection
        found.every((l) => heapOf(l).areas[0]?.committedBytes === beans.committedBytes);
      return isAtRest && { found, beans };
    },
    { what: 'the same from all three' },
  );
  const [jolokia, page, file] = looks;
  assert.ok(jolokia !== undefined && page !== undefined && file !== undefined);
  for (const one of looks) {
    const heap = heapOf(one);
    assert.equal(heap.areas[0]?.maxBytes, beans.maxBytes, one.source);
    assert.equal(heap.areas[0].committedBytes, beans.committedBytes, one.source);
    assert.ok(heap.afterGcRatio.known, one.source);
    const expected = heapOf(page).afterGcRatio;
    assert.ok(expected.known && Math.abs(heap.afterGcRatio.value - expected.value) < 0.05, one.source);
    assert.equal(numberOf(one, 'startTimeSeconds'), numberOf(page, 'startTimeSeconds'), one.source);
    assert.ok(Math.abs(numberOf(one, 'threads') - numberOf(page, 'threads')) <= 3, one.source);
    assert.equal(one.runtime?.info?.version, page.runtime?.info?.version);
    assert.ok(Math.abs(gcSeconds(heap) - gcSeconds(heapOf(page))) < 0.05, one.source);
  }
  const names = (l: JvmLook): string[] =>
    heapOf(l)
      .pools.map(({ pool }) => pool)
      .sort();
  assert.deepEqual(names(jolokia), names(page));
  for (const { pool, usedBytes = NaN } of heapOf(file).pools) {
    const shown = heapOf(page).pools.find((p) => p.pool === pool)?.usedBytes ?? NaN;
    assert.ok(Math.abs(usedBytes - shown) < 12 * 1024 * 1024, `${pool}: ${usedBytes} and ${shown}`); // eden moves
  }

  const { samples } = await run(all);
  assert.equal(statesOf(samples, 'jvm_state').filter((key) => key.includes('visible')).length, 3);
  assert.ok(samples.has('jvm_threads_state{state="RUNNABLE"}'), 'from the page, which alone tells it');
  assert.equal(samples.get('jvm_memory_observed_age_seconds{area="heap",source="jolokia"}'), 0);

  writeFileSync(secret, 'wrong\n');
  const [refused] = await all.looks(call());
  assert.match(refused?.why ?? '', /status 401: set auth/);
  await jvm.end('SIGKILL');
  const gone = await all.looks(call());
  assert.deepEqual(
    gone.map(({ state }) => state),
    ['gone', 'gone', 'gone'],
  );
});

const java25 = javaSince(24);
for (const collector of ['Serial', 'Parallel']) {
  const skip = java25 === undefined && 'no such JDK is installed';
  test(
    `${collector} on a new JDK: unknown before the first collection, then as old as the last one`,
    { skip },
    async (t) => {
      const jvm = await java.start([`-XX:+Use${collector}GC`], java25);
      t.after(() => jvm.end('SIGKILL'));
      const early = heapOf(await look(byClass()));
      const before = await jvm.beans('look');
      assert.deepEqual([early.areas[0]?.usedBytes, early.usedAgeSeconds?.heap], [undefined, undefined]);
      assert.deepEqual([early.areas[0]?.maxBytes, early.afterGcRatio.known], [before.maxBytes, false]);

      const collected = await jvm.beans('collect');
      const later = heapOf(await look(byClass()));
      const used = later.areas[0]?.usedBytes ?? NaN;
      assert.ok(used > 2_000_000 && used <= collected.usedBytes, `${used} of ${collected.usedBytes}`);
      assert.ok(later.afterGcRatio.known);
      const age = later.usedAgeSeconds?.heap ?? NaN;
      assert.ok(age >= 0.25 && age < 5, `${age} s after a collection 0.3 s ago`);
      const older = await waitFor(
        async () => {
          const found = heapOf(await look(byClass())).usedAgeSeconds?.heap ?? NaN;
          return found > age + 0.2 && found;
        },
        { what: 'an age that grows' },
      );
      await jvm.beans('collect');
      assert.ok((heapOf(await look(byClass())).usedAgeSeconds?.heap ?? NaN) < older + 0.5);
      await jvm.end('SIGTERM');
    },
  );
}
