// Formats that are sections of a known length one after another: a header says how long what follows it is.

export interface SectionReader {
  /** A part of the section, from its byte `at` on. */
  piece(bytes: Buffer, at: number): void;
  /** All of it has been given. @returns the length of the next section, which may be 0 */
  whole(length: number): number;
}

/** Cuts what comes in chunks of any size into such sections. Keeps nothing of them. */
export class Sections {
  readonly #reader: SectionReader;
  #left: number;
  #got = 0;
  #offset = 0;

  constructor(firstLength: number, reader: SectionReader) {
    this.#left = firstLength;
    this.#reader = reader;
  }

  /** Bytes of the whole so far. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes of the section that is not whole yet. */
  get got(): number {
    return this.#got;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      const bytes = chunk.subarray(at, at + Math.min(this.#left, chunk.length - at));
      at += bytes.length;
      this.#offset += bytes.length;
      this.#left -= bytes.length;
      this.#reader.piece(bytes, this.#got);
      this.#got += bytes.length;
      while (this.#left === 0) {
        const length = this.#got;
        this.#got = 0;
        this.#left = this.#reader.whole(length);
      }
    }
  }
}
