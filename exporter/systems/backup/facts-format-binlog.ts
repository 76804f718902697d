// A binary log in an archive: every event has its length and where the next one begins, most have a CRC-32. One that the
// server has ended ends with an event that says so. https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication_binlog_event.html
import { crc32 } from 'node:zlib';
import type { FileFormat } from './facts-format.ts';
import { Sections, type SectionReader } from './facts-sections.ts';
import { Fault } from './facts-verdict.ts';

const magic = Buffer.from([0xfe, 0x62, 0x69, 0x6e]);
const encryptedMagic = Buffer.from([0xfd, 0x62, 0x69, 0x6e]);
const headerBytes = 19;
const [stop, rotate, formatDescription, startEncryption] = [3, 4, 15, 164];
/** More than max_allowed_packet and a header: nothing that a server writes. */
const eventAtMost = 1_200_000_000;
/** The format description tells that the file is still being written, by this flag. */
const inUseFlag = 1;
/** In the format description: header, version 2, server version 50, created 4, length 1; a byte per event type. */
const keptBytes = 512;

export const binlogFormat: FileFormat = {
  what: 'a binary log',
  tools: ['binlog'],
  isLike: (head) => [magic, encryptedMagic].some((m) => head.subarray(0, 4).equals(m)),
  inspect: (head) => {
    if (head.subarray(0, 4).equals(encryptedMagic)) throw new Fault('encrypted', 'it is encrypted by MySQL');
    const events = new Events();
    return {
      push: (chunk) => {
        events.sections.push(chunk);
      },
      end: () => events.end(),
    };
  },
};

class Events implements SectionReader {
  readonly sections = new Sections(magic.length, this);
  #step: 'magic' | 'header' | 'body' = 'magic';
  readonly #header = Buffer.alloc(headerBytes);
  readonly #kept = Buffer.alloc(keptBytes);
  #keptLength = 0;
  #sum = 0;
  /** The last four bytes of the event so far: its check sum, once it is whole. */
  #last = Buffer.alloc(0);
  #hasSum = false;
  #count = 0;
  #type = 0;
  #serverVersion: string | undefined;
  #firstAt: number | undefined;
  #lastAt: number | undefined;

  piece(bytes: Buffer, at: number): void {
    if (this.#step === 'header') bytes.copy(this.#header, at);
    if (this.#step === 'body') this.#body(bytes);
  }

  whole(): number {
    if (this.#step === 'header') return this.#headerEnds();
    if (this.#step === 'body') this.#eventEnds();
    this.#step = 'header';
    return headerBytes;
  }

  end(): { told: object; why: string } {
    if (this.#step !== 'header' || this.sections.got > 0)
      throw new Fault('truncated', 'it ends within an event', 'end');
    if (this.#type !== rotate && this.#type !== stop) {
      throw new Fault('not_finished', 'its last event does not end it: it was copied while the server wrote it', 'end');
    }
    const sums = this.#hasSum ? ', and the check sum of each is right' : ', which have no check sum';
    return {
      told: {
        tool: 'binlog',
        serverVersion: this.#serverVersion,
        startedAtMs: this.#firstAt,
        finishedAtMs: this.#lastAt,
      },
      why: `it ends with the last of its ${String(this.#count)} events${sums}`,
    };
  }

  /** @returns the length of the event that it begins */
  #headerEnds(): number {
    const header = this.#header;
    const [seconds, type, length] = [header.readUInt32LE(0), header.readUInt8(4), header.readUInt32LE(9)];
    const begin = this.sections.offset - headerBytes;
    if (length < headerBytes || length > eventAtMost) throw this.#wrong(`the event at byte ${String(begin)}`);
    if (this.#count === 0 && type !== formatDescription) throw this.#wrong('its first event');
    this.#type = type;
    if (type === startEncryption) throw new Fault('encrypted', 'it is encrypted by MariaDB');
    // The server sets and clears this flag in the file afterwards: the check sum is that without it.
    if (type === formatDescription) header.writeUInt16LE(header.readUInt16LE(17) & ~inUseFlag, 17);
    if (seconds > 0) {
      this.#firstAt ??= seconds * 1_000;
      this.#lastAt = Math.max(this.#lastAt ?? 0, seconds * 1_000);
    }
    this.#sum = crc32(header, 0);
    this.#keptLength = 0;
    this.#last = Buffer.alloc(0);
    this.#step = 'body';
    return length - headerBytes;
  }

  /** All but the last four bytes are in the sum. */
  #body(bytes: Buffer): void {
    if (this.#type === formatDescription) this.#keptLength += bytes.copy(this.#kept, this.#keptLength);
    const all = this.#last.length === 0 ? bytes : Buffer.concat([this.#last, bytes]);
    const summed = Math.max(0, all.length - 4);
    this.#sum = crc32(all.subarray(0, summed), this.#sum);
    this.#last = Buffer.from(all.subarray(summed));
  }

  #eventEnds(): void {
    this.#count += 1;
    if (this.#type === formatDescription) this.#describe();
    if (!this.#hasSum || this.#last.length < 4) return;
    if (this.#last.readUInt32LE(0) !== this.#sum)
      throw this.#wrong(`the event that ends at byte ${String(this.sections.offset)}`);
  }

  /** The byte before the check sum is the algorithm: 1 is CRC-32. Servers before MySQL 5.6 and MariaDB 5.3 have none. */
  #describe(): void {
    this.#serverVersion = this.#kept.toString('latin1', 2, 52).replace(/\0.*$/s, '');
    this.#hasSum = this.#kept[this.#keptLength - 5] === 1 && this.#keptLength < keptBytes;
  }

  #wrong(what: string): Fault {
    return new Fault('corrupt', `${what} is damaged`, 'end');
  }
}
