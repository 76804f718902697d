// Faults that are not the end of a process or of a link.
import { spawnSync } from 'node:child_process';
import { readFileSync, renameSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { folderIn, isRoot, type LabContext } from './context.ts';
import { sql } from './mariadb.ts';
import { backupFiles } from './programs.ts';
import { waitFor } from './ready.ts';

/**
 * Begins a new binlog on the source and removes all before it, as an expiry set too short would.
 * @returns the file that is left
 */
export async function purgeBinlogs(lab: LabContext): Promise<string> {
  await sql(lab, 'source', 'FLUSH BINARY LOGS');
  const [status] = await sql(lab, 'source', 'SHOW MASTER STATUS');
  const file = String(status?.['File']);
  // A purge stops quietly at a file that is still needed: InnoDB has not written its checkpoint yet (it soon will), or
  // somebody reads it, such as a dump thread that has outlived its Maxwell
  const dumps = "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND = 'Binlog Dump' AND USER = 'maxwell'";
  await waitFor(
    async () => {
      await sql(lab, 'source', `PURGE BINARY LOGS TO '${file}'`);
      const left = (await sql(lab, 'source', 'SHOW BINARY LOGS')).map((row) => String(row['Log_name']));
      if (left[0] === file) return true;
      for (const thread of await sql(lab, 'source', dumps)) {
        await sql(lab, 'source', `KILL ${String(thread['ID'])}`).catch(() => undefined); // it has ended meanwhile
      }
      throw new Error(`still there: ${left.join(', ')}`);
    },
    { what: `the end of the binlogs before ${file}`, intervalMs: 200 },
  );
  return file;
}

export const backupFaults = ['truncate', 'empty', 'noTrailer', 'garbage'] as const;
export type BackupFault = (typeof backupFaults)[number];

/**
 * Spoils the newest finished backup, keeping its name and time of change.
 * @returns its path
 */
export function corruptBackup(lab: LabContext, fault: BackupFault): string {
  const file = backupFiles(lab).at(-1);
  if (file === undefined) throw new Error('there is no backup yet');
  const temporary = join(lab.dir, 'spoilt.tmp');
  writeFileSync(temporary, spoilt(readFileSync(file), fault), { mode: 0o600 });
  renameSync(temporary, file);
  return file;
}

function spoilt(content: Buffer, fault: BackupFault): Buffer {
  switch (fault) {
    case 'truncate':
      return content.subarray(0, Math.floor(content.length / 2));
    case 'empty':
      return Buffer.alloc(0);
    case 'noTrailer': {
      // sound gzip, but the dump ended before its last line
      const text = gunzipSync(content);
      const trailer = text.lastIndexOf('-- Dump completed');
      if (trailer < 0) throw new Error('the newest backup has no trailer to take away');
      return gzipSync(text.subarray(0, trailer));
    }
    case 'garbage':
      return Buffer.alloc(content.length, 'not a backup ');
  }
}

export type SmallDisk =
  | { readonly available: true; readonly path: string; fill(leaveBytes?: number): void; empty(): void }
  | { readonly available: false; readonly why: string };

/** A folder that holds no more than `bytes`: a tmpfs of its own, which only root may mount. */
export function smallDisk(lab: LabContext, bytes: number): SmallDisk {
  if (!isRoot()) return { available: false, why: 'only root may mount a tmpfs' };
  const path = folderIn(lab, 'small-disk');
  const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0700`, 'pipemedic-lab', path], {
    encoding: 'utf8',
    timeout: 5_000,
  });
  if (mount.status !== 0) {
    return { available: false, why: `mount: ${mount.error?.message ?? mount.stderr.trim()}` };
  }
  lab.reaper.mount(path);
  const ballast = join(path, 'ballast');
  return {
    available: true,
    path,
    fill: (leaveBytes = 0) => {
      writeFileSync(ballast, '');
      const { bavail, bsize } = statfsSync(path);
      writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - leaveBytes)));
    },
    empty: () => {
      writeFileSync(ballast, '');
    },
  };
}
