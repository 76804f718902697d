/** Command line, signals and the order of start and end of the process supervisor. */
import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { ConfigError, messageOf } from '../../../exporter/runtime/errors.ts';
import { createLog } from '../../../exporter/runtime/log.ts';
import { configSchema, type ProcessSupervisorConfig } from '../process-wire.ts';
import { readBootId, readStat } from './proc.ts';
import { listen } from './server.ts';
import { Service } from './service.ts';
import { openStore } from './store.ts';

const usage = 'usage: process-supervisor --config FILE\n';

export async function run(args: readonly string[]): Promise<void> {
  try {
    const path = configPath(args);
    if (path === undefined) {
      process.stderr.write(usage);
      process.exitCode = 2;
      return;
    }
    await supervise(readConfig(path));
  } catch (error) {
    process.stderr.write(`${error instanceof ConfigError ? error.message : messageOf(error)}\n`);
    process.exit(1);
  }
}

async function supervise(config: ProcessSupervisorConfig): Promise<void> {
  const ending = endSignal();
  const bootId = aboutThisMachine();
  // Whoever read our output may be gone; that must not end the parent of a service.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const log = createLog(`process-supervisor ${config.service.name}`);
  const store = openStore(config.stateDir, systemClock.wallMs);
  const service = new Service({ config, store, bootId, clock: systemClock, log });
  const server = await listen(config.socket, service, log);
  await service.autostart();
  log.info({ socket: config.socket, running: service.running }, 'supervising');
  const signal = await ending;
  log.info({ signal }, 'ending the service, then the supervisor');
  await service.shutdown();
  await setImmediate(); // lets the answers to those who waited for the end be written
  server.close(); // removes the socket file: before the lock is given up, or it could be a successor's
  store.close();
  process.exit(service.running === null ? 0 : 1);
}

/** The first SIGTERM, SIGINT or SIGHUP; later ones change nothing: the end has its own deadline. */
function endSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, resolve);
  });
}

function aboutThisMachine(): string {
  try {
    if (readStat(process.pid) === undefined) throw new Error('/proc/PID/stat of this process is not there');
    return readBootId();
  } catch (cause) {
    throw new ConfigError('this machine', [`/proc is needed (Linux): ${messageOf(cause)}`]);
  }
}

function configPath(args: readonly string[]): string | undefined {
  try {
    return parseArgs({ args: [...args], options: { config: { type: 'string' } } }).values.config;
  } catch {
    return undefined;
  }
}

function readConfig(path: string): ProcessSupervisorConfig {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    // a JSON error quotes the text, which may hold secrets in `env`
    throw new ConfigError(path, [cause instanceof SyntaxError ? 'not JSON' : messageOf(cause)]);
  }
  const parsed = configSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new ConfigError(
    path,
    parsed.error.issues.map((issue) => `${issue.path.join('.') || 'the file'}: ${issue.message}`),
  );
}
