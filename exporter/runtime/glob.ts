/**
 * Names by `*`, any characters (none, and line breaks, too), and `?`, any one; everything else stands for itself. Looks for
 * the parts between the stars one after the other, so that no name, however long, makes it try their places over and over,
 * as a regular expression does.
 */
export function globOf(pattern: string): (name: string) => boolean {
  const [first = '', ...parts] = pattern.split('*');
  const last = parts.pop();
  if (last === undefined) return (name) => name.length === first.length && standsAt(first, name, 0);
  return (name) => {
    const end = name.length - last.length;
    if (end < first.length || !standsAt(first, name, 0) || !standsAt(last, name, end)) return false;
    let at = first.length;
    for (const part of parts) {
      at = placeOf(part, name, at);
      if (at < 0) return false;
      at += part.length;
      if (at > end) return false;
    }
    return true;
  };
}

/** The first place from `from` on; -1 for none. */
function placeOf(part: string, name: string, from: number): number {
  if (!part.includes('?')) return name.indexOf(part, from);
  for (let at = from; at + part.length <= name.length; at++) if (standsAt(part, name, at)) return at;
  return -1;
}

function standsAt(part: string, name: string, at: number): boolean {
  if (!part.includes('?')) return name.startsWith(part, at);
  for (let i = 0; i < part.length; i++) if (part[i] !== '?' && part[i] !== name[at + i]) return false;
  return true;
}
