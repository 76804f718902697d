// The TLS part of the web configuration in Node's words, and whether a client's certificate is good enough.
import { constants } from 'node:crypto';
import { createSecureContext, type SecureContextOptions, type TLSSocket } from 'node:tls';
import { ConfigError, messageOf } from './errors.ts';
import type { Pems } from './web-config-file.ts';
import type { WebTls } from './web-config-schema.ts';

const tls13 = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'];

/** @throws ConfigError when the files do not belong together or are no certificates */
export function secureContextOf(file: string, tls: WebTls, pems: Pems): SecureContextOptions {
  // OpenSSL 3 refuses TLS 1.0 and 1.1 at its default level whatever the versions say (SSL_CTX_set_security_level(3)).
  const isOld = tls.min_version === 'TLSv1' || tls.min_version === 'TLSv1.1';
  const chosen = tls.cipher_suites ?? [];
  const ciphers = [...new Set([...chosen, ...tls13])].join(':');
  const options: SecureContextOptions = {
    cert: pems.cert,
    key: pems.key,
    ...(pems.ca === undefined ? {} : { ca: pems.ca }),
    minVersion: tls.min_version,
    maxVersion: tls.max_version,
    honorCipherOrder: tls.prefer_server_cipher_suites,
    ...(chosen.length > 0 || isOld
      ? { ciphers: `${chosen.length > 0 ? ciphers : 'DEFAULT'}${isOld ? ':@SECLEVEL=0' : ''}` }
      : {}),
    ...((tls.curve_preferences ?? []).length > 0 ? { ecdhCurve: tls.curve_preferences?.join(':') } : {}),
    // Each connection shows its certificate anew: a resumed session would outlive the authority that it was checked by.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
  try {
    createSecureContext(options);
  } catch (error) {
    throw new ConfigError(file, [`tls_server_config: ${messageOf(error)}`]);
  }
  return options;
}

/** Why this client may not come in; undefined: it may. */
export function clientFault(socket: TLSSocket, tls: WebTls): string | undefined {
  const type = tls.client_auth_type;
  if (type === 'NoClientCert' || type === 'RequestClientCert') return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return type === 'VerifyClientCertIfGiven' ? undefined : 'it showed no certificate';
  // `authorized` also holds what the certificate may be used for (TLS Web Client Authentication)
  if (type !== 'RequireAnyClientCert' && !socket.authorized) {
    return `its certificate is not accepted: ${String(socket.authorizationError)}`;
  }
  const allowed = tls.client_allowed_sans;
  if (allowed === undefined) return undefined;
  const names = sansIn(certificate.subjectAltName);
  return names.some((name) => allowed.includes(name)) ? undefined : 'no name in its certificate is allowed';
}

/**
 * The names in a verified certificate of a client; none when nobody has verified it. Where no authority is named, Node
 * takes the public ones (nodejs.org/api/tls.html, tls.createSecureContext, ca): what they sign is nobody we know.
 */
export function verifiedNames(socket: TLSSocket, context: SecureContextOptions | undefined): readonly string[] {
  if (context?.ca === undefined || !socket.authorized) return [];
  return sansIn(socket.getPeerX509Certificate()?.subjectAltName);
}

const kinds: ReadonlySet<string> = new Set(['DNS', 'IP Address', 'URI', 'email']);

/**
 * `DNS:a, IP Address:127.0.0.1, URI:spiffe://x, email:a@b`. Node quotes as JSON what holds a comma or a quote
 * (nodejs.org/api/crypto.html, x509.subjectAltName), so that no value can pass for two.
 */
export function sansIn(text: string | undefined): readonly string[] {
  const found = [...(text ?? '').matchAll(/([A-Za-z0-9 ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/gy)];
  return found
    .filter(([, kind = '']) => kinds.has(kind))
    .map(([, , value = '']) => (value.startsWith('"') ? String(JSON.parse(value)) : value));
}
