import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { messageOf, TargetError } from './errors.ts';

/** Where a secret lies. It is read at each use, so that a rotated one is taken without a restart. */
export interface SecretSource {
  readonly password_file?: string | undefined;
  readonly password_env?: string | undefined;
}

/** What is larger was named by mistake: a log, a device. */
const mostBytes = 64 * 1024;

/**
 * The secret without its trailing newline; undefined when no source is given. An empty one is an error: a file that is
 * being written is empty for a moment, and a login without a password would be told as a wrong one. Errors name the
 * source, never the value.
 *
 * @throws TargetError `secret`
 */
export async function readSecret(
  source: SecretSource,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  const { password_file: file, password_env: variable } = source;
  if (file !== undefined) {
    let secret: string;
    try {
      secret = (await readSecretFile(file)).replace(/\r?\n$/, '');
    } catch (error) {
      throw new TargetError('secret', `password_file ${file} cannot be read: ${messageOf(error)}`, { cause: error });
    }
    if (secret === '') throw new TargetError('secret', `password_file ${file} is empty`);
    return secret;
  }
  if (variable === undefined) return undefined;
  const value = env[variable];
  if (value === undefined) throw new TargetError('secret', `environment variable ${variable} is not set`);
  if (value === '') throw new TargetError('secret', `environment variable ${variable} is empty`);
  return value;
}

/** Why the file holds nothing that can be used; undefined when it does. */
export async function secretFileFault(file: string): Promise<string | undefined> {
  try {
    return (await readSecretFile(file)).trim() === '' ? `${file} is empty` : undefined;
  } catch (error) {
    return messageOf(error);
  }
}

async function readSecretFile(file: string): Promise<string> {
  // Without O_NONBLOCK a pipe that nobody writes to would be waited for
  await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  const info = await handle.stat();
  if (!info.isFile()) throw new Error(`${file} is no regular file`);
  if (info.size > mostBytes) throw new Error(`${file} has more than ${String(mostBytes / 1024)} KiB`);
  return await handle.readFile('utf8');
}
