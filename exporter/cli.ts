import { parseArgs } from 'node:util';
import { configVariable, usage } from './cli-usage.ts';
import type { Inventory } from './config/inventory.ts';
import { loadInventory } from './config/loader.ts';
import { missingSecrets } from './config/secrets.ts';
import { summaryOf } from './config/summary.ts';
import { prometheusAddress } from './doctor/prometheus-config.ts';
import { systemClock } from './runtime/clock.ts';
import { allowClosedPipe } from './runtime/closed-pipe.ts';
import { holdSignals, type EarlySignals } from './runtime/early-signals.ts';
import { codeOf, ConfigError, messageOf } from './runtime/errors.ts';
import { parseListenAddress, type ListenAddress } from './runtime/http.ts';
import { createLog, type Log } from './runtime/log.ts';
import { onShutdown, signalsTold } from './runtime/shutdown.ts';
import { packageVersion } from './runtime/version.ts';
import { defaultDeadline } from './scrape/deadline.ts';
import { defaultLimits, type SweepLimits } from './scrape/limits.ts';
import { serve, type Serving } from './serve.ts';
import { collectPipelines } from './systems/pipeline/collector-pipeline.ts';
import { FlowMemory } from './systems/pipeline/facts-flow.ts';
import { gapIn } from './systems/pipeline/facts-gaps.ts';

const levels = ['trace', 'debug', 'info', 'warn', 'error'];
const graceMs = 10_000;
/** Nobody waits for a scrape here: what takes long shall be seen to take long. */
const doctorDeadlineMs = 15_000;

/** A mistake in the command line. */
class UsageError extends Error {}

const listenAddresses: string[] = ['127.0.0.1:9930'];

const known = {
  'config.file': { type: 'string' },
  'web.listen-address': { type: 'string', multiple: true, default: listenAddresses },
  'web.config.file': { type: 'string' },
  'timeout-offset': { type: 'string', default: '0.25' },
  'max-sweeps': { type: 'string', default: '64' },
  backoff: { type: 'string', default: '30' },
  'prometheus.url': { type: 'string' },
  'prometheus.config.file': { type: 'string' },
  json: { type: 'boolean', default: false },
  verbose: { type: 'boolean', default: false },
  target: { type: 'string', multiple: true },
  'log.level': { type: 'string', default: 'info' },
  version: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

type Parsed = ReturnType<typeof parseArgs<{ options: typeof known; allowPositionals: true }>>;
type Options = Parsed['values'];

/** Does what the command line says; sets the exit status. @param signals those that came while this was loaded */
export async function run(args: readonly string[], signals = holdSignals([])): Promise<void> {
  allowClosedPipe(process.stdout);
  try {
    await command(args, signals);
  } catch (error) {
    const expected = explain(error);
    process.stderr.write(
      `${expected ?? `unexpected error: ${error instanceof Error ? (error.stack ?? '') : String(error)}`}\n`,
    );
    process.exitCode = error instanceof UsageError || error instanceof ConfigError ? 2 : 1;
  }
}

/** What `serve` does not need is loaded by the command that does: it would be a part of each start. */
async function command(args: readonly string[], signals: EarlySignals): Promise<void> {
  const { values, positionals } = parse(args);
  const [name, ...more] = positionals;
  if (name !== 'serve') signals.release();
  if (values.help) print(usage);
  else if (values.version) print(`${packageVersion()}\n`);
  else if (name === undefined)
    throw new UsageError('which command? serve, check, doctor, adopt, verify-backup or catalogue; --help shows more');
  else if (name === 'verify-backup') await verifyCommand(more, values);
  else if (name === 'adopt') await adoptCommand(more, values);
  else if (more.length > 0) throw new UsageError(`${more.join(' ')} is too much: one command at a time`);
  else if (name === 'serve') await serveCommand(values, signals);
  else if (name === 'check') print(summaryOf(await loadWithSecrets(fileOf(values)), gapIn));
  else if (name === 'doctor') await doctorCommand(values);
  else if (name === 'catalogue') await catalogueCommand();
  else
    throw new UsageError(
      `${name} is no command: serve, check, doctor, adopt, verify-backup or catalogue; --help shows more`,
    );
}

export function parse(args: readonly string[]): Parsed {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: known,
    });
  } catch (error) {
    if (codeOf(error)?.startsWith('ERR_PARSE_ARGS') !== true) throw error;
    throw new UsageError(`${messageOf(error).split('. ')[0] ?? ''}; --help shows what there is`, { cause: error });
  }
}

