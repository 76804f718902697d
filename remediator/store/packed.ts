// Bodies as they are kept: gzip, whatever their size, so that one reader and people's own tools understand all of them.
import { promisify } from 'node:util';
import { crc32, gunzip, gunzipSync, gzip, gzipSync } from 'node:zlib';

const compress = promisify(gzip);
const decompress = promisify(gunzip);
const largestBodyBytes = 64 * 1024 * 1024;

/**
 * Below it a body is kept as one stored block: to compress one of 600 bytes cost 125 µs of CPU, and to undo it in the thread
 * pool 80, which is more than all else that is done for it (seen on Node 24); what is saved is some hundred bytes.
 */
const storedBytes = 2 * 1024;

/** Up to here the way to the thread pool and back costs more than the work: 240 µs against 40 for 7 KB (seen on Node 24). */
const atOnceBytes = 64 * 1024;

export async function packed(body: Buffer): Promise<Uint8Array> {
  if (body.length <= storedBytes) return asStored(body);
  return body.length <= atOnceBytes ? gzipSync(body, { level: 1 }) : await compress(body, { level: 1 });
}

/** A body that cannot be unpacked is empty, so that it is found to be poison instead of holding up the others. */
export async function unpacked(bodyGz: Uint8Array): Promise<Buffer> {
  const stored = storedIn(bodyGz);
  if (stored !== undefined) return stored;
  try {
    const options = { maxOutputLength: largestBodyBytes };
    return bodyGz.length <= storedBytes + 64 ? gunzipSync(bodyGz, options) : await decompress(bodyGz, options);
  } catch {
    return Buffer.alloc(0);
  }
}

/** RFC 1952, a header without a name, and RFC 1951 3.2.4, one last block that is not compressed. */
const head = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1]);

function asStored(body: Buffer): Buffer {
  const ends = Buffer.alloc(8);
  ends.writeUInt32LE(crc32(body), 0);
  ends.writeUInt32LE(body.length, 4);
  const length = Buffer.alloc(4);
  length.writeUInt16LE(body.length, 0);
  length.writeUInt16LE(body.length ^ 0xffff, 2);
  return Buffer.concat([head, length, body, ends]);
}

/**
 * What asStored() made, undone without zlib: it takes 16 KB outside of the heap for each, and with 2,000 of them a second the
 * heap was marked every 0.3 s, for which everybody waits 15 ms (seen on Node 24). undefined: it is something else, or damaged.
 */
function storedIn(bodyGz: Uint8Array): Buffer | undefined {
  const bytes = Buffer.from(bodyGz.buffer, bodyGz.byteOffset, bodyGz.byteLength);
  const from = head.length + 4;
  const to = bytes.length - 8;
  if (to < from || !bytes.subarray(0, head.length).equals(head)) return undefined;
  const body = bytes.subarray(from, to);
  const length = bytes.readUInt16LE(head.length);
  const isWhole = length === body.length && (bytes.readUInt16LE(head.length + 2) ^ 0xffff) === length;
  return isWhole && bytes.readUInt32LE(to) === crc32(body) && bytes.readUInt32LE(to + 4) === length ? body : undefined;
}
