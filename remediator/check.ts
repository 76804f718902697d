// What `check` finds: both files are right in themselves, and what they name can be used.
import { constants } from 'node:fs';
import { access, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Inventory } from '../exporter/config/inventory.ts';
import type { Path, Problem } from '../exporter/config/places.ts';
import { listed } from '../exporter/config/suggest.ts';
import { messageOf } from '../exporter/runtime/errors.ts';
import type { Policy } from './guard.ts';
import type { KnownAction } from './policies.ts';
import type { Settings } from './settings.ts';

/** Kinds of targets whose repair ends and starts a process. */
const supervisedKinds: ReadonlySet<string> = new Set(['maxwell', 'cdc-service', 'jvm']);

export interface Problems {
  /** In pipemedic.yml: the path, the reason, the fix. */
  readonly settings: readonly string[];
  readonly policies: readonly Problem[];
}

/** Each thing that would keep it from working. */
export async function problemsOf(
  inventory: Inventory,
  settings: Settings,
  policies: readonly Policy[],
  actions: readonly KnownAction[],
): Promise<Problems> {
  return {
    settings: [...(await unusablePaths(settings)), ...(await unreadableSecrets(settings))],
    policies: [
      ...unsupervised(inventory, settings, policies, actions),
      ...unreachableTargets(inventory, policies, actions),
      ...unknowable(inventory, settings, policies, actions),
      ...unapprovable(settings, policies),
    ],
  };
}

function ofPolicy(index: number, path: Path, reason: string): Problem {
  return { path: ['policies', index, ...path], reason };
}

/** A guard that could never tell would hold up every repair: `auto` would promise what it cannot do. */
function unknowable(
  inventory: Inventory,
  settings: Settings,
  policies: readonly Policy[],
  actions: readonly KnownAction[],
): Problem[] {
  return policies.flatMap((policy, i) => {
    if (policy.mode !== 'auto') return [];
    const kinds = actions.find((a) => a.name === policy.action)?.kinds ?? [];
    return targetsOf(inventory, policy, kinds)
      .filter((name) => needsLogin.has(inventory.targets.get(name)?.kind ?? ''))
      .filter((name) => settings.auth.get(name) === undefined && inventory.targets.get(name)?.auth === undefined)
      .map((name) =>
        ofPolicy(
          i,
          ['mode'],
          `auto is not possible on ${name}: nobody may log in there, and every guard that looks at it would be unknown. Add remediation.auth.${name}, or write mode: observe`,
        ),
      );
  });
}

/** Without an account nothing of them can be known. */
const needsLogin: ReadonlySet<string> = new Set(['mysql']);

/** As soon as people have names, somebody must have the role that a policy asks for. */
function unapprovable(settings: Settings, policies: readonly Policy[]): Problem[] {
  if (settings.apiTokens.length === 0) return [];
  const roles = new Set(settings.apiTokens.flatMap((t) => t.roles));
  return policies.flatMap((policy, i) => {
    const { role } = policy.approval;
    // an auto policy asks too: outside of its hours, and after it was demoted
    if (policy.mode === 'observe' || roles.has(role) || roles.has('*')) return [];
    return [
      ofPolicy(
        i,
        ['approval', 'role'],
        `nobody in remediation.api.tokens has the role ${role}. Add it to the roles of a token, or name another role`,
      ),
    ];
  });
}

