// That the data moves through the new incarnation, and goes on to.
import { pause } from '../../../exporter/runtime/deadline.ts';
import type { Checked, Step, StepRun } from '../../action.ts';
import type { World } from '../../world.ts';
import type { CaptureParams } from '../service/capture.ts';
import { startedOf } from '../service/started.ts';
import { looking } from '../looking.ts';
import { endOf, type JudgeEnd } from '../service/verify.ts';
import type { Before } from './before.ts';
import { classifyEnd, neverCodes } from './classify.ts';
import { readFacts } from './facts.ts';
import { placeOf } from './look.ts';
import { judgeMovement, type MovementSample } from './movement.ts';

export interface StepParams extends CaptureParams {
  readonly mysqlUser: string;
  readonly sourceUpSeconds: number;
  readonly stopSeconds: number;
  readonly startStableSeconds: number;
  readonly verifySeconds: number;
}

type Run = StepRun<Before>;

const sampleMs = 1_000;

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
          const ended = await endOf(target, world, started.id, facts.service.value, run.signal, judgeEnd(params));
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
  const ended = await endOf(target, world, started.id, facts.service.value, run.signal, judgeEnd(params));
  if (ended !== undefined) return ended;
  const { failedMessages: failed, health } = facts;
  if (failed?.known === true && failed.value > 0) return { is: 'no', because: `${failed.value} messages were lost` };
  if (health.state === 'unknown') return { is: 'unknown', because: health.why };
  return { is: health.state === 'running' ? 'yes' : 'no', because: health.why };
}

export function judgeEnd({ sourceUpSeconds }: Pick<StepParams, 'sourceUpSeconds'>): JudgeEnd {
  return (last, log) => {
    const { code, because } = classifyEnd(last, log, {
      sourceUpSeconds: { known: false, why: 'not asked' },
      wantedSeconds: sourceUpSeconds,
    });
    return { code, because, never: neverCodes.has(code) };
  };
}
