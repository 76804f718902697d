// Does the data move through it? Over several looks, by what it counts itself. Pure.

export interface CdcSample {
  /** By name: what only grows while it works (counters of its page, the time of its newest stored offset). */
  readonly counts: Readonly<Record<string, number>>;
  /** Where its source writes; undefined where that cannot be seen. */
  readonly sourceEnd: string | undefined;
  readonly lagSeconds: number | undefined;
  /** What it says of itself. */
  readonly works: boolean | undefined;
}

export type CdcMovement =
  | { readonly is: 'moves'; readonly by: string }
  /** Nothing to move: its source has written nothing, and it is at its end. */
  | { readonly is: 'idle' }
  | { readonly is: 'not_yet'; readonly because: string };

const wantedAdvances = 2;
const idleSamples = 3;

export function judgeCdcMovement(samples: readonly CdcSample[]): CdcMovement {
  const last = samples.at(-1);
  if (last === undefined) return { is: 'not_yet', because: 'it was not looked at yet' };
  if (last.works === false) return { is: 'not_yet', because: 'it says that it does not work' };
  const names = new Set(samples.flatMap((s) => Object.keys(s.counts)));
  for (const name of names) {
    if (advances(samples.flatMap((s) => s.counts[name] ?? [])) >= wantedAdvances) return { is: 'moves', by: name };
  }
  const isIdle =
    samples.length >= idleSamples &&
    samples.every((s) => s.sourceEnd !== undefined && s.sourceEnd === last.sourceEnd && s.lagSeconds === 0);
  if (isIdle && last.works === true) return { is: 'idle' };
  const because =
    names.size === 0
      ? 'it tells nothing that grows while it works: no counter on its page, no stored offset'
      : `none of ${[...names].sort().slice(0, 5).join(', ')} has grown ${wantedAdvances} times`;
  return { is: 'not_yet', because };
}

/** How often it has grown from one look to the next; a count that falls is of another process. */
function advances(values: readonly number[]): number {
  let n = 0;
  for (const [i, value] of values.entries()) {
    const before = values[i - 1];
    if (before === undefined) continue;
    if (value > before) n += 1;
    else if (value < before) n = 0;
  }
  return n;
}
