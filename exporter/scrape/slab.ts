const chunkBytes = 64 * 1024;

/** Longer lines have a Buffer of their own. */
export const slabLineBytes = 4 * 1024;

/**
 * Room for the lines of families that have few: a sweep of a large fleet has hundreds of thousands of them, and a Buffer of
 * its own for each would take several times what is written. Whoever wrote last goes on writing there; who finds others
 * behind his lines has to move. A chunk lives as long as what stands in it.
 */
export class Slab {
  #chunk = Buffer.alloc(0);
  #at = 0;
  #before = 0;

  /** How much was ever given away: while it stays the same nobody has written. */
  get mark(): number {
    return this.#before + this.#at;
  }

  /** All that is free. @param atLeast not more than `slabLineBytes` */
  rest(atLeast: number): Buffer {
    if (this.#chunk.length - this.#at < atLeast) {
      this.#before += this.#chunk.length; // never the same mark again
      this.#chunk = Buffer.allocUnsafeSlow(chunkBytes);
      this.#at = 0;
    }
    return this.#chunk.subarray(this.#at);
  }

  /** The first bytes of the rest are used now. */
  take(length: number): void {
    this.#at += length;
  }
}

export const slab = new Slab();
