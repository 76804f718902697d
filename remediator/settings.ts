// The `remediation:` block of pipemedic.yml. Its secrets are the remediator's own: the exporter never looks inside.
import { z } from 'zod';
import type { Inventory } from '../exporter/config/inventory.ts';
import { listed } from '../exporter/config/suggest.ts';
import { absolutePath, authField, durationMs, tlsField, type Auth, type Tls } from '../exporter/fields.ts';
import { problemsOf } from '../exporter/config/problems.ts';
import { ConfigError } from '../exporter/runtime/errors.ts';
import { serviceOf, supervisorSettings, type SupervisorSettings } from './supervisors/index.ts';
import type { ApiToken } from './admission.ts';
import { placementProblems, placeText, storeField, type MysqlStorePlace } from './store/place.ts';

const baseUrl = z
  .string()
  .regex(/^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/, 'an http or https URL without user, query and fragment')
  .transform((url) => url.replace(/\/+$/, ''));

const peerAuth = z
  .strictObject({
    bearer_token_file: absolutePath.optional(),
    user: z.string().min(1).optional(),
    password_file: absolutePath.optional(),
  })
  .refine((a) => (a.bearer_token_file === undefined) !== (a.user === undefined), 'bearer_token_file, or user')
  .refine((a) => (a.user === undefined) === (a.password_file === undefined), 'user and password_file go together');

const peer = z.strictObject({ url: baseUrl, auth: peerAuth.optional(), tls: tlsField.optional() });

const source = z.strictObject({
  /** The path below /webhook/; also a label of metrics. */
  name: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,49}$/, 'lower case letters, digits, _ and -'),
  /** Every peer of the cluster: they do not tell each other of posted alerts. */
  alertmanagers: z.array(peer).min(1).max(16),
  /** How often PipemedicWatchdog is expected at least; 0s: not expected. */
  watchdog: durationMs.default(0),
});

const apiToken = z
  .strictObject({
    name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/, 'a name of letters, digits and . _ @ -'),
    file: absolutePath,
    /** What its owner may approve: names of roles, or `*`. */
    roles: z
      .array(z.string().regex(/^([a-z0-9][a-z0-9_-]{0,49}|\*)$/, 'a role: lower case letters, digits, _ and -; or *'))
      .min(1)
      .max(20),
  })
  .transform((t): ApiToken => t);

const schema = z.strictObject({
  store: storeField,
  evidence_dir: absolutePath,
  switch_file: absolutePath,
  /** Where people reach this server; stands in the alerts that it posts. */
  external_url: baseUrl.optional(),
  webhook: z
    .strictObject({
      token_files: z.array(absolutePath).max(8).default([]),
      /** Of those in the file of --web.config.file: who else may read metrics may not deliver. */
      basic_auth_users: z.array(z.string().min(1)).max(8).default([]),
      /** Names in client certificates that the web configuration has verified. */
      client_sans: z.array(z.string().min(1)).max(16).default([]),
    })
    .refine(
      (w) => w.token_files.length + w.basic_auth_users.length + w.client_sans.length > 0,
      'token_files, basic_auth_users or client_sans, with at least one',
    ),
  /** Wanted as soon as the server listens beyond loopback: the webhook's tokens lie on the Alertmanagers then. */
  api: z
    .strictObject({
      /** Shared: whoever calls says who it is. */
      token_files: z.array(absolutePath).max(8).default([]),
      /** One person or script each: its name stands in the audit, its roles say what it may approve. */
      tokens: z.array(apiToken).max(200).default([]),
    })
    .refine((a) => a.token_files.length + a.tokens.length > 0, 'token_files or tokens, with at least one')
    .optional(),
  /** What the store keeps of closed episodes and of the notifications' bodies. */
  retention: z
    .strictObject({
      episodes: durationMs.default(90 * 86_400_000),
      webhook_bytes: z
        .int()
        .min(1024 * 1024)
        .default(256 * 1024 * 1024),
    })
    .prefault({}),
  sources: z.array(source).min(1),
  require: z.record(z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/, 'a label name'), z.string().min(1)).default({}),
  auth: z.record(z.string(), authField).default({}),
  supervisors: z.record(z.string(), supervisorSettings).default({}),
});

export interface Peer {
  readonly url: string;
  readonly auth:
    | { readonly is: 'bearer'; readonly tokenFile: string }
    | { readonly is: 'basic'; readonly user: string; readonly passwordFile: string }
    | undefined;
  readonly tls: Tls | undefined;
}

export interface Source {
  readonly name: string;
  readonly alertmanagers: readonly Peer[];
  /** 0: no watchdog is expected. */
  readonly watchdogMs: number;
}

export interface Settings {
  /** SQLite file */
  readonly store: string;
  /** The shared store; `store` is then where it is, for people. */
  readonly mysqlStore?: MysqlStorePlace;
  /** One folder per run lies in it. */
  readonly evidenceDir: string;
  readonly switchFile: string;
  readonly externalUrl: string | undefined;
  readonly webhookTokenFiles: readonly string[];
  /** Users of the web configuration that may deliver notifications. */
  readonly webhookUsers: readonly string[];
  /** Names in verified client certificates that may deliver notifications. */
  readonly webhookSans: readonly string[];
  /** undefined: the API has no tokens of its own. */
  readonly apiTokenFiles: readonly string[] | undefined;
  /** Besides: one for each person or script, with the roles it has. */
  readonly apiTokens: readonly ApiToken[];
  readonly retention: { readonly episodesMs: number; readonly webhookBytes: number };
  readonly sources: readonly Source[];
  /** Labels that every alert must carry with this value. */
  readonly require: Readonly<Record<string, string>>;
  /** The remediator's own credentials, by target; a target without is reached with its own `auth`. */
  readonly auth: ReadonlyMap<string, Auth>;
  readonly supervisors: ReadonlyMap<string, SupervisorSettings>;
}

