// The ingest path: authenticate, bound, check, store durably, answer. Nothing else happens while the sender waits.
import type { IncomingMessage } from 'node:http';
import { raw, Router, type NextFunction, type Request, type Response } from 'express';
import { messageOf } from '../exporter/runtime/errors.ts';
import type { Log } from '../exporter/runtime/log.ts';
import type { LedgerClock } from './clock.ts';
import type { Metrics } from './metrics.ts';
import { maxBodyBytes, parseBody } from './payload.ts';
import type { Source } from './settings.ts';
import { StoreError, type Store } from './store/store.ts';
import type { Admission } from './tokens.ts';

interface Context {
  readonly store: Pick<Store, 'appendWebhook'>;
  readonly sources: readonly Source[];
  readonly admit: (request: IncomingMessage) => Promise<Admission>;
  readonly clock: LedgerClock;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Called after a delivery is stored; must not throw. */
  readonly stored: () => void;
  /** The store has no room, said once a second at most; must not throw. */
  readonly full?: () => void;
}

const fullEveryMs = 1000;

type Result =
  | 'stored'
  | 'not_stored'
  | 'unauthorized'
  | 'forbidden'
  | 'malformed'
  | 'too_large'
  | 'wrong_method'
  | 'unknown_source';

const statusOf: Readonly<Record<Result, number>> = {
  stored: 200,
  not_stored: 503,
  unauthorized: 401,
  forbidden: 403,
  malformed: 400,
  too_large: 413,
  wrong_method: 405,
  unknown_source: 404,
};

/** Serves /webhook/<source>. */
export function webhookRouter(context: Context): Router {
  const { store, sources, admit, clock, metrics, log, stored, full } = context;
  const names = new Set(sources.map((s) => s.name));
  const warn = quietly(log, clock);
  let fullAtMs = -Infinity;
  const receivedMs = oncePerTurn(clock.nowMs);
  const sourceOf = (request: Request): string => {
    const { source } = request.params;
    return typeof source === 'string' && names.has(source) ? source : 'unknown';
  };

  const answer = (request: Request, response: Response, result: Result, why: string, id?: number): void => {
    const source = sourceOf(request);
    metrics.webhook(source, result);
    if (result !== 'stored') {
      warn(`${source}/${result}`, { source, result, why, from: request.socket.remoteAddress, method: request.method });
      // what is left of the body is not read
      if (!request.readableEnded) response.set('Connection', 'close');
    }
    const text = JSON.stringify(id === undefined ? { error: why } : { id });
    // Express's json() parses the type that it has just set itself, for each answer.
    response.writeHead(statusOf[result], {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(text),
    });
    response.end(text);
  };

  const router = Router();
  router.all('/webhook/:source', (request, response, next) => {
    if (request.method === 'POST') {
      next();
      return;
    }
    response.set('Allow', 'POST');
    // Go's client follows a 301, 302 or 303 with a GET that has no body; a 2xx to that would lose the notification.
    answer(request, response, 'wrong_method', 'only POST: is a redirect in the way? Set follow_redirects: false');
  });
  router.post(
    '/webhook/:source',
    async (request: Request, response: Response, next: NextFunction): Promise<void> => {
      const admission = await admit(request);
      switch (admission.is) {
        case 'admitted':
          if (sourceOf(request) !== 'unknown') next();
          else answer(request, response, 'unknown_source', 'no such source is configured');
          return;
        case 'missing':
          response.set('WWW-Authenticate', 'Bearer');
          answer(request, response, 'unauthorized', 'a token, a user or a client certificate is wanted');
          return;
        case 'wrong':
          answer(request, response, 'forbidden', 'these credentials may not deliver notifications');
          return;
        case 'unreadable':
          warn('tokens', { why: admission.why });
          answer(request, response, 'not_stored', 'the receiver cannot read its tokens');
      }
    },
    // Alertmanager does not compress; an inflated body could be any size
    raw({ type: () => true, limit: maxBodyBytes, inflate: false }),
    async (request: Request, response: Response): Promise<void> => {
      const body: unknown = request.body;
      const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
      const parsed = parseBody(bytes);
      if (!parsed.ok) {
        answer(request, response, parsed.status === 413 ? 'too_large' : 'malformed', parsed.why);
        return;
      }
      try {
        const source = sourceOf(request);
        const id = await store.appendWebhook({
          source,
          receivedMs: receivedMs(),
          receivedBy: `${request.socket.remoteAddress ?? 'unknown'} ${request.headers['user-agent'] ?? ''}`.slice(
            0,
            180,
          ),
          body: bytes,
          alertCount: parsed.alerts.length,
          truncatedCount: parsed.truncated,
        });
        metrics.lastWebhook(source, clock.wallMs());
        answer(request, response, 'stored', '', id);
        stored();
      } catch (error) {
        answer(request, response, 'not_stored', messageOf(error));
        if (error instanceof StoreError && error.code === 'full' && clock.monoMs() - fullAtMs > fullEveryMs) {
          fullAtMs = clock.monoMs();
          full?.();
        }
      }
    },
  );
  // Errors of the body reader: too large, cut off, compressed, a length that is wrong.
  router.use((error: unknown, request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const status = statusIn(error);
    // The path is not parsed in an error handler.
    request.params['source'] = /^\/webhook\/([^/]+)\/?$/.exec(request.path)?.[1] ?? '';
    if (status === 413) answer(request, response, 'too_large', `more than ${maxBodyBytes} bytes`);
    else if (status !== undefined && status < 500) answer(request, response, 'malformed', messageOf(error));
    else answer(request, response, 'not_stored', messageOf(error));
  });
  return router;
}

/** The machine's time since boot is read from a file: under load that costs as much as to parse a body. */
function oncePerTurn(read: () => number): () => number {
  let now: number | undefined;
  return () => {
    if (now !== undefined) return now;
    now = read();
    setImmediate(() => {
      now = undefined;
    });
    return now;
  };
}

function statusIn(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('status' in error)) return undefined;
  return typeof error.status === 'number' ? error.status : undefined;
}

/** A refused notification comes again every group_interval: said at once, then once a minute with how many there were. */
function quietly(log: Log, clock: LedgerClock): (key: string, fields: Readonly<Record<string, unknown>>) => void {
  const last = new Map<string, { readonly atMs: number; readonly held: number }>();
  return (key, fields) => {
    const now = clock.monoMs();
    const before = last.get(key);
    if (before !== undefined && now - before.atMs < 60_000) {
      last.set(key, { atMs: before.atMs, held: before.held + 1 });
      return;
    }
    last.set(key, { atMs: now, held: 0 });
    log.error({ ...fields, heldBack: before?.held ?? 0 }, 'a request on the webhook path was refused');
  };
}
