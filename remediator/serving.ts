// `serve` and `check`: both files read and judged, and the program put together.
import type { Inventory } from '../exporter/config/inventory.ts';
import { loadInventory } from '../exporter/config/loader.ts';
import { missingSecrets } from '../exporter/config/secrets.ts';
import { ConfigError } from '../exporter/runtime/errors.ts';
import type { ListenAddress } from '../exporter/runtime/http.ts';
import { createLog, type Log } from '../exporter/runtime/log.ts';
import { onShutdown } from '../exporter/runtime/shutdown.ts';
import { packageVersion } from '../exporter/runtime/version.ts';
import { actions } from './actions/index.ts';
import { problemsOf } from './check.ts';
import { createEvaluator } from './evaluator.ts';
import type { Policy } from './guard.ts';
import { loadPolicies } from './policies.ts';
import { drainMs, serve, type Serving } from './serve.ts';
import { settingsOf, type Settings } from './settings.ts';
import { setSwitchFile } from './switch.ts';
import { createWorld } from './world.ts';

interface Files {
  readonly config: string;
  readonly policies: string;
}

interface Loaded {
  readonly inventory: Inventory;
  readonly settings: Settings;
  readonly policies: readonly Policy[];
}

/** @throws ConfigError with all that is wrong in the first file that is */
async function load({ config, policies }: Files): Promise<Loaded> {
  const inventory = await loadInventory(config);
  const settings = settingsOf(inventory, config);
  return { inventory, settings, policies: await loadPolicies(policies, actions) };
}

async function allProblems({ inventory, settings, policies }: Loaded): Promise<readonly string[]> {
  return [...(await missingSecrets(inventory)), ...(await problemsOf(inventory, settings, policies, actions))];
}

/** Returns when it listens; signals end it. @throws ConfigError, StoreError, and what listening throws */
export async function serveCommand(
  options: Files & { readonly listen: ListenAddress; readonly level: string },
): Promise<void> {
  const log = createLog('remediator', options.level);
  const loaded = await load(options);
  // The others still work, and notifications must not be lost for one target's sake.
  for (const problem of await allProblems(loaded)) log.warn({ problem }, 'the configuration has a fault');
  const starting = serve({
    ...loaded,
    reloadPolicies: () => loadPolicies(options.policies, actions),
    listen: options.listen,
    version: packageVersion(),
    log,
    createEvaluator: (parts) =>
      createEvaluator({
        ...parts,
        actions,
        world: createWorld({ inventory: parts.inventory, settings: parts.settings, clock: parts.clock }),
      }),
  });
  // At once, not when it is up: a signal without a handler would end the program.
  process.on('SIGHUP', () => {
    starting.then((serving) => serving.reload()).catch(() => undefined);
  });
  // Not SIGUSR1: that one opens Node's inspector.
  process.on('SIGUSR2', () => void pullSwitch(loaded.settings.switchFile, starting, log));
  onShutdown((await starting).stop, drainMs + 15_000, log);
}

/** By the file, so that it holds over a restart. */
async function pullSwitch(file: string, starting: Promise<Serving>, log: Log): Promise<void> {
  const why = { by: 'SIGUSR2', reason: 'by signal', at: new Date().toISOString() };
  try {
    await setSwitchFile(file, why);
    log.warn(why, 'paused: nothing is repaired by itself');
  } catch (error) {
    log.fatal({ err: error }, 'the switch file cannot be written: ending, so that nothing begins');
    process.exit(1);
  }
  try {
    await (await starting).noted(why.by, why.reason);
  } catch (error) {
    log.error({ err: error }, 'the pause holds, but it could not be noted in the audit');
  }
}

export async function checkCommand(files: Files, print: (text: string) => void): Promise<void> {
  const loaded = await load(files);
  const problems = await allProblems(loaded);
  if (problems.length > 0) throw new ConfigError(files.config, problems);
  const { inventory, settings, policies } = loaded;
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
