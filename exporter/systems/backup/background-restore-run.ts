// One test restore, from the backup's file to the comparison.
import { createReadStream } from 'node:fs';
import { open, statfs } from 'node:fs/promises';
import { basename } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Clock } from '../../runtime/clock.ts';
import { paused } from '../../runtime/repeat.ts';
import { killGroup, outputOf } from './background-restore-process.ts';
import { startScratchServer, type Programs, type ScratchServer } from './background-restore-server.ts'; // prettier-ignore
import { compressionOf, decompressed } from './facts-compression.ts';
import {
  compareRestored,
  DumpTables,
  RestoreFault,
  scratchDatabase,
  systemDatabases,
  type Expectations,
  type GoodRestore,
  type Restored,
  type TableContent,
} from './facts-restore.ts';

export interface RestoreJob {
  readonly path: string;
  /** Identity of the file. */
  readonly backup: string;
  readonly backupAtMs: number;
  /** Of the dump, unpacked. */
  readonly contentBytes: number;
  readonly programs: Programs;
  readonly scratchDirectory: string;
  /** Never taken: the folder may be shared. */
  readonly keepFreeBytes: number;
  readonly before: GoodRestore | undefined;
  readonly expected: Expectations;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** Tables and their indexes take more than the text of a dump. */
const spaceFactor = 2;
/** An empty server: its log and its own tables. */
const emptyServerBytes = 300 * 1_048_576;
const spaceEveryMs = 2_000;

/** @throws RestoreFault */
export async function restoreOnce(job: RestoreJob): Promise<GoodRestore> {
  const { clock } = job;
  await needSpace(job, job.contentBytes * spaceFactor + emptyServerBytes);
  const beganAtMs = clock.wallMs();
  const beganMs = clock.monoMs();
  await using server = await startScratchServer(job.programs, job.scratchDirectory, job.signal);
  const full = new AbortController();
  const signal = AbortSignal.any([job.signal, full.signal]);
  const watching = watchSpace(job, full, signal);
  try {
    const created = await load(job, server, signal);
    const durationSeconds = (clock.monoMs() - beganMs) / 1000;
    await server.restartWithoutGrants(signal);
    const contents = await countAll(server, signal);
    const rows = [...contents.values()].reduce((sum, its) => sum + its.rows, 0);
    const restored: Restored = { backup: job.backup, serverVersion: server.version, contents, rows, created };
    const rowsRatio = compareRestored(restored, job.before, job.expected);
    return {
      beganAtMs,
      backup: job.backup,
      backupAtMs: job.backupAtMs,
      serverVersion: server.version,
      durationSeconds,
      tables: contents.size,
      rows,
      ...(rowsRatio === undefined ? {} : { rowsRatio }),
      contents: Object.fromEntries(contents),
    };
  } catch (error) {
    if (full.signal.aborted) throw new RestoreFault('no_space', `${job.scratchDirectory} has become too full`, { cause: error }); // prettier-ignore
    throw error;
  } finally {
    full.abort();
    await watching;
  }
}

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

async function needSpace({ scratchDirectory, keepFreeBytes }: RestoreJob, bytes: number): Promise<void> {
  const free = await freeBytes(scratchDirectory);
  if (free >= bytes + keepFreeBytes) return;
  const mib = (n: number): string => `${Math.ceil(n / 1_048_576)} MiB`;
  throw new RestoreFault(
    'no_space',
    `${scratchDirectory} has ${mib(free)}, and ${mib(bytes + keepFreeBytes)} are needed`,
  );
}

async function watchSpace(job: RestoreJob, full: AbortController, signal: AbortSignal): Promise<void> {
  while (await paused(spaceEveryMs, signal)) {
    const free = await freeBytes(job.scratchDirectory).catch(() => Infinity);
    if (free < job.keepFreeBytes) full.abort();
  }
}

/** @returns the tables that the dump creates */
async function load({ path }: RestoreJob, server: ScratchServer, signal: AbortSignal): Promise<readonly string[]> {
  await ask(server, `CREATE DATABASE ${scratchDatabase}`, 'server', signal);
  const kind = await compressionOfFile(path);
  const tables = new DumpTables();
  // binary-mode: commands of the client itself, such as `system`, are not run from a dump
  const client = server.client(['--binary-mode', '--max-allowed-packet=1G', '--default-character-set=utf8mb4', scratchDatabase]); // prettier-ignore
  const answer = outputOf(client, 'load', signal);
  const { stdin } = client;
  if (stdin === null) throw new RestoreFault('load', 'the client has no input');
  const feeding = pipeline(
    decompressed(createReadStream(path), kind),
    async function* (source: AsyncIterable<Buffer>) {
      for await (const chunk of source) {
        tables.push(chunk);
        yield chunk;
      }
    },
    stdin,
    { signal },
  );
  // A client that stops at an error closes its input: what it says counts, not the pipe that breaks.
  const [fed, answered] = await Promise.allSettled([
    feeding.catch((error: unknown) => {
      stdin.destroy();
      // A file that cannot be read any further would look to the client like one that ends here.
      if (client.exitCode === null && client.signalCode === null && !isBrokenPipe(error)) killGroup(client);
      throw error;
    }),
    answer,
  ]);
  if (answered.status === 'rejected' && (fed.status === 'fulfilled' || isBrokenPipe(fed.reason))) throw answered.reason;
  if (fed.status === 'rejected') {
    if (signal.aborted) throw new RestoreFault('deadline', 'there was no time left', { cause: fed.reason });
    throw new RestoreFault('load', `the backup cannot be read: ${String(fed.reason)}`, { cause: fed.reason });
  }
  return tables.created;
}

function isBrokenPipe(error: unknown): boolean {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return code === 'EPIPE' || code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ECONNRESET';
}

async function compressionOfFile(path: string): Promise<ReturnType<typeof compressionOf>> {
  await using file = await open(path, 'r');
  const { buffer, bytesRead } = await file.read(Buffer.alloc(64), 0, 64, 0);
  return compressionOf(buffer.subarray(0, bytesRead), basename(path));
}

/** The answer to statements, a row in a line. */
async function ask(
  server: ScratchServer,
  sql: string,
  reason: RestoreFault['reason'],
  signal: AbortSignal,
): Promise<string> {
  const client = server.client(['--batch', '--skip-column-names']);
  client.stdin?.on('error', () => undefined); // told by its end
  client.stdin?.end(`${sql};\n`);
  return await outputOf(client, reason, signal);
}

/** Every row and every byte of what was restored, read. */
async function countAll(server: ScratchServer, signal: AbortSignal): Promise<ReadonlyMap<string, TableContent>> {
  const hidden = systemDatabases.map((name) => `'${name}'`).join(', ');
  const list = await ask(
    server,
    `SELECT HEX(TABLE_SCHEMA), HEX(TABLE_NAME) FROM information_schema.TABLES
       WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND TABLE_SCHEMA NOT IN (${hidden}) ORDER BY 1, 2`,
    'count',
    signal,
  );
  const names = linesOf(list).map((line) => line.split('\t').map((hex) => Buffer.from(hex, 'hex').toString('utf8')));
  const contents = new Map<string, TableContent>();
  const quote = (name = ''): string => `\`${name.replaceAll('`', '``')}\``;
  for (const [database, table] of names) {
    const of = `${quote(database)}.${quote(table)}`;
    const [count, sum] = linesOf(
      await ask(server, `SELECT COUNT(*) FROM ${of}; CHECKSUM TABLE ${of}`, 'count', signal),
    );
    const rows = Number(count);
    const checksum = sum?.split('\t').at(-1);
    if (!Number.isInteger(rows) || checksum === undefined || checksum === 'NULL') {
      throw new RestoreFault('count', `${database ?? ''}.${table ?? ''} cannot be counted`);
    }
    contents.set(`${database ?? ''}.${table ?? ''}`, { rows, checksum });
  }
  return contents;
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}
