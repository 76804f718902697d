// How an answer is sent: whole or in parts, compressed or not, and for how long it is held.
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Request, Response } from 'express';
import type { Clock } from './runtime/clock.ts';
import {
  acceptsGzip,
  compress,
  compressor,
  contentTypes,
  piecesOf,
  whole,
  type Exposition,
  type Format,
} from './scrape/exposition.ts';

export function sendText(res: Response, status: number, text: string): void {
  send(res, status, 'text/plain; charset=utf-8', text);
}

export function send(res: Response, status: number, type: string, body: string | Buffer): void {
  res.statusCode = status;
  res.setHeader('Content-Type', type);
  res.setHeader('Content-Length', Buffer.byteLength(body));
  res.end(res.req.method === 'HEAD' ? undefined : body);
}

export function sendCrowded(res: Response, answered: number): void {
  res.setHeader('Retry-After', '1');
  sendText(res, 503, `${String(answered)} requests are being answered already\n`);
}

/** Until the answer is with whoever asked, or nobody wants it: so long it is held in memory. */
export function taken(res: Response): Promise<void> {
  const { socket } = res.req;
  return new Promise((resolve) => {
    if (res.writableFinished || socket.destroyed) {
      resolve();
      return;
    }
    const over = (): void => {
      res.removeListener('close', over);
      socket.removeListener('close', over);
      resolve();
    };
    res.once('close', over);
    // One that waits for its turn behind another is not told.
    socket.once('close', over);
  });
}

export async function sendExposition(
  req: Request,
  res: Response,
  laid: Exposition,
  format: Format,
  clock: Clock,
): Promise<void> {
  if (res.destroyed) return; // nobody waits for it any more
  res.setHeader('Vary', 'Accept, Accept-Encoding');
  const zipped = acceptsGzip(req.get('accept-encoding'));
  if (zipped) res.setHeader('Content-Encoding', 'gzip');
  if (laid.bytes > wholeBytes) {
    await stream(res, contentTypes[format], laid, zipped);
    return;
  }
  const body = await whole(laid, clock);
  send(res, 200, contentTypes[format], zipped ? await compress(body) : body);
}

/** From here on an exposition is sent part by part: in one piece it would be held in memory twice. */
const wholeBytes = 8 * 1024 * 1024;

async function stream(res: Response, type: string, { parts, bytes }: Exposition, zipped: boolean): Promise<void> {
  res.statusCode = 200;
  res.setHeader('Content-Type', type);
  if (!zipped) res.setHeader('Content-Length', bytes);
  if (res.req.method === 'HEAD') {
    res.end();
    return;
  }
  try {
    const source = Readable.from(piecesOf({ parts }));
    await (zipped ? pipeline(source, compressor(), res) : pipeline(source, res));
  } catch (error) {
    if (!res.destroyed) throw error; // else whoever asked has gone
  }
}
