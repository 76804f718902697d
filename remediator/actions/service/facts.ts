// What any service is decided on: its supervisor's state, what it wrote, and where its changes go.
import { unknown, type Known } from '../../../exporter/runtime/known.ts';
import { readEndOffsets } from '../../../exporter/systems/kafka/facts-lag.ts';
import type { ServiceIncarnation, ServiceLog, ServiceState } from '../../supervisors/supervisor.ts';
import { attempt, type World } from '../../world.ts';

/** topic -> partition -> next offset */
export type EndOffsets = Readonly<Record<string, Readonly<Record<string, number>>>>;
/** By target; empty when no pipeline says where the changes go. */
export type BusOffsets = Readonly<Record<string, Known<EndOffsets>>>;

const logBytes = 64 * 1024;

export async function readService(
  target: string,
  world: World,
  signal: AbortSignal,
): Promise<{ state: Known<ServiceState>; log: Known<ServiceLog> }> {
  const supervisor = world.supervisor(target);
  if (supervisor === undefined) {
    const none = unknown(`no supervisor of ${target} is configured: add it under remediation.supervisors`);
    return { state: none, log: none };
  }
  const state = await supervisor.state(signal);
  if (!state.known) return { state, log: unknown(state.why) };
  const of: ServiceIncarnation | undefined = state.value.running ?? state.value.last?.incarnation;
  if (of === undefined) return { state, log: unknown('it has never run under this supervisor') };
  return { state, log: await supervisor.log(of, logBytes, signal) };
}

export async function readKafka(target: string, world: World, signal: AbortSignal): Promise<BusOffsets> {
  const found = await Promise.all(
    world.busesOf(target).map(async (bus) => {
      const ends = await attempt(world.clock, () =>
        world.withKafka(bus.target, signal, async (client, call) => {
          const offsets = await readEndOffsets(client, bus.topics, call);
          return Object.fromEntries(
            [...offsets].map(([topic, partitions]) => [
              topic,
              Object.fromEntries([...partitions].flatMap(([p, end]) => (end.known ? [[String(p), end.value]] : []))),
            ]),
          );
        }),
      );
      return [bus.target, ends] as const;
    }),
  );
  return Object.fromEntries(found);
}
