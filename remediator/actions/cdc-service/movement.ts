// Does the data arrive where it goes? Over several looks, by what was delivered: what was only read proves nothing. Pure.

/** How far each part of one thing has come (the partitions of a bus). It only grows while something arrives. */
export type Progress = Readonly<Record<string, number>>;

export interface CdcSample {
  /** By who tells it. Empty: nobody tells what was delivered. */
  readonly delivered: Readonly<Record<string, Progress>>;
  /** Where its source writes; undefined where that cannot be seen. */
  readonly sourceEnd: string | undefined;
  readonly lagSeconds: number | undefined;
  /** What it has read and not delivered yet; undefined where it does not say. */
  readonly queued: number | undefined;
  /** What it says of itself. */
  readonly works: boolean | undefined;
}

export type CdcMovement =
  | { readonly is: 'moves'; readonly by: string }
  /** Nothing to move: its source has written nothing, and it is at its end. */
  | { readonly is: 'idle' }
  | { readonly is: 'not_yet'; readonly because: string }
  /** Nobody tells what it delivers. */
  | { readonly is: 'unknown'; readonly because: string };

const wantedAdvances = 2;
const idleSamples = 3;

export function judgeCdcMovement(samples: readonly CdcSample[]): CdcMovement {
  const last = samples.at(-1);
  if (last === undefined) return { is: 'not_yet', because: 'it was not looked at yet' };
  if (last.works === false) return { is: 'not_yet', because: 'it says that it does not work' };
  const names = new Set(samples.flatMap((s) => Object.keys(s.delivered)));
  for (const name of names) {
    const looks = samples.map((s) => s.delivered[name]).filter((progress) => progress !== undefined);
    if (advances(looks) >= wantedAdvances) return { is: 'moves', by: name };
  }
  const isIdle =
    samples.length >= idleSamples &&
    samples.every((s) => s.sourceEnd !== undefined && s.sourceEnd === last.sourceEnd && s.lagSeconds === 0);
  if (isIdle && last.works === true && (last.queued ?? 0) === 0) return { is: 'idle' };
  if (names.size === 0) {
    const because =
      'nothing tells what it delivers: no pipeline names its topics in Kafka, it stores no offsets that are configured, and no counter of its page is of what was sent or applied';
    return { is: 'unknown', because };
  }
  const shown = [...names].sort().slice(0, 5).join(', ');
  const isSeen = samples.some(({ delivered }) => Object.values(delivered).some((of) => Object.keys(of).length > 0));
  const because = isSeen ? `none of ${shown} has grown ${wantedAdvances} times` : `${shown} could not be seen`;
  return { is: 'not_yet', because };
}

/** How often it has grown from one look to the next; what falls is of another process, or of a topic made anew. */
function advances(looks: readonly Progress[]): number {
  let n = 0;
  for (const [i, now] of looks.entries()) {
    const before = looks[i - 1];
    if (before === undefined) continue;
    // a part that was not seen in both shows nothing
    const steps = Object.entries(now).flatMap(([part, value]) => {
      const was = before[part];
      return was === undefined ? [] : [value - was];
    });
    if (steps.some((step) => step < 0)) n = 0;
    else if (steps.some((step) => step > 0)) n += 1;
  }
  return n;
}
