// What lies in a folder of backups, by names, sizes and times alone: nothing is read but the few lines in which a folder
// of xtrabackup says what it is.
import type { BigIntStats } from 'node:fs';
import { open, readdir, readlink, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, TargetError } from '../../runtime/errors.ts';
import { globOf } from '../../runtime/glob.ts';
import { parseStatus } from './facts-status-file.ts';
import { mainTypeOf, makesFolders, type BackupAddress, type BackupType } from './address.ts';

export interface BackupFile {
  readonly path: string;
  readonly name: string;
  readonly type: BackupType;
  /** A folder's size is the sum of what is in it, its time that of what was written last in it. */
  readonly isFolder: boolean;
  readonly sizeBytes: number;
  readonly modifiedAtMs: number;
  /** Of the file system; undefined where it has none. */
  readonly createdAtMs: number | undefined;
  readonly inode: string;
}

/** A name that says that it is not ready yet; `type` is that of the name without it. */
export interface TemporaryFile {
  readonly name: string;
  readonly type: BackupType;
  readonly sizeBytes: number;
  readonly modifiedAtMs: number;
  readonly createdAtMs: number | undefined;
}

/** A link such as `latest`. */
export interface BackupLink {
  readonly name: string;
  /** As the link says it. */
  readonly to: string;
  /** The inode of what is there; undefined for a link to nothing. */
  readonly inode: string | undefined;
}

export interface BackupSurvey {
  /** Newest first, those of a time in the future last; one inode once, whatever its names. Temporary names are left out. */
  readonly files: readonly BackupFile[];
  readonly temporary: readonly TemporaryFile[];
  readonly links: readonly BackupLink[];
}

/** More than a folder of backups has; a wrong pattern on a folder of millions must not hold up the rest. */
const filesAtMost = 10_000;
/** Of one backup that is a folder: a file per table and chunk. */
const partsAtMost = 50_000;
/** A folder that was written last this long ago is not walked again, as long as its own time stays. */
const quietMs = 600_000;

interface Walked {
  readonly version: string;
  readonly sizeBytes: number;
  readonly modifiedAtMs: number;
  readonly type: BackupType;
}

/** What is kept from look to look: quiet folders, by inode. */
export class SurveyMemory {
  readonly folders = new Map<string, Walked>();
}

const temporaryEnd = /\.(tmp|temp|part|partial)$/i;

/** Names that tools and people give to a file that is not ready yet. */
export function isTemporary(name: string): boolean {
  return name.startsWith('.') || temporaryEnd.test(name);
}

/** What it will be called: rsync writes to `.NAME.` and six characters. */
function finalNames(name: string): readonly string[] {
  const bare = name.replace(/^\./, '').replace(temporaryEnd, '');
  return [name, bare, bare.replace(/\.[A-Za-z0-9]{6}$/, '')];
}

/** Of a file with the check sum of another one beside it. */
const checksumEnd = /\.(sha256|sha512|sha1|md5)$/;

/** The type of a backup of this name; undefined when it is none. */
function typesOf(address: BackupAddress): (name: string) => BackupType | undefined {
  const isMain = globOf(address.pattern);
  const isIncremental = address.incremental === undefined ? undefined : globOf(address.incremental.pattern);
  const main = mainTypeOf(address);
  return (name) => {
    if (checksumEnd.test(name)) return undefined; // `orders-*` matches them too
    return isIncremental?.(name) === true ? 'incremental' : isMain(name) ? main : undefined;
  };
}

