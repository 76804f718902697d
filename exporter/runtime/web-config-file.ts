// Reading the web configuration file and the files that it names. By synchronous calls: a new connection's handshake begins
// in the turn of the event loop in which it is accepted, and what it may do has to be known then.
import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { load } from 'js-yaml';
import { z } from 'zod';
import { ConfigError, messageOf } from './errors.ts';
import { yamlProblem } from './yaml-problem.ts';
import { webConfigSchema, type WebDocument, type WebTls } from './web-config-schema.ts';

/** @throws ConfigError with every problem found */
export function readWebConfig(
  file: string,
  { mayBeEmpty = true }: { readonly mayBeEmpty?: boolean } = {},
): WebDocument {
  let document: unknown;
  try {
    const text = readFileSync(file, 'utf8');
    const isEmpty = !/^(?!\s*(#|$))/m.test(text);
    if (isEmpty && !mayBeEmpty)
      throw new ConfigError(file, ['it is empty, or not written yet. Write {} to ask nobody']);
    // js-yaml takes an empty document for a mistake; here it is a file that asks for nothing
    document = isEmpty ? {} : load(text, { filename: file });
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(file, [yamlProblem(error) ?? messageOf(error)]);
  }
  const parsed = webConfigSchema.safeParse(document);
  if (parsed.success) return parsed.data;
  // Values stay out of the messages: they are hashes and keys.
  throw new ConfigError(
    file,
    parsed.error.issues.map((i) => `${i.path.length === 0 ? '' : `${z.core.toDotPath(i.path)}: `}${i.message}`),
  );
}

/** Paths in the file are relative to it. */
export function filesOf(file: string, tls: WebTls | undefined): readonly string[] {
  const named = [tls?.cert_file, tls?.key_file, tls?.client_ca_file].filter((f) => f !== undefined);
  return named.map((f) => resolve(dirname(file), f));
}

export interface Pems {
  readonly cert: string;
  readonly key: string;
  readonly ca: string | undefined;
}

/** @throws ConfigError that names the file */
export function readPems(file: string, tls: WebTls): Pems {
  const read = (key: string, path: string | undefined, text: string | undefined): string => {
    if (path === undefined) return text ?? '';
    try {
      return readFileSync(resolve(dirname(file), path), 'utf8');
    } catch (error) {
      throw new ConfigError(file, [`tls_server_config.${key}: ${messageOf(error)}`]);
    }
  };
  const ca = read('client_ca_file', tls.client_ca_file, tls.client_ca);
  const isNamed = tls.client_ca_file !== undefined || tls.client_ca !== undefined;
  if (isNamed && !holdsCertificate(ca)) {
    const key = tls.client_ca_file === undefined ? 'client_ca' : 'client_ca_file';
    throw new ConfigError(file, [`tls_server_config.${key}: it holds no certificate`]);
  }
  return {
    cert: read('cert_file', tls.cert_file, tls.cert),
    key: read('key_file', tls.key_file, tls.key),
    ca: isNamed ? ca : undefined,
  };
}

/** Without any, Node would take the public authorities in their place (nodejs.org/api/tls.html, tls.createSecureContext, ca). */
function holdsCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).serialNumber !== '';
  } catch {
    return false;
  }
}

/** A file changed this lately may change again within one tick of the file system's clock. */
const youngMs = 2000;

/** Changes when the content of a file may have changed. @param wallMs to be held against the files' times */
export function markOf(files: readonly string[], wallMs: number): string {
  return files
    .map((file) => {
      try {
        const { mtimeMs, ctimeMs, ino, size } = statSync(file);
        const young = Math.abs(wallMs - mtimeMs) < youngMs ? wallMs : '';
        return [mtimeMs, ctimeMs, ino, size, young].join('/');
      } catch (error) {
        return messageOf(error);
      }
    })
    .join(' ');
}
