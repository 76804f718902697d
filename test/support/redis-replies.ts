// Replies of real servers, played to a collector of the Redis system.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FactBoard } from '../../exporter/facts.ts';
import type { Sample } from '../../exporter/families.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { TargetError } from '../../exporter/runtime/errors.ts';
import type { Collector, CollectorCall } from '../../exporter/collector.ts';
import { redisError } from '../../exporter/systems/redis/client.ts';
import type { RedisClient } from '../../exporter/systems/redis/client.ts';

const folder = join(import.meta.dirname, '../unit/redis/fixtures');

export function redisFixture(name: string): string {
  return readFileSync(join(folder, name), 'utf8');
}

/** By server and command: `primary XINFO STREAM orders`. */
export type Replies = Readonly<Record<string, unknown>>;

export function repliesOf(name: string): Replies {
  return JSON.parse(redisFixture(name)) as Replies;
}

export interface Played {
  /** `name{label="value"}` -> value, labels sorted, empty ones left out. */
  readonly series: ReadonlyMap<string, number>;
  /** Every command that was sent, in order. */
  readonly sent: readonly string[];
}

interface Play {
  readonly info?: string;
  readonly server?: string;
  readonly replies?: Replies;
  readonly config?: object;
}

/** `{error}` among the replies is an error reply; a command without one is refused as an ACL does. */
export async function play(collector: Collector<RedisClient>, of: Play): Promise<Played> {
  return await player(collector, of).run();
}

/** @param sent every command is added to it */
export function playedClient({ info = '', server = 'primary', replies = {} }: Play, sent: string[] = []): RedisClient {
  // Its log is another collector's
  const client: Omit<RedisClient, 'logFile' | 'logTail'> = {
    host: '127.0.0.1',
    user: 'watcher',
    commands: new Map(),
    info: () => Promise.resolve(info),
    send: (_, command, ...args) => {
      const words = [command, ...args].join(' ');
      sent.push(words);
      if (words.startsWith('SELECT ')) return Promise.resolve('OK');
      const reply = replies[`${server} ${words}`];
      if (reply === undefined) {
        return Promise.reject(new TargetError('denied', `${command}: NOPERM User watcher has no permissions to run the '${command.toLowerCase()}' command`)); // prettier-ignore
      }
      const wrong = typeof reply === 'object' && reply !== null && 'error' in reply ? String(reply.error) : undefined;
      if (wrong === undefined) return Promise.resolve(reply);
      return Promise.reject(redisError(Object.assign(new Error(wrong), { name: 'ReplyError' }), command));
    },
    ping: () => Promise.resolve(),
    usable: () => true,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return client as RedisClient;
}

/** A collector that keeps its state from run to run. */
export function player(
  collector: Collector<RedisClient>,
  { info = '', server = 'primary', replies = {}, config = {} }: Play,
): { readonly run: (changed?: string) => Promise<Played>; readonly unknown: () => Played } {
  const sent: string[] = [];
  const prepared = collector.prepare(config);
  const samples: Sample[] = [];
  const call: CollectorCall = {
    signal: new AbortController().signal,
    clock: systemClock,
    target: 'played',
    board: new FactBoard(),
  };
  const played = (): Played => {
    const series = new Map(samples.splice(0).map((sample) => [keyOf(sample), sample.value]));
    return { series, sent: sent.splice(0) };
  };
  return {
    run: async (changed = info) => {
      await prepared.collect(
        playedClient({ info: changed, server, replies }, sent),
        (sample) => void samples.push(sample),
        call,
      );
      return played();
    },
    unknown: () => {
      prepared.unknown('no answer', (sample) => void samples.push(sample), call);
      return played();
    },
  };
}

function keyOf({ family, labels, part, quantile }: Sample): string {
  const all = Object.entries({ ...labels, ...(quantile === undefined ? {} : { quantile }) });
  const inside = all.flatMap(([name, value]) => (value === '' ? [] : [`${name}="${value}"`])).sort();
  return `${family.name}${part ?? ''}${inside.length === 0 ? '' : `{${inside.join(',')}}`}`;
}