/** @throws what reading the folder throws; TargetError when there is too much in it */
export async function surveyFolder(
  address: BackupAddress,
  memory: SurveyMemory,
  signal: AbortSignal,
  nowMs: number,
): Promise<BackupSurvey> {
  const { directory } = address;
  const typeOf = typesOf(address);
  const files = new Map<string, BackupFile>();
  const temporary: TemporaryFile[] = [];
  const links: BackupLink[] = [];
  const entries = await readdir(directory, { withFileTypes: true });
  const wanted = entries.filter(({ name }) => !isTemporary(name) && typeOf(name) !== undefined);
  if (wanted.length > filesAtMost) {
    throw new TargetError('failed', `${directory} has ${wanted.length} files of the pattern; at most ${filesAtMost}`);
  }
  // Links first: the name of what they point to is the one that stays.
  for (const entry of [...wanted].sort((a, b) => Number(b.isSymbolicLink()) - Number(a.isSymbolicLink()))) {
    signal.throwIfAborted();
    const type = typeOf(entry.name) ?? mainTypeOf(address);
    const file = await fileOf(address, { name: entry.name, type }, memory, signal, nowMs);
    if (file !== undefined) files.set(file.inode, file);
  }
  for (const { name } of entries.filter((e) => isTemporary(e.name)).slice(0, filesAtMost)) {
    signal.throwIfAborted();
    const type = finalNames(name).map(typeOf).find((t) => t !== undefined); // prettier-ignore
    const file = type === undefined ? undefined : await temporaryOf(directory, name, type);
    if (file !== undefined) temporary.push(file);
  }
  for (const entry of entries.filter((e) => e.isSymbolicLink()).slice(0, filesAtMost)) {
    signal.throwIfAborted();
    const link = await linkOf(directory, entry.name);
    if (link !== undefined) links.push(link);
  }
  forget(memory, files);
  return {
    files: [...files.values()].sort((a, b) => placeOf(b, nowMs) - placeOf(a, nowMs) || (a.name < b.name ? 1 : -1)),
    temporary,
    links,
  };
}

/** Clocks of two machines may differ by this much. */
const clockSlackMs = 60_000;

/** A time in the future says nothing, and would hide every backup that is made until then. */
export function isInFuture({ modifiedAtMs }: Pick<BackupFile, 'modifiedAtMs'>, nowMs: number): boolean {
  return modifiedAtMs > nowMs + clockSlackMs;
}

function placeOf(file: BackupFile, nowMs: number): number {
  return isInFuture(file, nowMs) ? 0 : file.modifiedAtMs;
}

function forget(memory: SurveyMemory, files: ReadonlyMap<string, BackupFile>): void {
  for (const inode of memory.folders.keys()) if (!files.has(inode)) memory.folders.delete(inode);
}

/** Undefined for what is no backup of this tool, or no longer there, or a link to nothing. */
async function fileOf(
  address: BackupAddress,
  { name, type }: { readonly name: string; readonly type: BackupType },
  memory: SurveyMemory,
  signal: AbortSignal,
  nowMs: number,
): Promise<BackupFile | undefined> {
  const path = join(address.directory, name);
  return await unlessGone(async () => {
    const s = await stat(path, { bigint: true });
    const its = { path, name, createdAtMs: createdAt(s), inode: inodeOf(s) };
    if (s.isFile()) {
      if (address.tool === 'status_file') return await statusOf({ ...its, type }, s, memory);
      return { ...its, type, isFolder: false, sizeBytes: Number(s.size), modifiedAtMs: modifiedAt(s) };
    }
    if (!s.isDirectory() || !makesFolders(address)) return undefined;
    const ownVersion = `${name} ${s.mtimeNs}`;
    const before = memory.folders.get(its.inode);
    if (before?.version === ownVersion && nowMs - before.modifiedAtMs > quietMs)
      return { ...its, ...before, isFolder: true };
    const inside = await walk(path, signal);
    const modifiedAtMs = Math.max(modifiedAt(s), inside.modifiedAtMs);
    const found = address.tool === 'xtrabackup' && type === 'full' ? await typeInside(path) : undefined;
    const walked = { version: ownVersion, sizeBytes: inside.sizeBytes, modifiedAtMs, type: found ?? type };
    memory.folders.set(its.inode, walked);
    return { ...its, sizeBytes: walked.sizeBytes, modifiedAtMs, type: walked.type, isFolder: true };
  });
}

