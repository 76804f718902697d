// What V8 has compiled of the program, kept from one start to the next: https://nodejs.org/api/module.html#module-compile-cache
import { lstatSync, mkdirSync } from 'node:fs';
import { enableCompileCache, getCompileCacheDir } from 'node:module';
import { dirname, join } from 'node:path';
import { packageFolder } from './version.ts';

/**
 * Beside the program: whoever may write there may change the program as well. Node writes it as the process ends. Nothing is
 * kept where the folder cannot be made (a read-only installation, one of another user), and NODE_COMPILE_CACHE goes before.
 */
export function keepCompiled(folder: string = join(packageFolder(), '.cache', 'compiled')): void {
  if (getCompileCacheDir() === undefined && isOnlyOurs(folder)) enableCompileCache(folder);
}

/**
 * What is compiled is run without being compared with its source. So the folder, and the one that it is in, must belong to
 * who runs this, and nobody else may write to them.
 */
export function isOnlyOurs(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return [folder, dirname(folder)].every((path) => {
      const found = lstatSync(path);
      return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0;
    });
  } catch {
    return false;
  }
}
