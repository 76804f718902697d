// `serve` and `check`: both files read and judged, and the program put together.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Inventory } from '../exporter/config/inventory.ts';
import { loadInventory } from '../exporter/config/loader.ts';
import { missingSecrets } from '../exporter/config/secrets.ts';
import type { EarlySignals } from '../exporter/runtime/early-signals.ts';
import { ConfigError } from '../exporter/runtime/errors.ts';
import type { ListenAddress } from '../exporter/runtime/http.ts';
import { createLog, type Log } from '../exporter/runtime/log.ts';
import { onShutdown, signalsTold } from '../exporter/runtime/shutdown.ts';
import { packageVersion } from '../exporter/runtime/version.ts';
import { readWebConfig } from '../exporter/runtime/web-config-file.ts';
import { actions } from './actions/index.ts';
import { problemsOf } from './check.ts';
import { createEvaluator } from './evaluator.ts';
import { CommandError } from './commands.ts';
import { doctorText, examineAll, isIll } from './doctor.ts';
import { loadPolicies, type PlacedPolicies } from './policies.ts';
import { unansweredAlerts } from './policy-rules.ts';
import type { ViewedPolicy } from './promotion.ts';
import { drainMs, serve, type Serving } from './serve.ts';
import { settingsOf, type Settings } from './settings.ts';
import { isThere, openToRead, openToServe } from './store-place.ts';
import { setSwitchFile } from './switch.ts';
import { webProblems } from './web-problems.ts';
import { createWorld } from './world.ts';

export interface Files {
  readonly config: string;
  readonly policies: string;
  /** Of the server. */
  readonly web: string | undefined;
}

interface Loaded {
  readonly inventory: Inventory;
  readonly settings: Settings;
  readonly policyFile: PlacedPolicies;
}

/** @throws ConfigError with all that is wrong in the first file that is */
async function load({ config, policies }: Files): Promise<Loaded> {
  const inventory = await loadInventory(config);
  const settings = settingsOf(inventory, config);
  return { inventory, settings, policyFile: await loadPolicies(policies, actions, inventory) };
}

interface Problems {
  readonly config: readonly string[];
  readonly policies: readonly string[];
}

async function allProblems({ inventory, settings, policyFile }: Loaded, web?: string): Promise<Problems> {
  const found = [
    ...webProblems(settings, web === undefined ? undefined : readWebConfig(web)),
    ...(await missingSecrets(inventory)),
  ];
  const judged = await problemsOf(inventory, settings, policyFile.policies, actions);
  return {
    config: [...found, ...judged.settings.map(inventory.located)],
    policies: [...judged.policies, ...(await unansweredAlerts(policyFile))].map(policyFile.located),
  };
}

interface ServeCommand extends Files {
  readonly listen: readonly ListenAddress[];
  readonly level: string;
  /** Those that came while all this was loaded. */
  readonly signals: EarlySignals;
}

/** Returns when it listens; signals end it. @throws ConfigError, StoreError, and what listening throws */
export async function serveCommand(options: ServeCommand): Promise<void> {
  const { signals } = options;
  const log = createLog('remediator', options.level);
  // An end that is asked for before it serves is an end in order too, and nothing is begun then.
  const started = Promise.withResolvers<Serving | undefined>();
  const stopping = new AbortController();
  const stop = async (): Promise<void> => {
    stopping.abort();
    await (await started.promise)?.stop();
  };
  onShutdown(stop, drainMs + 15_000, log, process, signals);
  signals.on('SIGHUP', () => {
    started.promise.then((serving) => serving?.reload()).catch(() => undefined);
  });
  try {
    const loaded = await load(options);
    // The others still work, and notifications must not be lost for one target's sake.
    const faults = await allProblems(loaded);
    for (const problem of [...faults.config, ...faults.policies])
      log.warn({ problem }, 'the configuration has a fault');
    // At once, not when it is up: the pause is in a file. Not SIGUSR1: that one opens Node's inspector.
    signals.on('SIGUSR2', () => void pullSwitch(loaded.settings.switchFile, started.promise, log));
    await signalsTold();
    if (!stopping.signal.aborted) started.resolve(await start(options, loaded, { log, stopping: stopping.signal }));
  } finally {
    started.resolve(undefined); // as long as nothing was started
  }
}

