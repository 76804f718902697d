// One statement for several collectors that need its answer.

type Ask<C, T> = (client: C, ask: () => Promise<T>) => Promise<T>;

/** Asks once per connection, and again only after a failure: for what cannot change while the server runs. */
export function onceEach<T, C extends object = object>(): Ask<C, T> {
  const kept = new WeakMap<C, Promise<T>>();
  return (client, ask) => {
    const before = kept.get(client);
    if (before !== undefined) return before;
    const asked = ask();
    kept.set(client, asked);
    asked.catch(() => kept.delete(client));
    return asked;
  };
}

/**
 * Whoever asks while the same is being asked gets its answer: the collectors of one sweep begin at the same time, and
 * their statements queue up on the one connection.
 */
export function sharedEach<T, C extends object = object>(): Ask<C, T> {
  const running = new WeakMap<C, Promise<T>>();
  return (client, ask) => {
    const before = running.get(client);
    if (before !== undefined) return before;
    const asked = ask().finally(() => running.delete(client));
    running.set(client, asked);
    return asked;
  };
}
