// The command line's way to the running server.
import { readFile } from 'node:fs/promises';
import fetch from 'node-fetch';
import { within } from '../exporter/runtime/deadline.ts';
import { messageOf } from '../exporter/runtime/errors.ts';

export interface ApiAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** No token can be read: the server was not asked. */
export class NoToken extends Error {}

/** @throws NoToken, and Error in one line when the server cannot be had */
export async function askServer(
  server: string,
  tokenFiles: readonly string[],
  path: string,
  body: Readonly<Record<string, string | number>>,
): Promise<ApiAnswer> {
  const token = await firstToken(tokenFiles);
  const response = await fetch(`${server}/api/v1/${path}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
    redirect: 'error',
    size: 1024 * 1024,
    signal: within(10_000),
  });
  const text = await response.text();
  return { status: response.status, body: jsonOf(text) ?? { error: text.slice(0, 200) } };
}

async function firstToken(files: readonly string[]): Promise<string> {
  const faults: string[] = [];
  for (const file of files) {
    try {
      const token = (await readFile(file, 'utf8')).trim();
      if (token !== '') return token;
      faults.push(`${file} is empty`);
    } catch (error) {
      faults.push(messageOf(error));
    }
  }
  throw new NoToken(`no token can be read: ${faults.join('; ') || 'none is configured'}`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
