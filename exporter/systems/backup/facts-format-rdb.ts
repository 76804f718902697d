// A dump of Redis or Valkey: magic, fields about itself, and at the end an opcode with the check sum of all before it.
// Upstream: src/rdb.c, rdbSaveRio and rdbSaveInfoAuxFields.
import { Crc64 } from './facts-crc64.ts';
import type { FileFormat, Seen } from './facts-format.ts';
import { Fault } from './facts-verdict.ts';

const magic = /^(?:REDIS(\d{4})|VALKEY(\d{3}))/;
const auxiliary = 0xfa;
const end = 0xff;
const sumBytes = 8;
/** Older ones have no check sum. */
const firstVersionWithSum = 5;

export const rdbFormat: FileFormat = {
  what: 'an RDB file of Redis',
  tools: ['rdb'],
  isLike: (head) => magic.test(head.subarray(0, 9).toString('latin1')),
  inspect: (head) => {
    const sum = new Crc64();
    const fields = fieldsOf(head);
    const [, redis, valkey] = magic.exec(head.subarray(0, 9).toString('latin1')) ?? [];
    const version = Number(redis ?? valkey);
    return {
      push: (chunk) => {
        sum.push(chunk);
      },
      end: ({ tail }) => ({ told: toldBy(fields), why: endOf(tail, version, sum) }),
    };
  },
};

function toldBy(fields: ReadonlyMap<string, string>): Seen['told'] {
  const valkey = fields.get('valkey-ver');
  const at = Number(fields.get('ctime'));
  return {
    tool: valkey === undefined ? 'redis' : 'valkey',
    toolVersion: valkey ?? fields.get('redis-ver'),
    serverVersion: valkey ?? fields.get('redis-ver'),
    // The save was begun then: what it holds is the state of that moment.
    startedAtMs: at > 0 ? at * 1_000 : undefined,
  };
}

function endOf(tail: Buffer, version: number, sum: Crc64): string {
  if (version < firstVersionWithSum) {
    if (tail.at(-1) !== end) throw cutOff();
    return 'it ends with the end of an RDB; this version has no check sum';
  }
  const isEnd = tail.at(-sumBytes - 1) === end;
  if (isEnd && tail.subarray(-sumBytes).every((byte) => byte === 0)) {
    return 'it ends with the end of an RDB, without check sum (rdbchecksum no): damage inside would not be seen';
  }
  if (sum.isZero && isEnd) return 'it ends with the end of an RDB, and its check sum is right';
  if (!isEnd) throw cutOff();
  // A file cut off behind a byte that equals the opcode of the end by chance comes here too.
  throw new Fault('corrupt', 'its check sum (CRC-64) is wrong: damaged, or cut off', 'end');
}

function cutOff(): Fault {
  return new Fault('truncated', 'it does not end with the end of an RDB', 'end');
}

/** Those at the beginning, before any data. */
function fieldsOf(head: Buffer): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  const text = { at: 9 };
  while (head[text.at] === auxiliary) {
    text.at += 1;
    const [key, value] = [stringAt(head, text), stringAt(head, text)];
    if (key === undefined || value === undefined) break;
    fields.set(key, value);
  }
  return fields;
}

/** A length in 6, 14 or 32 bits, or a whole number instead of a text. Undefined for what is longer than the head. */
function stringAt(head: Buffer, place: { at: number }): string | undefined {
  const first = head[place.at];
  if (first === undefined || head.length < place.at + 5) return undefined;
  const [kind, rest] = [first >> 6, first & 0x3f];
  if (kind === 3) {
    const size = [1, 2, 4][rest];
    if (size === undefined) return undefined; // compressed: no field of ours is
    const value = head.readIntLE(place.at + 1, size);
    place.at += 1 + size;
    return String(value);
  }
  const [skip, length] =
    kind === 0
      ? [1, rest]
      : kind === 1
        ? [2, (rest << 8) | head.readUInt8(place.at + 1)]
        : [5, head.readUInt32BE(place.at + 1)];
  const from = place.at + skip;
  if (from + length > head.length) return undefined;
  place.at = from + length;
  return head.subarray(from, place.at).toString('latin1');
}
