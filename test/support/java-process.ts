// JVMs of the tests: a small program that keeps and wastes memory when told to, and says what its own beans say.
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export const mainClass = `PipemedicLoop${process.pid}`;
export const perfFolder = `/tmp/hsperfdata_${userInfo().username}`;

const program = `
import java.lang.management.*;
import java.util.*;
public class ${mainClass} {
  static List<byte[]> keep = new ArrayList<>();
  // G1 drops a System.gc() without a word while any thread is within a JNI critical section, as one that unpacks classes
  // is (GCLocker; JDK 17: G1 Young Generation counts one more, G1 Old Generation none).
  static long full() {
    for (GarbageCollectorMXBean g : ManagementFactory.getGarbageCollectorMXBeans())
      if (g.getName().matches("G1 Old Generation|MarkSweepCompact|PS MarkSweep")) return g.getCollectionCount();
    throw new IllegalStateException("no collector of the whole heap");
  }
  public static void main(String[] a) throws Exception {
    for (int i = 0; i < 20; i++) keep.add(new byte[100_000]);
    Scanner in = new Scanner(System.in);
    System.out.println("ready");
    while (in.hasNextLine()) {
      if (in.nextLine().equals("collect")) {
        for (int i = 0; i < 200; i++) { byte[] b = new byte[50_000]; b[0] = 1; }
        long before = full();
        while (full() == before) System.gc();
        Thread.sleep(300);
      }
      MemoryUsage h = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage();
      long n = 0, ms = 0;
      for (GarbageCollectorMXBean g : ManagementFactory.getGarbageCollectorMXBeans()) { n += g.getCollectionCount(); ms += g.getCollectionTime(); }
      System.out.println(h.getUsed() + " " + h.getCommitted() + " " + h.getMax() + " " + n + " " + ms);
    }
  }
}`;

export interface Beans {
  readonly usedBytes: number;
  readonly committedBytes: number;
  readonly maxBytes: number;
  readonly collections: number;
  readonly collectionMs: number;
}

export interface Jvm {
  readonly pid: number;
  /** What its own beans say; `collect` makes garbage and collects it before. */
  readonly beans: (what: 'collect' | 'look') => Promise<Beans>;
  /** Does nothing when it has ended. */
  readonly end: (signal: NodeJS.Signals) => Promise<void>;
}

export interface Java {
  /** For files of the tests; gone at the end. */
  readonly dir: string;
  readonly start: (options?: readonly string[], java?: string) => Promise<Jvm>;
  readonly close: () => void;
}

/** Compiles the program. */
export function openJava(): Java {
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-jvm-'));
  const started = new Set<ChildProcess>();
  writeFileSync(join(dir, `${mainClass}.java`), program);
  execFileSync('javac', ['-d', dir, join(dir, `${mainClass}.java`)]);
  return {
    dir,
    start: async (options = [], java = 'java') => {
      const stdio = ['pipe', 'pipe', 'ignore'] as const;
      const child = spawn(java, ['-Xmx64m', ...options, '-cp', dir, mainClass], { stdio: [...stdio] });
      started.add(child);
      return jvmOf(child);
    },
    close: () => {
      for (const child of started) {
        child.kill('SIGKILL');
        rmSync(join(perfFolder, String(child.pid)), { force: true }); // kill -9 leaves it behind
      }
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function jvmOf(child: ChildProcess): Promise<Jvm> {
  const { stdin, stdout } = child;
  assert.ok(stdin !== null && stdout !== null);
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  /** Agents say things of their own between. */
  const next = async (wanted: RegExp): Promise<string> => {
    for (;;) {
      const line = await lines.next();
      assert.ok(line.done !== true, 'the JVM ended');
      if (wanted.test(line.value)) return line.value;
    }
  };
  await next(/^ready$/);
  return {
    pid: child.pid ?? 0,
    beans: async (what) => {
      stdin.write(`${what}\n`);
      const [usedBytes = NaN, committedBytes = NaN, maxBytes = NaN, collections = NaN, collectionMs = NaN] = (
        await next(/^\d+( \d+){4}$/)
      )
        .split(' ')
        .map(Number);
      return { usedBytes, committedBytes, maxBytes, collections, collectionMs };
    },
    end: async (signal) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.kill(signal);
      await exit;
    },
  };
}

/** A JDK that writes its performance file at collections only; undefined where none is installed. */
export function javaSince(version: number): string | undefined {
  return globSync('/usr/lib/jvm/*/release')
    .filter((file) => {
      const [, found] = /^JAVA_VERSION="(\d+)/m.exec(readFileSync(file, 'utf8')) ?? [];
      return Number(found) >= version;
    })
    .map((file) => join(file, '..', 'bin', 'java'))
    .find((java) => existsSync(java));
}