async function serveCommand(options: Options, signals: EarlySignals): Promise<void> {
  const file = fileOf(options);
  const log = createLog('exporter', levelOf(options));
  const early = { isReloadAsked: false };
  let reload = (): Promise<unknown> => {
    early.isReloadAsked = true; // done once there is something to reload: what was read may be older than the signal
    return Promise.resolve();
  };
  signals.on('SIGHUP', () => void reload());
  // An end that is asked for before it serves is an end in order too.
  const started = Promise.withResolvers<Serving | undefined>();
  const stopping = new AbortController();
  const stop = async (): Promise<void> => {
    stopping.abort();
    await (await started.promise)?.stop();
  };
  onShutdown(stop, graceMs, log, process, signals);
  try {
    await signalsTold();
    if (stopping.signal.aborted) return;
    const serving = await start(file, options, log);
    reload = serving.reload;
    if (early.isReloadAsked) void reload();
    // A failure that nobody waits for, here or in a library, costs what it belongs to and not the view of all the others.
    process.on('unhandledRejection', (error) => {
      serving.fault('a failure that nobody waited for', error);
    });
    started.resolve(serving);
  } finally {
    started.resolve(undefined); // as long as nothing was started
  }
}

function start(file: string, options: Options, log: Log): Promise<Serving> {
  const flows = new FlowMemory();
  return serve({
    load: () => loadWithSecrets(file),
    listen: listenAddressesOf(options),
    web: options['web.config.file'],
    version: packageVersion(),
    clock: systemClock,
    log,
    deadline: { ...defaultDeadline, offsetMs: secondsOf(options, 'timeout-offset', 0.25) },
    limits: limitsOf(options),
    pipelines: (pipelines, board, put, all) => {
      collectPipelines(pipelines, board, put, systemClock, flows, all);
    },
  });
}

/** A secret that is missing is told for its target, beside what is right with the others. */
async function doctorCommand(options: Options): Promise<void> {
  const { examineAll } = await import('./doctor.ts');
  const { examinePrometheus } = await import('./doctor/prometheus.ts');
  const { doctorText, isHealthy } = await import('./doctor/report.ts');
  const { rulesFolder } = await import('./doctor/shipped-rules.ts');
  const inventory = await loadInventory(fileOf(options));
  const asked = namedAmong(
    [...inventory.targets.keys()].map((target) => ({ target })),
    options.target,
  );
  const url = options['prometheus.url'];
  const login = options['prometheus.config.file'];
  if (url === undefined && login !== undefined)
    throw new UsageError('--prometheus.config.file: of which --prometheus.url?');
  const address = url === undefined ? undefined : await prometheusAddress(url, login);
  const how = { clock: systemClock, deadlineMs: doctorDeadlineMs };
  const about = { ...how, version: packageVersion(), rulesFolder: rulesFolder() };
  const [targets, ...prometheus] = await Promise.all([
    examineAll(inventory, how),
    ...(address === undefined ? [] : [examinePrometheus(address, inventory, about)]),
  ]);
  const names = asked.map(({ target }) => target);
  const reports = [...namedAmong(targets, names), ...prometheus];
  print(options.json ? `${JSON.stringify(reports, undefined, 2)}\n` : doctorText(reports, options.verbose));
  if (!isHealthy(reports)) process.exitCode = 1;
}

/**
 * Those that `--target` names, in their own order; all where it names none. All are looked at in any case: what is told of
 * a replica rests on its source.
 */
export function namedAmong<T extends { readonly target: string }>(
  all: readonly T[],
  names: readonly string[] | undefined,
): readonly T[] {
  if (names === undefined) return all;
  const missing = names.find((name) => !all.some(({ target }) => target === name));
  if (missing !== undefined)
    throw new UsageError(`--target: there is no ${missing} in the inventory; \`check\` lists what there is`);
  return all.filter(({ target }) => names.includes(target));
}

