// The stream of xtrabackup and mariadb-backup: chunks of many files in turn, each chunk with a CRC-32, each file ended by
// a chunk that says so. Upstream: storage/innobase/xtrabackup/src/xbstream_read.cc; extra/mariabackup/xbstream_read.cc.
import { crc32, zstdDecompressSync } from 'node:zlib';
import type { FileFormat, Seen } from './facts-format.ts';
import { infoName, toldByXtrabackup, textNames } from './facts-format-xtrabackup.ts';
import { Sections, type SectionReader } from './facts-sections.ts';
import { Fault } from './facts-verdict.ts';

const magic = Buffer.from('XBSTCK01');
/** Magic, flags, type, length of the path. */
const headerBytes = 14;
/** Length, offset and check sum. */
const payloadHeaderBytes = 20;
const pathAtMost = 4_096;
const textAtMost = 64 * 1_024;
/** A backup has one file per table; names that a damaged file makes up must not fill the memory. */
const openAtMost = 1_000_000;

export const xbstreamFormat: FileFormat = {
  what: 'a stream of xtrabackup',
  tools: ['xtrabackup'],
  isLike: (head) => head.subarray(0, magic.length).equals(magic),
  inspect: () => {
    const stream = new Xbstream();
    return {
      push: (chunk) => {
        stream.sections.push(chunk);
      },
      end: () => stream.end(),
    };
  },
};

type Step = 'header' | 'path' | 'payloadHeader' | 'payload';

class Xbstream implements SectionReader {
  readonly sections = new Sections(headerBytes, this);
  #step: Step = 'header';
  readonly #have = Buffer.alloc(pathAtMost);
  #type = '';
  #path = '';
  #expected = 0;
  #sum = 0;
  readonly #open = new Set<string>();
  #ended = 0;
  #tables = 0;
  /** The few small files that say what it is. */
  readonly #texts = new Map<string, Buffer>();

  piece(bytes: Buffer, at: number): void {
    if (this.#step === 'payload') this.#payload(bytes);
    else bytes.copy(this.#have, at);
  }

  whole(length: number): number {
    switch (this.#step) {
      case 'header':
        return this.#header(this.#have);
      case 'path':
        this.#path = this.#have.toString('utf8', 0, length);
        if (this.#type === 'E') return this.#fileEnds();
        return this.#to('payloadHeader', payloadHeaderBytes);
      case 'payloadHeader':
        this.#open.add(this.#path);
        if (this.#open.size > openAtMost) throw new Fault('corrupt', 'it has too many files at a time');
        this.#expected = this.#have.readUInt32LE(16);
        this.#sum = 0;
        return this.#to('payload', Number(this.#have.readBigUInt64LE(0)));
      case 'payload':
        if (this.#sum !== this.#expected) {
          const where = `${this.#path}, which ends at byte ${String(this.sections.offset)}`;
          throw new Fault('corrupt', `the check sum of a chunk of ${where} is wrong`, 'end');
        }
        return this.#to('header', headerBytes);
    }
  }

  end(): Seen {
    if (this.#step !== 'header' || this.sections.got > 0) throw new Fault('truncated', 'it ends within a chunk', 'end');
    const [left] = this.#open;
    if (left !== undefined) {
      throw new Fault('truncated', `${String(this.#open.size)} of its files have no end, such as ${left}`, 'end');
    }
    const names = new Map([...this.#texts].map(([path, bytes]) => [path.replace(/\.\w+$/, ''), textOf(path, bytes)]));
    const told = toldByXtrabackup(new Map([...names].map(([name, text]) => [name, text ?? ''])));
    if (infoName(names) === undefined) {
      throw new Fault('not_finished', 'xtrabackup_info, which is written last, is not in it', 'end');
    }
    return {
      told: { ...told, tables: this.#tables },
      why: `its ${String(this.#ended)} files have an end, and the check sum of each chunk is right`,
    };
  }

  #header(have: Buffer): number {
    if (!have.subarray(0, magic.length).equals(magic)) {
      throw new Fault('corrupt', `there is no chunk at byte ${String(this.sections.offset - headerBytes)}`, 'end');
    }
    const length = have.readUInt32LE(10);
    this.#type = String.fromCharCode(have.readUInt8(9));
    // Percona's newer releases leave out the holes of compressed tables, in a layout of their own.
    if (this.#type === 'S') throw new Fault('unreadable', 'it has sparse files, which are not read here');
    if (!'PE'.includes(this.#type)) throw new Fault('corrupt', `it has a chunk of no known type`, 'end');
    if (length === 0 || length > pathAtMost) throw new Fault('corrupt', 'it has a name that is too long', 'end');
    return this.#to('path', length);
  }

  #payload(bytes: Buffer): void {
    this.#sum = crc32(bytes, this.#sum);
    if (!textNames.test(this.#path)) return;
    const before = this.#texts.get(this.#path) ?? Buffer.alloc(0);
    if (before.length + bytes.length <= textAtMost) this.#texts.set(this.#path, Buffer.concat([before, bytes]));
  }

  #fileEnds(): number {
    this.#open.delete(this.#path);
    this.#ended += 1;
    if (/\/[^/]+\.(ibd|MAI|MYI)(\.|$)/.test(this.#path)) this.#tables += 1;
    return this.#to('header', headerBytes);
  }

  #to(step: Step, length: number): number {
    this.#step = step;
    return length;
  }
}

/** With --compress they are compressed too; what is not zstd, or encrypted, stays unread. */
function textOf(path: string, bytes: Buffer): string | undefined {
  if (!/\.\w+$/.test(path)) return bytes.toString('utf8');
  if (!path.endsWith('.zst')) return undefined;
  return zstdDecompressSync(bytes, { maxOutputLength: textAtMost }).toString('utf8');
}
