import type { Call } from '../../collector.ts';
import { classOf, messageOf, TargetError } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { LogTail } from '../../runtime/log-tail.ts';
import type { Opening, TargetClient } from '../../system.ts';
import { openHttp, type HttpGetter } from '../jvm/facts-fetch.ts';
import { agreeing, lookAtHsperfdata, lookAtMaxwellHttp } from '../jvm/facts-heap.ts';
import type { JvmLook, JvmSource } from '../jvm/facts-model.ts';
import type { MysqlClient } from '../mysql/client.ts';
import { lazyMysql } from '../mysql/client-lazy.ts';
import type { MaxwellAddress } from './address.ts';
import { heartbeatFreshMs } from './facts-health.ts';
import { readMaxwellPosition } from './facts-position.ts';
import { processByWitness } from './facts-witness.ts';

/**
 * A Maxwell: its tables by one connection to the server that holds them (a second one when it reads the binary log of
 * another server), its HTTP server, and its process. All are looked at when asked; that one is away hides no other.
 */
export interface MaxwellClient extends TargetClient {
  readonly address: MaxwellAddress;
  readonly http: HttpGetter | undefined;
  /** The server that holds its tables. @throws TargetError as openMysql does, with the class of what is in the way. */
  readonly mysql: (call: Call) => Promise<MysqlClient>;
  /** The server whose binary log it reads; the same connection when it is the same target. */
  readonly source: (call: Call) => Promise<MysqlClient>;
  /** Whether its process lives, by /proc, by its supervisor's record and by HTTP; never throws. */
  readonly process: (call: Call) => Promise<Known<'alive' | 'gone'>>;
  readonly jvmSources: readonly JvmSource[];
  readonly jvmLooks: (call: Call) => Promise<readonly JvmLook[]>;
  /** Its log, opened once and closed with this client. */
  readonly logTail: (open: () => Promise<LogTail>) => Promise<LogTail>;
}

/** Opens no connection yet, so that a Maxwell whose MySQL is away can still be looked at. */
export function openMaxwell({ address, auth, tls, resolve }: Opening<MaxwellAddress>): MaxwellClient {
  const http = address.http === undefined ? undefined : openHttp(address.http.url, tls, auth);
  const mysql = lazyMysql(address.mysql, resolve);
  const source = address.source === address.mysql ? mysql : lazyMysql(address.source, resolve);
  let isClosed = false;

  const process = async (call: Call): Promise<Known<'alive' | 'gone'>> => {
    const local = await Promise.all([
      address.hsperfdata === undefined ? undefined : lookAtHsperfdata(address.hsperfdata, call).then((l) => l.process),
      address.witnessFile === undefined ? undefined : processByWitness(address.witnessFile, call),
    ]);
    const seen = local.find((look) => look?.known === true && look.value === 'alive');
    if (seen !== undefined) return seen; // no need to wait for its HTTP
    return processOf(http === undefined ? undefined : await processByHttp(http, call), ...local);
  };
  let tail: Promise<LogTail> | undefined;

  return {
    address,
    http,
    mysql: mysql.get,
    source: source.get,
    process,
    logTail: (open) =>
      (tail ??= open().catch((error: unknown) => {
        tail = undefined;
        throw error;
      })),
    jvmSources: [
      ...(address.hsperfdata === undefined ? [] : (['hsperfdata'] as const)),
      ...(address.http === undefined ? [] : (['maxwell_http'] as const)),
    ],
    jvmLooks: async (call) =>
      agreeing(
        await Promise.all([
          ...(address.hsperfdata === undefined ? [] : [lookAtHsperfdata(address.hsperfdata, call)]),
          ...(address.http === undefined || http === undefined ? [] : [lookAtMaxwellHttp(address.http, http, call)]),
        ]),
      ),
    /**
     * Up is evidence that the process lives: its HTTP server answers with any status, or its process is there. With
     * neither configured, a heartbeat that it wrote within 20 s. MySQL being away does not make it down.
     */
    ping: async (call) => {
      const found = await process(call);
      if (found.known && found.value === 'alive') return;
      if (found.known) throw new TargetError('refused', 'the process of Maxwell is gone');
      if (http !== undefined || address.hsperfdata !== undefined || address.witnessFile !== undefined) {
        throw new TargetError(call.signal.aborted ? 'deadline' : 'failed', found.why);
      }
      await pingByHeartbeat(await mysql.get(call), address, call);
    },
    usable: () => !isClosed,
    collectsWhileDown: true,
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
      const closeTail = tail?.then(
        (opened) => opened.close(),
        () => undefined,
      );
      tail = undefined;
      await Promise.all([mysql.close(), source.close(), closeTail]);
    },
  };
}

/** Evidence of life from one side is enough; evidence of death counts when no side shows life. */
export function processOf(...found: readonly (Known<'alive' | 'gone'> | undefined)[]): Known<'alive' | 'gone'> {
  const looks = found.filter((look) => look !== undefined);
  const first = looks.find((l) => l.known && l.value === 'alive') ?? looks.find((l) => l.known);
  if (first !== undefined) return first;
  if (looks.length === 0) return unknown('neither http nor hsperfdata nor witness_file is configured');
  return unknown(looks.map((look) => (look.known ? '' : look.why)).join('; '));
}

async function processByHttp(http: HttpGetter, call: Call): Promise<Known<'alive' | 'gone'>> {
  try {
    await http.get('/ping', call);
    return known('alive', call.clock.wallMs());
  } catch (error) {
    return classOf(error) === 'refused' ? known('gone', call.clock.wallMs()) : unknown(messageOf(error));
  }
}

async function pingByHeartbeat(mysql: MysqlClient, address: MaxwellAddress, call: Call): Promise<void> {
  const position = await readMaxwellPosition(mysql, address, call);
  if (!position.found) throw new TargetError('failed', position.why);
  if (!position.heartbeatMs.known) throw new TargetError('failed', position.heartbeatMs.why);
  const ageMs = position.databaseNowMs - position.heartbeatMs.value;
  if (ageMs > heartbeatFreshMs) {
    throw new TargetError('failed', `its last heartbeat is ${Math.round(ageMs / 1000)} s old`);
  }
}
