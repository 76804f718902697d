// What was probably meant.

/** The one of `known` that a slip of the keyboard, or another spelling, makes into `word`. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const plain = bare(word);
  const most = plain.length <= 5 ? 1 : plain.length <= 8 ? 2 : 3;
  const found = known
    .map((one) => ({ one, far: distance(plain, bare(one)) }))
    .filter(({ one, far }) => far < Math.max(plain.length, bare(one).length) - 1 && far <= most)
    .sort((a, b) => a.far - b.far)[0];
  return found?.one ?? (plain.length >= 3 ? known.find((one) => bare(one).startsWith(plain)) : undefined);
}

/** All of them while they are few; else those nearest to `word`. */
export function listed(names: readonly string[], word = ''): string {
  const most = 12;
  if (names.length <= most) return names.join(', ');
  const plain = bare(word);
  const far = new Map(names.map((name) => [name, distance(plain, bare(name))]));
  const first = [...names].sort((a, b) => (far.get(a) ?? 0) - (far.get(b) ?? 0)).slice(0, most);
  return `${first.join(', ')} and ${String(names.length - most)} more`;
}

function bare(word: string): string {
  return word.toLowerCase().replace(/[-_ ]/g, '');
}

/** Letters put in, left out, exchanged, or swapped with their neighbour (optimal string alignment). */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(
        Math.min(
          (last[j] ?? 0) + 1,
          (row[j - 1] ?? 0) + 1,
          (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1),
          swapped ? (before[j - 2] ?? 0) + 1 : Infinity,
        ),
      );
    }
    before = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
