// policies.yml: which alert may be answered by which action, how far and how often, and what holds for all of them.
import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import type { Inventory } from '../exporter/config/inventory.ts';
import { readPlacedYaml } from '../exporter/config/loader.ts';
import { nowhere, placeText, type Path, type Places, type Problem } from '../exporter/config/places.ts';
import { issuesOf } from '../exporter/config/problems.ts';
import { listed } from '../exporter/config/suggest.ts';
import { ConfigError } from '../exporter/runtime/errors.ts';
import type { Limits, Policy, PolicyFile } from './guard.ts';
import { lowerMode } from './guards/mode.ts';
import type { Json } from './model.ts';
import { policyFileSchema, type WrittenFile, type WrittenPolicy } from './policy-schema.ts';

/** What a policy may name: the registry of actions, or a part of it. */
export interface KnownAction {
  readonly name: string;
  readonly kinds: readonly string[];
  readonly params: z.ZodType;
  /** Default: auto. */
  readonly highestMode?: 'approve' | 'auto';
  /** Labels of the alert, by the parameter that they fill. */
  readonly objectLabels?: Readonly<Record<string, string>>;
}

type Scopes = Pick<Inventory, 'targets' | 'pipelines'>;

export interface PlacedPolicies extends PolicyFile {
  /** What is found later, with the file and the line. */
  readonly located: (problem: Problem) => string;
}

/** What holds when policies.yml says nothing of it. */
export const defaultLimits: Limits = limitsOf(
  policyFileSchema.parse({ policies: [{ name: 'x', match: { alertname: 'x' }, action: 'x' }] }),
);

/**
 * @param inventory when given, the scopes of maintenance must name something in it
 * @throws ConfigError with every problem found
 */
export async function loadPolicies(
  file: string,
  actions: readonly KnownAction[],
  inventory?: Scopes,
): Promise<PlacedPolicies> {
  const { document, places } = await readPlacedYaml(file);
  return policyFileOf(document, file, actions, inventory, places);
}

/** @throws ConfigError with every problem found */
export function policiesOf(document: unknown, file: string, actions: readonly KnownAction[]): readonly Policy[] {
  return policyFileOf(document, file, actions).policies;
}

/** @throws ConfigError with every problem found */
export function policyFileOf(
  document: unknown,
  file: string,
  actions: readonly KnownAction[],
  inventory?: Scopes,
  places: Places = nowhere,
): PlacedPolicies {
  const located = ({ path, reason }: Problem): string => `${placeText(path, document, places)}: ${reason}`;
  const refuse = (problems: readonly Problem[]): never => {
    throw new ConfigError(file, problems.map(located));
  };
  const parsed = policyFileSchema.safeParse(document);
  if (!parsed.success) return refuse(issuesOf(parsed.error, policyFileSchema, document));
  const written = parsed.data;
  const problems = [
    ...written.policies.flatMap((p, i) => wrongPolicy(p, i, written.policies, actions)),
    ...(inventory === undefined ? [] : wrongScopes(written, inventory)),
  ];
  if (problems.length > 0) return refuse(problems);
  return {
    policies: written.policies.map(policyOf),
    limits: limitsOf(written),
    rules: written.rules.map((glob) => resolve(dirname(file), glob)),
    located,
  };
}

function policyOf(p: WrittenPolicy): Policy {
  const { max_runs_total: maxRunsTotal } = p.pace;
  return {
    name: p.name,
    mode: p.mode,
    match: p.match,
    action: p.action,
    params: p.params,
    pace: {
      maxRuns: p.pace.max_runs,
      windowMs: p.pace.window,
      cooldownMs: p.pace.cooldown,
      maxRelapses: p.pace.max_relapses,
      ...(maxRunsTotal === undefined ? {} : { maxRunsTotal }),
    },
    soakMs: p.soak,
    relapseMs: p.relapse,
    windows: p.windows,
    approval: { role: p.approval.role, expiresMs: p.approval.expires },
    chain: p.then.map((link) => ({ action: link.action, params: link.params, mode: link.mode ?? p.mode })),
  };
}

