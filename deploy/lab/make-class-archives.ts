// Makes the archives of class-archive.ts that are not there, by one life of Kafka and Maxwell in a lab. Part of the set-up;
// without them everything works, and starts later.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../exporter/runtime/errors.ts';
import { ports } from './address.ts';
import { classArchive } from './class-archive.ts';
import { fromCache } from './context.ts';
import { kafkaRelease } from './kafka.ts';
import { startLab, type Lab } from './lab.ts';
import { maxwellRelease } from './maxwell.ts';
import { socketAnswers, waitFor } from './ready.ts';

interface Life {
  readonly ready: (deadlineMs: number) => Promise<void>;
  /** In order, as the archive is written at the end. */
  readonly end: () => Promise<void>;
}

/** The same once more: what the lab has started as that part and has ended since. */
function lifeOf(argv: readonly string[], cwd: string, archive: string, isUp: () => Promise<boolean>): Life {
  const [java = '', ...args] = argv;
  const temporary = `${archive}.${String(process.pid)}`;
  const child = spawn(java, [`-XX:ArchiveClassesAtExit=${temporary}`, ...args], { cwd, stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      resolve();
    });
    child.once('error', () => {
      resolve();
    });
  });
  const killed = (): void => void child.kill('SIGKILL');
  process.once('exit', killed);
  return {
    ready: async (deadlineMs) => {
      await waitFor(isUp, { what: 'its second life', deadlineMs });
    },
    end: async () => {
      child.kill('SIGTERM');
      const late = setTimeout(killed, endMs);
      await ended;
      clearTimeout(late);
      process.off('exit', killed);
      if (isWhole(child) && existsSync(temporary)) renameSync(temporary, archive);
      rmSync(temporary, { force: true });
    },
  };
}

const readyMs = 120_000;
const endMs = 60_000;

/** It has ended by itself: one that was killed may have written half. */
function isWhole({ exitCode }: ChildProcess): boolean {
  return exitCode !== null;
}

function commandOf(lab: Lab, part: 'kafka' | 'maxwell'): readonly string[] {
  const { pid } = lab.part(part);
  return readFileSync(`/proc/${String(pid)}/cmdline`, 'utf8')
    .split('\0')
    .slice(0, -1);
}

async function make(): Promise<void> {
  await using lab = await startLab({ parts: ['source', 'kafka', 'maxwell', 'writer'] });
  const commands = { kafka: commandOf(lab, 'kafka'), maxwell: commandOf(lab, 'maxwell') };
  await lab.part('maxwell').stop();
  await lab.part('kafka').stop();
  const { signal } = new AbortController();
  const kafka = lifeOf(commands.kafka, join(lab.dir, 'kafka'), classArchive(kafkaRelease), () =>
    socketAnswers({ host: lab.address, port: ports.kafkaBehindLink }, signal),
  );
  await kafka.ready(readyMs);
  const atMs = Date.now();
  const maxwell = lifeOf(commands.maxwell, join(lab.dir, 'maxwell'), classArchive(maxwellRelease()), async () => {
    const [row] = await lab.sql('source', 'SELECT last_heartbeat_read AS readMs FROM maxwell.positions');
    return Number(row?.['readMs'] ?? 0) > atMs;
  });
  try {
    await maxwell.ready(readyMs);
  } finally {
    await maxwell.end();
    await kafka.end();
  }
}

// A folder on the class path rules archives out: https://docs.oracle.com/en/java/javase/17/docs/specs/man/java.html
const canArchive = !existsSync(join(fromCache(maxwellRelease()), 'shim'));
if (canArchive && ![kafkaRelease, maxwellRelease()].every((name) => existsSync(classArchive(name)))) {
  process.stdout.write('==> archiving the classes of Kafka and Maxwell\n');
  await make().catch((error: unknown) => {
    process.stdout.write(`==> none were made, JVMs start later: ${messageOf(error)}\n`);
  });
}
