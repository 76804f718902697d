// policies.yml: which alert may be answered by which action, how far and how often.
import { z } from 'zod';
import { readYaml } from '../exporter/config/loader.ts';
import { durationMs } from '../exporter/fields.ts';
import { ConfigError } from '../exporter/runtime/errors.ts';
import type { Policy } from './guard.ts';
import type { Json } from './model.ts';

/** What a policy may name: the registry of actions, or a part of it. */
export interface KnownAction {
  readonly name: string;
  readonly kinds: readonly string[];
  readonly params: z.ZodType;
}

const pace = z
  .strictObject({
    max_runs: z.int().min(1).max(100).default(3),
    window: durationMs.default(3_600_000),
    cooldown: durationMs.default(300_000),
  })
  .prefault({});

const policy = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,99}$/, 'lower case letters, digits, _ and -'),
  /** Exact label values. An empty match would take every alert. */
  match: z
    .record(z.string(), z.string(), 'labels with their exact values are wanted, such as {alertname: MaxwellDown}')
    .refine((m) => Object.keys(m).length > 0, 'at least one label, such as alertname'),
  action: z.string(),
  mode: z.enum(['observe', 'approve', 'auto']).default('observe'),
  params: z.record(z.string(), z.json()).default({}),
  pace,
  soak: durationMs.default(120_000),
  relapse: durationMs.default(900_000),
});

const schema = z.strictObject({ policies: z.array(policy).min(1) });

/** @throws ConfigError with every problem found */
export async function loadPolicies(file: string, actions: readonly KnownAction[]): Promise<readonly Policy[]> {
  return policiesOf(await readYaml(file), file, actions);
}

/** @throws ConfigError with every problem found */
export function policiesOf(document: unknown, file: string, actions: readonly KnownAction[]): readonly Policy[] {
  const parsed = schema.safeParse(document);
  if (!parsed.success) {
    throw new ConfigError(
      file,
      parsed.error.issues.map((i) => `${z.core.toDotPath(i.path) || 'the file'}: ${i.message}`),
    );
  }
  const problems: string[] = [];
  const names = new Set<string>();
  const policies = parsed.data.policies.map((p, i): Policy => {
    const at = `policies[${i}]`;
    if (names.has(p.name)) problems.push(`${at}.name: ${p.name} is there twice. Give each its own name`);
    names.add(p.name);
    if (p.pace.window === 0) problems.push(`${at}.pace.window: 0 would count nothing. Set a window such as 1h`);
    problems.push(...wrongAction(i, p.action, p.params, actions));
    return {
      name: p.name,
      mode: p.mode,
      match: p.match,
      action: p.action,
      params: p.params,
      pace: { maxRuns: p.pace.max_runs, windowMs: p.pace.window, cooldownMs: p.pace.cooldown, maxRelapses: 2 },
      soakMs: p.soak,
      relapseMs: p.relapse,
      windows: [],
      approval: { role: 'operator', expiresMs: 3_600_000 },
      chain: [],
    };
  });
  if (problems.length > 0) throw new ConfigError(file, problems);
  return policies;
}

function wrongAction(index: number, name: string, params: Json, actions: readonly KnownAction[]): string[] {
  const action = actions.find((a) => a.name === name);
  if (action === undefined) {
    return [
      `policies[${index}].action: there is no action ${name}. Name one of: ${actions.map((a) => a.name).join(', ')}`,
    ];
  }
  const checked = action.params.safeParse(params);
  if (checked.success) return [];
  return checked.error.issues.map((i) => `${z.core.toDotPath(['policies', index, 'params', ...i.path])}: ${i.message}`);
}

/** Longest window that a budget looks back. */
export function longestWindowMs(policies: readonly Policy[]): number {
  return Math.max(3_600_000, ...policies.map((p) => p.pace.windowMs));
}
