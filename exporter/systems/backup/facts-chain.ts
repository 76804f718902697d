// Do incremental backups go back to a full one, and does the archive of binary logs go on where it ends?
import type { Call } from '../../collector.ts';
import { binlogNumber } from '../mysql/facts-binlogs.ts';
import type { BackupType } from './address.ts';
import type { BackupClient, BackupFile } from './client.ts';
import { readBeginning, readCheckpoints } from './client-survey.ts';
import type { BackupCoordinates } from './facts-coordinates.ts';
import { parseStatus } from './facts-status-file.ts';
import type { ChainReason, ChainState } from './families-chain.ts';

/** A backup in a chain: `parent` is the `id` of the one that it builds upon. */
export interface Link {
  readonly name: string;
  readonly type: BackupType;
  readonly modifiedAtMs: number;
  /** Undefined where it does not tell. */
  readonly id: string | undefined;
  readonly parent: string | undefined;
  /** Of xtrabackup: ids are numbers that grow. */
  readonly from: number | undefined;
  readonly to: number | undefined;
}

export interface Chain {
  readonly state: ChainState;
  readonly reason: ChainReason;
  /** For people. */
  readonly why: string;
}

export interface IncrementalChain extends Chain {
  /** Incremental ones that would be restored with the newest full one of the chain; undefined when it is not valid. */
  readonly length: number | undefined;
  readonly orphans: readonly string[] | undefined;
  /** The newest backup that can be restored, the newest of a valid chain. */
  readonly newest: Link | undefined;
}

/**
 * xtrabackup_checkpoints: an incremental backup begins at the LSN at which the one that it builds upon ended.
 * https://docs.percona.com/percona-xtrabackup/8.0/create-incremental-backup.html
 */
export function linkOfCheckpoints(file: BackupFile, text: string | undefined): Link {
  const numberOf = (key: string): number | undefined => {
    const [, digits] = new RegExp(`^${key}\\s*=\\s*(\\d+)\\s*$`, 'm').exec(text ?? '') ?? [];
    return digits === undefined ? undefined : Number(digits);
  };
  const [from, to] = [numberOf('from_lsn'), numberOf('to_lsn')];
  const { name, type, modifiedAtMs } = file;
  return { name, type, modifiedAtMs, from, to, id: to?.toString(), parent: from?.toString() };
}

/** What is kept from look to look: a folder's few lines are read once, by inode and time. */
export class LinkMemory {
  readonly links = new Map<string, { readonly version: string; readonly link: Link }>();
}

export async function readLinks(
  client: BackupClient,
  files: readonly BackupFile[],
  memory: LinkMemory,
  call: Call,
): Promise<readonly Link[]> {
  for (const inode of memory.links.keys()) if (!files.some((f) => f.inode === inode)) memory.links.delete(inode);
  return await client.look(call, async () => {
    const links: Link[] = [];
    for (const file of files) {
      call.signal.throwIfAborted();
      const version = `${file.name} ${file.modifiedAtMs} ${file.sizeBytes}`;
      const before = memory.links.get(file.inode);
      const link = before?.version === version ? before.link : await linkOf(client, file);
      memory.links.set(file.inode, { version, link });
      links.push(link);
    }
    return links;
  });
}

async function linkOf({ address }: BackupClient, file: BackupFile): Promise<Link> {
  if (address.tool === 'status_file') return linkOfStatus(file, await readBeginning(file.path));
  return linkOfCheckpoints(file, file.isFolder ? await readCheckpoints(file.path) : undefined);
}

export function linkOfStatus(file: BackupFile, text: string): Link {
  const { name, type, modifiedAtMs } = file;
  const link = { name, type, modifiedAtMs, from: undefined, to: undefined };
  try {
    const { id, parent } = parseStatus(text);
    return { ...link, id, parent };
  } catch {
    return { ...link, id: undefined, parent: undefined };
  }
}

/** @param links finished backups, newest first */
export function chainOf(links: readonly Link[]): IncrementalChain {
  const incrementals = links.filter((l) => l.type === 'incremental');
  const fulls = links.filter((l) => l.type === 'full');
  const [newest] = incrementals;
  const [full] = fulls;
  const roots = new Map(incrementals.map((l) => [l, ancestorOf(l, links)]));
  const tells = incrementals.every((l) => l.parent !== undefined);
  const orphans =
    fulls.length === 0
      ? incrementals.map((l) => l.name)
      : tells
        ? incrementals.filter((l) => roots.get(l)?.root.type !== 'full').map((l) => l.name)
        : undefined;
  const bad = (state: ChainState, reason: ChainReason, why: string): IncrementalChain => {
    const whole = incrementals.find((l) => roots.get(l)?.root.type === 'full');
    const restorable = [whole, full].filter((l) => l !== undefined).sort((a, b) => b.modifiedAtMs - a.modifiedAtMs)[0];
    return { state, reason, why, length: undefined, orphans, newest: restorable };
  };
  if (newest === undefined) {
    if (full === undefined) return bad('unknown', 'no_backup', 'there is no backup');
    return { state: 'valid', reason: 'none', why: 'there are full backups only', length: 0, orphans, newest: full };
  }
  if (full === undefined) {
    return bad('orphaned', 'full_deleted', `${newest.name} is incremental, and there is no full backup`);
  }
  if (full.modifiedAtMs >= newest.modifiedAtMs) {
    return { state: 'valid', reason: 'none', why: `${full.name} is the newest`, length: 0, orphans, newest: full };
  }
  const { root, length } = ancestorOf(newest, links);
  if (root.type === 'full') {
    const why = `${newest.name} goes back to ${root.name} by ${length} incremental backups`;
    return { state: 'valid', reason: 'none', why, length, orphans, newest };
  }
  if (root.parent === undefined) {
    return bad('unknown', 'no_lsn', `${root.name} does not tell what it builds upon`);
  }
  const why = `${root.name} builds upon a backup that ended at ${root.parent}, which is not there`;
  const { from } = root;
  const untold = fulls.some((f) => f.id === undefined);
  if (untold) return bad('unknown', 'no_lsn', `${why}, but not every full backup tells where it ended`);
  // Ids that are no numbers do not tell whether the one that is missing was a full one.
  const isBefore = (f: Link): boolean => from === undefined || f.to === undefined || f.to <= from;
  if (!fulls.some(isBefore)) return bad('orphaned', 'full_deleted', why);
  return bad('broken', 'parent_missing', why);
}

