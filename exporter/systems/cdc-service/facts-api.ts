// What the service tells by its API. Its field names are those of its manual; of each, only what has the right type
// counts: a text where a number should be is unknown.
import { known, unknown, type Known } from '../../runtime/known.ts';
import { TargetError } from '../../runtime/errors.ts';
import { digestOf } from './facts-digest.ts';
import { fieldOf, isObject, jsonObjectOf, jsonOf } from './facts-endpoint.ts';

export interface ServiceStatus {
  /** Rows or transactions per second, as it counts them. */
  readonly ingestRate: Known<number>;
  readonly applyRate: Known<number>;
  /** Share of what failed (0 to 1). */
  readonly errorRate: Known<number>;
  readonly version: Known<string>;
}

export function statusOf(text: string, observedAtMs: number): ServiceStatus {
  const status = jsonObjectOf(text);
  const rate = (path: string): Known<number> => {
    const value = fieldOf(status, path);
    if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return known(value, observedAtMs);
    return unknown(value === undefined ? `/status has no ${path}` : `${path} of /status is no number of 0 or more`);
  };
  const version = fieldOf(status, 'version') ?? fieldOf(status, 'cdc.version');
  return {
    ingestRate: rate('cdc.ingestTPS'),
    applyRate: rate('cdc.applyTPS'),
    errorRate: rate('cdc.errorRate'),
    version: typeof version === 'string' ? known(printable(version), observedAtMs) : unknown('/status has no version'),
  };
}

/** What a person wrote elsewhere becomes a label: without control characters, and short. */
function printable(text: string): string {
  return text.replace(/[^\P{C}]/gu, '').slice(0, 100);
}

export const componentStates = ['up', 'degraded', 'down', 'unknown'] as const;
export type ComponentState = (typeof componentStates)[number];

const words: Readonly<Record<Exclude<ComponentState, 'unknown'>, readonly string[]>> = {
  up: ['up', 'ok', 'healthy', 'running', 'connected', 'pass', 'true'],
  degraded: ['degraded', 'warn', 'warning', 'slow'],
  down: ['down', 'error', 'unhealthy', 'failed', 'fail', 'stopped', 'disconnected', 'out_of_service', 'critical', 'false'],
}; // prettier-ignore

/** A word of a health answer; what nobody has heard of is unknown, never healthy. */
export function componentStateOf(value: unknown): ComponentState {
  if (isObject(value)) return componentStateOf(fieldOf(value, 'status') ?? fieldOf(value, 'state') ?? fieldOf(value, 'healthy')); // prettier-ignore
  if (typeof value !== 'string' && typeof value !== 'boolean') return 'unknown';
  const word = String(value).toLowerCase();
  for (const state of ['up', 'degraded', 'down'] as const) if (words[state].includes(word)) return state;
  return 'unknown';
}

/** Of two parts that are told under one name the worse one counts. */
const worstFirst: readonly ComponentState[] = ['down', 'degraded', 'unknown', 'up'];

/** `components` (or `checks`) as an object by name or as a list with names. How many are served is limited by `series_limit`. */
export function componentsOf(text: string): ReadonlyMap<string, ComponentState> {
  const answer = jsonObjectOf(text);
  const parts = fieldOf(answer, 'components') ?? fieldOf(answer, 'checks');
  const found = new Map<string, ComponentState>();
  const add = (name: unknown, value: unknown): void => {
    if (typeof name !== 'string' || name === '') return;
    const plain = printable(name);
    const states = [componentStateOf(value), found.get(plain)];
    found.set(plain, worstFirst.find((state) => states.includes(state)) ?? 'unknown');
  };
  if (Array.isArray(parts)) {
    for (const part of parts as readonly unknown[]) add(fieldOf(part, 'name') ?? fieldOf(part, 'component'), part);
  } else if (isObject(parts)) {
    for (const [name, value] of Object.entries(parts)) add(name, value);
  } else throw new TargetError('protocol', 'the answer has no components');
  return found;
}

export interface DdlEntries {
  readonly count: number;
  /** How often each statement is among them; the most frequent ones. */
  readonly byDigest: ReadonlyMap<string, number>;
}

const maxDigests = 20;

/** A list, or an object that holds it under `key`. The statements themselves may hold data and are not kept. */
export function ddlOf(text: string, key: 'alerts' | 'history'): DdlEntries {
  const answer = jsonOf(text);
  const list = [answer, fieldOf(answer, key), fieldOf(answer, 'data'), fieldOf(answer, 'items')].find(Array.isArray);
  if (list === undefined) throw new TargetError('protocol', `the answer has no list of ${key}`);
  const counts = new Map<string, number>();
  for (const entry of list as readonly unknown[]) {
    const statement = ['statement', 'sql', 'ddl', 'query'].map((name) => fieldOf(entry, name)).find((s) => typeof s === 'string'); // prettier-ignore
    if (typeof statement !== 'string') continue;
    const digest = digestOf(statement);
    counts.set(digest, (counts.get(digest) ?? 0) + 1);
  }
  const top = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).slice(0, maxDigests);
  return { count: list.length, byDigest: new Map(top) };
}
