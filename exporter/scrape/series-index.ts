/** Up to as many are looked through one by one: most families have fewer, and the table would cost more than it saves. */
const few = 5;
const noSlots = new Int32Array(0);
const [newline, space] = [0x0a, 0x20];
const fnvBasis = 0x811c9dc5 | 0;

/**
 * Which series stand in a Buffer of lines: a hash table over the bytes of their labels, exact (equal hashes are
 * compared byte by byte). A Set of strings would take several times as long and keep every string alive.
 */
export class SeriesIndex {
  /** Number of an entry plus one; 0 is free. A power of two, at most half full; none while they are few. */
  #slots: Int32Array = noSlots;
  /** Three numbers per entry: hash, begin, end. Up to 64 bytes are on the heap of V8, where they cost next to nothing. */
  #entries: Int32Array = noSlots;
  #count = 0;
  /** Of lines that are looked at only when it is asked which they are. */
  #unread = 0;
  #keyFrom = 0;

  /** Of lines that are known to differ. @param keyFrom from here on the bytes of each line tell it apart */
  static ofLines(lines: number, keyFrom: number): SeriesIndex {
    const index = new SeriesIndex();
    index.#unread = lines;
    index.#keyFrom = keyFrom;
    return index;
  }

  get size(): number {
    return this.#unread + this.#count;
  }

  /** False when the same bytes are there already. */
  add(bytes: Uint8Array, begin: number, end: number, hash = hashOf(bytes, begin, end)): boolean {
    if (this.#slots.length === 0) {
      if (this.#isAmongFew(bytes, hash, bytes, begin, end)) return false;
      this.#append(hash, begin, end);
      if (this.#count > few) this.#rehash(64);
      return true;
    }
    const slot = this.#find(bytes, hash, bytes, begin, end);
    if (this.#slots[slot] !== 0) return false;
    this.#append(hash, begin, end);
    this.#slots[slot] = this.#count;
    if (this.#count * 2 > this.#slots.length) this.#rehash(this.#slots.length * (this.#count < 1000 ? 4 : 2));
    return true;
  }

  /** Has the other one, over its own bytes, a series that is also here? */
  overlaps(bytes: Buffer, other: SeriesIndex, otherBytes: Buffer): boolean {
    this.#read(bytes);
    other.#read(otherBytes);
    for (let at = 0; at < other.#count * 3; at += 3) {
      const [hash, begin, end] = [other.#entries[at] ?? 0, other.#entries[at + 1] ?? 0, other.#entries[at + 2] ?? 0];
      if (this.#has(bytes, hash, otherBytes, begin, end)) return true;
    }
    return false;
  }

  /** Lines of the text format: behind the last space of each stands its number. */
  addLines(bytes: Buffer, keyFrom: number): void {
    for (let begin = 0; begin < bytes.length;) {
      const end = bytes.indexOf(newline, begin);
      this.add(bytes, begin + keyFrom, bytes.lastIndexOf(space, end) + 1);
      begin = end + 1;
    }
  }

  #read(bytes: Buffer): void {
    if (this.#unread === 0) return;
    this.#unread = 0;
    this.addLines(bytes, this.#keyFrom);
  }

  #has(own: Uint8Array, hash: number, bytes: Uint8Array, begin: number, end: number): boolean {
    if (this.#slots.length === 0) return this.#isAmongFew(own, hash, bytes, begin, end);
    return this.#slots[this.#find(own, hash, bytes, begin, end)] !== 0;
  }

  #isAmongFew(own: Uint8Array, hash: number, bytes: Uint8Array, begin: number, end: number): boolean {
    for (let at = 0; at < this.#count * 3; at += 3) if (this.#same(own, at, hash, bytes, begin, end)) return true;
    return false;
  }

  #append(hash: number, begin: number, end: number): void {
    const at = this.#count * 3;
    if (at === this.#entries.length) {
      const larger = new Int32Array(at === 0 ? few * 3 : at * (at < 1000 ? 4 : 2));
      larger.set(this.#entries);
      this.#entries = larger;
    }
    this.#entries[at] = hash;
    this.#entries[at + 1] = begin;
    this.#entries[at + 2] = end;
    this.#count += 1;
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

  #rehash(length: number): void {
    this.#slots = new Int32Array(length);
    const mask = length - 1;
    for (let i = 0; i < this.#count; i++) {
      let slot = slotOf(this.#entries[i * 3] ?? 0, mask);
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = i + 1;
    }
  }
}

/** Of a family without labels: nothing tells its one series apart. Nothing is added to them. */
export const noSeries = new SeriesIndex();
export const oneSeries = new SeriesIndex();
oneSeries.add(new Uint8Array(0), 0, 0);

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
