// A server that answers statements from a list. The rows are what real servers have answered.
import { readFileSync } from 'node:fs';
import type { Collector, CollectorCall } from '../../../exporter/collector.ts';
import { FactBoard } from '../../../exporter/facts.ts';
import type { Sample } from '../../../exporter/families.ts';
import { parseVersion } from '../../../exporter/systems/mysql/facts-version.ts';
import type { MysqlClient, Row } from '../../../exporter/systems/mysql/client.ts';

export type Answers = Readonly<Record<string, readonly Row[] | Error>>;

/** Answers by the beginning of the statement; what is not in the list is an error, as it would be on the server. */
export function fakeClient(
  versionText: string,
  answers: Answers,
  options: { readonly logBin?: boolean } = {},
): MysqlClient & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    flavour: versionText.includes('MariaDB') ? 'mariadb' : 'mysql',
    version: parseVersion(versionText),
    versionText,
    account: 'exporter@%',
    logBin: options.logBin ?? true,
    at: '192.0.2.1:3306',
    asked,
    query: (sql) => {
      asked.push(sql);
      const found = Object.entries(answers).find(([start]) => sql.startsWith(start))?.[1];
      if (found === undefined) return Promise.reject(new Error(`unexpected statement: ${sql}`));
      return found instanceof Error ? Promise.reject(found) : Promise.resolve(found);
    },
    ping: () => Promise.resolve(),
    usable: () => true,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

export function fixture(name: string): readonly Row[] {
  return JSON.parse(readFileSync(new URL(`fixtures/${name}.json`, import.meta.url), 'utf8')) as readonly Row[];
}

export function testCall(clock: { monoMs: number } = { monoMs: 0 }): CollectorCall {
  return {
    signal: new AbortController().signal,
    clock: { wallMs: () => 1_700_000_000_000 + clock.monoMs, monoMs: () => clock.monoMs },
    target: 'db',
    board: new FactBoard(),
  };
}

/** Runs a collector as the sweep does: after a failure only what `unknown` emits counts. */
export function runner<Client>(
  collector: Collector<Client>,
): (client: Client | Error, call?: CollectorCall) => Promise<{ readonly samples: Series; readonly error: unknown }> {
  const prepared = collector.prepare({});
  return async (client, call = testCall()) => {
    const samples: Sample[] = [];
    const lost: Sample[] = [];
    try {
      if (client instanceof Error) throw client;
      await prepared.collect(client, (sample) => lost.push(sample), call);
      samples.push(...lost);
      return { samples: series(samples), error: undefined };
    } catch (error) {
      prepared.unknown(String(error), (sample) => samples.push(sample), call);
      return { samples: series(samples), error };
    }
  };
}

export type Series = ReadonlyMap<string, number>;

/** `name{label="value"}` -> value; a series that is there twice is an error. */
export function series(samples: readonly Sample[]): Series {
  const found = new Map<string, number>();
  for (const { family, labels, value, part = '' } of samples) {
    const names = Object.keys(labels).sort();
    if (names.join() !== [...family.labels].sort().join()) throw new Error(`${family.name}: labels ${names.join()}`);
    const key = `${family.name}${part}{${names.map((n) => `${n}="${labels[n] ?? ''}"`).join(',')}}`;
    if (found.has(key)) throw new Error(`twice: ${key}`);
    if (!Number.isFinite(value)) throw new Error(`${key} is ${value}`);
    found.set(key, value);
  }
  return found;
}

/** The one state that is 1, by the labels in front of it. */
export function statesOf(samples: Series, family: string): readonly string[] {
  return [...samples].flatMap(([key, value]) => (key.startsWith(`${family}{`) && value === 1 ? [key] : []));
}
