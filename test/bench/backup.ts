// A dump of 5 GB is read to its end beside the sweeps: with how much memory, and do the sweeps feel it?
// `node --expose-gc test/bench/backup.ts [GB]`
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { costOfReading, writeLargeDump } from '../support/large-dump.ts';

const contentBytes = Number(process.argv[2] ?? 5) * 1e9;
const deadlineMs = 900_000;
/** What is stored is about 0.55 of it; as much again stays free. */
const { bavail, bsize } = await statfs(tmpdir());
if (bavail * bsize < contentBytes * 1.1)
  throw new Error(`${tmpdir()} has not ${String(contentBytes * 1.1)} bytes free`);

const directory = await mkdtemp(join(tmpdir(), 'pipemedic-bench-'));
try {
  const stored = await writeLargeDump(join(directory, 'a.sql.gz'), contentBytes);
  for (const rate of ['50MB', '5GB']) {
    const cost = await costOfReading(directory, rate, deadlineMs);
    process.stdout.write(`${JSON.stringify({ verify_rate: rate, storedBytes: stored, ...cost })}\n`);
  }
} finally {
  await rm(directory, { recursive: true });
}
