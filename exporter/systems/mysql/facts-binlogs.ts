import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { MysqlClient, Row } from './client.ts';
import { numberIn } from './facts-cells.ts';
import { withGrant } from './facts-errors.ts';
import { atLeast } from './facts-version.ts';
import { factKey } from '../../facts.ts';

export interface BinlogPosition {
  readonly file: string;
  readonly position: number;
}

export interface BinlogFile {
  readonly name: string;
  /** What stands behind the last dot, as a number: 999999 is followed by 1000000. */
  readonly number: number;
  /** On disk, as the server says it. */
  readonly sizeBytes: number;
  /** MySQL: the file begins with a header that positions do not count. */
  readonly encrypted?: true;
}

/** Seen on MySQL 9.7 with binlog_encryption=ON: File_size 889 of the file that is written at position 377. */
const encryptionHeaderBytes = 512;

/** The position at which a file ends. */
export function endPosition({ sizeBytes, encrypted }: BinlogFile): number {
  return sizeBytes - (encrypted === true ? encryptionHeaderBytes : 0);
}

export interface Binlogs {
  /** Oldest first, as the server lists them. Empty when it writes no binary logs. */
  readonly files: readonly BinlogFile[];
  /** Where the server writes now; undefined when it writes no binary logs. */
  readonly current: BinlogPosition | undefined;
}

export const binlogsFact = factKey<Binlogs>('mysql.binlogs');

/**
 * What binary logs the server has. The current position is asked first: the list that is read after it then holds the
 * file of that position, and a file is never listed shorter than the position.
 *
 * Grants: REPLICATION CLIENT (MySQL, MariaDB before 10.5.2), BINLOG MONITOR (MariaDB since 10.5.2).
 */
export async function readBinlogs(client: MysqlClient, call: Call): Promise<Binlogs> {
  if (!client.logBin) return { files: [], current: undefined };
  const current = await readCurrent(client, call);
  return { current, files: await readFiles(client, call) };
}

async function readCurrent(client: MysqlClient, call: Call): Promise<BinlogPosition> {
  const [status] = await allowed(client, client.query(positionStatement(client), [], call));
  return currentOf(status, client.at);
}

async function readFiles(client: MysqlClient, call: Call): Promise<readonly BinlogFile[]> {
  const files = filesOf(await allowed(client, client.query('SHOW BINARY LOGS', [], call)));
  // The one that is being written is always there.
  if (files.length === 0) throw new TargetError('protocol', `mysql ${client.at}: writes binary logs but lists none`);
  return files;
}

async function allowed(client: MysqlClient, rows: Promise<readonly Row[]>): Promise<readonly Row[]> {
  const privilege = client.flavour === 'mariadb' && atLeast(client, 10, 5, 2) ? 'BINLOG MONITOR' : 'REPLICATION CLIENT';
  try {
    return await rows;
  } catch (error) {
    throw withGrant(error, client.account, privilege);
  }
}

/** A list of files with what it cost to get, for the next look. */
export interface BinlogsRead {
  readonly binlogs: Binlogs;
  /** monotonic: before the list was asked for */
  readonly listedAtMs: number;
  readonly listTookMs: number;
}

/** Listing takes at most this share of the time, and is never put off for longer than `listAtLeastEveryMs`. */
const listShare = 0.05;
const listAtLeastEveryMs = 300_000;
/** A list that comes within this time is read at every look. */
const quickListMs = 100;

/**
 * As readBinlogs(), but sparing with servers that have so many files that the list is slow (it opens each of them for
 * its size, and neither a row limit nor, in MySQL, a time limit can be put on SHOW): the list of an earlier look stands
 * for a while, brought up to date by the current position, as long as the server still writes the same file. A purge
 * shows that much later.
 */
