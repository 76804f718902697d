import { loadInventory } from '../exporter/config/loader.ts';
import { allowClosedPipe } from '../exporter/runtime/closed-pipe.ts';
import { holdSignals, type EarlySignals } from '../exporter/runtime/early-signals.ts';
import { codeOf, ConfigError, messageOf } from '../exporter/runtime/errors.ts';
import { packageVersion } from '../exporter/runtime/version.ts';
import {
  aheadMs,
  fileOf,
  levelOf,
  limitOf,
  listenAddressesOf,
  none,
  one,
  parse,
  policiesFileOf,
  scopeOf,
  serverOf,
  UsageError,
  wanted,
  type Options,
} from './cli-options.ts';
import { usage } from './cli-usage.ts';
import {
  clearLatchCommand,
  CommandError,
  pauseCommand,
  pauseScopeCommand,
  resumeCommand,
  runsCommand,
  whyCommand,
  type Shared,
} from './commands.ts';
import type * as People from './commands-people.ts';
import type * as Serving from './serving.ts';
import { settingsOf } from './settings.ts';
import { StoreError } from './store/store.ts';

const names =
  'serve, check, doctor, runs, why, approvals, approve, reject, pause, resume, maintenance, latches, latch, policy or audit';

type Print = Streams['out'];

/** Where the answers go. */
export interface Streams {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

/** Does what the command line says; sets the exit status. @param signals those that came while this was loaded */
export async function run(signals: EarlySignals): Promise<void> {
  allowClosedPipe(process.stdout);
  const streams: Streams = {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
  };
  const code = await main(process.argv.slice(2), streams, signals);
  if (code !== 0) process.exitCode = code;
}

/** @returns the exit status */
export async function main(args: readonly string[], streams: Streams, signals = holdSignals([])): Promise<number> {
  try {
    await command(args, streams.out, signals);
    return 0;
  } catch (error) {
    const expected = explain(error);
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    streams.err(`${expected ?? `unexpected error: ${stack}`}\n`);
    return error instanceof UsageError || error instanceof ConfigError ? 2 : 1;
  }
}

async function command(args: readonly string[], print: Print, signals: EarlySignals): Promise<void> {
  const { values, positionals } = parse(args);
  const [name, ...rest] = positionals;
  if (name !== 'serve') signals.release();
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
      return withServing(values, (command, files) =>
        command.serveCommand({
          ...files,
          listen: listenAddressesOf(values),
          level: levelOf(values),
          signals,
        }),
      );
    case 'check':
      none(rest);
      return withServing(values, (command, files) => command.checkCommand(files, print));
    case 'doctor':
      none(rest);
      return withServing(values, (command, files) => command.doctorCommand(files, print, values.json));
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
      const scope = scopeOf(values);
      const { until } = values;
      const lastsMs = until === undefined ? undefined : aheadMs('until', until, Date.now());
      const to = await shared(values, print);
      return scope === 'global' && lastsMs === undefined
        ? pauseCommand(to, reason)
        : pauseScopeCommand(to, scope, reason, lastsMs);
    }
    case 'resume': {
      none(rest);
      const scope = scopeOf(values);
      return resumeCommand(await shared(values, print), scope);
    }
    case 'latch': {
      const [verb, ...more] = rest;
      if (verb !== 'clear')
        throw new UsageError('latch clear ID --comment="what was found" is wanted; `latches` lists them');
      const id = one(more, 'the id of a latch, as `latches` shows it,');
      const comment = wanted(values.comment, '--comment="what was found"');
      return clearLatchCommand(await shared(values, print), id, comment);
    }
    case 'approve':
    case 'reject': {
      const what = one(rest, 'the id of an approval, as `approvals` shows it, or of its episode');
      const { comment = '' } = values;
      return withPeople(values, print, (people, to) => people.decideCommand(to, name, what, comment));
    }
    case 'approvals':
    case 'latches':
    case 'audit': {
      none(rest);
      const limit = limitOf(values);
      return withPeople(values, print, (people, to) => {
        if (name === 'latches') return people.latchesCommand(to, values.json);
        return (name === 'audit' ? people.auditCommand : people.approvalsCommand)(to, limit, values.json);
      });
    }
    case 'maintenance':
      return maintenance(rest, values, print);
    case 'policy':
      return policy(rest, values, print);
    case undefined:
      throw new UsageError(`which command? ${names}; --help shows more`);
    default:
      throw new UsageError(`${name} is no command: ${names}; --help shows more`);
  }
}

