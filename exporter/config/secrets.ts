import type { Inventory } from './inventory.ts';
import { messageOf } from '../runtime/errors.ts';
import { readSecret, secretFileFault } from '../runtime/secrets.ts';

/** Files and environment variables that the targets name and that cannot be used, one line each. Nothing of them is said. */
export async function missingSecrets(
  inventory: Inventory,
  env: NodeJS.ProcessEnv = process.env,
): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const { auth, tls, address, placeOf } of inventory.targets.values()) {
    const variable = auth?.password_env;
    if (variable !== undefined) {
      const fault = await readSecret({ password_env: variable }, env).then(() => undefined, messageOf);
      if (fault !== undefined) {
        problems.push(`${placeOf('auth', 'password_env')}: ${fault}. Set it, or use password_file`);
      }
    }
    const files = [
      [['auth', 'password_file'], auth?.password_file],
      [['tls', 'ca_file'], tls?.ca_file],
      [['tls', 'cert_file'], tls?.cert_file],
      [['tls', 'key_file'], tls?.key_file],
      [['address', 'server_public_key_file'], publicKeyFileIn(address)],
    ] as const;
    for (const [path, file] of files) {
      const fault = file === undefined ? undefined : await secretFileFault(file);
      if (fault !== undefined)
        problems.push(`${placeOf(...path)}: ${fault}. Create the file and let this user read it`);
    }
  }
  return problems;
}

/** Of MySQL's RSA key, which a password is encrypted with. */
function publicKeyFileIn(address: unknown): string | undefined {
  if (typeof address !== 'object' || address === null || !('server_public_key_file' in address)) return undefined;
  const { server_public_key_file: file } = address;
  return typeof file === 'string' ? file : undefined;
}
