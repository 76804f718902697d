import type { Call } from '../../collector.ts';
import type { Auth } from '../../fields.ts';
import { classOf, messageOf, TargetError } from '../../runtime/errors.ts';
import type { Page, PageSample } from '../../runtime/exposition-text.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { Opening, TargetClient } from '../../system.ts';
import { openHttp, type HttpGetter } from '../jvm/facts-fetch.ts';
import type { MysqlClient } from '../mysql/client.ts';
import { lazyMysql } from '../mysql/client-lazy.ts';
import type { CdcServiceAddress, DebeziumAddress } from './address.ts';
import { componentStateOf, type ComponentState } from './facts-api.ts';
import { chosenServer, debeziumNumbersOf, serverOf } from './facts-debezium.ts';
import { connectStatusOf, hindranceOf, type ConnectStatus } from '../kafka-connect/facts-status.ts';
import { endpoints, readEndpoint, type Endpoint } from './facts-endpoint.ts';
import type { CdcReading } from './facts-health.ts';
import { debeziumPrefix, readMetricsPage, serviceNumbersOf, servicePrefix } from './facts-page.ts';

/** A CDC process that is seen by HTTP. What is asked twice in one sweep is asked once. */
export interface CdcClient extends TargetClient {
  /** Target of kind mysql whose binary log it reads. */
  readonly source: string | undefined;
  /** @throws TargetError as readEndpoint does */
  readonly page: (call: Call) => Promise<Endpoint<Page>>;
  /** Whether a series of the page is about this target. */
  readonly belongs: (page: Page) => (sample: PageSample) => boolean;
  /** Never throws; `failure` is the first error, for who has to report that something could not be read. */
  readonly look: (call: Call) => Promise<{ readonly reading: CdcReading; readonly failure: Error | undefined }>;
}

export interface CdcServiceClient extends CdcClient {
  readonly address: CdcServiceAddress;
  readonly http: HttpGetter | undefined;
  /** The server that holds its offsets. @throws TargetError as openMysql does */
  readonly offsetsDb: (call: Call) => Promise<MysqlClient>;
}

/** What was read this short a time ago is what a collector of the same sweep would read. */
const shareMs = 1000;

function shared<T>(read: (call: Call) => Promise<T>): (call: Call) => Promise<T> {
  let last: { readonly atMs: number; readonly result: Promise<T> } | undefined;
  return (call) => {
    const atMs = call.clock.monoMs();
    if (last !== undefined && atMs - last.atMs < shareMs) return last.result;
    const result = read(call);
    result.catch(() => undefined); // whoever asked hears of it
    last = { atMs, result };
    return result;
  };
}

type Attempt<T> = Known<T> & { readonly error?: Error };

async function attempt<T>(work: Promise<T>, call: Call): Promise<Attempt<T>> {
  try {
    return known(await work, call.clock.wallMs());
  } catch (error) {
    return { ...unknown(messageOf(error)), error: error instanceof Error ? error : new Error(messageOf(error)) };
  }
}

/** Any answer is evidence of life, also a bad one; that nobody listens anywhere is evidence of death. */
function processOf(attempts: readonly Attempt<unknown>[], nowMs: number): Pick<CdcReading, 'process' | 'port'> {
  const refused = attempts.filter((a) => !a.known && classOf(a.error) === 'refused');
  const answered = attempts.some((a) => a.known || ['auth', 'denied', 'failed', 'protocol'].includes(classOf(a.error)));
  const port = refused.length > 0 ? known(false, nowMs) : answered ? known(true, nowMs) : unknown(whyOf(attempts));
  if (answered) return { process: known('alive', nowMs), port };
  const isGone = attempts.length > 0 && refused.length === attempts.length;
  return { process: isGone ? known('gone', nowMs) : unknown(whyOf(attempts)), port };
}

function whyOf(attempts: readonly Attempt<unknown>[]): string {
  return attempts.flatMap((a) => (a.known ? [] : [a.why])).join('; ');
}

/** Up is any answer by HTTP. @throws TargetError with the class of what is in the way */
async function ping(look: CdcClient['look'], call: Call): Promise<void> {
  const { reading, failure } = await look(call);
  const { process } = reading;
  if (process.known && process.value === 'alive') return;
  if (process.known) throw new TargetError('refused', 'nobody listens at its addresses', { cause: failure });
  throw new TargetError(failure === undefined ? 'failed' : classOf(failure), process.why, { cause: failure });
}

/** Opens nothing yet. Looked at while it is down too: that nobody listens is what its state is made of. */
export function openCdcService({ address, auth, tls, resolve }: Opening<CdcServiceAddress>): CdcServiceClient {
  const http = address.http === undefined ? undefined : openHttp(address.http, tls, auth);
  const metrics =
    address.metrics === undefined
      ? undefined
      : openHttp(address.metrics, tls, authOf(auth, address.http, address.metrics));
  const page = shared((call) => readMetricsPage(metrics, servicePrefix, call));
  const healthy = shared((call) => readHealth(http, call));
  const database = address.offsets === undefined ? undefined : lazyMysql(address.offsets.mysql, resolve);
  let isClosed = false;

  const look = shared<Awaited<ReturnType<CdcClient['look']>>>(async (call) => {
    const [seen, said] = await Promise.all([attempt(page(call), call), attempt(healthy(call), call)]);
    const nowMs = call.clock.wallMs();
    const asked = [...(metrics === undefined ? [] : [seen]), ...(http === undefined ? [] : [said])];
    const numbers = serviceNumbersOf(seen.known ? seen.value : { state: 'missing', why: seen.why }, nowMs);
    const works = worksOf(said, nowMs);
    const reading = { ...processOf(asked, nowMs), ...numbers, ...works, progress: unknown('it tells no position') };
    return { reading, failure: seen.error ?? said.error };
  });

  return {
    address,
    http,
    source: address.source,
    page,
    belongs: () => () => true,
    look,
    offsetsDb: (call) => {
      if (database === undefined) throw new TargetError('unsupported', 'offsets is not in the inventory');
      return database.get(call);
    },
    ping: (call) => ping(look, call),
    usable: () => !isClosed,
    collectsWhileDown: true,
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
      await database?.close();
    },
  };
}

