// Certificates of several people and authorities for one test, by openssl(1).
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

function openssl(dir: string, argv: readonly string[]): void {
  execFileSync('openssl', argv, { cwd: dir, stdio: 'ignore' });
}

/** Writes NAME.pem and NAME.key. */
export function makeAuthority(dir: string, name: string): void {
  openssl(dir, ['req', '-x509', ...curve, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${name}`]);
}

/** Writes NAME.pem and NAME.key, signed by the authority. @param names such as `DNS:a.test,URI:spiffe://x/y` */
export function makeCertificate(
  dir: string,
  name: string,
  { authority, names, usage }: { readonly authority: string; readonly names: string; readonly usage: string },
): void {
  openssl(dir, ['req', ...curve, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`]);
  writeFileSync(join(dir, `${name}.ext`), `subjectAltName=${names}\nextendedKeyUsage=${usage}\n`);
  const ca = ['-CA', `${authority}.pem`, '-CAkey', `${authority}.key`, '-CAcreateserial'];
  openssl(dir, ['x509', '-req', '-in', `${name}.csr`, ...ca, '-out', `${name}.pem`, '-extfile', `${name}.ext`]);
}
