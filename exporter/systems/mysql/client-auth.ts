// How a password may travel. With mysql_native_password it never does; the SHA-2 plugins send it as it is over TLS or a
// unix socket, and else encrypted with the server's RSA key, which is only as good as the way by which that key came.
// https://dev.mysql.com/doc/refman/8.4/en/caching-sha2-pluggable-authentication.html
import { readFile } from 'node:fs/promises';
import { isIP, type Socket } from 'node:net';
import { authPlugins, type AuthPlugin, type SslOptions } from 'mysql2';
import type { Tls } from '../../fields.ts';
import { messageOf, TargetError } from '../../runtime/errors.ts';
import type { MysqlAddress } from './address.ts';

/**
 * Over plain TCP the key that a server sends is taken on the loopback interface, and elsewhere only where `address` allows
 * it (mysql2 takes it from anybody). A server asks for it when its cache does not hold the account: after each restart.
 */
export async function authPluginsFor(
  address: MysqlAddress,
  tls: Tls | undefined,
  socket: Socket,
): Promise<Readonly<Record<string, AuthPlugin>> | undefined> {
  if ('socket' in address || tls !== undefined) return undefined;
  const serverPublicKey = address.publicKeyFile === undefined ? undefined : await readTlsFile(address.publicKeyFile);
  const options = {
    ...(serverPublicKey === undefined ? {} : { serverPublicKey }),
    onServerPublicKey: () => {
      if (address.publicKeyRetrieval ?? isLoopback(socket.remoteAddress)) return;
      throw new TargetError(
        'auth',
        'the server wants the password, and the connection is not encrypted: set tls, or address.server_public_key_file, or (on a network where nobody can sit in between) address.allow_public_key_retrieval',
      );
    },
  };
  return {
    caching_sha2_password: authPlugins.caching_sha2_password(options),
    sha256_password: authPlugins.sha256_password(options),
  };
}

function isLoopback(address: string | undefined): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address ?? '');
}

/**
 * Whom the certificate must name. mysql2 3.24 leaves an IP address out and then expects the name `localhost`; with a dot
 * behind it the address is passed on, and tls.checkServerIdentity removes the dot and compares it as an address.
 */
export function certificateName(address: MysqlAddress, tls: Tls | undefined): string {
  if (tls?.server_name !== undefined) return tls.server_name;
  if ('socket' in address) return 'localhost';
  return isIP(address.host) === 0 ? address.host : `${address.host}.`;
}

export async function sslOf(tls: Tls | undefined): Promise<SslOptions | undefined> {
  if (tls === undefined) return undefined;
  return {
    rejectUnauthorized: true,
    verifyIdentity: true,
    ...(tls.ca_file === undefined ? {} : { ca: await readTlsFile(tls.ca_file) }),
    ...(tls.cert_file === undefined ? {} : { cert: await readTlsFile(tls.cert_file) }),
    ...(tls.key_file === undefined ? {} : { key: await readTlsFile(tls.key_file) }),
  };
}

async function readTlsFile(file: string): Promise<Buffer> {
  return readFile(file).catch((error: unknown) => {
    throw new TargetError('secret', `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  });
}
