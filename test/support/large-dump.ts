// A dump of any size in gzip, made of few members written again and again, and what reading it costs the exporter.
import { createHash } from 'node:crypto';
import { open, utimes } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { gzipSync } from 'node:zlib';
import { backup } from '../../exporter/systems/backup/index.ts';
import { WatchedTarget } from './watched-target.ts';

const memberBytes = 8 * 1024 * 1024;

/** @returns how much is stored */
export async function writeLargeDump(path: string, contentBytes: number): Promise<number> {
  const rows: string[] = [];
  for (let i = 0, bytes = 0; bytes < memberBytes; i++) {
    const row = `INSERT INTO \`orders\` VALUES (${String(i)},'${createHash('md5').update(String(i)).digest('hex')}','a customer of no great name');\n`;
    rows.push(row);
    bytes += row.length;
  }
  const body = Buffer.from(rows.join(''));
  const member = gzipSync(body, { level: 1 });
  let stored = 0;
  {
    await using file = await open(path, 'w');
    const add = async (bytes: Buffer): Promise<void> => void (stored += (await file.write(bytes)).bytesWritten);
    await add(gzipSync('-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB\n\n-- Table structure for table `orders`\n'));
    for (let written = 0; written < contentBytes; written += body.length) await add(member);
    await add(gzipSync('-- Dump completed\n'));
  }
  const past = new Date(Date.now() - 60_000);
  await utimes(path, past, past);
  return stored;
}

export interface ReadingCost {
  readonly state: string | undefined;
  readonly tookSeconds: number;
  readonly contentBytes: number | undefined;
  /** Resident memory at its highest above that of sweeps alone. */
  readonly grownBytes: number;
  /** Of the sweeps beside it. */
  readonly sweeps: number;
  readonly slowestSweepMs: number;
  readonly loopDelayMs: number;
}

/** Reads the one backup in the folder as the exporter does, with a sweep every 50 ms beside it. */
export async function costOfReading(directory: string, rate: string, deadlineMs: number): Promise<ReadingCost> {
  const collectors = { backup_files: { verify_rate: rate } };
  await using target = new WatchedTarget(backup, { address: { directory, pattern: '*.sql.gz' }, collectors });
  const full = { type: 'full' };
  // The sweeps have garbage of their own: what the reading takes is what comes on top of that.
  let before = 0;
  for (let i = 0; i < 500; i++) {
    await target.measure();
    before = Math.max(before, process.memoryUsage.rss());
  }
  const loop = monitorEventLoopDelay({ resolution: 5 });
  loop.enable();
  target.beginBackground();
  const beganMs = performance.now();
  let [highest, slowestSweepMs, sweeps] = [before, 0, 0];
  for (;;) {
    const measured = await target.measure();
    sweeps += 1;
    slowestSweepMs = Math.max(slowestSweepMs, measured.tookMs);
    highest = Math.max(highest, process.memoryUsage.rss());
    const state = measured.state('backup_verified', full);
    if (state !== 'pending' || performance.now() - beganMs > deadlineMs) {
      loop.disable();
      return {
        state,
        tookSeconds: (performance.now() - beganMs) / 1_000,
        contentBytes: measured.value('backup_content_bytes', full),
        grownBytes: highest - before,
        sweeps,
        slowestSweepMs,
        loopDelayMs: loop.max / 1e6,
      };
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
