// What is asked at each door, and what is wrong with it: /metrics, /probe, /sd.
import type { Request } from 'express';
import type { Block } from './scrape/writer.ts';
import { discoveryOf, type DiscoveryGroup } from './scrape/discovery.ts';
import type { Rounds } from './scrape/rounds.ts';
import { addressOf } from './runtime/web-shape.ts';

export type Doors = Pick<
  Rounds,
  'scrape' | 'settled' | 'states' | 'probe' | 'probePipeline' | 'collectorsOf' | 'inventory' | 'graph'
>;

/** What is wrong with a question: the fault is the asker's, and nothing was measured. */
export class WrongQuestion extends Error {}

type Measure = (budgetMs: number) => Promise<readonly Block[]>;

/** `self=1`: what the program says of itself and of its inventory, and no target is asked. @throws WrongQuestion */
export function askedOfMetrics(request: Request, rounds: Doors): Measure {
  const asked = parametersOf(request);
  // Left unsaid, everything would be taken for the part that was asked for.
  const stray = ['target', 'pipeline', 'collect[]'].find((name) => asked.has(name));
  if (stray !== undefined) throw new WrongQuestion(`${stray} goes with /probe; /metrics is the whole inventory`);
  const self = asked.getAll('self');
  if (self.length === 0) return (budgetMs) => rounds.scrape(budgetMs);
  if (self.length > 1 || self[0] !== '1') throw new WrongQuestion('self: 1 is the only value, or leave it out');
  return () => Promise.resolve(rounds.graph);
}

/**
 * `target=NAME[&collect[]=COLLECTOR…]` or `pipeline=NAME`, of the inventory: a name leads to what is configured, and
 * never to an address. @throws WrongQuestion
 */
export function askedOfProbe(request: Request, rounds: Doors): Measure {
  const asked = parametersOf(request);
  const [targets, pipelines, wanted] = [asked.getAll('target'), asked.getAll('pipeline'), asked.getAll('collect[]')];
  if (targets.length + pipelines.length !== 1) {
    throw new WrongQuestion('one target=NAME or one pipeline=NAME of the inventory is wanted; /sd lists them');
  }
  const [target, pipeline] = [targets[0], pipelines[0]];
  if (target === undefined) {
    if (wanted.length > 0) throw new WrongQuestion('collect[] goes with a target, not with a pipeline');
    const name = pipeline ?? '';
    return async (budgetMs) =>
      (await rounds.probePipeline(name, budgetMs)) ?? wrong(`there is no pipeline ${shown(name)}; /sd lists them`);
  }
  const only = collectorsOf(target, wanted, rounds);
  return async (budgetMs) => (await rounds.probe(target, budgetMs, only)) ?? wrong(noTarget(target));
}

function collectorsOf(target: string, wanted: readonly string[], rounds: Doors): ReadonlySet<string> | undefined {
  const on = rounds.collectorsOf(target);
  const system = rounds.inventory.targets.get(target)?.system;
  if (on === undefined || system === undefined) throw new WrongQuestion(noTarget(target));
  if (wanted.length === 0) return undefined;
  for (const name of wanted) {
    if (on.includes(name)) continue;
    if (system.collectors.some((c) => c.name === name)) {
      throw new WrongQuestion(`collect[]: ${name} is off for ${target}; switch it on under its collectors: first`);
    }
    throw new WrongQuestion(`collect[]: ${target} has no collector ${shown(name)}; there are ${on.join(', ')}`);
  }
  return new Set(wanted);
}

/**
 * For Prometheus' http_sd. The address is the one that was asked, which is the one that Prometheus reaches.
 * @throws WrongQuestion
 */
export function discovered(request: Request, rounds: Doors): readonly DiscoveryGroup[] {
  const address = addressOf(request);
  if (address === undefined) throw new WrongQuestion('a Host header is wanted: it is where the targets are asked for');
  return discoveryOf(rounds.inventory, address);
}

function parametersOf({ originalUrl }: Request): URLSearchParams {
  const at = originalUrl.indexOf('?');
  return new URLSearchParams(at < 0 ? '' : originalUrl.slice(at + 1));
}

function noTarget(name: string): string {
  return `there is no target ${shown(name)} in the inventory; /sd lists them`;
}

function wrong(why: string): never {
  throw new WrongQuestion(why);
}

/** What was sent, short and on one line. */
function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