async function adoptCommand(names: readonly string[], options: Options): Promise<void> {
  if (names.length === 0) throw new UsageError('adopt wants files: rules, dashboards, a Prometheus configuration');
  const config = options['config.file'];
  const inventory = config === undefined ? undefined : await loadInventory(config);
  const { adopt, exitStatusOf } = await import('./adopt/adopt.ts');
  const { adoptText } = await import('./adopt/text.ts');
  const report = await adopt(names, { inventory });
  print(options.json ? `${JSON.stringify(report, undefined, 2)}\n` : adoptText(report, options.verbose));
  process.exitCode = exitStatusOf(report);
}

async function verifyCommand([what, ...more]: readonly string[], options: Options): Promise<void> {
  if (what === undefined || more.length > 0) throw new UsageError('verify-backup wants one file, folder or target');
  const config = options['config.file'];
  const inventory = config === undefined ? undefined : await loadInventory(config);
  const { backupText, isComplete, verifyBackup } = await import('./verify-backup.ts');
  const { signal } = new AbortController(); // until it is read, or Ctrl-C
  const report = await verifyBackup(what, { clock: systemClock, signal, inventory });
  if (typeof report === 'string') throw new UsageError(report);
  print(options.json ? `${JSON.stringify(report, undefined, 2)}\n` : backupText(report));
  if (!isComplete(report)) process.exitCode = 1;
}

async function catalogueCommand(): Promise<void> {
  const { catalogue, openCatalogue } = await import('./catalogue.ts');
  print(`${JSON.stringify([...catalogue.values(), ...openCatalogue], undefined, 2)}\n`);
}

/** @throws ConfigError also for a secret that is not there: better now than at the first login */
async function loadWithSecrets(file: string): Promise<Inventory> {
  const inventory = await loadInventory(file);
  const missing = await missingSecrets(inventory);
  if (missing.length > 0) throw new ConfigError(file, missing);
  return inventory;
}

// The commands in runbooks and alerts name no file: set once, they work as they stand there.
export function fileOf(options: Options, environment = process.env): string {
  const file = options['config.file'] ?? environment[configVariable];
  if (file === undefined || file.trim() === '') throw new UsageError('which inventory? --config.file=pipemedic.yml');
  return file;
}

function levelOf(options: Options): string {
  const level = options['log.level'];
  if (!levels.includes(level)) throw new UsageError(`--log.level: ${level} is not one of ${levels.join(', ')}`);
  return level;
}

/** @returns milliseconds */
function secondsOf(options: Options, name: 'timeout-offset' | 'backoff', such: number): number {
  const text = options[name];
  if (!/^\d+(\.\d+)?$/.test(text)) throw new UsageError(`--${name}: ${text} is no number of seconds, such as ${such}`);
  return Number(text) * 1000;
}

function limitsOf(options: Options): SweepLimits {
  const text = options['max-sweeps'];
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new UsageError(`--max-sweeps: ${text} is no number of targets, such as 64`);
  return { ...defaultLimits, maxSweeps: Number(text), backoffAtMostMs: secondsOf(options, 'backoff', 30) };
}

function listenAddressesOf(options: Options): readonly ListenAddress[] {
  return options['web.listen-address'].map((text) => {
    const address = parseListenAddress(text);
    if (address !== undefined) return address;
    const such = '127.0.0.1:9930, [::1]:9930, :9930 or unix:/run/pipemedic/exporter.sock';
    throw new UsageError(`--web.listen-address: ${text} is not HOST:PORT or unix:/PATH, such as ${such}`);
  });
}

/** The one line for an error that a person can mend; undefined for any other. */
function explain(error: unknown): string | undefined {
  if (error instanceof ConfigError || error instanceof UsageError) return error.message;
  const code = codeOf(error);
  if (code === 'EADDRINUSE')
    return `${messageOf(error)}. Stop what listens there, or choose another --web.listen-address`;
  if (code === 'EACCES')
    return `${messageOf(error)}. Ports below 1024 need rights; choose another --web.listen-address`;
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EROFS' || code === 'EINVAL' || code === 'ENAMETOOLONG') {
    return messageOf(error);
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return `${messageOf(error)}. --web.listen-address must be an address of this machine`;
  }
  return undefined;
}

function print(text: string): void {
  process.stdout.write(text);
}
