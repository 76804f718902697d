// Waiting for a condition, never for a time.

/** Asks again until `look` gives something; throws with what it was waiting for. */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  ms = 20_000,
): Promise<T> {
  const deadline = performance.now() + ms;
  let fault: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      fault = undefined;
    } catch (error) {
      fault = error;
    }
    if (performance.now() > deadline) throw new Error(`waited ${ms} ms in vain for ${what}`, { cause: fault });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