function start(
  options: ServeCommand,
  loaded: Loaded,
  { log, stopping }: { readonly log: Log; readonly stopping: AbortSignal },
): Promise<Serving> {
  return serve({
    ...loaded,
    reloadPolicies: () => loadPolicies(options.policies, actions, loaded.inventory),
    actions,
    listen: options.listen,
    web: options.web,
    version: packageVersion(),
    log,
    stopping,
    createEvaluator: (parts) =>
      createEvaluator({
        ...parts,
        actions,
        world: createWorld({ inventory: parts.inventory, settings: parts.settings, clock: parts.clock }),
      }),
  });
}

/** By the file, so that it holds over a restart. */
async function pullSwitch(file: string, started: Promise<Serving | undefined>, log: Log): Promise<void> {
  const why = { by: 'SIGUSR2', reason: 'by signal', at: new Date().toISOString() };
  try {
    await setSwitchFile(file, why);
    log.warn(why, 'paused: nothing is repaired by itself');
  } catch (error) {
    log.fatal({ err: error }, 'the switch file cannot be written: ending, so that nothing begins');
    process.exit(1);
  }
  try {
    await (await started)?.noted(why.by, why.reason);
  } catch (error) {
    log.error({ err: error }, 'the pause holds, but it could not be noted in the audit');
  }
}

/** The policies with what their actions may be given at most. @throws ConfigError */
export async function viewedPolicies(file: string): Promise<readonly ViewedPolicy[]> {
  const { policies } = await loadPolicies(file, actions);
  return policies.map((policy) => ({
    policy,
    highestMode: actions.find((a) => a.name === policy.action)?.highestMode ?? 'auto',
  }));
}

/** Looks only: with the store as it is, or with an empty one where none is yet. */
export async function doctorCommand(files: Files, print: (text: string) => void, asJson: boolean): Promise<void> {
  const { inventory, settings, policyFile } = await load(files);
  const dir = await mkdtemp(join(tmpdir(), 'pipemedic-doctor-'));
  try {
    const empty = { store: join(dir, 'empty.db') };
    await using open = isThere(settings)
      ? await openToRead(settings)
      : await openToServe(empty, { relapseMs: 0, longestMs: 0 });
    const { store, clock } = open;
    const found = await examineAll({
      ...{ store, inventory, settings, actions, clock },
      policies: () => policyFile.policies,
      limits: () => policyFile.limits,
      world: createWorld({ inventory, settings, clock }),
    });
    print(asJson ? `${JSON.stringify(found, undefined, 2)}\n` : doctorText(found));
    const ill = found.filter(isIll).map((one) => `${one.policy} on ${one.target}`);
    if (ill.length > 0) throw new CommandError(`not ready to repair: ${ill.join(', ')}`);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

export async function checkCommand(files: Files, print: (text: string) => void): Promise<void> {
  const loaded = await load(files);
  const problems = await allProblems(loaded, files.web);
  const wrong = [
    ...(problems.config.length > 0 ? [files.config] : []),
    ...(problems.policies.length > 0 ? [files.policies] : []),
  ];
  if (wrong.length > 0) throw new ConfigError(wrong.join(' with '), [...problems.config, ...problems.policies]);
  const { inventory, settings } = loaded;
  const { policies } = loaded.policyFile;
  print(
    [
      `${files.config}: ${inventory.targets.size} targets, ${settings.sources.length} sources, ${settings.supervisors.size} supervisors`,
      `${files.policies}: ${policies.length} policies`,
      ...policies.map(
        (p) => `  ${p.name}: ${p.action}, ${p.mode}, at most ${p.pace.maxRuns} in ${p.pace.windowMs / 60_000} min`,
      ),
      '',
    ].join('\n'),
  );
}