/** Credentials go to the host that they were given for: that of the API, when there is one. */
function authOf(auth: Auth | undefined, api: string | undefined, page: string): Auth | undefined {
  if (api === undefined) return auth;
  const [a, b] = [new URL(api), new URL(page)];
  return a.hostname === b.hostname && a.protocol === b.protocol ? auth : undefined;
}

/** 503 is how a health check says no. */
function readHealth(http: HttpGetter | undefined, call: Call): Promise<Endpoint<ComponentState>> {
  return readEndpoint(
    http,
    endpoints.health,
    call,
    ({ status, text }) => (status === 503 ? 'down' : healthOf(text)),
    [503],
  );
}

/** `{"status": "UP"}`, or a word. With no body the status alone counts; a page for people says nothing of health. */
function healthOf(text: string): ComponentState {
  if (text.trim() === '') return 'up';
  let body: unknown = text.trim().slice(0, 100);
  try {
    body = JSON.parse(text);
  } catch {
    // a word, or a page for people
  }
  return componentStateOf(body);
}

const healthTexts = {
  up: 'its /health says that it works',
  degraded: 'its /health says that it works, but degraded',
  down: 'its /health says that it does not work',
} as const;

function worksOf(said: Attempt<Endpoint<ComponentState>>, nowMs: number): Pick<CdcReading, 'works' | 'worksWhy'> {
  if (!said.known) {
    // 5xx is its own word too; whether another error is its fault is not known
    const broken = classOf(said.error) === 'failed';
    return { works: broken ? known(false, nowMs) : unknown(said.why), worksWhy: said.why };
  }
  const { value } = said;
  if (value.state !== 'ok') return { works: unknown(value.why), worksWhy: value.why };
  if (value.value === 'unknown') {
    const why = 'its /health answers something that does not say whether it works';
    return { works: unknown(why), worksWhy: why };
  }
  return { works: known(value.value !== 'down', nowMs), worksWhy: healthTexts[value.value] };
}

/** Kafka Connect's worker, or Debezium Server, by the page of jmx_exporter. */
export function openDebezium({ address, auth, tls }: Opening<DebeziumAddress>): CdcClient {
  const metrics = openHttp(address.metrics, tls, authOf(auth, address.connect?.url, address.metrics));
  const connect = address.connect === undefined ? undefined : openHttp(address.connect.url, tls, auth);
  const page = shared((call) => readMetricsPage(metrics, debeziumPrefix, call));
  const statusPath = `/connectors/${encodeURIComponent(address.connect?.connector ?? '')}/status`;
  let isClosed = false;

  const look = shared<Awaited<ReturnType<CdcClient['look']>>>(async (call) => {
    const status = readEndpoint(connect, statusPath, call, ({ text }) => connectStatusOf(text));
    const [seen, told] = await Promise.all([attempt(page(call), call), attempt(status, call)]);
    const nowMs = call.clock.wallMs();
    const endpoint = seen.known ? seen.value : ({ state: 'missing', why: seen.why } as const);
    const { connected, ...numbers } = debeziumNumbersOf(endpoint, address.server, nowMs);
    const asked = [seen, ...(connect === undefined ? [] : [told])];
    const reading = { ...processOf(asked, nowMs), ...numbers, ...connectorWorks(connected, told, nowMs) };
    return { reading, failure: seen.error ?? told.error };
  });

  return {
    source: address.source,
    page,
    belongs: (found) => {
      const server = chosenServer(found, address.server);
      return (sample) => server.known && serverOf(sample) === server.value;
    },
    look,
    ping: (call) => ping(look, call),
    usable: () => !isClosed,
    collectsWhileDown: true,
    [Symbol.asyncDispose]: () => {
      isClosed = true;
      return Promise.resolve();
    },
  };
}

/** Kafka Connect knows of tasks that have failed; that one runs does not mean that it is connected. */
function connectorWorks(
  connected: Known<boolean>,
  told: Attempt<Endpoint<ConnectStatus>>,
  nowMs: number,
): Pick<CdcReading, 'works' | 'worksWhy'> {
  const status = told.known ? told.value : undefined;
  const hindrance =
    status?.state === 'ok'
      ? hindranceOf(status.value)
      : status?.state === 'missing'
        ? 'Kafka Connect has no such connector'
        : undefined;
  if (hindrance !== undefined) return { works: known(false, nowMs), worksWhy: hindrance };
  if (!connected.known) return { works: connected, worksWhy: connected.why };
  return { works: connected, worksWhy: `it is ${connected.value ? '' : 'not '}connected to its source` };
}
