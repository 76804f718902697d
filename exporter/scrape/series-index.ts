/**
 * Which series stand in a Buffer of lines: a hash table over the bytes of their labels, exact (equal hashes are
 * compared byte by byte). A Set of strings would take several times as long and keep every string alive.
 */
export class SeriesIndex {
  /** Number of an entry plus one; 0 is free. A power of two, at most half full. */
  #slots = new Int32Array(16);
  /** Three numbers per entry: hash, begin, end. */
  #entries = new Int32Array(24);
  #count = 0;

  get size(): number {
    return this.#count;
  }

  /** False when the same bytes are there already. */
  add(bytes: Uint8Array, begin: number, end: number, hash = hashOf(bytes, begin, end)): boolean {
    const slot = this.#find(bytes, hash, bytes, begin, end);
    if (this.#slots[slot] !== 0) return false;
    const at = this.#count * 3;
    if (at === this.#entries.length) {
      const larger = new Int32Array(at * 2);
      larger.set(this.#entries);
      this.#entries = larger;
    }
    this.#entries[at] = hash;
    this.#entries[at + 1] = begin;
    this.#entries[at + 2] = end;
    this.#count += 1;
    this.#slots[slot] = this.#count;
    if (this.#count * 2 > this.#slots.length) this.#grow();
    return true;
  }

  /** Has the other one, over its own bytes, a series that is also here? */
  overlaps(bytes: Uint8Array, other: SeriesIndex, otherBytes: Uint8Array): boolean {
    for (let i = 0; i < other.#count; i++) {
      const [hash = 0, begin = 0, end = 0] = other.#entries.subarray(i * 3, i * 3 + 3);
      if (this.#slots[this.#find(bytes, hash, otherBytes, begin, end)] !== 0) return true;
    }
    return false;
  }

  /** The slot of these bytes, or the free one where they belong. */
  #find(own: Uint8Array, hash: number, bytes: Uint8Array, begin: number, end: number): number {
    const mask = this.#slots.length - 1;
    let slot = slotOf(hash, mask);
    for (;;) {
      const entry = this.#slots[slot] ?? 0;
      if (entry === 0 || this.#same(own, (entry - 1) * 3, hash, bytes, begin, end)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #same(own: Uint8Array, at: number, hash: number, bytes: Uint8Array, begin: number, end: number): boolean {
    const from = this.#entries[at + 1] ?? 0;
    if (this.#entries[at] !== hash || (this.#entries[at + 2] ?? 0) - from !== end - begin) return false;
    for (let i = begin; i < end; i++) if (bytes[i] !== own[from + i - begin]) return false;
    return true;
  }

  #grow(): void {
    this.#slots = new Int32Array(this.#slots.length * 2);
    const mask = this.#slots.length - 1;
    for (let i = 0; i < this.#count; i++) {
      let slot = slotOf(this.#entries[i * 3] ?? 0, mask);
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = i + 1;
    }
  }
}

const fnvBasis = 0x811c9dc5 | 0;

/** FNV-1a, 32 bit. @param before the hash of what stands in front of these bytes */
export function hashOf(bytes: Uint8Array, begin: number, end: number, before = fnvBasis): number {
  let hash = before;
  for (let i = begin; i < end; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193);
  return hash;
}

/** The high bits are the better ones. */
function slotOf(hash: number, mask: number): number {
  return (hash ^ (hash >>> 15)) & mask;
}
