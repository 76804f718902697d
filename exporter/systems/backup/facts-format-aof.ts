// The commands of an append-only file of Redis or Valkey, walked to the end (RESP arrays of bulk strings; upstream:
// src/aof.c, loadSingleAppendOnlyFile). A server that was killed, or a copy made while it wrote, leaves half a command.
import type { FileFormat } from './facts-format.ts';
import { Fault } from './facts-verdict.ts';

const [asterisk, dollar, hash, lineFeed] = [0x2a, 0x24, 0x23, 0x0a];
/** `*` or `$`, digits, CR LF; an annotation is `#TS:1700000000`. */
const lineAtMost = 1_024;

export const aofFormat: FileFormat = {
  what: 'an append-only file of Redis',
  tools: ['aof'],
  isLike: (head) => head[0] === asterisk || head.subarray(0, 4).toString('latin1') === '#TS:',
  inspect: () => {
    const commands = new Commands();
    return {
      push: (chunk) => {
        commands.push(chunk);
      },
      end: () => {
        commands.end();
        return {
          told: { tool: 'redis', finishedAtMs: commands.lastAtMs },
          why: `it ends after ${String(commands.count)} whole commands`,
        };
      },
    };
  },
};

/** Bounded: of a value only its length is looked at. */
export class Commands {
  count = 0;
  /** From the last annotation (aof-timestamp-enabled). */
  lastAtMs: number | undefined;
  #offset = 0;
  /** Where the command that is being read begins. */
  #begin = 0;
  #line = '';
  /** Values of the present command that are still to come. */
  #values = 0;
  /** Bytes of the present value, with its CR LF, that are still to come. */
  #skip = 0;
  #name = '';
  #isFirst = false;
  #transactionFrom: number | undefined;

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const now = Math.min(this.#skip, chunk.length - at);
        if (this.#isFirst && this.#name.length < 16) this.#name += chunk.toString('latin1', at, at + Math.min(now, 16));
        this.#skip -= now;
        at += now;
        if (this.#skip === 0) this.#valueEnds(this.#offset + at);
        continue;
      }
      const feed = chunk.indexOf(lineFeed, at);
      const stop = feed < 0 ? chunk.length : feed + 1;
      if (this.#line.length + stop - at > lineAtMost) throw this.#wrong();
      this.#line += chunk.toString('latin1', at, stop);
      at = stop;
      if (feed < 0) break;
      const line = this.#line.replace(/\r?\n$/, '');
      this.#line = '';
      this.#lineEnds(line, this.#offset + at);
    }
    this.#offset += chunk.length;
  }

  end(): void {
    if (this.#line !== '' || this.#values > 0 || this.#skip > 0) {
      throw new Fault('truncated', `it ends within a command, which begins at byte ${String(this.#begin)}`, 'end');
    }
    if (this.#transactionFrom !== undefined) {
      const from = String(this.#transactionFrom);
      throw new Fault('truncated', `it ends within a transaction (MULTI), which begins at byte ${from}`, 'end');
    }
  }

  #lineEnds(line: string, next: number): void {
    const [kind, number] = [line.charCodeAt(0), Number(line.slice(1))];
    if (kind === hash && this.#values === 0) {
      const seconds = Number(/^#TS:(\d+)$/.exec(line)?.[1]);
      if (seconds > 0) this.lastAtMs = seconds * 1_000;
      this.#begin = next;
      return;
    }
    if (!/^.\d+$/.test(line)) throw this.#wrong();
    if (kind === asterisk && this.#values === 0 && number > 0) {
      this.#values = number;
      this.#isFirst = true;
      this.#name = '';
    } else if (kind === dollar && this.#values > 0) {
      this.#skip = number + 2;
    } else throw this.#wrong();
  }

  #valueEnds(next: number): void {
    this.#isFirst = false;
    this.#values -= 1;
    if (this.#values > 0) return;
    this.count += 1;
    const name = this.#name.trimEnd().toUpperCase();
    if (name === 'MULTI') this.#transactionFrom = this.#begin;
    else if (name === 'EXEC') this.#transactionFrom = undefined;
    this.#begin = next;
  }

  #wrong(): Fault {
    return new Fault('corrupt', `what begins at byte ${String(this.#begin)} is no command`, 'end');
  }
}
