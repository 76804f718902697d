// A small JSON API, for the command line and for scripts. Each request carries a bearer token.
import { json, Router, type NextFunction, type Request, type Response } from 'express';
import { z } from 'zod';
import { messageOf } from '../exporter/runtime/errors.ts';
import type { Log } from '../exporter/runtime/log.ts';
import type { LedgerClock } from './clock.ts';
import { resume } from './resume.ts';
import { storyOf } from './runs-view.ts';
import type { Store } from './store/store.ts';
import { setSwitchFile } from './switch.ts';
import type { Admit } from './tokens.ts';

interface Context {
  readonly store: Store;
  readonly switchFile: string;
  /** undefined: the server can be reached from elsewhere, and no token of the API's own is configured */
  readonly admit: Admit | undefined;
  readonly clock: LedgerClock;
  readonly log: Log;
}

const limit = z.coerce.number().int().min(1).max(1000).default(50);
const listQuery = z.object({ limit, alertname: z.string().optional() });
const who = z.string().min(1).max(100);
const why = z.string().min(1).max(500);
const pauseBody = z.strictObject({ by: who, reason: why });
const resumeBody = z.strictObject({ by: who });
const clearBody = z.strictObject({ by: who, comment: why });

/** Serves /api/v1. */
export function apiRouter(context: Context): Router {
  const { store, switchFile, clock, log } = context;
  const router = Router();
  router.use('/api/v1', admission(context));
  router.use('/api/v1', json({ limit: '16kb', inflate: false }));

  router.get('/api/v1/runs', async (request, response) => {
    response.json({ runs: await store.runsOf({ limit: listQuery.parse(request.query).limit }) });
  });
  router.get('/api/v1/episodes', async (request, response) => {
    const query = listQuery.parse(request.query);
    const filter = query.alertname === undefined ? {} : { alertname: query.alertname };
    response.json({ episodes: await store.findEpisodes({ limit: query.limit, ...filter }) });
  });
  router.get('/api/v1/why/:id', async (request, response) => {
    const story = await storyOf(store, request.params.id);
    if (story === undefined)
      response.status(404).json({ error: `there is no run, episode or alert ${request.params.id}` });
    else response.json(story);
  });
  router.post('/api/v1/pause', async (request, response) => {
    const { by, reason } = pauseBody.parse(request.body);
    await setSwitchFile(switchFile, { by, reason, at: new Date(clock.wallMs()).toISOString() });
    await store.audit({
      atMs: clock.nowMs(),
      actor: by,
      via: 'api',
      verb: 'pause',
      object: 'global',
      detail: { reason },
    });
    log.warn({ by, reason }, 'paused: nothing is repaired by itself');
    response.json({ paused: true });
  });
  router.post('/api/v1/resume', async (request, response) => {
    const { by } = resumeBody.parse(request.body);
    await resume({ store, switchFile, clock, by, via: 'api' });
    log.warn({ by }, 'resumed');
    response.json({ paused: false });
  });
  router.post('/api/v1/latches/:id/clear', async (request, response) => {
    const { by, comment } = clearBody.parse(request.body);
    const cleared = await store.clearLatch(request.params.id, by, comment, clock.nowMs());
    if (cleared) response.json({ cleared: true });
    else response.status(404).json({ error: `there is no open latch ${request.params.id}` });
  });
  router.use('/api/v1', (error: unknown, _request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) next(error);
    else if (error instanceof z.ZodError) response.status(400).json({ error: z.prettifyError(error) });
    else if (statusIn(error) < 500) response.status(statusIn(error)).json({ error: messageOf(error) });
    else {
      log.error({ err: messageOf(error) }, 'a request to the API failed');
      response.status(500).json({ error: messageOf(error) });
    }
  });
  return router;
}

function admission({
  admit,
  log,
}: Context): (request: Request, response: Response, next: NextFunction) => Promise<void> {
  return async (request, response, next) => {
    if (admit === undefined) {
      response.status(403).json({
        error: 'the API is off: this server listens beyond loopback. Set remediation.api.token_files',
      });
      return;
    }
    const result = await admit(request.headers.authorization);
    switch (result.is) {
      case 'admitted':
        next();
        return;
      case 'missing':
        response.set('WWW-Authenticate', 'Bearer').status(401).json({ error: 'a bearer token is wanted' });
        return;
      case 'wrong':
        response.status(403).json({ error: 'the token is not accepted' });
        return;
      case 'unreadable':
        log.error({ why: result.why }, 'no API token can be read');
        response.status(503).json({ error: 'the server cannot read its tokens' });
    }
  };
}

function statusIn(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('status' in error)) return 500;
  return typeof error.status === 'number' ? error.status : 500;
}
