// CRC-64 as Redis and Valkey have it (Jones' polynomial, reflected, beginning with 0): its upstream file is src/crc64.c.
// Over data and its own check sum (little endian) the result is 0.

const low = new Uint32Array(256);
const high = new Uint32Array(256);
for (let i = 0; i < 256; i++) {
  let value = BigInt(i);
  for (let bit = 0; bit < 8; bit++) value = value & 1n ? (value >> 1n) ^ 0x95ac9329ac4bc9b5n : value >> 1n;
  low[i] = Number(value & 0xffffffffn);
  high[i] = Number(value >> 32n);
}

export class Crc64 {
  #low = 0;
  #high = 0;

  push(bytes: Buffer): void {
    let [lo, hi] = [this.#low, this.#high];
    for (const byte of bytes) {
      const i = (lo ^ byte) & 0xff;
      lo = ((lo >>> 8) | (hi << 24)) ^ (low[i] ?? 0);
      hi = (hi >>> 8) ^ (high[i] ?? 0);
    }
    this.#low = lo;
    this.#high = hi;
  }

  get isZero(): boolean {
    return this.#low === 0 && this.#high === 0;
  }

  /** Lower case hex. */
  get hex(): string {
    return [this.#high, this.#low].map((part) => (part >>> 0).toString(16).padStart(8, '0')).join('');
  }
}
