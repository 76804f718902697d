import { parseArgs } from 'node:util';
import { loadInventory } from '../exporter/config/loader.ts';
import { codeOf, ConfigError, messageOf } from '../exporter/runtime/errors.ts';
import { parseListenAddress, type ListenAddress } from '../exporter/runtime/http.ts';
import { packageVersion } from '../exporter/runtime/version.ts';
import { clearLatchCommand, CommandError, pauseCommand, resumeCommand, runsCommand, whyCommand } from './commands.ts';
import type * as Serving from './serving.ts';
import { settingsOf, type Settings } from './settings.ts';
import { StoreError } from './store/store.ts';

const usage = `Usage: pipemedic-remediator COMMAND [OPTIONS]

Commands:
  serve                    take notifications and repair what the policies allow
  check                    validate the inventory and the policies and what they name
  runs                     list the newest runs
  why RUN|EPISODE|ALERT    what happened, what was decided, and why
  pause --reason=TEXT      nothing begins from now on; works also while the server is down
  resume                   ends the pause
  latch clear ID --comment=TEXT
                           let a target be repaired again that was left to people

Options:
  --config.file=FILE               the inventory, pipemedic.yml
  --policies.file=FILE             the policies, policies.yml (serve, check)
  --web.listen-address=HOST:PORT   where to serve (default 127.0.0.1:9931)
  --log.level=LEVEL                trace, debug, info, warn or error (default info)
  --server=URL                     the running remediator (pause, resume, latch; default http://127.0.0.1:9931)
  --limit=N                        how many runs (default 20)
  --json                           print JSON (runs, why)
  --version                        print the version
  --help                           print this text

Signals of serve: SIGHUP reads the policies again, SIGUSR2 pauses, SIGTERM and SIGINT stop at the next safe point.
Exit status: 0 done, 1 failed, 2 wrong usage or configuration.
`;

const levels = ['trace', 'debug', 'info', 'warn', 'error'];

/** A mistake in the command line. */
class UsageError extends Error {}

type Options = ReturnType<typeof parse>['values'];
type Print = Streams['out'];

