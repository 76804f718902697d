// A certificate authority and a server's certificate of it, good for two days.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Writes ca.pem, ca.key, server.pem and server.key into `dir`. @param names such as `DNS:db.test,IP:127.0.0.1` */
export function makeCertificates(dir: string, names: string): void {
  const openssl = (...argv: string[]): void => {
    execFileSync('openssl', argv, { cwd: dir, stdio: 'ignore' });
  };
  const key = ['-newkey', 'rsa:2048', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test ca');
  openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=db.test');
  writeFileSync(join(dir, 'names'), `subjectAltName=${names}\n`);
  const ca = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
  openssl('x509', '-req', '-in', 'server.csr', ...ca, '-out', 'server.pem', '-days', '2', '-extfile', 'names');
}
