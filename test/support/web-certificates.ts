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

interface Wanted {
  readonly authority: string;
  /** Such as `DNS:a.test,URI:spiffe://x/y`. */
  readonly names: string;
  /** Of extendedKeyUsage; none: it is an authority itself. */
  readonly usage?: string;
  /** From now on; negative: it has expired. */
  readonly days?: number;
}

/** Writes NAME.pem and NAME.key, signed by the authority. */
export function makeCertificate(dir: string, name: string, { authority, names, usage, days = 30 }: Wanted): void {
  openssl(dir, ['req', ...curve, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`]);
  const use = usage === undefined ? 'basicConstraints=critical,CA:TRUE' : `extendedKeyUsage=${usage}`;
  writeFileSync(join(dir, `${name}.ext`), `subjectAltName=${names}\n${use}\n`);
  const ca = ['-CA', `${authority}.pem`, '-CAkey', `${authority}.key`, '-CAcreateserial'];
  const out = ['-out', `${name}.pem`, '-extfile', `${name}.ext`, '-days', String(days)];
  openssl(dir, ['x509', '-req', '-in', `${name}.csr`, ...ca, ...out]);
}
