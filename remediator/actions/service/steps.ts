// The steps that end one life of a service and begin the next, whatever the service and its supervisor are.
import type { Applied, Checked, Probe, Step, StepRun } from '../../action.ts';
import { asJson } from '../../canonical.ts';
import type { Json } from '../../model.ts';
import type {
  MutationToken,
  Outcome,
  ServiceIncarnation,
  ServiceState,
  Supervisor,
} from '../../supervisors/supervisor.ts';
import { messageOf } from '../../../exporter/runtime/errors.ts';
import type { World } from '../../world.ts';
import { byRun, startedOf, type ServiceBefore } from './started.ts';

type Run = StepRun<ServiceBefore>;

/** How long its data may take to move: for that long too its supervisor is asked what a call has done. */
interface Patience {
  readonly verifySeconds: number;
}

export async function stateOf(target: string, world: World, run: Run): ReturnType<Supervisor['state']> {
  return (await world.supervisor(target)?.state(run.signal)) ?? { known: false, why: 'no supervisor is configured' };
}

/** What every step that changes something has in common. */
function changing(supervisor: Supervisor | undefined, which: 'stop' | 'start', { verifySeconds }: Patience) {
  const fencing = supervisor?.fencing[which] ?? 'once';
  return {
    fencing,
    verifyMs: 10_000,
    answeredMs: verifySeconds * 1000,
    settleMs: 1_000,
    // the second one begins with a probe: after `overtaken` or `running` it says who was faster
    maxAttempts: 2,
    // compared before it is sent, not as it acts: a stop that is held up in between ends whatever runs by then
    lateCopy: which === 'stop' && fencing === 'predicate' ? 'harmful' : 'harmless',
  } as const;
}

/**
 * @param hindrance what would make a stop do harm now, though it did not when the run began: a heap dump may lie between,
 * or the restart of this program. undefined: nothing
 */
export function stop<B extends ServiceBefore>(
  target: string,
  params: Patience & { readonly stopSeconds: number },
  world: World,
  hindrance: (signal: AbortSignal) => Promise<string | undefined> = () => Promise.resolve(undefined),
): Step<B> {
  const { stopSeconds } = params;
  return {
    ...changing(world.supervisor(target), 'stop', params),
    name: 'stop',
    help: 'Tells the incarnation that was looked at to end (SIGTERM), and waits for its end.',
    deadlineMs: (stopSeconds + 3) * 1000,
    safePointAfter: false,
    probe: async (run) => {
      const seen = await probeGone(target, world, run);
      const why = seen.is === 'absent' ? await hindrance(run.signal) : undefined;
      return why === undefined ? seen : { is: 'unknown', because: why };
    },
    apply: (run) => applyStop(target, world, run, { force: false, waitMs: stopSeconds * 1000 }),
    // one that does not end in time is what the next step is for
    verify: async (run) => {
      const state = await stateOf(target, world, run);
      if (!state.known) return { is: 'unknown', because: state.why };
      const { running } = state.value;
      const gone = running === null || running.id !== run.before.running?.id;
      return { is: 'yes', because: gone ? 'it has ended' : 'it was told to end and has not yet' };
    },
    compensate: start<B>('start.back', target, params, world),
  };
}

export function stopForce<B extends ServiceBefore>(target: string, params: Patience, world: World): Step<B> {
  return {
    ...changing(world.supervisor(target), 'stop', params),
    name: 'stop.force',
    help: 'Kills the incarnation if it has not ended: what it had sent since its last stored position comes twice.',
    deadlineMs: 8_000,
    safePointAfter: false,
    probe: (run) => probeGone(target, world, run),
    apply: (run) => applyStop(target, world, run, { force: true, waitMs: 5_000 }),
    verify: async (run) => {
      const state = await stateOf(target, world, run);
      if (!state.known) return { is: 'unknown', because: state.why };
      return state.value.running !== null && state.value.running.id === run.before.running?.id
        ? { is: 'unknown', because: 'it is still alive' }
        : { is: 'yes', because: 'it has ended' };
    },
    compensate: start<B>('start.back', target, params, world),
  };
}

/** Raises the fence first: after that no earlier holder's call can have an effect, so what is seen stays true. */
async function fencedState(target: string, world: World, run: Run): Promise<{ state: ServiceState } | Probe> {
  const unknown = (because: string): Probe => ({ is: 'unknown', because });
  const supervisor = world.supervisor(target);
  if (supervisor === undefined) return unknown('no supervisor is configured');
  const raised = await supervisor.raiseFence(tokenOf(run), run.signal);
  if (raised.kind === 'refused' && raised.code === 'fenced') {
    const because = `${raised.message}: another remediator works on it, or the store is not the one that was used before`;
    return { is: 'overtaken', because };
  }
  if (raised.kind === 'refused' && raised.code !== 'unsupported') return unknown(`${raised.code}: ${raised.message}`);
  if (raised.kind === 'unknown') return unknown(messageOf(raised.cause));
  const state = await supervisor.state(run.signal);
  return state.known ? { state: state.value } : unknown(state.why);
}

