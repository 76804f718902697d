// A small JSON API, for the command line and for scripts. Each request carries a bearer token.
import { json, Router, type NextFunction, type Request, type Response } from 'express';
import { z } from 'zod';
import { messageOf } from '../exporter/runtime/errors.ts';
import type { Log } from '../exporter/runtime/log.ts';
import type { AdmitCaller, Caller } from './admission.ts';
import { changes, maintenanceView, type Change } from './people.ts';
import { Refusal, type PeopleContext } from './people-context.ts';
import type { PolicyView } from './promotion.ts';
import { storyOf } from './runs-view.ts';

interface Context extends PeopleContext {
  /** undefined: the server can be reached from elsewhere, and no token of the API's own is configured */
  readonly admit: AdmitCaller | undefined;
  readonly policies: () => Promise<readonly PolicyView[]>;
  /** Reads policies.yml again. @throws ConfigError: those before stay in use */
  readonly reload: () => Promise<void>;
  readonly log: Log;
}

const limit = z.coerce.number().int().min(1).max(1000).default(50);
const listQuery = z.object({ limit, alertname: z.string().optional() });
const approvalsQuery = z.object({ limit, episode: z.string().optional(), all: z.enum(['0', '1']).default('0') });
const auditQuery = z.object({ limit, object: z.string().optional() });
const objectBody = z.record(z.string(), z.unknown(), 'a JSON object is wanted, with Content-Type: application/json');
const who = z.string().trim().min(1).max(100);

/** Serves /api/v1. */
export function apiRouter(context: Context): Router {
  const { store, clock, log } = context;
  const router = Router();
  const body = json({ limit: '16kb', inflate: false });
  router.use('/api/v1', admission(context), body);
  router.post('/-/reload', admission(context), body, async (_request, response) => {
    try {
      await context.reload();
      response.json({ reloaded: true });
    } catch (error) {
      response.status(500).json({ error: messageOf(error) });
    }
  });

  router.get('/api/v1/runs', async (request, response) => {
    response.json({ runs: await store.runsOf({ limit: listQuery.parse(request.query).limit }) });
  });
  router.get('/api/v1/episodes', async (request, response) => {
    const query = listQuery.parse(request.query);
    const filter = query.alertname === undefined ? {} : { alertname: query.alertname };
    response.json({ episodes: await store.findEpisodes({ limit: query.limit, ...filter }) });
  });
  router.get('/api/v1/why/:id', async (request, response) => {
    const story = await storyOf(store, request.params.id, clock.nowMs());
    if (story === undefined)
      response.status(404).json({ error: `there is no run, episode or alert ${request.params.id}` });
    else response.json(story);
  });
  router.get('/api/v1/approvals', async (request, response) => {
    const { all, episode, limit: most } = approvalsQuery.parse(request.query);
    const approvals = await store.approvals({
      ...{ nowMs: clock.nowMs(), limit: most },
      ...(all === '1' ? {} : { open: true }),
      ...(episode === undefined ? {} : { episodeId: episode }),
    });
    response.json({ approvals });
  });
  router.get('/api/v1/latches', async (_request, response) => {
    response.json({ latches: await store.latches() });
  });
  router.get('/api/v1/pauses', async (_request, response) => {
    response.json({ pauses: await store.pauses() });
  });
  router.get('/api/v1/maintenance', async (_request, response) => {
    const nowMs = clock.nowMs();
    const all = await store.maintenances(nowMs);
    response.json({ maintenance: all.map((m) => maintenanceView(m, clock.wallOf, nowMs)) });
  });
  router.get('/api/v1/policies', async (_request, response) => {
    response.json({ policies: await context.policies() });
  });
  router.get('/api/v1/audit', async (request, response) => {
    const { object, limit: most } = auditQuery.parse(request.query);
    response.json({ audit: await store.auditOf({ limit: most, ...(object === undefined ? {} : { object }) }) });
  });
  for (const change of changes) router.post(`/api/v1/${change.path}`, changing(context, change));
  router.use('/api/v1', (error: unknown, _request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) next(error);
    else if (error instanceof z.ZodError) response.status(400).json({ error: z.prettifyError(error) });
    else if (error instanceof Refusal) response.status(error.status).json({ error: error.message });
    else if (statusIn(error) < 500) response.status(statusIn(error)).json({ error: messageOf(error) });
    else {
      log.error({ err: messageOf(error) }, 'a request to the API failed');
      response.status(500).json({ error: messageOf(error) });
    }
  });
  return router;
}

type Handler = (request: Request, response: Response, next: NextFunction) => Promise<void>;

/** Whose name stands in the audit: the token's own, else the one that the body gives. */
function changing(context: Context, change: Change): Handler {
  return async (request, response) => {
    const caller = response.locals['caller'] as Caller;
    const given = objectBody.parse(request.body);
    const { by, ...rest } = given;
    const said = by === undefined && caller.name !== undefined ? undefined : who.parse(by);
    const name = caller.name ?? said ?? 'unknown';
    const done = await change.run(context, { name, via: 'api', may: caller.may }, { ...rest, ...request.params });
    context.log.warn({ by: name, change: change.path, params: request.params, done }, 'changed by a person');
    response.json(done);
  };
}

function admission({ admit, log }: Context): Handler {
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
        response.locals['caller'] = result.caller;
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
