// That the new incarnation lives, and lasts.
import { pause } from '../../../exporter/runtime/deadline.ts';
import type { Known } from '../../../exporter/runtime/known.ts';
import type { Checked, Step } from '../../action.ts';
import type { ServiceEnd, ServiceLog, ServiceState } from '../../supervisors/supervisor.ts';
import type { World } from '../../world.ts';
import { looking } from '../looking.ts';
import { stateOf } from './steps.ts';
import { startedOf, type ServiceBefore } from './started.ts';

/** What an end after our start says: `never` when no later try can change it. */
export type JudgeEnd = (
  last: ServiceEnd,
  log: Known<ServiceLog>,
) => { readonly code: string; readonly because: string; readonly never: boolean };

const startLimitSeconds = 30;
const pollMs = 300;

export function verifyStart<B extends ServiceBefore>(
  target: string,
  params: { readonly startStableSeconds: number },
  world: World,
  judge: JudgeEnd,
): Step<B> {
  // Not since its start: that is of the clock of its supervisor, which may be another machine's. Kept from one look to the
  // next: a supervisor that was silent in between has not ended it.
  let watched: { readonly id: string; readonly sinceMono: number } | undefined;
  return {
    ...looking,
    name: 'verify_start',
    help: 'One and the same incarnation lives for a while.',
    verifyMs: (startLimitSeconds + params.startStableSeconds) * 1000,
    safePointAfter: true,
    verify: async (run) => {
      const started = startedOf(run.memo['start']);
      if (started === undefined) return { is: 'no', because: 'no start is on record' };
      if (watched?.id !== started.id) watched = { id: started.id, sinceMono: world.clock.monoMs() };
      const { sinceMono } = watched;
      for (;;) {
        const state = await stateOf(target, world, run);
        if (!state.known) return { is: 'unknown', because: state.why };
        const ended = await endOf(target, world, started.id, state.value, run.signal, judge);
        if (ended !== undefined) return ended;
        if (world.clock.monoMs() - sinceMono >= params.startStableSeconds * 1000) {
          return { is: 'yes', because: `${started.id} has lived for ${params.startStableSeconds} s` };
        }
        await pause(pollMs, run.signal);
      }
    },
    compensate: 'none',
  };
}

/** How the started incarnation is no longer the one that runs; undefined while it is. */
export async function endOf(
  target: string,
  world: World,
  id: string,
  { running, last }: ServiceState,
  signal: AbortSignal,
  judge: JudgeEnd,
): Promise<Checked | undefined> {
  if (running?.id === id) return undefined;
  if (last?.incarnation.id !== id) return { is: 'no', because: 'another incarnation took its place' };
  const log = (await world.supervisor(target)?.log(last.incarnation, 64 * 1024, signal)) ?? {
    known: false as const,
    why: 'no supervisor is configured',
  };
  const verdict = judge(last, log);
  const because = `it has ended again (${verdict.code}): ${verdict.because}`;
  return verdict.never ? { is: 'no', because, never: because } : { is: 'no', because };
}
