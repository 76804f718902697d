import { readFile } from 'node:fs/promises';
import { messageOf, TargetError } from './errors.ts';

/** Where a secret lies. It is read at each use, so that a rotated one is taken without a restart. */
export interface SecretSource {
  readonly password_file?: string | undefined;
  readonly password_env?: string | undefined;
}

/** The secret without its trailing newline; undefined when no source is given. Errors name the source, never the value. */
export async function readSecret(
  source: SecretSource,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  if (source.password_file !== undefined) {
    try {
      return (await readFile(source.password_file, 'utf8')).replace(/\r?\n$/, '');
    } catch (error) {
      throw new TargetError('secret', `password_file ${source.password_file} cannot be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
  if (source.password_env === undefined) return undefined;
  const value = env[source.password_env];
  if (value === undefined) throw new TargetError('secret', `environment variable ${source.password_env} is not set`);
  return value;
}
