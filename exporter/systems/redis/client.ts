import { Redis, type RedisOptions } from 'ioredis';
import type { Call } from '../../collector.ts';
import type { Tls } from '../../fields.ts';
import { until } from '../../runtime/deadline.ts';
import { asTargetError, messageOf, TargetError, type TargetErrorCode } from '../../runtime/errors.ts';
import { readSecret } from '../../runtime/secrets.ts';
import { readTlsFiles } from '../../runtime/tls-files.ts';
import type { Opening, TargetClient } from '../../system.ts';
import { defaultPort, type RedisAddress } from './address.ts';

export interface RedisClient extends TargetClient {
  /** As the inventory has it; undefined for a socket. */
  readonly host: string | undefined;
  /** INFO with its default sections. */
  readonly info: (call: Call) => Promise<string>;
  /** Any command; the reply as ioredis gives it. @throws TargetError */
  readonly send: (call: Call, command: string, ...args: readonly string[]) => Promise<unknown>;
}

const connectTimeoutMs = 3_000;

/**
 * One connection: no pool, no reconnect, no replay, so that a command runs once or fails.
 * Up means that the server answers and accepts the credentials. A server that loads its data set is up (it answers
 * INFO), and a user who may not PING but may INFO is enough.
 */
export async function openRedis(opening: Opening<RedisAddress>, call: Call): Promise<RedisClient> {
  const redis = new Redis(await optionsOf(opening));
  // Without a listener ioredis prints to the console; the command or connect() that fails says the same
  let last: unknown;
  redis.on('error', (error: unknown) => {
    last = error;
  });
  let ended = false;
  const end = (): void => {
    ended = true;
    redis.disconnect();
    destroy(redis);
  };
  // ioredis says "Connection is closed." to what waits, and the reason to the listener above
  const reason = (error: unknown): unknown =>
    last !== undefined && messageOf(error) === 'Connection is closed.' ? last : error;
  const send = async (of: Call, command: string, ...args: readonly string[]): Promise<unknown> => {
    try {
      return await until(of.signal, command, redis.call(command, [...args]), end);
    } catch (error) {
      throw redisError(reason(error), command);
    }
  };
  try {
    await until(call.signal, 'connect', redis.connect(), end);
    await authenticate(opening, (...args) => send(call, 'AUTH', ...args));
  } catch (error) {
    end();
    throw redisError(reason(error), 'connect');
  }
  return {
    host: opening.address.host,
    info: async (of) => {
      const reply = await send(of, 'INFO');
      if (typeof reply !== 'string') throw new TargetError('protocol', 'INFO: the reply is not a text');
      return reply;
    },
    send,
    ping: async (of) => {
      try {
        await send(of, 'PING');
      } catch (error) {
        if (!aliveAnyway(error)) throw error;
      }
    },
    usable: () => !ended && redis.status === 'ready',
    [Symbol.asyncDispose]: () => {
      end();
      return Promise.resolve();
    },
  };
}

/**
 * Not left to ioredis: it prints a warning to the console when the server wants no password, and goes on. We go on too:
 * whoever wrote a password down for a server that wants none has other worries than monitoring.
 */
async function authenticate(
  { auth }: Opening<RedisAddress>,
  send: (...args: readonly string[]) => Promise<unknown>,
): Promise<void> {
  const password = auth === undefined ? undefined : await readSecret(auth);
  if (password === undefined) return;
  try {
    await send(...(auth?.user === undefined ? [] : [auth.user]), password);
  } catch (error) {
    if (!/no password is set|without any password configured/.test(messageOf(error))) throw error;
  }
}

/** disconnect() says goodbye and waits two seconds for the other side; one that hangs says nothing. */
function destroy({ stream }: Partial<Pick<Redis, 'stream'>>): void {
  stream?.destroy(); // not there before connect()
}

async function optionsOf(opening: Opening<RedisAddress>): Promise<Omit<RedisOptions, 'replyMapping'>> {
  const { address, tls } = opening;
  return {
    ...(address.socket === undefined
      ? { host: address.host ?? '', port: address.port ?? defaultPort }
      : { path: address.socket }),
    ...(tls === undefined ? {} : { tls: { ...(await readTlsFiles(tls)), ...serverName(tls) } }),
    lazyConnect: true,
    enableOfflineQueue: false,
    // The ready check waits while the server loads; we want to say that it loads.
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    connectTimeout: connectTimeoutMs,
    disableClientInfo: true, // CLIENT SETINFO is an error on servers before 7.2 and shows in their ACL LOG
    protocol: 2, // RESP3 begins with HELLO, which servers before 6 do not know
  };
}

function serverName(tls: Tls): { servername?: string } {
  return tls.server_name === undefined ? {} : { servername: tls.server_name };
}

/** LOADING and NOPERM are answers of a living server that has accepted our credentials. */
function aliveAnyway(error: unknown): boolean {
  return error instanceof TargetError && /^PING: (LOADING|NOPERM|MASTERDOWN|BUSY) /.test(error.message);
}

// The first word of an error reply: redis/src/server.c (createSharedObjects), acl.c, networking.c
const replyClasses: Readonly<Record<string, TargetErrorCode>> = {
  NOAUTH: 'auth',
  WRONGPASS: 'auth',
  NOPERM: 'denied',
  DENIED: 'denied', // protected mode: nobody from outside may come in without a password
};

/** The class of what ioredis throws. */
export function redisError(error: unknown, doing: string): TargetError {
  if (!(error instanceof Error) || error.name !== 'ReplyError') return asTargetError(error, doing);
  const { message } = error;
  const code =
    replyClasses[message.split(' ', 1)[0]?.replace(/^-/, '') ?? ''] ??
    // Servers before 6 have no code word here
    (message.includes('invalid password') ? 'auth' : 'failed');
  // The library's error carries the command with its arguments, so a password: it must not be the cause
  return new TargetError(code, `${doing}: ${message}`);
}
