// Versions of servers. Pure.

export type Version = readonly [major: number, minor: number, patch: number];

/** True for `version` and later. */
export function atLeast(client: { readonly version: Version }, ...wanted: Version): boolean {
  for (const [i, want] of wanted.entries()) {
    const have = client.version[i] ?? 0;
    if (have !== want) return have > want;
  }
  return true;
}

/** `5.5.5-10.11.19-MariaDB` is how a MariaDB behind a proxy may name itself. */
export function parseVersion(text: string): Version {
  const [, major = '', minor = '', patch = ''] = /^(?:5\.5\.5-)?(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? [];
  return [Number(major), Number(minor), Number(patch)];
}
