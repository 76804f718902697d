/**
 * Work on several things side by side: those of one key one after the other, in their order; of different keys `most` at
 * a time. Settles when all that was begun is done; after a failure nothing more is begun.
 * @throws the first failure
 */
export async function inLanes<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  most: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const byKey = new Map<string, T[]>();
  for (const item of items) byKey.set(keyOf(item), [...(byKey.get(keyOf(item)) ?? []), item]);
  const waiting = [...byKey.values()];
  let hasFailed = false;
  const lane = async (): Promise<void> => {
    for (let group = waiting.shift(); group !== undefined; group = waiting.shift()) {
      for (const item of group) {
        if (hasFailed) return;
        try {
          await work(item);
        } catch (error) {
          hasFailed = true;
          throw error;
        }
      }
    }
  };
  const running = Array.from({ length: Math.min(most, waiting.length) }, lane);
  await Promise.allSettled(running);
  await Promise.all(running);
}
