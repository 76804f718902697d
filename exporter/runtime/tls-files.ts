import { readFile } from 'node:fs/promises';
import { messageOf, TargetError } from './errors.ts';

/** Where the parts of a TLS identity lie. They are read at each connection, so that renewed ones are taken. */
export interface TlsFiles {
  readonly ca_file?: string | undefined;
  readonly cert_file?: string | undefined;
  readonly key_file?: string | undefined;
}

/** For tls.connect(). @throws TargetError `secret` that names the file */
export async function readTlsFiles(files: TlsFiles): Promise<{ ca?: string; cert?: string; key?: string }> {
  return {
    ...(files.ca_file === undefined ? {} : { ca: await read(files.ca_file) }),
    ...(files.cert_file === undefined ? {} : { cert: await read(files.cert_file) }),
    ...(files.key_file === undefined ? {} : { key: await read(files.key_file) }),
  };
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new TargetError('secret', `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
