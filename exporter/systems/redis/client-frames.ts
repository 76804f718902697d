// Follows the frames of RESP2 (https://redis.io/docs/latest/develop/reference/protocol-spec/) ahead of the library, which
// believes what they say: it makes room for each array before anything of it is there, so that 400 bytes which announce
// forty arrays of 33 million values, one in the other, end the process (seen on ioredis 6.0.0 and Node 24).

/** Announced and not yet there; a value takes 8 bytes of room. The largest reply of a sweep has some thousands. */
const mostValues = 4_000_000;
/** Arrays that begin in one another before a value comes: replies of Redis have up to six. */
const mostNested = 32;
const longestNumber = 20;

const [cr, lf] = [0x0d, 0x0a];
const [text, error, integer, bulk, array] = [0x2b, 0x2d, 0x3a, 0x24, 0x2a];
const types: ReadonlySet<number> = new Set([text, error, integer, bulk, array]);

type Step = 'type' | 'line' | 'number' | 'bytes' | 'end of bytes' | 'line feed';

export class ReplyFrames {
  #step: Step = 'type';
  #type = 0;
  #number = '';
  /** Of a bulk string. */
  #bytes = 0;
  #values = 0;
  #nested = 0;
  #whole = 0;

  /** Replies that have ended, with all that is in them. */
  get whole(): number {
    return this.#whole;
  }

  /** @returns what is wrong with what comes next; nothing may be looked at after that */
  look(chunk: Uint8Array): string | undefined {
    for (let at = 0; at < chunk.length;) {
      const byte = chunk[at] ?? 0;
      switch (this.#step) {
        case 'type':
          if (!types.has(byte)) return `this is no reply of Redis: it begins with byte ${String(byte)}`;
          this.#type = byte;
          this.#number = '';
          this.#values = Math.max(0, this.#values - 1);
          this.#step = byte === text || byte === error ? 'line' : 'number';
          at += 1;
          break;
        case 'line': {
          const end = chunk.indexOf(cr, at);
          if (end < 0) return undefined;
          this.#step = 'line feed';
          at = end + 1;
          break;
        }
        case 'number':
          if (byte === cr) this.#step = 'line feed';
          else this.#number += String.fromCharCode(byte);
          if (this.#number.length > longestNumber) return 'a reply with a length that is no number';
          at += 1;
          break;
        case 'bytes': {
          const taken = Math.min(this.#bytes, chunk.length - at);
          this.#bytes -= taken;
          at += taken;
          if (this.#bytes === 0) this.#step = 'end of bytes';
          break;
        }
        case 'end of bytes':
          if (byte !== cr) return 'a reply that is longer than it says';
          this.#type = text;
          this.#step = 'line feed';
          at += 1;
          break;
        case 'line feed': {
          if (byte !== lf) return 'a line of a reply without an end';
          const why = this.#lineEnd();
          if (why !== undefined) return why;
          at += 1;
          break;
        }
      }
    }
    return undefined;
  }

  #lineEnd(): string | undefined {
    this.#step = 'type';
    if (this.#type === text || this.#type === error) {
      this.#valueEnd();
      return undefined;
    }
    if (!/^[+-]?\d+$/.test(this.#number)) return 'a reply with a length that is no number';
    const count = Number(this.#number);
    if (this.#type === integer || count < 0 || (this.#type === array && count === 0)) {
      this.#valueEnd();
      return undefined;
    }
    if (this.#type === bulk) {
      this.#bytes = count;
      this.#step = count === 0 ? 'end of bytes' : 'bytes';
      return undefined;
    }
    this.#nested += 1;
    this.#values += count;
    if (this.#nested > mostNested) return `a reply of more than ${String(mostNested)} lists in one another`;
    return this.#values > mostValues ? `replies of more than ${String(mostValues)} values` : undefined;
  }

  #valueEnd(): void {
    this.#nested = 0;
    if (this.#values === 0) this.#whole += 1;
  }
}