export async function readBinlogsSparingly(
  client: MysqlClient,
  before: BinlogsRead | undefined,
  call: Call,
): Promise<BinlogsRead> {
  if (!client.logBin) {
    return { binlogs: { files: [], current: undefined }, listedAtMs: call.clock.monoMs(), listTookMs: 0 };
  }
  const current = await readCurrent(client, call);
  const listedAtMs = call.clock.monoMs();
  if (before !== undefined && before.listTookMs > quickListMs) {
    const dueMs = before.listedAtMs + Math.min(before.listTookMs / listShare, listAtLeastEveryMs);
    const newest = before.binlogs.files.at(-1);
    if (listedAtMs < dueMs && newest?.name === current.file && current.position >= endPosition(newest)) {
      const sizeBytes = newest.sizeBytes + current.position - endPosition(newest);
      const files = [...before.binlogs.files.slice(0, -1), { ...newest, sizeBytes }];
      return { ...before, binlogs: { files, current } };
    }
  }
  const files = await readFiles(client, call);
  return { binlogs: { files, current }, listedAtMs, listTookMs: call.clock.monoMs() - listedAtMs };
}

/**
 * SHOW MASTER STATUS is gone in MySQL 8.4; its successor came with 8.2.
 * MariaDB has had its own since 10.5.2: https://mariadb.com/kb/en/show-binlog-status/
 */
export function positionStatement(client: Pick<MysqlClient, 'flavour' | 'version'>): string {
  if (client.flavour === 'mariadb') return atLeast(client, 10, 5, 2) ? 'SHOW BINLOG STATUS' : 'SHOW MASTER STATUS';
  return atLeast(client, 8, 2, 0) ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS';
}

function currentOf(row: Row | undefined, at: string): BinlogPosition {
  const file = row?.['File'];
  const position = Number(row?.['Position']);
  if (typeof file !== 'string' || file === '' || !Number.isFinite(position)) {
    throw new TargetError('protocol', `mysql ${at}: writes binary logs but tells no position`);
  }
  return { file, position };
}

/** Rows of SHOW BINARY LOGS: Log_name, File_size and on MySQL 8 Encrypted. */
export function filesOf(rows: readonly Row[]): readonly BinlogFile[] {
  return rows.map((row) => {
    const name = row['Log_name'];
    const sizeBytes = numberIn(row, 'File_size');
    const number = typeof name === 'string' ? binlogNumber(name) : undefined;
    // A file left out would make the others look like all of them.
    if (typeof name !== 'string' || number === undefined || sizeBytes === undefined) {
      throw new TargetError('protocol', 'a binary log without a number or a size');
    }
    return { name, number, sizeBytes, ...(row['Encrypted'] === 'Yes' ? { encrypted: true } : {}) };
  });
}

/** `mysql-bin.a.000123` -> 123 */
export function binlogNumber(file: string): number | undefined {
  const [, digits] = /\.(\d+)$/.exec(file) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

function baseName(file: string): string {
  return file.slice(0, file.lastIndexOf('.'));
}

/**
 * -1 when `a` lies before `b`, 0 when they are the same place, 1 when after it; undefined when they are not of one
 * series of files. File numbers are compared as numbers.
 */
export function comparePositions(a: BinlogPosition, b: BinlogPosition): -1 | 0 | 1 | undefined {
  const [numberA, numberB] = [binlogNumber(a.file), binlogNumber(b.file)];
  if (numberA === undefined || numberB === undefined || baseName(a.file) !== baseName(b.file)) return undefined;
  const difference = numberA - numberB || a.position - b.position;
  return difference < 0 ? -1 : difference > 0 ? 1 : 0;
}

/** The file in the list that holds a position, by its number: a path or a zero more or less does not matter. */
export function fileOf(binlogs: Binlogs, position: BinlogPosition): BinlogFile | undefined {
  const number = binlogNumber(position.file);
  return binlogs.files.find((f) => f.number === number && baseName(f.name) === baseName(position.file));
}

/**
 * Bytes of binary log from one place to another, summed over the files between them. Undefined when a file between
 * them is missing from the list, when `from` lies after `to`, or behind the end of its file.
 */
export function bytesBetween(binlogs: Binlogs, from: BinlogPosition, to: BinlogPosition): number | undefined {
  const order = comparePositions(from, to);
  if (order === undefined || order > 0) return undefined;
  const [first, last] = [fileOf(binlogs, from), fileOf(binlogs, to)];
  if (first === undefined || last === undefined) return undefined;
  const between = binlogs.files.filter((f) => f.number >= first.number && f.number < last.number);
  if (between.length !== last.number - first.number) return undefined;
  if (first !== last && from.position > endPosition(first)) return undefined; // the end of the file was lost in a crash
  return between.reduce((sum, f) => sum + endPosition(f), 0) - from.position + to.position;
}
