// The HTTP side: the ingest path, the API, and what Prometheus and a supervisor ask for. A body is read on the first two only.
import express, { type Express, type NextFunction, type Request, type Response, type Router } from 'express';
import { messageOf } from '../exporter/runtime/errors.ts';
import type { Log } from '../exporter/runtime/log.ts';
import type { Metrics } from './metrics.ts';

interface Context {
  readonly webhook: Router;
  readonly api: Router;
  readonly metrics: Metrics;
  /** Brings the numbers that are asked for up to date; called before each scrape. */
  readonly refresh: () => Promise<void>;
  /** Why it is not ready. */
  readonly unready: () => string | undefined;
  readonly log: Log;
}

export function createApp({ webhook, api, metrics, refresh, unready, log }: Context): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.use((_request, response, next) => {
    response.set('X-Content-Type-Options', 'nosniff').set('Cache-Control', 'no-store');
    next();
  });
  app.options('/-/reload', wrongMethod); // Express would answer this one with 200
  app.use(webhook);
  app.use(api);
  app.get('/-/healthy', (_request, response) => {
    response.type('text/plain').send('pipemedic remediator is alive.\n');
  });
  app.get('/-/ready', (_request, response) => {
    const why = unready();
    if (why === undefined) response.type('text/plain').send('pipemedic remediator is ready.\n');
    else response.status(503).type('text/plain').send(`not ready: ${why}\n`);
  });
  app.get('/metrics', async (_request, response) => {
    await refresh();
    response.set('Content-Type', metrics.contentType).send(await metrics.text());
  });
  app.all(['/-/healthy', '/-/ready', '/metrics', '/-/reload'], wrongMethod);
  app.use((request: Request, response: Response) => {
    if (!request.readableEnded) response.set('Connection', 'close');
    response.status(404).type('text/plain').send('there is nothing here\n');
  });
  app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
    log.error({ err: messageOf(error) }, 'a request failed');
    if (response.headersSent) response.destroy();
    else response.status(500).type('text/plain').send('internal error; see the log\n');
  });
  return app;
}

function wrongMethod(request: Request, response: Response): void {
  if (!request.readableEnded) response.set('Connection', 'close');
  response.set('Allow', request.path === '/-/reload' ? 'POST' : 'GET, HEAD');
  response.status(405).type('text/plain').send('another method is wanted here\n');
}
