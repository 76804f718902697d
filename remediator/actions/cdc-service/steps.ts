// The steps of a restart: end exactly that life, look again while it is down, begin a new one, see the data move.
import { pause } from '../../../exporter/runtime/deadline.ts';
import type { Checked, Step, StepRun } from '../../action.ts';
import type { World } from '../../world.ts';
import { capture, type CaptureParams } from '../service/capture.ts';
import { startedOf } from '../service/started.ts';
import { looking } from '../looking.ts';
import { never, start, stop, stopForce } from '../service/steps.ts';
import { endOf, verifyStart, type JudgeEnd } from '../service/verify.ts';
import { classifyEnd, neverCodes } from './classify.ts';
import { readFacts, sampleOf } from './facts.ts';
import type { CdcBefore } from './look.ts';
import { judgeCdcMovement, type CdcSample } from './movement.ts';

export interface CdcParams extends CaptureParams {
  readonly stopSeconds: number;
  readonly startStableSeconds: number;
  readonly verifySeconds: number;
}

type Run = StepRun<CdcBefore>;

const sampleMs = 2_000;

const judgeEnd: JudgeEnd = (last, log) => {
  const { code, because } = classifyEnd(last, log);
  return { code, because, never: neverCodes.has(code) };
};

export function restartSteps(target: string, params: CdcParams, world: World): readonly Step<CdcBefore>[] {
  return [
    capture(target, params, world),
    stop(target, params, world),
    stopForce(target, params, world),
    gate(target, world),
    start('start', target, params, world),
    verifyStart(target, params, world, judgeEnd),
    verifyData(target, params, world),
  ];
}

/** Read only, with the service down: what would make a start dangerous or vain now. */
function gate(target: string, world: World): Step<CdcBefore> {
  return {
    ...looking,
    name: 'gate',
    help: 'Looks while it is down: its source and Kafka answer, and nobody else works in its place.',
    verifyMs: 15_000,
    safePointAfter: false,
    verify: async (run) => {
      const { service, reading, source, kafka } = await readFacts(target, world, run.signal);
      const unknown = (because: string): Checked => ({ is: 'unknown', because });
      if (!service.known) return unknown(service.why);
      if (service.value.running !== null) return { is: 'yes', because: 'somebody has started it already' };
      if (!reading.process.known) return unknown(reading.process.why);
      if (reading.process.value === 'alive') {
        return never('it is down by its supervisor, and yet somebody answers at its addresses: a second one');
      }
      if (source?.known === false) return unknown(source.why);
      for (const [bus, ends] of Object.entries(kafka)) if (!ends.known) return unknown(`${bus}: ${ends.why}`);
      return { is: 'yes', because: 'its source and Kafka answer, and nobody works in its place' };
    },
    compensate: 'none',
  };
}

function verifyData(target: string, params: CdcParams, world: World): Step<CdcBefore> {
  return {
    ...looking,
    name: 'verify_data',
    help: 'Changes arrive: what was delivered (in its topics, by its stored offsets or its counters) advances twice, or its source is idle and it is at its end.',
    verifyMs: (params.verifySeconds + 10) * 1000,
    safePointAfter: true,
    verify: async (run) => {
      const started = startedOf(run.memo['start']);
      if (started === undefined) return { is: 'no', because: 'no start is on record' };
      const untilMono = world.clock.monoMs() + params.verifySeconds * 1000;
      const samples: CdcSample[] = [];
      for (;;) {
        const facts = await readFacts(target, world, run.signal);
        if (facts.service.known) {
          const ended = await endOf(target, world, started.id, facts.service.value, run.signal, judgeEnd);
          if (ended !== undefined) return ended;
        }
        samples.push(sampleOf(facts));
        const movement = judgeCdcMovement(samples);
        if (movement.is === 'moves') {
          return { is: 'yes', because: `the data moves: ${movement.by}`, data: { looks: samples.length } };
        }
        if (world.clock.monoMs() >= untilMono) {
          if (movement.is === 'idle') {
            return { is: 'yes', because: 'its source is idle, and it is at its end', data: { looks: samples.length } };
          }
          if (movement.is === 'unknown') return { is: 'unknown', because: movement.because };
          return {
            is: 'no',
            because: `the data was not seen to move within ${params.verifySeconds} s: ${movement.because}`,
          };
        }
        await pause(sampleMs, run.signal);
      }
    },
    compensate: 'none',
  };
}

/** One look during the soak. */
export async function soakLook(target: string, _params: CdcParams, world: World, run: Run): Promise<Checked> {
  const started = startedOf(run.memo['start']);
  if (started === undefined) return { is: 'no', because: 'no start is on record' };
  const { service, health } = await readFacts(target, world, run.signal);
  if (!service.known) return { is: 'unknown', because: service.why };
  const ended = await endOf(target, world, started.id, service.value, run.signal, judgeEnd);
  if (ended !== undefined) return ended;
  if (health.state === 'unknown') return { is: 'unknown', because: health.why };
  return { is: health.state === 'running' ? 'yes' : 'no', because: health.why };
}