async function unusablePaths(settings: Settings): Promise<string[]> {
  const paths: readonly (readonly [name: string, path: string, folder: string])[] = [
    ...(settings.mysqlStore === undefined ? [['store', settings.store, dirname(settings.store)] as const] : []),
    ['switch_file', settings.switchFile, dirname(settings.switchFile)],
    [
      'evidence_dir',
      settings.evidenceDir,
      (await isFolder(settings.evidenceDir)) ? settings.evidenceDir : dirname(settings.evidenceDir),
    ],
  ];
  const problems: string[] = [];
  for (const [name, path, folder] of paths) {
    const fault = await whyNot(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    if (fault !== undefined) {
      problems.push(
        `remediation.${name}: ${path} cannot be written: ${fault}. Create ${folder} and give it to this user`,
      );
    }
  }
  if (settings.mysqlStore !== undefined) return problems;
  const file = await whyNot(settings.store, constants.R_OK | constants.W_OK);
  if (file !== undefined && !file.startsWith('ENOENT')) {
    problems.push(`remediation.store: ${settings.store} cannot be written: ${file}. Give it to this user`);
  }
  return problems;
}

async function unreadableSecrets(settings: Settings): Promise<string[]> {
  const files: (readonly [path: string, file: string])[] = [
    ...settings.webhookTokenFiles.map((f, i) => [`webhook.token_files[${i}]`, f] as const),
    ...(settings.apiTokenFiles ?? []).map((f, i) => [`api.token_files[${i}]`, f] as const),
    ...settings.apiTokens.map(({ file }, i) => [`api.tokens[${i}].file`, file] as const),
    ...settings.sources.flatMap((s, i) =>
      s.alertmanagers.flatMap(({ auth }, j) => {
        if (auth === undefined) return [];
        const file = auth.is === 'bearer' ? auth.tokenFile : auth.passwordFile;
        return [[`sources[${i}].alertmanagers[${j}].auth`, file] as const];
      }),
    ),
    ...[...settings.auth].flatMap(([name, { password_file: file }]) =>
      file === undefined ? [] : [[`auth.${name}.password_file`, file] as const],
    ),
    ...[settings.mysqlStore?.auth.password_file].flatMap((file) =>
      file === undefined ? [] : [['store.mysql.password_file', file] as const],
    ),
  ];
  const problems: string[] = [];
  for (const [path, file] of files) {
    try {
      if ((await readFile(file, 'utf8')).trim() === '') {
        problems.push(`remediation.${path}: ${file} is empty. Write the secret into it`);
      }
    } catch (error) {
      problems.push(`remediation.${path}: ${messageOf(error)}. Create the file and let this user read it`);
    }
  }
  return problems;
}

function unsupervised(
  inventory: Inventory,
  settings: Settings,
  policies: readonly Policy[],
  actions: readonly KnownAction[],
): Problem[] {
  return policies.flatMap((policy, i) => {
    const kinds = (actions.find((a) => a.name === policy.action)?.kinds ?? []).filter((k) => supervisedKinds.has(k));
    return targetsOf(inventory, policy, kinds)
      .filter((name) => !settings.supervisors.has(name))
      .map((name) =>
        ofPolicy(
          i,
          ['action'],
          `${policy.action} may be wanted for ${name}, but remediation.supervisors.${name} is missing. Name the supervisor of ${name}, or add target: to the match`,
        ),
      );
  });
}

function unreachableTargets(
  inventory: Inventory,
  policies: readonly Policy[],
  actions: readonly KnownAction[],
): Problem[] {
  return policies.flatMap((policy, i) => {
    const named = policy.match['target'];
    const kinds = actions.find((a) => a.name === policy.action)?.kinds ?? [];
    if (named === undefined || named === '') {
      if (targetsOf(inventory, policy, kinds).length > 0) return [];
      return [
        ofPolicy(
          i,
          ['action'],
          `${policy.action} works on ${kinds.join(', ')}, and the inventory has none. Take the policy out`,
        ),
      ];
    }
    const target = inventory.targets.get(named);
    if (target === undefined) {
      return [
        ofPolicy(
          i,
          ['match', 'target'],
          `there is no target ${named}. Name one of: ${listed([...inventory.targets.keys()], named)}`,
        ),
      ];
    }
    if (kinds.includes(target.kind)) return [];
    return [
      ofPolicy(
        i,
        ['match', 'target'],
        `${named} is of kind ${target.kind}, and ${policy.action} works on ${kinds.join(', ')}. Name another target`,
      ),
    ];
  });
}

function targetsOf(inventory: Inventory, policy: Policy, kinds: readonly string[]): string[] {
  const named = policy.match['target'];
  return [...inventory.targets.values()]
    .filter((t) => kinds.includes(t.kind) && (named === undefined || t.name === named))
    .map((t) => t.name);
}

async function whyNot(path: string, mode: number): Promise<string | undefined> {
  try {
    await access(path, mode);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}
