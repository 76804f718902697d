// Who may come in: bearer tokens from files, several at once so that one can be replaced without a gap; users and client
// certificates that the web configuration has checked.
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import type { Caller } from '../exporter/runtime/web-gate.ts';

export type Admission =
  | { readonly is: 'admitted' }
  | { readonly is: 'missing' }
  | { readonly is: 'wrong' }
  /** it is none of the tokens that can be read, and one cannot: that is our fault, and for a sender a reason to come again */
  | { readonly is: 'unreadable'; readonly why: readonly string[] };

export type Admit = (authorization: string | undefined) => Promise<Admission>;

/** The files are looked at on each request and read again when they changed. */
export function admitBearer(files: readonly string[]): Admit {
  const kept = new Map<string, { readonly mark: string; readonly digest: Buffer }>();
  const digestIn = async (file: string): Promise<Buffer> => {
    const { mtimeMs, ino, size } = await stat(file);
    const mark = `${mtimeMs}/${ino}/${size}`;
    const before = kept.get(file);
    if (before?.mark === mark) return before.digest;
    const token = (await readFile(file, 'utf8')).trim();
    if (token === '') throw new Error(`${file} is empty`);
    const digest = digestOf(token);
    kept.set(file, { mark, digest });
    return digest;
  };
  return async (authorization) => {
    const [, token] = /^Bearer +([^\s]+) *$/i.exec(authorization ?? '') ?? [];
    if (token === undefined) return { is: 'missing' };
    const given = digestOf(token);
    const read = await Promise.allSettled(files.map(digestIn));
    let equal = false;
    // digests have one length, and all of them are compared: the time says nothing about the token
    for (const one of read) if (one.status === 'fulfilled' && timingSafeEqual(one.value, given)) equal = true;
    if (equal) return { is: 'admitted' };
    // Alertmanager drops what is answered with 403, and sends again what is answered with 503.
    const why = read.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : []));
    return why.length === 0 ? { is: 'wrong' } : { is: 'unreadable', why };
  };
}

export interface Senders {
  readonly tokenFiles: readonly string[];
  /** Users of the web configuration. */
  readonly users: readonly string[];
  /** Names in verified client certificates. */
  readonly sans: readonly string[];
}

/** Any one of the three is enough. A user who may not deliver is `wrong`, whatever else the web configuration lets him see. */
export function admitSenders(
  { tokenFiles, users, sans }: Senders,
  callerOf: (request: IncomingMessage) => Caller,
): (request: IncomingMessage) => Promise<Admission> {
  const admitToken = admitBearer(tokenFiles);
  return async (request) => {
    const { user, certificateNames } = callerOf(request);
    if (user !== undefined) return { is: users.includes(user) ? 'admitted' : 'wrong' };
    if (certificateNames.some((name) => sans.includes(name))) return { is: 'admitted' };
    return tokenFiles.length === 0 ? { is: 'missing' } : admitToken(request.headers.authorization);
  };
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
