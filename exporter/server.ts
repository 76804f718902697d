import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import type { Clock } from './runtime/clock.ts';
import { Places, sharerOf } from './runtime/shares.ts';
import { bringsBody } from './runtime/web-shape.ts';
import { layOut, negotiate } from './scrape/exposition.ts';
import { defaultDeadline, scrapeBudgetMs, type DeadlineOptions } from './scrape/deadline.ts';
import type { Block } from './scrape/writer.ts';
import type { Self } from './scrape/self.ts';
import { send, sendCrowded, sendExposition, sendText, taken } from './answers.ts';
import { askedOfMetrics, askedOfProbe, discovered, WrongQuestion, type Doors } from './doors.ts';
import { landingPage } from './landing.ts';

export interface ServerDeps {
  readonly rounds: Doors;
  readonly self: Self;
  readonly clock: Clock;
  readonly version: string;
  /** Counts and logs what this program did wrong. */
  readonly fault: (part: string, error: unknown) => void;
  readonly deadline?: DeadlineOptions;
  /** Scrapes and pages answered at the same time; each is held in memory. Those that still wait for targets hold none. */
  readonly maxScrapes?: number;
  /** Reads the inventory again. */
  readonly reload: () => Promise<boolean>;
  /**
   * Must everybody say who they are, as the web configuration is now? Otherwise nothing is changed, and nothing is told
   * but what /metrics tells.
   */
  readonly isCallerKnown: () => boolean;
}

/** The HTTP side: what is asked and how it is answered. What is measured comes from the rounds. */
export function createApp(deps: ServerDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag'); // would hash each exposition
  app.set('query parser', 'simple');
  // One spelling for each path: what a proxy in front keeps closed must not open by another one.
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.use(prepare(deps));
  const { maxScrapes = 64 } = deps;
  // Not all of them for one host: answers that nobody takes must leave room for Prometheus.
  const places = new Places(maxScrapes, Math.ceil((maxScrapes * 3) / 4));
  const measure = scrapes(deps, places);
  route(app, '/metrics', measure(askedOfMetrics, true));
  route(app, '/probe', measure(askedOfProbe, false));
  route(
    app,
    '/sd',
    inPlace(places, (req, res) => {
      answering(res, () => {
        send(res, 200, 'application/json; charset=utf-8', JSON.stringify(discovered(req, deps.rounds)));
      });
    }),
  );
  app.post('/-/reload', reloading(deps));
  app.all('/-/reload', (_req, res) => {
    res.locals['handler'] = '/-/reload';
    res.setHeader('Allow', 'POST');
    sendText(res, 405, 'only POST is answered here\n');
  });
  route(app, '/-/healthy', (_req, res) => {
    sendText(res, 200, 'pipemedic exporter is alive.\n');
  });
  route(app, '/-/ready', (_req, res) => {
    // The inventory was read before the server was made.
    if (deps.rounds.settled) sendText(res, 200, 'pipemedic exporter is ready.\n');
    else sendText(res, 503, 'not ready: the first sweep of all targets has not ended yet\n');
  });
  route(app, '/', inPlace(places, landing(deps)));
  app.use((_req: Request, res: Response) => {
    sendText(res, 404, 'there is nothing here; see /\n');
  });
  app.use((error: unknown, _req: Request, res: Response, _next: NextFunction) => {
    deps.fault('http', error);
    if (res.headersSent) res.destroy();
    else sendText(res, 500, 'internal error; see the log\n');
  });
  return app;
}

type Handler = (req: Request, res: Response) => void | Promise<void>;

/** No script, no picture, nothing from elsewhere; the page's own style, and no frame around it. */
const contentPolicy =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

function route(app: Express, path: string, handler: Handler): void {
  app.get(path, (_req, res, next) => {
    res.locals['handler'] = path;
    next();
  });
  app.get(path, handler);
  app.all(path, (_req, res) => {
    res.locals['handler'] = path;
    res.setHeader('Allow', 'GET, HEAD');
    sendText(res, 405, 'only GET and HEAD are answered here\n');
  });
}

function landing(deps: ServerDeps): (req: Request, res: Response) => void {
  return (_req, res) => {
    // What http_server_config says of it goes before.
    if (!res.hasHeader('Content-Security-Policy')) res.setHeader('Content-Security-Policy', contentPolicy);
    const { states, inventory, settled } = deps.rounds;
    const page = landingPage({
      ...{ states, settled, version: deps.version, nowMs: deps.clock.wallMs(), withReasons: deps.isCallerKnown() },
      pipelines: inventory.pipelines.map(({ name }) => name),
    });
    send(res, 200, 'text/html; charset=utf-8', page);
  };
}

