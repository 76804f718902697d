import { createSecureContext } from 'node:tls';
import type { Tls } from '../fields.ts';
import { messageOf } from '../runtime/errors.ts';
import { readSecret, secretFileFault } from '../runtime/secrets.ts';
import { readTlsFiles } from '../runtime/tls-files.ts';
import type { Inventory } from './inventory.ts';

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
    const told = problems.length;
    for (const [path, file] of files) {
      const fault = file === undefined ? undefined : await secretFileFault(file);
      if (fault === undefined) continue;
      problems.push(`${placeOf(...path)}: ${fault}. Create the file and let this user read it`);
    }
    const identity = tls === undefined || problems.length > told ? undefined : await identityFault(tls);
    if (identity !== undefined) problems.push(`${placeOf('tls')}: ${identity}`);
  }
  return problems;
}

/** Why nobody can be shown this certificate, or nobody is believed by these authorities. */
async function identityFault(tls: Tls): Promise<string | undefined> {
  try {
    const { ca, cert, key } = await readTlsFiles(tls);
    // Node takes any text for authorities (seen on 24), and believes nobody then
    if (ca?.includes('-----BEGIN') === false) return 'there is no certificate in ca_file. Name a file in PEM format';
    createSecureContext({ ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }) });
    return undefined;
  } catch (error) {
    return `cert_file and key_file cannot be used: ${messageOf(error)}. Name a certificate in PEM format and its own key`;
  }
}

/** Of MySQL's RSA key, which a password is encrypted with. */
function publicKeyFileIn(address: unknown): string | undefined {
  if (typeof address !== 'object' || address === null || !('server_public_key_file' in address)) return undefined;
  const { server_public_key_file: file } = address;
  return typeof file === 'string' ? file : undefined;
}