/** The size of the backup that it tells of; its own where it does not. */
async function statusOf(
  file: Pick<BackupFile, 'path' | 'name' | 'type' | 'createdAtMs' | 'inode'>,
  s: BigIntStats,
  memory: SurveyMemory,
): Promise<BackupFile> {
  const version = `${file.name} ${s.mtimeNs} ${s.size}`;
  const before = memory.folders.get(file.inode);
  const sizeBytes =
    before?.version === version ? before.sizeBytes : (bytesIn(await readBeginning(file.path)) ?? Number(s.size));
  memory.folders.set(file.inode, { version, sizeBytes, modifiedAtMs: modifiedAt(s), type: file.type });
  return { ...file, isFolder: false, sizeBytes, modifiedAtMs: modifiedAt(s) };
}

function bytesIn(text: string): number | undefined {
  try {
    return parseStatus(text).bytes;
  } catch {
    return undefined; // what is wrong with it is told by whoever judges it
  }
}

export async function walk(path: string, signal: AbortSignal): Promise<{ sizeBytes: number; modifiedAtMs: number }> {
  let [sizeBytes, modifiedAtMs, parts] = [0, 0, 0];
  const folders = [path];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      signal.throwIfAborted();
      parts += 1;
      if (parts > partsAtMost) throw new TargetError('failed', `${path} has more than ${partsAtMost} files`);
      const its = join(folder, entry.name);
      if (entry.isDirectory()) folders.push(its);
      if (!entry.isFile()) continue;
      const s = await unlessGone(() => stat(its, { bigint: true }));
      if (s === undefined) continue;
      sizeBytes += Number(s.size);
      modifiedAtMs = Math.max(modifiedAtMs, modifiedAt(s));
    }
  }
  return { sizeBytes, modifiedAtMs };
}

/** `backup_type = incremental` in xtrabackup_checkpoints; MariaDB calls the file mariadb_backup_checkpoints since 11.1. */
export async function readCheckpoints(path: string): Promise<string | undefined> {
  for (const name of ['xtrabackup_checkpoints', 'mariadb_backup_checkpoints']) {
    const text = await unlessGone(() => readBeginning(join(path, name)));
    if (text !== undefined) return text;
  }
  return undefined;
}

async function typeInside(path: string): Promise<BackupType | undefined> {
  const text = await readCheckpoints(path);
  return text !== undefined && /^backup_type\s*=\s*incremental\s*$/m.test(text) ? 'incremental' : undefined;
}

/** Of a small text file; never more than 64 KiB of it. */
export async function readBeginning(path: string): Promise<string> {
  await using file = await open(path, 'r');
  const { buffer, bytesRead } = await file.read(Buffer.alloc(65_536), 0, 65_536, 0);
  return buffer.subarray(0, bytesRead).toString('utf8');
}

async function temporaryOf(directory: string, name: string, type: BackupType): Promise<TemporaryFile | undefined> {
  const s = await unlessGone(() => stat(join(directory, name), { bigint: true }));
  if (s === undefined || !(s.isFile() || s.isDirectory())) return undefined;
  return { name, type, sizeBytes: Number(s.size), modifiedAtMs: modifiedAt(s), createdAtMs: createdAt(s) };
}

async function linkOf(directory: string, name: string): Promise<BackupLink | undefined> {
  const path = join(directory, name);
  const to = await unlessGone(() => readlink(path));
  if (to === undefined) return undefined;
  const s = await unlessGone(async () => stat(await realpath(path), { bigint: true }));
  return { name, to, inode: s === undefined ? undefined : inodeOf(s) };
}

async function unlessGone<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ELOOP') return undefined;
    throw error;
  }
}

function inodeOf(s: BigIntStats): string {
  return `${s.dev}:${s.ino}`;
}

function createdAt(s: BigIntStats): number | undefined {
  return s.birthtimeMs > 0n ? Number(s.birthtimeNs) / 1e6 : undefined;
}

/** With parts of a millisecond, as stat() without bigint has it. */
function modifiedAt(s: BigIntStats): number {
  return Number(s.mtimeNs) / 1e6;
}