function limitsOf({ limits, maintenance }: WrittenFile): Limits {
  const { global, storm } = limits;
  return {
    global: { maxRuns: global.max_runs, windowMs: global.window, maxConcurrent: global.max_concurrent },
    storm: {
      minTargets: storm.min_targets,
      percent: storm.percent,
      windowMs: storm.window,
      cooldownMs: storm.cooldown,
    },
    maintenance,
  };
}

function wrongPolicy(
  p: WrittenPolicy,
  index: number,
  all: readonly WrittenPolicy[],
  actions: readonly KnownAction[],
): Problem[] {
  const at = ['policies', index];
  const problems: Problem[] = [];
  const wrong = (path: Path, reason: string): void => void problems.push({ path: [...at, ...path], reason });
  if (all.findIndex((other) => other.name === p.name) < index) {
    wrong(['name'], `${p.name} is there twice. Give each its own name`);
  }
  const wider = all.slice(0, index).find((o) => Object.entries(o.match).every(([k, v]) => p.match[k] === v));
  if (wider !== undefined) {
    wrong(
      ['match'],
      `policy ${wider.name} above takes every alert that fits here. Write ${p.name} before it, or match other labels`,
    );
  }
  const { window, max_runs: most, max_runs_total: total } = p.pace;
  if (window === 0) wrong(['pace', 'window'], '0 would count nothing. Set a window such as 1h');
  if ((total ?? most) < most) {
    wrong(['pace', 'max_runs_total'], `${total} is less than the ${most} of one target. Write at least ${most}`);
  }
  problems.push(...wrongAction(at, p, actions));
  for (const [i, link] of p.then.entries()) {
    const mode = link.mode ?? p.mode;
    if (lowerMode(mode, p.mode) !== mode) {
      wrong(['then', i, 'mode'], `${mode} is above the policy's own mode ${p.mode}. Write ${p.mode} or less`);
    }
    problems.push(...wrongAction([...at, 'then', i], { ...link, mode }, actions));
  }
  return problems;
}

function wrongAction(
  at: Path,
  { action: name, params, mode }: { readonly action: string; readonly params: Json; readonly mode: Policy['mode'] },
  actions: readonly KnownAction[],
): Problem[] {
  const action = actions.find((a) => a.name === name);
  if (action === undefined) {
    const reason = `there is no action ${name}. Name one of: ${actions.map((a) => a.name).join(', ')}`;
    return [{ path: [...at, 'action'], reason }];
  }
  const { highestMode = 'auto', objectLabels = {} } = action;
  const problems: Problem[] = [];
  if (lowerMode(mode, highestMode) !== mode) {
    const reason = `${name} is never done without a person. Write ${highestMode} or observe`;
    problems.push({ path: [...at, 'mode'], reason });
  }
  const checked = action.params.safeParse(params);
  if (checked.success) return problems;
  for (const { path, reason } of issuesOf(checked.error, action.params, params)) {
    if (!isFilledLater(path, params, objectLabels)) problems.push({ path: [...at, 'params', ...path], reason });
  }
  return problems;
}

/** A parameter that names the object within the target comes from the alert's labels. */
function isFilledLater([name]: Path, params: Json, objectLabels: Readonly<Record<string, string>>): boolean {
  if (typeof name !== 'string' || !Object.hasOwn(objectLabels, name)) return false;
  return typeof params === 'object' && params !== null && !Object.hasOwn(params, name);
}

function wrongScopes({ maintenance }: WrittenFile, { targets, pipelines }: Scopes): Problem[] {
  return maintenance.flatMap(({ scope }, i) => {
    const [kind = '', ...rest] = scope.split(':');
    if (kind === 'global') return [];
    const name = rest.join(':');
    const names = kind === 'target' ? [...targets.keys()] : pipelines.map((p) => p.name);
    if (names.includes(name)) return [];
    const reason = `there is no ${kind} ${name}. Name one of: ${listed(names, name) || 'none is there'}`;
    return [{ path: ['maintenance', i, 'scope'], reason }];
  });
}

/** Longest time that a budget, a cooldown or a relapse looks back. */
export function longestWindowMs(policies: readonly Policy[], limits: Limits = defaultLimits): number {
  return Math.max(
    3_600_000,
    limits.global.windowMs,
    ...policies.flatMap(({ pace, relapseMs }) => [pace.windowMs, pace.cooldownMs, relapseMs]),
  );
}