const block = z.object({ remediation: schema });

/** Where a secret may stand by mistake, in place of the file that holds it: it is not said again. */
const secretKeys: ReadonlySet<string> = new Set(['auth', 'webhook', 'api', 'mysql', 'url', 'external_url']);

function withoutSecrets(value: unknown, hide = false): unknown {
  if (typeof value === 'string') return hide ? '…' : value;
  if (Array.isArray(value)) return value.map((one) => withoutSecrets(one, hide));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, withoutSecrets(one, hide || secretKeys.has(key))]),
  );
}

/** @param file names the inventory in errors. @throws ConfigError with every problem found */
export function settingsOf(inventory: Inventory, file: string): Settings {
  if (inventory.remediation === undefined) {
    throw new ConfigError(file, ['remediation: is missing. Add the block: store, evidence_dir, switch_file, webhook…']);
  }
  const document = { remediation: inventory.remediation };
  const parsed = block.safeParse(document);
  if (!parsed.success) {
    const found = problemsOf(parsed.error, block, withoutSecrets(document));
    throw new ConfigError(file, found.map(inventory.located));
  }
  const written = parsed.data.remediation;
  const problems: string[] = [];
  for (const part of ['auth', 'supervisors'] as const) {
    for (const name of Object.keys(written[part])) {
      if (inventory.targets.has(name)) continue;
      problems.push(
        `remediation.${part}.${name}: there is no target ${name}. Name one of: ${listed([...inventory.targets.keys()], name)}`,
      );
    }
  }
  problems.push(...sharedServices(written.supervisors, inventory));
  const seen = new Set<string>();
  for (const [i, { name }] of written.sources.entries()) {
    if (seen.has(name)) problems.push(`remediation.sources[${i}].name: ${name} is there twice. Give each its own name`);
    seen.add(name);
  }
  const names = (written.api?.tokens ?? []).map((t) => t.name);
  for (const [i, name] of names.entries()) {
    if (names.indexOf(name) < i) {
      problems.push(`remediation.api.tokens[${i}].name: ${name} is there twice. Give each person a name of their own`);
    }
  }
  const mysqlStore = typeof written.store === 'string' ? undefined : written.store.mysql;
  if (mysqlStore !== undefined) problems.push(...placementProblems(mysqlStore, inventory.targets));
  const store = typeof written.store === 'string' ? written.store : placeText(written.store.mysql);
  const files = [store, written.switch_file, written.evidence_dir];
  if (new Set(files).size < files.length) {
    problems.push('remediation: store, switch_file and evidence_dir must differ. Give each its own path');
  }
  if (problems.length > 0) throw new ConfigError(file, problems.map(inventory.located));
  return {
    store,
    ...(mysqlStore === undefined ? {} : { mysqlStore }),
    evidenceDir: written.evidence_dir,
    switchFile: written.switch_file,
    externalUrl: written.external_url,
    webhookTokenFiles: written.webhook.token_files,
    webhookUsers: written.webhook.basic_auth_users,
    webhookSans: written.webhook.client_sans,
    apiTokenFiles: written.api?.token_files,
    apiTokens: written.api?.tokens ?? [],
    retention: { episodesMs: written.retention.episodes, webhookBytes: written.retention.webhook_bytes },
    sources: written.sources.map((s) => ({
      name: s.name,
      watchdogMs: s.watchdog,
      alertmanagers: s.alertmanagers.map((p) => ({ url: p.url, auth: authOf(p.auth), tls: p.tls })),
    })),
    require: written.require,
    auth: new Map(Object.entries(written.auth)),
    supervisors: new Map(Object.entries(written.supervisors)),
  };
}

/** A JVM may be that of a Maxwell; two of one kind are two services. */
function sharedServices(
  supervisors: Readonly<Record<string, SupervisorSettings>>,
  { targets }: Pick<Inventory, 'targets'>,
): readonly string[] {
  const first = new Map<string, string>();
  return Object.entries(supervisors).flatMap(([name, settings]) => {
    const service = `${targets.get(name)?.kind ?? ''} ${serviceOf(settings)}`;
    const other = first.get(service);
    if (other === undefined) first.set(service, name);
    return other === undefined
      ? []
      : [`remediation.supervisors.${name}: is the service of ${other} already. Name the one of ${name}`];
  });
}

function authOf(auth: z.output<typeof peerAuth> | undefined): Peer['auth'] {
  if (auth === undefined) return undefined;
  if (auth.bearer_token_file !== undefined) return { is: 'bearer', tokenFile: auth.bearer_token_file };
  if (auth.user === undefined || auth.password_file === undefined) return undefined; // the schema has refused it
  return { is: 'basic', user: auth.user, passwordFile: auth.password_file };
}
