// What every server file of the lab needs to know, and the small things they share.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { LabFolder } from './processes.ts';

export const repo = join(import.meta.dirname, '..', '..');

export interface LabContext extends LabFolder {
  readonly address: string;
  /** The password of a user of the lab, made at its first use; also in the file `secrets/NAME`, mode 0600. */
  readonly secret: (name: string) => string;
  readonly secretFile: (name: string) => string;
}

export function secretsIn(dir: string): Pick<LabContext, 'secret' | 'secretFile'> {
  const folder = join(dir, 'secrets');
  mkdirSync(folder, { mode: 0o700 });
  const fileOf = (name: string): string => {
    const file = join(folder, name);
    if (!existsSync(file)) writeFileSync(file, `${randomBytes(18).toString('base64url')}\n`, { mode: 0o600 });
    return file;
  };
  return { secretFile: fileOf, secret: (name) => readFileSync(fileOf(name), 'utf8').trim() };
}

export function folderIn(lab: LabFolder, ...names: string[]): string {
  const folder = join(lab.dir, ...names);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** A file for one program of the lab, mode 0600. */
export function fileIn(lab: LabFolder, name: string, text: string): string {
  const file = join(lab.dir, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Where setup.sh has put Kafka and Maxwell. */
export function cacheFolder(): string {
  const { PIPEMEDIC_CACHE: own, XDG_CACHE_HOME: xdg } = process.env;
  if (own !== undefined && own !== '') return own;
  return join(xdg === undefined || xdg === '' ? join(homedir(), '.cache') : xdg, 'pipemedic');
}

/** Folder of something that setup.sh has made; says what to run when it is not there. */
export function fromCache(name: string): string {
  const folder = join(cacheFolder(), name);
  if (existsSync(join(folder, '.complete'))) return folder;
  throw new Error(`${name} is not in ${cacheFolder()}: run deploy/lab/setup.sh first`);
}

/** Debian keeps servers in /usr/sbin, which is not on every user's PATH. */
export function program(name: string): string {
  for (const folder of [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/bin', '/sbin']) {
    if (folder !== '' && existsSync(join(folder, name))) return join(folder, name);
  }
  throw new Error(`${name} is not installed: run deploy/lab/setup.sh first`);
}
