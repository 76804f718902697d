// Where the frames of zstd data begin and end, without decompressing (RFC 8878, 3.1): block headers have the sizes.
import { Fault } from './facts-verdict.ts';

export interface FramePiece {
  readonly bytes: Buffer;
  /** The frame ends with these. */
  readonly isLast: boolean;
}

const frameMagic = 0xfd2fb528;
/** 0x184d2a50 to 0x184d2a5f: data for others, without content. */
const isSkippable = (magic: number): boolean => magic >>> 4 === 0x184d2a5;

export function isFrame(head: Buffer): boolean {
  if (head.length < 4) return false;
  const magic = head.readUInt32LE(0);
  return magic === frameMagic || isSkippable(magic);
}

type Step = 'magic' | 'descriptor' | 'header' | 'block' | 'body' | 'sum' | 'skipSize' | 'skip' | 'padding';

/** Walks over one file's data. */
export class ZstdFrames {
  #step: Step = 'magic';
  /** Bytes of the present step that are still to come. */
  #wanted = 4;
  #have = Buffer.alloc(16);
  #filled = 0;
  #hasSum = false;
  #isLastBlock = false;
  /** Whether a frame had no check sum: damage that still decompresses is not seen there. */
  hasUnsummed = false;

  /** @throws Fault truncated, or corrupt for what is no frame */
  async *split(source: AsyncIterable<Buffer>): AsyncGenerator<FramePiece> {
    for await (const chunk of source) {
      let from = 0;
      let at = 0;
      while (at < chunk.length) {
        const wasInside = this.#isInside;
        at += this.#take(chunk, at);
        if (this.#isInside || !wasInside) continue;
        yield { bytes: this.#piece(chunk, from, at), isLast: true };
        from = at;
      }
      if (this.#isInside && from < at) yield { bytes: this.#piece(chunk, from, at), isLast: false };
    }
    if (this.#step !== 'magic' && this.#step !== 'padding') throw cutOff();
    if (this.#step === 'magic' && this.#filled > 0) throw cutOff();
  }

  /** The magic number of a frame, and what is skipped, are held back: whoever decompresses gets frames only. */
  get #isInside(): boolean {
    return ['descriptor', 'header', 'block', 'body', 'sum'].includes(this.#step);
  }

  #isNew = false;

  #piece(chunk: Buffer, from: number, at: number): Buffer {
    if (!this.#isNew) return chunk.subarray(from, at);
    this.#isNew = false;
    const magic = Buffer.alloc(4);
    magic.writeUInt32LE(frameMagic);
    return Buffer.concat([magic, chunk.subarray(this.#bodyFrom, at)]);
  }

  /** Where in the present chunk the newest frame goes on after its magic number. */
  #bodyFrom = 0;

  /** How many bytes of the chunk it has dealt with; at least one. */
  #take(chunk: Buffer, at: number): number {
    const now = Math.min(this.#wanted, chunk.length - at);
    if (this.#step === 'body' || this.#step === 'skip') {
      this.#wanted -= now;
    } else if (this.#step === 'padding') {
      if (chunk.subarray(at, at + now).some((byte) => byte !== 0)) throw trailing();
      return now;
    } else {
      chunk.copy(this.#have, this.#filled, at, at + now);
      this.#filled += now;
      this.#wanted -= now;
    }
    if (this.#wanted === 0) {
      this.#filled = 0;
      this.#go(at + now);
    }
    return now;
  }

  #go(next: number): void {
    const have = this.#have;
    switch (this.#step) {
      case 'magic':
        this.#begin(have.readUInt32LE(0), next);
        return;
      case 'descriptor':
        this.#to('header', headerBytes(have.readUInt8(0)));
        this.#hasSum = (have.readUInt8(0) & 4) !== 0;
        if (this.#wanted === 0) this.#to('block', 3);
        return;
      case 'header':
      case 'body':
        this.#afterBlock();
        return;
      case 'block':
        this.#block(have.readUIntLE(0, 3));
        return;
      case 'skipSize':
        this.#to('skip', have.readUInt32LE(0));
        if (this.#wanted === 0) this.#to('magic', 4);
        return;
      case 'sum':
      case 'skip':
      case 'padding':
        this.#to('magic', 4);
    }
  }

  #begin(magic: number, next: number): void {
    this.#isLastBlock = false;
    if (magic === frameMagic) {
      this.#to('descriptor', 1);
      this.#isNew = true;
      this.#bodyFrom = next;
    } else if (isSkippable(magic)) this.#to('skipSize', 4);
    else if (magic === 0) this.#to('padding', Infinity);
    else throw trailing();
  }

  #block(header: number): void {
    this.#isLastBlock = (header & 1) === 1;
    const type = (header >> 1) & 3;
    if (type === 3) throw new Fault('corrupt', 'the zstd data is damaged: a block of no known type', 'compression');
    this.#to('body', type === 1 ? 1 : header >> 3);
    if (this.#wanted === 0) this.#afterBlock();
  }

  #afterBlock(): void {
    if (!this.#isLastBlock) this.#to('block', 3);
    else if (this.#hasSum) this.#to('sum', 4);
    else {
      this.hasUnsummed = true;
      this.#to('magic', 4);
    }
  }

  #to(step: Step, wanted: number): void {
    this.#step = step;
    this.#wanted = wanted;
  }
}

/** Of what follows the descriptor: window, dictionary, size of the content. */
function headerBytes(descriptor: number): number {
  const isSingle = (descriptor & 0x20) !== 0;
  const size = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  return (isSingle ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] ?? 0) + size;
}

function cutOff(): Fault {
  return new Fault('truncated', 'the zstd data ends before its end', 'compression');
}

function trailing(): Fault {
  return new Fault('corrupt', 'something follows the end of the compressed data', 'compression');
}
