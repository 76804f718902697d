// Follows a log file over rotation (rename and create, copy and truncate), truncation and its own restarts, in bounded
// steps. What it cannot follow without a doubt is a gap, and counted.
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { codeOf } from './errors.ts';
import { TailFile, type FileMark, type LineSink } from './log-tail-file.ts';

/** Where reading goes on, oldest file first: to be kept by whoever wants no lines lost over a restart. */
export type TailMark = readonly FileMark[];

export interface TailReport {
  /** False while there is no such file. */
  readonly isThere: boolean;
  /** `end`: what the file held at the first look was left out. */
  readonly began: 'beginning' | 'end' | 'mark' | undefined;
  readonly behindBytes: number;
  /** Times that lines may have been missed or left out. */
  readonly gaps: number;
  /** How often another file was found in its place, or it was emptied. */
  readonly rotations: number;
}

export interface LogTailOptions {
  readonly path: string;
  /** Where another tail has stopped; without one, reading begins at the end of a file that is already there. */
  readonly from?: TailMark | undefined;
  /** A longer line counts with its beginning. */
  readonly maxLineBytes?: number;
  /** More than this is not caught up with: it is left out. */
  readonly maxBehindBytes?: number;
  /** Who writes a log may go on for a while in the file that was moved away. */
  readonly lingerMs?: number;
}

/** Files held open at once, and old files looked into after a rotation. */
const maxFiles = 16;
/** A file that was removed frees its space only when nobody holds it open. */
const lingerUnlinkedTimes = 20;
/** Before this many bytes, equal contents may be chance. */
const minAnchorBytes = 32;

interface Followed {
  readonly file: TailFile;
  /** At the last look. */
  sizeBytes: number;
  /** Since when, on the monotonic clock, nothing was added. */
  quietSinceMs: number | undefined;
  /** A copy or an older file: nobody writes to it. */
  readonly isFinal: boolean;
}

export class LogTail {
  readonly #options: Required<Omit<LogTailOptions, 'from'>>;
  #from: TailMark | undefined;
  #files: Followed[] = [];
  #hasLooked = false;
  #isClosed = false;
  #began: TailReport['began'];
  #gaps = 0;
  #rotations = 0;

