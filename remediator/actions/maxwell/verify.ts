// That the new incarnation lives, that the data moves through it, and that both last.
import { pause } from '../../../exporter/runtime/deadline.ts';
import type { Checked, Probe, Step, StepRun } from '../../action.ts';
import type { ServiceState, Supervisor } from '../../supervisors/supervisor.ts';
import type { World } from '../../world.ts';
import { startedOf, type Before } from './before.ts';
import { classifyEnd, neverCodes } from './classify.ts';
import { readFacts } from './facts.ts';
import { placeOf } from './look.ts';
import { judgeMovement, type MovementSample } from './movement.ts';

export interface StepParams {
  readonly mysqlUser: string;
  readonly sourceUpSeconds: number;
  readonly stopSeconds: number;
  readonly startStableSeconds: number;
  readonly verifySeconds: number;
}

type Run = StepRun<Before>;

const startLimitSeconds = 30;
const sampleMs = 1_000;
const pollMs = 300;

/** Of a step that only looks. */
export const looking = {
  fencing: 'read',
  deadlineMs: 0,
  settleMs: 0,
  maxAttempts: 1,
  lateCopy: 'harmless',
  probe: (): Promise<Probe> => Promise.resolve({ is: 'absent', because: 'this step only looks' }),
} as const;

export async function stateOf(target: string, world: World, run: Run): ReturnType<Supervisor['state']> {
  return (await world.supervisor(target)?.state(run.signal)) ?? { known: false, why: 'no supervisor is configured' };
}

export function verifyStart(target: string, params: StepParams, world: World): Step<Before> {
  return {
    ...looking,
    name: 'verify_start',
    help: 'One and the same incarnation lives for a while.',
    verifyMs: (startLimitSeconds + params.startStableSeconds) * 1000,
    safePointAfter: true,
    verify: async (run) => {
      const started = startedOf(run.memo['start']);
      if (started === undefined) return { is: 'no', because: 'no start is on record' };
      for (;;) {
        const state = await stateOf(target, world, run);
        if (!state.known) return { is: 'unknown', because: state.why };
        const ended = await endOf(target, params, world, started.id, state.value, run);
        if (ended !== undefined) return ended;
        if (world.clock.wallMs() - started.startedAtMs >= params.startStableSeconds * 1000) {
          return { is: 'yes', because: `${started.id} has lived for ${params.startStableSeconds} s` };
        }
        await pause(pollMs, run.signal);
      }
    },
    compensate: 'none',
  };
}

export function verifyData(target: string, params: StepParams, world: World): Step<Before> {
  return {
    ...looking,
    name: 'verify_data',
    help: 'Changes move: heartbeats come back through the binary log, its position advances, nothing is lost.',
    verifyMs: (params.verifySeconds + 10) * 1000,
    safePointAfter: true,
    verify: async (run) => {
      const started = startedOf(run.memo['start']);
      if (started === undefined) return { is: 'no', because: 'no start is on record' };
      const { position, dumpIds } = run.before;
      const before = { dumpIds, place: position.place, lastReadMs: position.lastReadMs ?? undefined };
      const untilMono = world.clock.monoMs() + params.verifySeconds * 1000;
      const samples: MovementSample[] = [];
      for (;;) {
        let why: string;
        const facts = await readFacts(target, params.mysqlUser, world, run.signal);
        if (facts.service.known) {
          const ended = await endOf(target, params, world, started.id, facts.service.value, run);
          if (ended !== undefined) return ended;
        }
        if (facts.position.known && facts.position.value.found && facts.dumpThreads.known) {
          samples.push(sampleOf(facts.position.value, facts));
          const movement = judgeMovement(samples, before, started.startedAtMs);
          if (movement.is === 'failed') return { is: 'no', because: movement.because };
          if (movement.is === 'moves') {
            return {
              is: 'yes',
              because: `the data moves, seen over ${samples.length} looks`,
              data: { looks: samples.length },
            };
          }
          why = movement.missing.join('; ');
        } else {
          why = [facts.position, facts.dumpThreads].flatMap((f) => (f.known ? [] : [f.why])).join('; ');
        }
        if (world.clock.monoMs() >= untilMono) {
          return { is: 'no', because: `the data was not seen to move within ${params.verifySeconds} s: ${why}` };
        }
        await pause(sampleMs, run.signal);
      }
    },
    compensate: 'none',
  };
}

type Facts = Awaited<ReturnType<typeof readFacts>>;

function sampleOf(at: Parameters<typeof placeOf>[0], facts: Facts): MovementSample {
  const { health, dumpThreads, failedMessages: failed } = facts;
  return {
    dumpIds: dumpThreads.known ? dumpThreads.value.map((t) => t.id) : [],
    lastReadMs: at.lastHeartbeatReadMs.known ? at.lastHeartbeatReadMs.value : undefined,
    place: placeOf(at),
    lagSeconds: health.lagSeconds.known ? health.lagSeconds.value : undefined,
    failedMessages: failed === undefined ? 'off' : failed.known ? failed.value : undefined,
  };
}

/** One look during the soak. */
export async function soakLook(target: string, params: StepParams, world: World, run: Run): Promise<Checked> {
  const started = startedOf(run.memo['start']);
  if (started === undefined) return { is: 'no', because: 'no start is on record' };
  const facts = await readFacts(target, params.mysqlUser, world, run.signal);
  if (!facts.service.known) return { is: 'unknown', because: facts.service.why };
  const ended = await endOf(target, params, world, started.id, facts.service.value, run);
  if (ended !== undefined) return ended;
  const { failedMessages: failed, health } = facts;
  if (failed?.known === true && failed.value > 0) return { is: 'no', because: `${failed.value} messages were lost` };
  if (health.state === 'unknown') return { is: 'unknown', because: health.why };
  return { is: health.state === 'running' ? 'yes' : 'no', because: health.why };
}

/** How the started incarnation is no longer the one that runs; undefined while it is. */
async function endOf(
  target: string,
  params: StepParams,
  world: World,
  id: string,
  { running, last }: ServiceState,
  run: Run,
): Promise<Checked | undefined> {
  if (running?.id === id) return undefined;
  if (last?.incarnation.id !== id) return { is: 'no', because: 'another incarnation took its place' };
  const log = (await world.supervisor(target)?.log(last.incarnation, 64 * 1024, run.signal)) ?? {
    known: false as const,
    why: 'no supervisor is configured',
  };
  const verdict = classifyEnd(last, log, {
    sourceUpSeconds: { known: false, why: 'not asked' },
    wantedSeconds: params.sourceUpSeconds,
  });
  const because = `it has ended again (${verdict.code}): ${verdict.because}`;
  return neverCodes.has(verdict.code) ? { is: 'no', because, never: because } : { is: 'no', because };
}
