// Scheduled dumps: a backup has its name only when it is complete and on disk, both the dump and the compression having
// ended well. The newest few are kept.
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGzip } from 'node:zlib';
import { configFile, endSignal, messageOf, say } from './child.ts';

export interface BackupConfig {
  readonly program: string;
  /** Holds host, port, user and password, mode 0600. */
  readonly defaultsExtraFile: string;
  readonly database: string;
  readonly folder: string;
  readonly everyMs: number;
  readonly keep: number;
}

const config = configFile() as BackupConfig;
const ending = endSignal();
const deadlineMs = 60_000;

/** `20261121T093000Z` */
function stamp(at: Date): string {
  return at.toISOString().replace(/[-:]|\.\d+/g, '');
}

async function backUp(): Promise<void> {
  const begun = performance.now();
  const file = join(config.folder, `orders-${stamp(new Date())}.sql.gz`);
  const temporary = `${file}.part`;
  try {
    await dumpInto(temporary);
    await syncToDisk(temporary);
    await rename(temporary, file);
    await syncToDisk(config.folder);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  const { size } = await stat(file);
  say('backed up', { file, size, seconds: Math.round(performance.now() - begun) / 1000 });
}

async function dumpInto(file: string): Promise<void> {
  const dump = spawn(
    config.program,
    [
      `--defaults-extra-file=${config.defaultsExtraFile}`, // must be the first option
      '--single-transaction',
      '--master-data=2',
      '--gtid',
      '--routines=FALSE',
      '--databases',
      config.database,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], timeout: deadlineMs, killSignal: 'SIGKILL' },
  );
  let complaint = '';
  dump.stderr.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString('utf8')).slice(-2000)));
  const ended = new Promise<string>((resolve, reject) => {
    dump.once('error', reject);
    dump.once('close', (code, signal) => {
      resolve(signal ?? `exit code ${code ?? 'unknown'}`);
    });
  });
  const [how] = await Promise.all([
    ended,
    pipeline(dump.stdout, createGzip({ level: 6 }), createWriteStream(file, { mode: 0o600 })),
  ]);
  if (how !== 'exit code 0') throw new Error(`mariadb-dump ended with ${how}: ${complaint.trim()}`);
}

async function syncToDisk(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function prune(): Promise<void> {
  const names = (await readdir(config.folder)).filter((name) => /^orders-\d{8}T\d{6}Z\.sql\.gz$/.test(name)).sort();
  for (const name of names.slice(0, Math.max(0, names.length - config.keep))) await rm(join(config.folder, name));
}

while (!ending.aborted) {
  try {
    await backUp();
    await prune();
  } catch (error) {
    say('the backup failed', { error: messageOf(error) });
  }
  await sleep(config.everyMs, undefined, { signal: ending }).catch(() => undefined);
}
