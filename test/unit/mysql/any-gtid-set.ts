import type { Random } from '../../support/random.ts';

export const gtidUuids = [
  '3e11fa47-71ca-11e1-9e33-c80aa9429562',
  '4350f323-7565-4e59-8763-4b1b83a0ce0e',
  'ffffffff-0000-4e59-8763-4b1b83a0ce0e',
] as const;

const [a, b, c] = gtidUuids;
const sources = [a, b, c, `${a}:x`, `${a}:tag_of_a_team`, `${b}:x`] as const;

/** A set in a spelling that a server takes, too: pieces in any order, overlapping, single numbers. */
export function anyGtidSet(random: Random): string {
  const pieces = Array.from({ length: Math.floor(random() * 14) }, () => {
    const source = sources[Math.floor(random() * sources.length)] ?? a;
    const first = 1 + Math.floor(random() * 60);
    const last = first + Math.floor(random() * 12);
    return `${source}:${first}${first === last ? '' : `-${last}`}`;
  });
  return pieces.join(random() < 0.5 ? ',' : ',\n');
}
