import { createHash } from 'node:crypto';
import { Redis, type RedisOptions } from 'ioredis';
import type { Call } from '../../collector.ts';
import type { FactBoard } from '../../facts.ts';
import type { Tls } from '../../fields.ts';
import { until } from '../../runtime/deadline.ts';
import { asTargetError, codeOf, messageOf, TargetError, type TargetErrorCode } from '../../runtime/errors.ts';
import type { LogTail } from '../../runtime/log-tail.ts';
import { readSecret } from '../../runtime/secrets.ts';
import { readTlsFiles } from '../../runtime/tls-files.ts';
import type { Opening, TargetClient } from '../../system.ts';
import { defaultPort, type RedisAddress } from './address.ts';
import { limitReplies, type ReplyLimit } from './client-limit.ts';
import { commandName, Refusals, type CommandSeen } from './client-refusals.ts';

export interface RedisClient extends TargetClient {
  /** As the inventory has it; undefined for a socket. */
  readonly host: string | undefined;
  /** Of the inventory; undefined without. */
  readonly logFile: string | undefined;
  /** Its log, opened once and closed with this client. */
  readonly logTail: (open: () => LogTail) => LogTail;
  /** Whom it has logged in as; undefined for the default user. */
  readonly user: string | undefined;
  /**
   * INFO ALL: every section but those of modules. The collectors of one sweep get the same reply, so that numbers that
   * belong together are of one moment; a call without a board asks anew. @throws TargetError
   */
  readonly info: (call: Call & { readonly board?: FactBoard }) => Promise<string>;
  /** What became of the commands that were sent, by name as ACL rules write it; kept over connections. */
  readonly commands: ReadonlyMap<string, CommandSeen>;
  /**
   * Any command; the reply as ioredis gives it. One that was refused to this user, or that the server does not have, is
   * not sent again for ten minutes: it fails as it did. @throws TargetError
   */
  readonly send: (call: Call, command: string, ...args: readonly string[]) => Promise<unknown>;
}

const connectTimeoutMs = 3_000;

/** By the target's opening, which stays the same while its connections come and go. */
const refusalsOf = new WeakMap<Opening<RedisAddress>, Refusals>();

/**
 * One connection: no pool, no reconnect, no replay, so that a command runs once or fails.
 * Up means that the server answers and accepts the credentials. A server that loads its data set is up (it answers
 * INFO), and a user who may not PING but may INFO is enough.
 */
export async function openRedis(opening: Opening<RedisAddress>, call: Call): Promise<RedisClient> {
  const redis = new Redis(await optionsOf(opening));
  const refusals = refusalsOf.get(opening) ?? new Refusals();
  refusalsOf.set(opening, refusals);
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
  let limit: ReplyLimit | undefined;
  const send = async (of: Call, command: string, ...args: readonly string[]): Promise<unknown> => {
    const name = commandName(command, args);
    const nowMs = of.clock.monoMs();
    refusals.check(name, nowMs);
    limit?.sent();
    try {
      together(redis);
      const reply = await until(of.signal, command, redis.call(command, [...args]), end);
      refusals.accepted(name, nowMs);
      return reply;
    } catch (error) {
      const failure = redisError(reason(error), command);
      refusals.failed(name, failure, nowMs);
      throw failure;
    } finally {
      limit?.answered();
    }
  };
  const ask = async (of: Call): Promise<string> => {
    const reply = await send(of, 'INFO', 'ALL');
    if (typeof reply !== 'string') throw new TargetError('protocol', 'INFO: the reply is not a text');
    return reply;
  };
  let tail: LogTail | undefined;
  const replies = new WeakMap<FactBoard, Promise<string>>();
  try {
    await until(call.signal, 'connect', redis.connect(), end);
    limit = limitReplies(redis.stream, (why) => {
      last = why;
      end();
    });
    refusals.loggedInAs(await authenticate(opening, (...args) => send(call, 'AUTH', ...args)));
  } catch (error) {
    end();
    throw redisError(reason(error), 'connect');
  }
  return {
    host: opening.address.host,
    logFile: opening.address.log_file,
    logTail: (open) => (tail ??= open()),
    user: opening.auth?.user,
    info: (of) => {
      const sweep = of.board?.root;
      if (sweep === undefined) return ask(of);
      const reply = replies.get(sweep) ?? ask(of);
      replies.set(sweep, reply);
      return reply;
    },
    commands: refusals.commands,
    send,
    ping: async (of) => {
      try {
        await send(of, 'PING');
      } catch (error) {
        if (!aliveAnyway(error)) throw error;
      }
    },
    usable: () => !ended && redis.status === 'ready',
    [Symbol.asyncDispose]: async () => {
      end();
      await tail?.close();
    },
  };
}

