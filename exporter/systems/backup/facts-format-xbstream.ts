// The stream of xtrabackup and mariadb-backup: chunks of many files in turn, each chunk with a CRC-32, each file ended by
// a chunk that says so. Upstream: storage/innobase/xtrabackup/src/xbstream_read.cc; extra/mariabackup/xbstream_read.cc.
import { crc32, zstdDecompressSync } from 'node:zlib';
import type { FileFormat, Seen } from './facts-format.ts';
import { infoName, toldByXtrabackup, textNames } from './facts-format-xtrabackup.ts';
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
        stream.push(chunk);
      },
      end: () => stream.end(),
    };
  },
};

type Step = 'header' | 'path' | 'payloadHeader' | 'payload';

class Xbstream {
  #step: Step = 'header';
  #wanted = headerBytes;
  readonly #have = Buffer.alloc(pathAtMost);
  #filled = 0;
  #type = '';
  #path = '';
  #expected = 0;
  #sum = 0;
  #offset = 0;
  readonly #open = new Set<string>();
  #ended = 0;
  #tables = 0;
  /** The few small files that say what it is. */
  readonly #texts = new Map<string, Buffer>();

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      const now = Math.min(this.#wanted, chunk.length - at);
      const bytes = chunk.subarray(at, at + now);
      at += now;
      this.#offset += now;
      this.#wanted -= now;
      if (this.#step === 'payload') this.#payload(bytes);
      else this.#filled += bytes.copy(this.#have, this.#filled);
      while (this.#wanted === 0) this.#go();
    }
  }

  end(): Seen {
    if (this.#step !== 'header' || this.#filled > 0) throw new Fault('truncated', 'it ends within a chunk', 'end');
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

  #go(): void {
    const have = this.#have.subarray(0, this.#filled);
    this.#filled = 0;
    if (this.#step === 'header') this.#header(have);
    else if (this.#step === 'path') {
      this.#path = have.toString('utf8');
      if (this.#type === 'E') this.#fileEnds();
      else this.#to('payloadHeader', payloadHeaderBytes);
    } else if (this.#step === 'payloadHeader') {
      this.#open.add(this.#path);
      if (this.#open.size > openAtMost) throw new Fault('corrupt', 'it has too many files at a time');
      this.#expected = have.readUInt32LE(16);
      this.#sum = 0;
      this.#to('payload', Number(have.readBigUInt64LE(0)));
    } else {
      if (this.#sum !== this.#expected) {
        const where = `${this.#path}, which ends at byte ${String(this.#offset)}`;
        throw new Fault('corrupt', `the check sum of a chunk of ${where} is wrong`, 'end');
      }
      this.#to('header', headerBytes);
    }
  }

  #header(have: Buffer): void {
    if (!have.subarray(0, magic.length).equals(magic)) {
      throw new Fault('corrupt', `there is no chunk at byte ${String(this.#offset - headerBytes)}`, 'end');
    }
    const length = have.readUInt32LE(10);
    this.#type = String.fromCharCode(have.readUInt8(9));
    // Percona's newer releases leave out the holes of compressed tables, in a layout of their own.
    if (this.#type === 'S') throw new Fault('unreadable', 'it has sparse files, which are not read here');
    if (!'PE'.includes(this.#type)) throw new Fault('corrupt', `it has a chunk of no known type`, 'end');
    if (length === 0 || length > pathAtMost) throw new Fault('corrupt', 'it has a name that is too long', 'end');
    this.#to('path', length);
  }

  #payload(bytes: Buffer): void {
    this.#sum = crc32(bytes, this.#sum);
    if (!textNames.test(this.#path)) return;
    const before = this.#texts.get(this.#path) ?? Buffer.alloc(0);
    if (before.length + bytes.length <= textAtMost) this.#texts.set(this.#path, Buffer.concat([before, bytes]));
  }

  #fileEnds(): void {
    this.#open.delete(this.#path);
    this.#ended += 1;
    if (/\/[^/]+\.(ibd|MAI|MYI)(\.|$)/.test(this.#path)) this.#tables += 1;
    this.#to('header', headerBytes);
  }

  #to(step: Step, wanted: number): void {
    this.#step = step;
    this.#wanted = wanted;
  }
}

/** With --compress they are compressed too; what is not zstd, or encrypted, stays unread. */
function textOf(path: string, bytes: Buffer): string | undefined {
  if (!/\.\w+$/.test(path)) return bytes.toString('utf8');
  if (!path.endsWith('.zst')) return undefined;
  return zstdDecompressSync(bytes, { maxOutputLength: textAtMost }).toString('utf8');
}
