// The targets as the remediator sees them: read-only clients with its own credentials, opened for one use and closed.
import type { Inventory, Target } from '../exporter/config/inventory.ts';
import type { Call } from '../exporter/collector.ts';
import type { Auth } from '../exporter/fields.ts';
import type { Clock } from '../exporter/runtime/clock.ts';
import { within } from '../exporter/runtime/deadline.ts';
import { classOf, messageOf, TargetError } from '../exporter/runtime/errors.ts';
import { known, unknown, type Known } from '../exporter/runtime/known.ts';
import type { Opening, Referenced } from '../exporter/system.ts';
import type { ReaderMark } from '../exporter/systems/cdc-service/facts-health.ts';
import { kafkaAddress } from '../exporter/systems/kafka/address.ts';
import { openKafka, type KafkaClient } from '../exporter/systems/kafka/client.ts';
import { maxwellAddress } from '../exporter/systems/maxwell/address.ts';
import { openMaxwell, type MaxwellClient } from '../exporter/systems/maxwell/client.ts';
import type { PositionMark } from '../exporter/systems/maxwell/facts-health.ts';
import type { PlanInput } from './guard.ts';
import { limited } from './limited.ts';
import type { Settings } from './settings.ts';
import { supervisorOf } from './supervisors/index.ts';
import type { Supervisor } from './supervisors/supervisor.ts';

export interface Bus {
  readonly target: string;
  readonly topics: readonly string[];
}

/** `use` gets a client that is closed afterwards. @throws TargetError */
type With<C> = <T>(target: string, signal: AbortSignal, use: (client: C, call: Call) => Promise<T>) => Promise<T>;

export interface World {
  readonly clock: Clock;
  /** Transitive upstreams of the target, each asked for a sign of life. Never throws. */
  readonly upstreams: (target: string, signal: AbortSignal) => Promise<PlanInput['upstreams']>;
  /** A few targets that are neither this one nor upstreams of it, each asked for a sign of life. Never throws. */
  readonly others: (target: string, signal: AbortSignal) => Promise<PlanInput['upstreams']>;
  readonly withMaxwell: With<MaxwellClient>;
  readonly withKafka: With<KafkaClient>;
  /** Where the target's changes go, over all pipelines. */
  readonly busesOf: (target: string) => readonly Bus[];
  /** undefined when none is configured: then the service can be neither identified nor started. */
  readonly supervisor: (target: string) => Supervisor | undefined;
  /** How positions were seen to move, kept from look to look: one look alone cannot tell standing from moving. */
  readonly marks: Map<string, PositionMark>;
  /** A Maxwell's client without an owner: whoever opens it closes it. */
  readonly openMaxwell: (target: string) => MaxwellClient;
  /** Address, login (the remediator's own where it has one) and TLS of a target, for a client or session of its own. */
  readonly opening: <A>(target: string, parse: (address: unknown) => A) => Opening<A>;
  readonly inventory: Pick<Inventory, 'targets' | 'pipelines' | 'upstreams'>;
  /** Holds a folder per run, and what is remembered beside the store. */
  readonly evidenceDir?: string | undefined;
  /** As `marks`, of CDC services. */
  readonly readerMarks?: Map<string, ReaderMark>;
}

export interface WorldOptions {
  readonly inventory: Inventory;
  readonly settings: Pick<Settings, 'auth' | 'supervisors'> & Partial<Pick<Settings, 'evidenceDir'>>;
  readonly clock: Clock;
  /** How long a target may take for a sign of life. */
  readonly pingMs?: number;
}

const othersAsked = 3;

export function createWorld({ inventory, settings, clock, pingMs = 5_000 }: WorldOptions): World {
  const targetOf = (name: string): Target => {
    const target = inventory.targets.get(name);
    if (target === undefined) throw new TargetError('bug', `no target ${name}`);
    return target;
  };
  const authOf = (target: Target): Auth | undefined => settings.auth.get(target.name) ?? target.auth;
  const resolve = (name: string): Referenced => {
    const target = targetOf(name);
    return { name, kind: target.kind, address: target.address, auth: authOf(target), tls: target.tls };
  };
  const openingOf = <A>(name: string, parse: (address: unknown) => A): Opening<A> => {
    const { address, auth, tls } = resolve(name);
    return { target: name, address: parse(address), auth, tls, resolve };
  };
  const maxwellOf = (name: string): MaxwellClient =>
    openMaxwell(openingOf(name, (address) => maxwellAddress.parse(address)));

  const ping = async (name: string, signal: AbortSignal): Promise<void> => {
    const target = targetOf(name);
    const { kind, address, auth, tls } = resolve(name);
    const call = { signal: within(pingMs, signal), clock };
    const bound = target.system.bind(
      { name, kind, address, ...(auth === undefined ? {} : { auth }), ...(tls === undefined ? {} : { tls }) },
      resolve,
    );
    await using client = await bound.open(call);
    await client.ping(call);
  };

  const pingAll = (names: readonly string[], signal: AbortSignal): Promise<PlanInput['upstreams']> =>
    Promise.all(
      names.map(async (name) => ({
        target: name,
        ...(await upOf(() => limited(ping(name, signal), pingMs, name), clock)),
      })),
    );

  return {
    clock,
    inventory,
    opening: openingOf,
    marks: new Map(),
    readerMarks: new Map(),
    evidenceDir: settings.evidenceDir,
    upstreams: (target, signal) => pingAll([...(inventory.upstreams.get(target) ?? [])].sort(), signal),
    others: (target, signal) => {
      const near = new Set([target, ...(inventory.upstreams.get(target) ?? [])]);
      const far = [...inventory.targets.keys()].filter((name) => !near.has(name)).sort();
      return pingAll(far.slice(0, othersAsked), signal);
    },
    openMaxwell: maxwellOf,
    withMaxwell: async (target, signal, use) => {
      await using client = maxwellOf(target);
      return await use(client, { signal, clock });
    },
    withKafka: async (target, signal, use) => {
      await using client = await openKafka(openingOf(target, (address) => kafkaAddress.parse(address)));
      return await use(client, { signal, clock });
    },
    busesOf: (target) =>
      inventory.pipelines.flatMap((p) =>
        p.cdc === target && p.bus !== undefined ? [{ target: p.bus.target, topics: p.bus.topics }] : [],
      ),
    supervisor: (target) => {
      const found = settings.supervisors.get(target);
      return found === undefined ? undefined : supervisorOf(found, clock);
    },
  };
}

/** Down is a positive finding; that we cannot log in or get no answer in time says nothing about the target. */
async function upOf(
  ping: () => Promise<void>,
  clock: Clock,
): Promise<{ readonly up: Known<boolean>; readonly why: string }> {
  try {
    await ping();
    return { up: known(true, clock.wallMs()), why: 'it answers' };
  } catch (error) {
    const why = messageOf(error);
    const isDown = ['refused', 'unreachable', 'failed'].includes(classOf(error));
    return { up: isDown ? known(false, clock.wallMs()) : unknown(why), why };
  }
}

/** What throws becomes unknown with its reason. */
export async function attempt<T>(clock: Clock, read: () => Promise<T>): Promise<Known<T>> {
  try {
    return known(await read(), clock.wallMs());
  } catch (error) {
    return unknown(messageOf(error));
  }
}
