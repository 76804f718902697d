// The ladder: one backup, file or folder, read to its end and judged.
import { stat } from 'node:fs/promises';
import { judgeStatusFile } from './facts-judge-status.ts';
import { aofFolder } from './facts-folder-aof.ts';
import { xtrabackupFolder } from './facts-folder-xtrabackup.ts';
import { folderOf, type FolderFormat, type Progress } from './facts-folder.ts';
import type { BackupTool } from './address.ts';
import { readContent, SummedFault, type ChecksumResult, type Content } from './facts-content.ts';
import { aofFormat } from './facts-format-aof.ts';
import { binlogFormat } from './facts-format-binlog.ts';
import { mydumperFormat } from './facts-format-mydumper.ts';
import { mysqldumpFormat } from './facts-format-mysqldump.ts';
import { rdbFormat } from './facts-format-rdb.ts';
import { xbstreamFormat } from './facts-format-xbstream.ts';
import type { FileFormat, FormatInspector } from './facts-format.ts';
import { Fault, type Reading, type Rung, type Told, type Verdict } from './facts-verdict.ts';

/** In the order in which they are tried. */
const fileFormats: readonly FileFormat[] = [xbstreamFormat, rdbFormat, binlogFormat, mysqldumpFormat, aofFormat];

const folderFormats: readonly (readonly [tool: BackupTool, format: FolderFormat])[] = [
  ['mydumper', mydumperFormat],
  ['xtrabackup', xtrabackupFolder],
  ['aof', aofFolder],
];

/** What one of these tools writes is not looked into for its format: only compression and check sum are verified. */
const anyFormat: readonly BackupTool[] = ['status_file'];

/**
 * Reads a backup through to its end.
 * @param tool what it should be of; undefined for whatever it is
 * @throws what reading throws: the disk, a permission, a file that was taken away or changed while it was read
 */
export async function judgeBackup(path: string, tool: BackupTool | undefined, reading: Reading): Promise<Verdict> {
  const beganMs = reading.clock.monoMs();
  const progress: Progress = { rungs: [], readBytes: 0, contentBytes: 0 };
  const done = (found: Pick<Verdict, 'class' | 'why' | 'told'>): Verdict => ({
    ...found,
    ...progress,
    tookSeconds: (reading.clock.monoMs() - beganMs) / 1_000,
  });
  const isFolder = (await stat(path)).isDirectory();
  try {
    const judge = isFolder ? judgeFolder : tool === 'status_file' ? judgeStatus : judgeFile;
    const { told, why } = await judge(path, tool, reading, progress);
    progress.rungs.push({ rung: 'end', ok: true, why });
    return done({ class: 'complete', why, told });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (error instanceof SummedFault) progress.rungs.push(checksumRung(error.checksum));
    const ok = error.class === 'encrypted' || error.class === 'unreadable' ? 'unknown' : false;
    const rung: Rung = { rung: error.rung, ok, why: error.message };
    const before = progress.rungs.filter((r) => r.rung !== error.rung);
    const read: Rung = { rung: 'file', ok: true, why: 'it can be read' };
    const isNoted = error.rung === 'file' || before.some((r) => r.rung === 'file');
    progress.rungs.splice(0, Infinity, ...(isNoted ? [] : [read]), ...before, rung);
    return done({ class: error.class, why: error.message, told: {} });
  }
}

interface Judged {
  readonly told: Told;
  readonly why: string;
}

async function judgeStatus(
  path: string,
  tool: BackupTool | undefined,
  reading: Reading,
  progress: Progress,
): Promise<Judged> {
  return await judgeStatusFile(path, reading, progress, (backup) => judgeFile(backup, tool, reading, progress));
}

async function judgeFile(
  path: string,
  tool: BackupTool | undefined,
  reading: Reading,
  progress: Progress,
): Promise<Judged> {
  let inspector: FormatInspector | undefined;
  let format: FileFormat | undefined;
  const content = await readContent(path, reading, (head) => {
    format = formatOf(head, tool);
    return (inspector = format?.inspect(head)) ?? { push: () => undefined };
  });
  note(content, progress);
  if (format === undefined || inspector === undefined) {
    return { told: {}, why: 'it is sound to its end; what is in it is not looked into' };
  }
  progress.rungs.push({ rung: 'format', ok: true, why: `it is ${format.what}` });
  return inspector.end(content);
}

/** Undefined where the content may be anything. @throws Fault */
function formatOf(head: Buffer, tool: BackupTool | undefined): FileFormat | undefined {
  const found = fileFormats.find((format) => format.isLike(head));
  if (tool !== undefined && anyFormat.includes(tool)) return undefined;
  if (tool === undefined || found?.tools.includes(tool) === true) {
    if (found !== undefined) return found;
    throw new Fault('not_a_dump', 'it does not begin like any backup that is known here');
  }
  if (tool === 'aof' && found === rdbFormat) {
    // Redis before 7 put an RDB in front of the commands: where that ends is not told.
    throw new Fault('unreadable', 'commands after an RDB in one file are not read here');
  }
  const wanted = fileFormats.find((format) => format.tools.includes(tool))?.what ?? `a backup of ${tool}`;
  if (found === undefined) throw new Fault('not_a_dump', `it does not begin like ${wanted}`);
  throw new Fault('not_a_dump', `it is ${found.what}, and not ${wanted}`);
}

function note({ compression, hasUnsummed, readBytes, contentBytes, checksum }: Content, progress: Progress): void {
  progress.readBytes += readBytes;
  progress.contentBytes += contentBytes;
  progress.rungs.push({ rung: 'file', ok: true, why: `${String(readBytes)} bytes were read` });
  if (checksum !== undefined) progress.rungs.push(checksumRung(checksum));
  if (compression === 'none') return;
  const unsummed = hasUnsummed ? ', but without check sums: not every damage would be seen' : '';
  progress.rungs.push({ rung: 'compression', ok: true, why: `${compression}, sound to its end${unsummed}` });
}

function checksumRung({ from, ok }: ChecksumResult): Rung {
  return { rung: 'checksum', ok, why: ok ? `as ${from} says` : `not as ${from} says` };
}

async function judgeFolder(
  path: string,
  tool: BackupTool | undefined,
  reading: Reading,
  progress: Progress,
): Promise<Judged> {
  const folder = await folderOf(path);
  if (folder.files.length === 0) throw new Fault('empty', 'there is nothing in the folder', 'file');
  const found = folderFormats.find(([of, format]) => (tool === undefined || of === tool) && format.isLike(folder));
  if (found === undefined) {
    const wanted = folderFormats.find(([of]) => of === tool)?.[1].what ?? 'a backup that is known here';
    throw new Fault('not_a_dump', `it is not ${wanted}`);
  }
  const [, format] = found;
  progress.rungs.push({ rung: 'format', ok: true, why: `it is ${format.what}` });
  const seen = await format.judge(folder, reading, progress);
  progress.rungs.unshift({ rung: 'file', ok: true, why: `${String(progress.readBytes)} bytes were read` });
  return seen;
}