/**
 * Not left to ioredis: it prints a warning to the console when the server wants no password, and goes on. We go on too:
 * whoever wrote a password down for a server that wants none has other worries than monitoring.
 *
 * @returns who that was: another text for another user or password
 */
async function authenticate(
  { auth }: Opening<RedisAddress>,
  send: (...args: readonly string[]) => Promise<unknown>,
): Promise<string> {
  const password = auth === undefined ? undefined : await readSecret(auth);
  if (password === undefined) return '';
  try {
    await send(...(auth?.user === undefined ? [] : [auth.user]), password);
  } catch (error) {
    if (!/no password is set|without any password configured/.test(messageOf(error))) throw error;
  }
  return createHash('sha256')
    .update(`${auth?.user ?? ''}\0${password}`)
    .digest('base64');
}

/** What the collectors of a sweep send at the same time goes out in one piece: a piece costs more than what is in it. */
function together({ stream }: Partial<Pick<Redis, 'stream'>>): void {
  if (stream === undefined || stream.writableCorked > 0) return;
  stream.cork();
  process.nextTick(() => {
    stream.uncork();
  });
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
const replyClasses: ReadonlyMap<string, TargetErrorCode> = new Map([
  ['NOAUTH', 'auth'],
  ['WRONGPASS', 'auth'],
  ['NOPERM', 'denied'],
  ['DENIED', 'denied'], // protected mode: nobody from outside may come in without a password
]);

/** What the words of the server leave open. */
const hints: ReadonlyMap<string, string> = new Map([
  ['NOAUTH', 'the inventory has no auth for this target'],
  ['MASTERDOWN', 'a replica without a link to its primary answers little while replica-serve-stale-data is no'],
  ['BUSY', 'a script or function runs and everybody waits for it'],
]);

/** Of an error reply, which may have megabytes: it is kept with the command, and looked through. */
const mostErrorChars = 500;

/** The class of what ioredis throws. */
export function redisError(error: unknown, doing: string): TargetError {
  if (error instanceof TargetError) return error;
  if (!(error instanceof Error) || error.name !== 'ReplyError') return wireError(error, doing);
  const message = error.message.slice(0, mostErrorChars);
  const word = message.split(' ', 1)[0]?.replace(/^-/, '') ?? '';
  const code = replyClasses.get(word) ?? classOfText(message);
  const hint = hints.get(word);
  // The library's error carries the command with its arguments, so a password: it must not be the cause
  return new TargetError(code, `${doing}: ${message}${hint === undefined ? '' : ` (${hint})`}`);
}

function classOfText(message: string): TargetErrorCode {
  if (message.includes('invalid password')) return 'auth'; // servers before 6 have no code word here
  return /^ERR unknown (sub)?command\b/i.test(message) ? 'unsupported' : 'failed';
}

/** Of the connection: OpenSSL's and Node's codes of TLS, and ioredis' word for the other side having hung up. */
function wireError(error: unknown, doing: string): TargetError {
  if (/^(ERR_SSL|ERR_TLS|ERR_OSSL|CERT_)/.test(codeOf(error) ?? '')) {
    return new TargetError('tls', `${doing}: ${messageOf(error)}`, { cause: error });
  }
  if (messageOf(error) !== 'Connection is closed.') return asTargetError(error, doing);
  const why = 'the server has closed the connection: it wants TLS, or has no room for another client';
  return new TargetError('unreachable', `${doing}: ${doing === 'connect' ? why : 'the connection was closed'}`);
}