function prepare({ self }: ServerDeps): (req: Request, res: Response, next: NextFunction) => void {
  return (req, res, next) => {
    res.setHeader('X-Content-Type-Options', 'nosniff');
    // Each answer holds for one moment and one asker: /sd repeats the address that it was asked at.
    res.setHeader('Cache-Control', 'no-store');
    res.once('close', () => {
      const handler: unknown = res.locals['handler'];
      self.answered(typeof handler === 'string' ? handler : 'none', res.writableFinished ? res.statusCode : 499);
    });
    // No body is read: the connection ends with the answer, and what was sent with it.
    if (bringsBody(req)) res.setHeader('Connection', 'close');
    next();
  };
}

function reloading({ reload, isCallerKnown }: ServerDeps): Handler {
  return async (req, res) => {
    res.locals['handler'] = '/-/reload';
    const site = req.get('sec-fetch-site');
    if (site !== undefined && site !== 'same-origin' && site !== 'none') {
      sendText(res, 403, 'a page of another site sent this: a browser adds the password by itself\n');
    } else if (!isCallerKnown()) {
      sendText(
        res,
        403,
        'nobody is asked for a password here, so nothing is changed: send SIGHUP, or set --web.config.file\n',
      );
    } else if (await reload()) sendText(res, 200, 'the inventory was read again\n');
    else sendText(res, 500, 'the inventory was not taken, the one before stays in use; the log says why\n');
  };
}

interface Found {
  readonly found: readonly Block[];
  readonly giveBack: () => void;
}

type Ask = (request: Request, rounds: Doors) => (budgetMs: number) => Promise<readonly Block[]>;

/** Scrapes that wait for what is measured, or for their turn: as many as an address has connections, and of one host. */
const mostWaiting = 512;
const mostWaitingEach = 384;

/**
 * All doors share the limits. Those who wait for targets do not count with those who are answered: else a part of the
 * targets that hangs would keep out who asks for the others.
 */
function scrapes(deps: ServerDeps, places: Places): (ask: Ask, withSelf: boolean) => Handler {
  const { rounds, self, clock, deadline = defaultDeadline } = deps;
  const waiting = new Places(mostWaiting, mostWaitingEach);
  const find = async (req: Request, ask: Ask, withSelf: boolean): Promise<Found> => {
    const measure = ask(req, rounds);
    const budgetMs = scrapeBudgetMs(req.get('x-prometheus-scrape-timeout-seconds'), deadline);
    const who = sharerOf(req.socket.remoteAddress);
    const waitNoMore = await waiting.take(who);
    try {
      const found = await Promise.all([measure(budgetMs), withSelf ? self.processBlocks() : []]);
      return { found: found.flat(), giveBack: await places.take(who) };
    } finally {
      waitNoMore();
    }
  };
  const answer = async (req: Request, res: Response, { found, giveBack }: Found, withSelf: boolean): Promise<void> => {
    try {
      const format = negotiate(req.get('accept'));
      const blocks = withSelf ? [...found, ...(await self.blocks())] : found;
      await sendExposition(req, res, await layOut(blocks, format, clock), format, clock);
      await taken(res);
    } finally {
      giveBack();
    }
  };
  return (ask, withSelf) => async (req, res) => {
    const who = sharerOf(req.socket.remoteAddress);
    if (waiting.isFull(who) || places.isFull(who)) {
      sendCrowded(res, waiting.taken + places.taken);
      return;
    }
    const ended = self.scrapeStarted();
    try {
      await answer(req, res, await find(req, ask, withSelf), withSelf);
    } catch (error) {
      if (!(error instanceof WrongQuestion)) throw error;
      sendText(res, 400, `${error.message}\n`);
    } finally {
      ended();
    }
  };
}

/** An answer that is made at once. */
function inPlace(places: Places, handler: (req: Request, res: Response) => void): Handler {
  return async (req, res) => {
    const who = sharerOf(req.socket.remoteAddress);
    if (places.isFull(who)) {
      sendCrowded(res, places.taken);
      return;
    }
    const giveBack = await places.take(who);
    try {
      handler(req, res);
      await taken(res);
    } finally {
      giveBack();
    }
  };
}

function answering(res: Response, answer: () => void): void {
  try {
    answer();
  } catch (error) {
    if (!(error instanceof WrongQuestion)) throw error;
    sendText(res, 400, `${error.message}\n`);
  }
}
