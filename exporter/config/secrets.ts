import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { messageOf } from '../runtime/errors.ts';
import type { Inventory } from './inventory.ts';

/** Files and environment variables that the targets name and that are not there, one line each. Nothing is read. */
export async function missingSecrets(
  inventory: Inventory,
  env: NodeJS.ProcessEnv = process.env,
): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const { name, auth, tls } of inventory.targets.values()) {
    if (auth?.password_env !== undefined && env[auth.password_env] === undefined) {
      problems.push(
        `target ${name}, auth.password_env: environment variable ${auth.password_env} is not set. Set it, or use password_file`,
      );
    }
    const files = {
      'auth.password_file': auth?.password_file,
      'tls.ca_file': tls?.ca_file,
      'tls.cert_file': tls?.cert_file,
      'tls.key_file': tls?.key_file,
    };
    for (const [path, file] of Object.entries(files)) {
      if (file === undefined) continue;
      try {
        await access(file, constants.R_OK);
      } catch (error) {
        problems.push(`target ${name}, ${path}: ${messageOf(error)}. Create the file and let this user read it`);
      }
    }
  }
  return problems;
}
