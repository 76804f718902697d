// Servers whose clock is wrong, by libfaketime.
import { globSync } from 'node:fs';
import { join } from 'node:path';

/**
 * For Release.clockOffset: libfaketime under `folder`, such as /usr/lib, by the variable that loads it. The monotonic clock stays right, as
 * on a machine whose wall clock is wrong.
 */
export function clockOffset(seconds: number, folder: string, variable: string): Record<string, string> | undefined {
  const [library] = globSync('*/faketime/libfaketimeMT.so.1', { cwd: folder });
  if (library === undefined) return undefined;
  const offset = `${seconds < 0 ? '' : '+'}${seconds}s`;
  return { [variable]: join(folder, library), FAKETIME: offset, FAKETIME_DONT_FAKE_MONOTONIC: '1' };
}