async function maintenance(rest: readonly string[], options: Options, print: Print): Promise<void> {
  const [verb, ...more] = rest;
  switch (verb) {
    case 'list':
      none(more);
      return withPeople(options, print, (people, to) => people.maintenanceListCommand(to, options.json));
    case 'end': {
      const id = one(more, 'the id of a maintenance, as `maintenance list` shows it,');
      return withPeople(options, print, (people, to) => people.maintenanceEndCommand(to, id));
    }
    case 'add': {
      none(more);
      wanted(options.scope, '--scope=target:NAME, pipeline:NAME or global');
      const reason = wanted(options.reason, '--reason="why"');
      const endsInMs = aheadMs('until', wanted(options.until, '--until=2h'), Date.now());
      const inMs = options.from === undefined ? 0 : aheadMs('from', options.from, Date.now());
      if (endsInMs <= inMs) throw new UsageError('--until must be after --from');
      const scope = scopeOf(options);
      return withPeople(options, print, (people, to) =>
        people.maintenanceAddCommand(to, { scope, reason, inMs, lastsMs: endsInMs - inMs }),
      );
    }
    case undefined:
    default:
      throw new UsageError(
        'which? maintenance add --scope=SCOPE --until=2h --reason="why", maintenance list, or maintenance end ID',
      );
  }
}

async function policy(rest: readonly string[], options: Options, print: Print): Promise<void> {
  const [verb, ...more] = rest;
  const { target, json } = options;
  if (verb === 'list') {
    none(more);
    return withPolicies(options, print, (people, to, { policies }) =>
      people.policyListCommand(to, policies, target, json),
    );
  }
  if (verb === 'drilled') {
    const run = one(more, 'the id of a run');
    const comment = wanted(options.comment, '--comment="what was tried"');
    return withPeople(options, print, (people, to) => people.drilledCommand(to, run, comment));
  }
  if (verb !== 'promote')
    throw new UsageError('which? policy list, policy promote NAME, or policy drilled RUN --comment="what was tried"');
  const name = one(more, 'the name of a policy');
  if (options.lift) {
    const of = wanted(target, '--target=NAME');
    const comment = wanted(options.comment, '--comment="what was found"');
    return withPeople(options, print, (people, to) => people.liftCommand(to, name, of, comment));
  }
  return withPolicies(options, print, (people, to, { file, policies }) =>
    people.promoteCommand(to, { file, policies, name, target }, json),
  );
}

type WithPeople = (people: typeof People, to: Shared) => Promise<void>;

async function withPeople(options: Options, print: Print, use: WithPeople): Promise<void> {
  await use(await import('./commands-people.ts'), await shared(options, print));
}

async function withPolicies(
  options: Options,
  print: Print,
  use: (
    people: typeof People,
    to: Shared,
    found: { readonly file: string; readonly policies: Awaited<ReturnType<typeof Serving.viewedPolicies>> },
  ) => Promise<void>,
): Promise<void> {
  const file = policiesFileOf(options);
  const { viewedPolicies } = await import('./serving.ts');
  await withPeople(options, print, async (people, to) =>
    use(people, to, { file, policies: await viewedPolicies(file) }),
  );
}

/** What only these commands need is loaded only then: the others answer sooner. */
async function withServing(
  options: Options,
  run: (command: typeof Serving, files: Serving.Files) => Promise<void>,
): Promise<void> {
  const files = { config: fileOf(options), policies: policiesFileOf(options), web: options['web.config.file'] };
  await run(await import('./serving.ts'), files);
}

async function shared(options: Options, print: Print): Promise<Shared> {
  const file = fileOf(options);
  const server = serverOf(options);
  const inventory = await loadInventory(file);
  return { settings: settingsOf(inventory, file), inventory, server, tokenFile: options['token.file'], print };
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
