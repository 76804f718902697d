/**
 * The collectors of one sweep are given the same reply, one right after another: it is read once. Who gets the result does
 * not change it.
 */
export function readOnce<T extends object>(read: (text: string) => T): (text: string) => T {
  let last: { readonly text: string; readonly found: T } | undefined;
  return (text) => {
    if (last?.text !== text) last = { text, found: read(text) };
    return last.found;
  };
}