  constructor({ from, ...options }: LogTailOptions) {
    this.#options = {
      maxLineBytes: 16 * 1024,
      maxBehindBytes: 256 * 1024 * 1024,
      lingerMs: 60_000,
      ...options,
    };
    this.#from = from;
  }

  get mark(): TailMark {
    if (this.#from !== undefined) return this.#from;
    return this.#files.map(({ file }) => file.mark);
  }

  /** Reads what was added since, at most the sink's budget. @throws what the file system throws; the next read goes on */
  async read(sink: LineSink, nowMonoMs: number): Promise<TailReport> {
    if (this.#isClosed) throw new Error('this tail is closed');
    await this.#discover();
    await this.#checkIntact();
    await this.#boundBacklog();
    for (const followed of this.#files) {
      const isAtEnd = await followed.file.read(sink);
      const { sizeBytes } = await followed.file.stat();
      if (!isAtEnd || sizeBytes !== followed.sizeBytes) followed.quietSinceMs = undefined;
      followed.sizeBytes = sizeBytes;
      if (!isAtEnd) break;
      followed.quietSinceMs ??= nowMonoMs;
    }
    await this.#letGo(sink, nowMonoMs);
    const behind = await Promise.all(this.#files.map(({ file }) => file.behindBytes()));
    return {
      isThere: this.#files.length > 0,
      began: this.#began,
      behindBytes: behind.reduce((sum, bytes) => sum + bytes, 0),
      gaps: this.#gaps,
      rotations: this.#rotations,
    };
  }

  /** Its mark stays as it is. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#files.map(({ file }) => file.close()));
  }

  /** Puts the file that now bears the name at the end of those that are followed, if it is another one. */
  async #discover(): Promise<void> {
    const { path } = this.#options;
    if (this.#from !== undefined) {
      const from = this.#from;
      await this.#resume(from);
      this.#from = undefined;
    }
    const newest = this.#files.at(-1);
    if (newest !== undefined && (await idOf(path)) === newest.file.id) return;
    const file = await this.#open(path);
    const isFirst = !this.#hasLooked;
    this.#hasLooked = true;
    if (file === undefined) return;
    const known = this.#files.find((f) => f.file.id === file.id);
    if (known !== undefined) {
      await file.close(); // moved back, or it changed between the two looks
      this.#files = [...this.#files.filter((f) => f !== known), known];
      return;
    }
    if (newest !== undefined) {
      this.#rotations += 1;
      await this.#addBetween(newest.file, file.id);
    } else if (isFirst && this.#began === undefined) {
      await file.seekEnd();
      this.#began = 'end';
    }
    this.#began ??= 'beginning';
    this.#add(file, false);
  }

  /** Finds what a mark names: under its name, moved away, or as a copy. */
  async #resume(from: TailMark): Promise<void> {
    for (const mark of from) {
      const found = await this.#find(mark, [this.#options.path, ...(await this.#siblings())]);
      if (found === undefined) {
        this.#gaps += 1;
        continue;
      }
      found.seek(mark);
      this.#add(found, false);
    }
    this.#hasLooked = true;
    this.#began = from.length > 0 ? 'mark' : 'beginning';
  }

  async #find(mark: FileMark, paths: readonly string[]): Promise<TailFile | undefined> {
    let copy: TailFile | undefined;
    for (const path of paths) {
      const file = await this.#open(path).catch(() => undefined);
      if (file === undefined) continue;
      const isKnown = this.#files.some((f) => f.file.id === file.id);
      const holds = !isKnown && (await file.holds(mark));
      if (holds && file.id === mark.file) {
        await copy?.close();
        return file;
      }
      const isLong = Buffer.byteLength(mark.anchor, 'base64') >= minAnchorBytes;
      if (holds && isLong && copy === undefined) copy = file;
      else await file.close();
    }
    return copy;
  }

  /** A file that was emptied: what stood in it and was not read yet may be in a copy. */
  async #checkIntact(): Promise<void> {
    for (const followed of [...this.#files]) {
      const { file } = followed;
      if (await file.isIntact()) continue;
      this.#rotations += 1;
      const copy = await this.#find({ ...file.mark, file: '' }, await this.#siblings());
      if (copy === undefined) this.#gaps += 1;
      else {
        copy.seek(file.mark);
        this.#files.splice(this.#files.indexOf(followed), 0, {
          file: copy,
          sizeBytes: 0,
          quietSinceMs: undefined,
          isFinal: true,
        });
      }
      file.seek({ offset: 0, anchor: '', skipping: false });
    }
  }

  /** Files that came and were moved away between two looks: last changed after the one that was followed. */
  async #addBetween(last: TailFile, currentId: string): Promise<void> {
    const { modifiedMs } = await last.stat();
    const found: { readonly file: TailFile; readonly modifiedMs: number }[] = [];
    for (const path of await this.#siblings()) {
      const file = await this.#open(path).catch(() => undefined);
      if (file === undefined) continue;
      const changed = (await file.stat()).modifiedMs;
      const isKnown = file.id === currentId || this.#files.some((f) => f.file.id === file.id);
      const isCopy = last.mark.offset > 0 && (await file.holds(last.mark));
      if (isKnown || isCopy || changed <= modifiedMs) await file.close();
      else found.push({ file, modifiedMs: changed });
    }
    for (const { file } of found.sort((a, b) => a.modifiedMs - b.modifiedMs)) this.#add(file, true);
  }

  async #boundBacklog(): Promise<void> {
    for (;;) {
      const behind = await Promise.all(this.#files.map(({ file }) => file.behindBytes()));
      const all = behind.reduce((sum, bytes) => sum + bytes, 0);
      if (all <= this.#options.maxBehindBytes && this.#files.length <= maxFiles) return;
      this.#gaps += 1;
      const [oldest, next] = this.#files;
      if (next === undefined) {
        await oldest?.file.seekEnd();
        return;
      }
      this.#files.shift();
      await oldest?.file.close();
    }
  }

  /** Ends with files that nobody writes any more. */
  async #letGo(sink: LineSink, nowMonoMs: number): Promise<void> {
    const newest = this.#files.at(-1);
    const isMoved = newest !== undefined && (await idOf(this.#options.path)) !== newest.file.id;
    for (const followed of [...this.#files]) {
      const { file, quietSinceMs, isFinal } = followed;
      if (quietSinceMs === undefined || (await file.behindBytes()) > this.#options.maxLineBytes) continue;
      const quietMs = nowMonoMs - quietSinceMs;
      if (followed === newest) {
        const isGone = isMoved && (await file.stat()).isUnlinked;
        if (!isGone || quietMs < this.#options.lingerMs * lingerUnlinkedTimes) continue;
      } else if (!isFinal && quietMs < this.#options.lingerMs) continue;
      await file.finish(sink.onLine);
      this.#files = this.#files.filter((f) => f !== followed);
      await file.close();
    }
  }

  #add(file: TailFile, isFinal: boolean): void {
    if (this.#isClosed) void file.close(); // opened while it was being closed
    this.#files.push({ file, sizeBytes: 0, quietSinceMs: undefined, isFinal });
  }

  #open(path: string): Promise<TailFile | undefined> {
    return TailFile.open(path, this.#options.maxLineBytes);
  }

  /**
   * Rotated files, the last changed first: `x.log.1`, `x.log-20260131`, `x-1.log`, `x.2026-01-31.log`. Compressed ones
   * cannot be read on.
   */
  async #siblings(): Promise<readonly string[]> {
    const { path } = this.#options;
    const [folder, base, extension] = [dirname(path), basename(path), extname(path)];
    const stem = base.slice(0, base.length - extension.length);
    const digits = /^[-._]\d[\d\-_.T:]*$/;
    const entries = await readdir(folder).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    });
    const names = entries.filter(
      (name) =>
        (name.startsWith(base) && digits.test(name.slice(base.length))) ||
        (name.startsWith(stem) && name.endsWith(extension) && digits.test(name.slice(stem.length, -extension.length))),
    );
    const found: { readonly path: string; readonly modifiedMs: number }[] = [];
    for (const name of names) {
      const file = join(folder, name);
      const modifiedMs = await stat(file).then(
        (s) => (s.isFile() ? s.mtimeMs : undefined),
        () => undefined, // rotated on meanwhile
      );
      if (modifiedMs !== undefined) found.push({ path: file, modifiedMs });
    }
    const newestFirst = found.sort((a, b) => b.modifiedMs - a.modifiedMs);
    return newestFirst.slice(0, maxFiles).map((f) => f.path);
  }
}

async function idOf(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found === undefined ? undefined : `${found.dev}:${found.ino}`;
}