/** The last one that is there on the way back, and how many incremental ones the way has. */
function ancestorOf(link: Link, links: readonly Link[]): { readonly root: Link; readonly length: number } {
  let at = link;
  let length = 0;
  const seen = new Set<Link>();
  while (at.type === 'incremental' && !seen.has(at)) {
    seen.add(at);
    length += 1;
    const parents = links.filter((l) => l !== at && !seen.has(l) && l.id !== undefined && l.id === at.parent);
    // Nothing was written between the two: an incremental one ended where it began.
    const parent = parents.find((l) => l.type === 'full') ?? parents[0];
    if (parent === undefined) break;
    at = parent;
  }
  return { root: at, length };
}

export interface Archive {
  /** Name without the number. */
  readonly base: string;
  /** Sorted, each once. */
  readonly numbers: readonly number[];
  readonly oldest: number;
  readonly newest: number;
  readonly missing: number;
  readonly newestFile: BackupFile;
}

const compressed = /\.(gz|zst|zstd|xz|bz2|lz4|enc|gpg)$/i;

function splitName(name: string): { base: string; number: number } | undefined {
  let bare = name;
  while (compressed.test(bare)) bare = bare.replace(compressed, '');
  const number = binlogNumber(bare);
  return number === undefined ? undefined : { base: bare.slice(0, bare.lastIndexOf('.')), number };
}

/** The logs of one server: those of the name that the newest has. Undefined when there is none. */
export function archiveOf(files: readonly BackupFile[]): Archive | undefined {
  const named = files.flatMap((file) => {
    const split = splitName(file.name);
    return split === undefined ? [] : [{ ...split, file }];
  });
  const base = named[0]?.base; // newest first
  if (base === undefined) return undefined;
  const its = named.filter((n) => n.base === base).sort((a, b) => a.number - b.number);
  const numbers = [...new Set(its.map((n) => n.number))];
  const [oldest, newest, last] = [numbers[0], numbers.at(-1), its.at(-1)];
  if (oldest === undefined || newest === undefined || last === undefined) return undefined;
  return { base, numbers, oldest, newest, missing: newest - oldest + 1 - numbers.length, newestFile: last.file };
}

/** Whether the archive has everything from `number` on. */
export function missingFrom(archive: Archive, number: number): number {
  if (number > archive.newest) return 0;
  return archive.newest - number + 1 - archive.numbers.filter((n) => n >= number).length;
}

/** @param full of the newest complete full backup; null for an archive that is looked at by itself */
export function archiveChainOf(archive: Archive | undefined, full: BackupCoordinates | undefined | null): Chain {
  if (archive === undefined) return { state: 'unknown', reason: 'no_backup', why: 'the archive is empty' };
  if (full === null) {
    if (archive.missing === 0) return { state: 'valid', reason: 'none', why: 'no number is missing' };
    return { state: 'broken', reason: 'gap', why: `${archive.missing} numbers are missing in the archive` };
  }
  const position = full?.position;
  if (full === undefined || position === undefined) {
    return { state: 'unknown', reason: 'no_position', why: 'the newest full backup does not tell its place in the binary logs' }; // prettier-ignore
  }
  const split = splitName(position.file);
  if (split === undefined) return { state: 'unknown', reason: 'no_position', why: `${position.file} has no number` };
  if (split.base !== archive.base) {
    const why = `${full.name} stands in ${position.file}, and the archive has logs named ${archive.base}`;
    return { state: 'unknown', reason: 'other_series', why };
  }
  if (archive.oldest > split.number) {
    const why = `${full.name} stands in ${position.file}, and the archive begins with number ${archive.oldest}`;
    return { state: 'broken', reason: 'starts_later', why };
  }
  const missing = missingFrom(archive, split.number);
  if (missing > 0) {
    return {
      state: 'broken',
      reason: 'gap',
      why: `${missing} numbers since ${position.file} are missing in the archive`,
    };
  }
  return { state: 'valid', reason: 'none', why: `the archive has every log since ${position.file}` };
}