/** Where the answers go. */
export interface Streams {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

/** Does what the command line says; sets the exit status. */
export async function run(): Promise<void> {
  const code = await main(process.argv.slice(2), {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
  });
  if (code !== 0) process.exitCode = code;
}

/** @returns the exit status */
export async function main(args: readonly string[], streams: Streams): Promise<number> {
  try {
    await command(args, streams.out);
    return 0;
  } catch (error) {
    const expected = explain(error);
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    streams.err(`${expected ?? `unexpected error: ${stack}`}\n`);
    return error instanceof UsageError || error instanceof ConfigError ? 2 : 1;
  }
}

async function command(args: readonly string[], print: Print): Promise<void> {
  const { values, positionals } = parse(args);
  const [name, ...rest] = positionals;
  if (values.help) {
    print(usage);
    return;
  }
  if (values.version) {
    print(`${packageVersion()}\n`);
    return;
  }
  switch (name) {
    case 'serve':
      none(rest);
      return withServing(values, (command, files) => {
        return command.serveCommand({ ...files, listen: listenAddressOf(values), level: levelOf(values) });
      });
    case 'check':
      none(rest);
      return withServing(values, (command, files) => command.checkCommand(files, print));
    case 'runs': {
      none(rest);
      const limit = limitOf(values);
      return runsCommand(await shared(values, print), limit, values.json);
    }
    case 'why': {
      const what = one(rest, 'a run, an episode or an alert');
      return whyCommand(await shared(values, print), what, values.json);
    }
    case 'pause': {
      none(rest);
      const reason = wanted(values.reason, '--reason="why"');
      return pauseCommand(await shared(values, print), reason);
    }
    case 'resume':
      none(rest);
      return resumeCommand(await shared(values, print));
    case 'latch': {
      const [verb, ...more] = rest;
      if (verb !== 'clear') throw new UsageError('latch clear ID --comment="what was found"');
      const id = one(more, 'the id of a latch, as `why` shows it');
      const comment = wanted(values.comment, '--comment="what was found"');
      return clearLatchCommand(await shared(values, print), id, comment);
    }
    case undefined:
      throw new UsageError('which command? serve, check, runs, why, pause, resume or latch; --help shows more');
    default:
      throw new UsageError(`${name} is no command: serve, check, runs, why, pause, resume or latch; --help shows more`);
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        'config.file': { type: 'string' },
        'policies.file': { type: 'string' },
        'web.listen-address': { type: 'string', default: '127.0.0.1:9931' },
        'log.level': { type: 'string', default: 'info' },
        server: { type: 'string', default: 'http://127.0.0.1:9931' },
        limit: { type: 'string', default: '20' },
        reason: { type: 'string' },
        comment: { type: 'string' },
        json: { type: 'boolean', default: false },
        version: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    if (codeOf(error)?.startsWith('ERR_PARSE_ARGS') !== true) throw error;
    throw new UsageError(`${messageOf(error).split('. ')[0] ?? ''}; --help shows what there is`, { cause: error });
  }
}

/** What only these two commands need is loaded only then: the others answer sooner. */
async function withServing(
  options: Options,
  run: (command: typeof Serving, files: { config: string; policies: string }) => Promise<void>,
): Promise<void> {
  const files = { config: fileOf(options), policies: policiesFileOf(options) };
  await run(await import('./serving.ts'), files);
}

async function shared(options: Options, print: Print): Promise<{ settings: Settings; server: string; print: Print }> {
  const file = fileOf(options);
  const server = options.server.replace(/\/+$/, '');
  if (!/^https?:\/\/[^\s/]+$/.test(server)) throw new UsageError(`--server: ${server} is not http://HOST:PORT`);
  return { settings: settingsOf(await loadInventory(file), file), server, print };
}

function fileOf(options: Options): string {
  return wanted(options['config.file'], '--config.file=pipemedic.yml');
}

function policiesFileOf(options: Options): string {
  return wanted(options['policies.file'], '--policies.file=policies.yml');
}

function wanted(value: string | undefined, how: string): string {
  if (value === undefined || value.trim() === '') throw new UsageError(`${how} is wanted; --help shows more`);
  return value;
}

function none(rest: readonly string[]): void {
  if (rest.length > 0) throw new UsageError(`${rest.join(' ')} is too much: one command at a time`);
}

function one(rest: readonly string[], what: string): string {
  const [first, ...more] = rest;
  if (first === undefined || first === '') throw new UsageError(`${what} is wanted; --help shows more`);
  none(more);
  return first;
}

function limitOf(options: Options): number {
  const limit = Number(options.limit);
  if (Number.isInteger(limit) && limit >= 1 && limit <= 10_000) return limit;
  throw new UsageError(`--limit: ${options.limit} is not a number from 1 to 10000`);
}

function levelOf(options: Options): string {
  const level = options['log.level'];
  if (!levels.includes(level)) throw new UsageError(`--log.level: ${level} is not one of ${levels.join(', ')}`);
  return level;
}

function listenAddressOf(options: Options): ListenAddress {
  const text = options['web.listen-address'];
  const address = parseListenAddress(text);
  if (address !== undefined) return address;
  throw new UsageError(`--web.listen-address: ${text} is not HOST:PORT, such as 127.0.0.1:9931, [::1]:9931 or :9931`);
}

/** The one line for an error that a person can mend; undefined for any other. */
function explain(error: unknown): string | undefined {
  if (error instanceof ConfigError || error instanceof UsageError || error instanceof CommandError)
    return error.message;
  if (error instanceof StoreError) return error.message;
  const code = codeOf(error);
  if (code === 'EADDRINUSE')
    return `${messageOf(error)}. Stop what listens there, or choose another --web.listen-address`;
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return `${messageOf(error)}. --web.listen-address must be an address of this machine`;
  }
  if (code === 'EACCES' || code === 'EROFS' || code === 'ENOSPC' || code === 'ENOENT') return messageOf(error);
  return undefined;
}
