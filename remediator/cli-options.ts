// The options of the command line, read and judged. A mistake is one line.
import { parseArgs } from 'node:util';
import { durationMs } from '../exporter/fields.ts';
import { codeOf, messageOf } from '../exporter/runtime/errors.ts';
import { parseListenAddress, type ListenAddress } from '../exporter/runtime/http.ts';

/** A mistake in the command line. */
export class UsageError extends Error {}

const levels = ['trace', 'debug', 'info', 'warn', 'error'];

const listenAddresses: string[] = ['127.0.0.1:9931'];

const known = {
  'config.file': { type: 'string' },
  'policies.file': { type: 'string' },
  'web.listen-address': { type: 'string', multiple: true, default: listenAddresses },
  'web.config.file': { type: 'string' },
  'log.level': { type: 'string', default: 'info' },
  server: { type: 'string', default: 'http://127.0.0.1:9931' },
  'token.file': { type: 'string' },
  limit: { type: 'string', default: '20' },
  scope: { type: 'string' },
  from: { type: 'string' },
  until: { type: 'string' },
  target: { type: 'string' },
  lift: { type: 'boolean', default: false },
  reason: { type: 'string' },
  comment: { type: 'string' },
  json: { type: 'boolean', default: false },
  version: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

type Parsed = ReturnType<typeof parseArgs<{ options: typeof known; allowPositionals: true }>>;
export type Options = Parsed['values'];

export function parse(args: readonly string[]): Parsed {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options: known });
  } catch (error) {
    if (codeOf(error)?.startsWith('ERR_PARSE_ARGS') !== true) throw error;
    throw new UsageError(`${messageOf(error).split('. ')[0] ?? ''}; --help shows what there is`, { cause: error });
  }
}

// The commands that people are told in an alert name no files: set once, they work as they stand there.
export function fileOf(options: Options, environment = process.env): string {
  return wanted(options['config.file'] ?? environment['PIPEMEDIC_CONFIG_FILE'], '--config.file=pipemedic.yml');
}

export function policiesFileOf(options: Options, environment = process.env): string {
  return wanted(options['policies.file'] ?? environment['PIPEMEDIC_POLICIES_FILE'], '--policies.file=policies.yml');
}

export function serverOf(options: Options): string {
  const server = options.server.replace(/\/+$/, '');
  if (!/^https?:\/\/[^\s/]+$/.test(server)) throw new UsageError(`--server: ${server} is not http://HOST:PORT`);
  return server;
}

export function wanted(value: string | undefined, how: string): string {
  if (value === undefined || value.trim() === '') throw new UsageError(`${how} is wanted; --help shows more`);
  return value;
}

export function none(rest: readonly string[]): void {
  if (rest.length > 0) throw new UsageError(`${rest.join(' ')} is too much: one command at a time`);
}

export function one(rest: readonly string[], what: string): string {
  const [first, ...more] = rest;
  if (first === undefined || first === '') throw new UsageError(`${what} is wanted; --help shows more`);
  none(more);
  return first;
}

export function limitOf(options: Options): number {
  const limit = Number(options.limit);
  if (Number.isInteger(limit) && limit >= 1 && limit <= 10_000) return limit;
  throw new UsageError(`--limit: ${options.limit} is not a number from 1 to 10000`);
}

export function scopeOf(options: Options): string {
  const { scope = 'global' } = options;
  if (/^(global|(target|pipeline):.+)$/.test(scope)) return scope;
  throw new UsageError(`--scope: ${scope} is not global, target:NAME or pipeline:NAME`);
}

export function levelOf(options: Options): string {
  const level = options['log.level'];
  if (!levels.includes(level)) throw new UsageError(`--log.level: ${level} is not one of ${levels.join(', ')}`);
  return level;
}

export function listenAddressesOf(options: Options): readonly ListenAddress[] {
  return options['web.listen-address'].map((text) => {
    const address = parseListenAddress(text);
    if (address !== undefined) return address;
    const such = '127.0.0.1:9931, [::1]:9931, :9931 or unix:/run/pipemedic/remediator.sock';
    throw new UsageError(`--web.listen-address: ${text} is not HOST:PORT or unix:/PATH, such as ${such}`);
  });
}

const longestAheadMs = 366 * 86_400_000;

/** How long from now: `2h`, or a time with its zone, such as 2026-01-31T22:00Z. */
export function aheadMs(name: string, text: string, nowWallMs: number): number {
  const span = durationMs.safeParse(text);
  const isTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2})$/.test(text);
  const ms = span.success ? span.data : isTime ? Math.round(Date.parse(text) - nowWallMs) : Number.NaN;
  if (Number.isNaN(ms))
    throw new UsageError(`--${name}: ${text} is neither a time from now, such as 2h, nor 2026-01-31T22:00Z`);
  if (ms < 1000) throw new UsageError(`--${name}: ${text} is ${isTime ? 'over' : 'less than a second'}`);
  if (ms > longestAheadMs) throw new UsageError(`--${name}: ${text} is more than 366 days from now`);
  return ms;
}
