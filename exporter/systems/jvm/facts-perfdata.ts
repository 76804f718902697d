// The JVM's performance file: its counters. Pure.
import { TargetError } from '../../runtime/errors.ts';

export type PerfCounters = ReadonlyMap<string, number | string>;

const prologueBytes = 32;
const entryHeaderBytes = 20;

/**
 * Parses a hsperfdata file. Layout: PerfDataPrologue and PerfDataEntry in OpenJDK's perfMemory.hpp and perfData.hpp.
 * The JVM goes on writing while it is read: each counter is whole, but two need not be of the same moment.
 *
 * @throws TargetError `protocol` when it is not such a file or is not complete
 */
export function readHsperfdata(buffer: Buffer): PerfCounters {
  const broken = (what: string): TargetError => new TargetError('protocol', `not a hsperfdata file: ${what}`);
  if (buffer.length < prologueBytes || buffer.readUInt32BE(0) !== 0xcafec0c0) throw broken('no magic number');
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  const little = buffer.readUInt8(4) === 1;
  const major = buffer.readUInt8(5);
  if (major !== 2) throw broken(`version ${major}`);
  if (buffer.readUInt8(7) !== 1) throw broken('the JVM has not finished it'); // "accessible"
  const int = (at: number): number => view.getInt32(at, little);
  let entry = int(24);
  const count = int(28);
  const counters = new Map<string, number | string>();
  for (let i = 0; i < count; i++) {
    if (entry < prologueBytes || entry + entryHeaderBytes > buffer.length) throw broken('an entry lies outside of it');
    const [length, nameAt, vectorLength, dataAt] = [int(entry), int(entry + 4), int(entry + 8), int(entry + 16)];
    const end = entry + length;
    if (length < entryHeaderBytes || end > buffer.length || nameAt < 0 || dataAt < 0 || vectorLength < 0) {
      throw broken('an entry lies outside of it');
    }
    const name = textAt(buffer, entry + nameAt, end);
    const type = String.fromCharCode(buffer.readUInt8(entry + 12));
    const data = entry + dataAt;
    if (type === 'J' && vectorLength === 0 && data + 8 <= end) {
      counters.set(name, Number(view.getBigInt64(data, little)));
    } else if (type === 'B' && vectorLength > 0 && data + vectorLength <= end) {
      counters.set(name, textAt(buffer, data, data + vectorLength));
    } // the format has no other kinds in use
    entry = end;
  }
  return counters;
}

function textAt(buffer: Buffer, from: number, to: number): string {
  const zero = buffer.indexOf(0, from);
  return buffer.toString('utf8', from, zero < 0 ? to : Math.min(zero, to));
}
