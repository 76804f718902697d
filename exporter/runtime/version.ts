import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The version in package.json, the only place where it stands. */
export function packageVersion(from: string = import.meta.dirname): string {
  return ownPackage(from).version;
}

/** Where package.json lies, and beside it what is shipped with the program: rules, dashboards. */
export function packageFolder(from: string = import.meta.dirname): string {
  return ownPackage(from).folder;
}

/**
 * The file is at the root of the repository and of the published package: two folders up from the sources, three from
 * dist/.
 */
function ownPackage(from: string): { readonly folder: string; readonly version: string } {
  for (let folder = from; ; folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (existsSync(file)) {
      const found: unknown = JSON.parse(readFileSync(file, 'utf8'));
      if (isOurs(found)) return { folder, version: found.version };
    }
    if (dirname(folder) === folder) throw new Error(`no package.json of pipemedic above ${from}`);
  }
}

function isOurs(found: unknown): found is { version: string } {
  if (typeof found !== 'object' || found === null) return false;
  return 'name' in found && found.name === 'pipemedic' && 'version' in found && typeof found.version === 'string';
}