async function probeGone(target: string, world: World, run: Run): Promise<Probe> {
  const found = await fencedState(target, world, run);
  if ('is' in found) return found;
  const { running, orphan } = found.state;
  const wanted = run.before.running;
  if (running === null) return { is: 'present', because: wanted === null ? 'it was down already' : 'it has ended' };
  // Its parent is gone: a stop would be a look and a signal, with a window between.
  if (orphan) return { is: 'unknown', because: 'its supervisor was replaced: it is an orphan now' };
  if (running.id === wanted?.id) return { is: 'absent', because: 'it runs' };
  return { is: 'overtaken', because: `another incarnation runs (${running.id}): somebody has started it` };
}

async function applyStop(
  target: string,
  world: World,
  run: Run,
  options: { readonly force: boolean; readonly waitMs: number },
): Promise<Applied> {
  const supervisor = world.supervisor(target);
  const incarnation = run.before.running;
  if (supervisor === undefined || incarnation === null) return { is: 'refused', because: 'nothing to stop' };
  const outcome = await supervisor.stop(incarnation, tokenOf(run), options, run.signal);
  return appliedOf(outcome, ({ ended }) => ({
    because: ended === null ? 'told to end' : 'it has ended',
    data: { incarnation: incarnation.id, forced: options.force, ended: asJson(ended) },
  }));
}

export function start<B extends ServiceBefore>(name: string, target: string, params: Patience, world: World): Step<B> {
  const named = ({ id, startedAtMs, pid }: ServiceIncarnation): Json => ({ id, startedAtMs, pid });
  return {
    ...changing(world.supervisor(target), 'start', params),
    name,
    help: 'Starts it if nothing of it is alive.',
    deadlineMs: 5_000,
    safePointAfter: true,
    probe: async (run) => {
      const found = await fencedState(target, world, run);
      if ('is' in found) return found;
      const { running, last, orphan } = found.state;
      if (orphan) return { is: 'unknown', because: 'a process of a former supervisor is alive' };
      if (running !== null) {
        if (running.id === run.before.running?.id) return { is: 'overtaken', because: 'the old incarnation runs' };
        return { is: 'present', because: `${running.id} runs`, data: named(running) };
      }
      // It ended again. A second start of the same run would only hide that.
      const earlier = startedOf(run.memo['start']);
      if (earlier !== undefined) {
        return { is: 'present', because: 'it was started and has ended since', data: { ...earlier } };
      }
      if (last !== null && last.incarnation.id !== run.before.last && last.incarnation.id !== run.before.running?.id) {
        const data = named(last.incarnation);
        return { is: 'present', because: 'it was started meanwhile and has ended since', data };
      }
      return { is: 'absent', because: 'it is down' };
    },
    apply: async (run) => {
      const supervisor = world.supervisor(target);
      if (supervisor === undefined) return { is: 'refused', because: 'no supervisor is configured' };
      return appliedOf(await supervisor.start(tokenOf(run), run.signal), ({ incarnation }) => ({
        because: `started as ${incarnation.id}`,
        data: named(incarnation),
      }));
    },
    // that it was started, not that it lives: how it goes on is the business of the next steps
    verify: async (run) => {
      const state = await stateOf(target, world, run);
      if (!state.known) return { is: 'unknown', because: state.why };
      const id = startedOf(run.memo[name])?.id;
      const { running, last } = state.value;
      return running !== null || last?.incarnation.id === id
        ? { is: 'yes', because: 'it was started' }
        : { is: 'no', because: 'nothing of it runs' };
    },
    compensate: 'none',
  };
}

export function never(because: string): Checked {
  return { is: 'no', because, never: because };
}

function tokenOf(run: Run): MutationToken {
  return { fence: run.fence, by: byRun(run.runId) };
}

function appliedOf<T>(outcome: Outcome<T>, done: (value: T) => { because: string; data: Json }): Applied {
  switch (outcome.kind) {
    case 'done':
      return { is: 'done', ...done(outcome.value) };
    case 'refused':
      return { is: 'refused', code: outcome.code, because: `${outcome.code}: ${outcome.message}` };
    case 'unknown':
      return { is: 'unknown', because: messageOf(outcome.cause) };
  }
}
