import { prefixOf } from './target-labels.ts';
import type { TargetReport } from './sweeper.ts';
import type { Block } from './writer.ts';

/**
 * What /probe serves of one target: the labels that stand in front of each of its series on /metrics are taken out
 * again, so that the series are those of the exporter that people know. Service discovery adds them.
 * @throws when a line does not begin as the encoder writes it
 */
export function withoutInventoryLabels({ target, blocks }: Pick<TargetReport, 'target' | 'blocks'>): Block[] {
  const prefix = prefixOf(target);
  return blocks.map((block) => ({ ...block, bytes: without(prefix, block) }));
}

const [newline, open, comma, close] = [0x0a, 0x7b, 0x2c, 0x7d];

function without(prefix: Buffer, { header, bytes }: Block): Buffer {
  const shorter = Buffer.allocUnsafe(bytes.length);
  let end = 0;
  for (let begin = 0; begin < bytes.length;) {
    // A name has no brace, and the inventory's labels are never none: the first one opens them.
    const brace = bytes.indexOf(open, begin);
    const after = brace + prefix.length;
    if (brace < 0 || bytes.compare(prefix, 0, prefix.length, brace, after) !== 0) {
      throw new Error(`${header.name}: a series without the labels of its target`);
    }
    const lineEnd = bytes.indexOf(newline, after) + 1;
    if (lineEnd === 0) throw new Error(`${header.name}: a line without an end`);
    end += bytes.copy(shorter, end, begin, brace);
    if (bytes[after] === close) {
      end += bytes.copy(shorter, end, after + 1, lineEnd);
    } else {
      if (bytes[after] !== comma) throw new Error(`${header.name}: a label that goes on where it should end`);
      shorter[end++] = open;
      end += bytes.copy(shorter, end, after + 1, lineEnd);
    }
    begin = lineEnd;
  }
  return shorter.subarray(0, end);
}
