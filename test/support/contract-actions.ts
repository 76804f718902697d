// One action for each class of fencing, on the target of contract-target.ts.
import { z } from 'zod';
import {
  actionOf,
  type Action,
  type Applied,
  type FencingClass,
  type Step,
  type StepRun,
  type StepSession,
} from '../../remediator/action.ts';
import { allow } from '../../remediator/guard.ts';
import { askOnce, TargetLink, type Answered, type Asked } from './contract-target.ts';

export const classes = ['cas', 'session', 'predicate', 'once'] as const satisfies readonly FencingClass[];
export type Class = (typeof classes)[number];

export interface ContractWorld {
  readonly socket: string;
  /** Called in the turn of the mutating call, right before it is sent. */
  readonly beforeCall: (step: string) => void;
}
interface Before {
  readonly running: number | null;
  readonly changes: number;
}
type Run = StepRun<Before>;

class LinkSession implements StepSession {
  readonly link: TargetLink;
  readonly identity: { readonly session: number };
  constructor(link: TargetLink, session: number) {
    this.link = link;
    this.identity = { session };
  }
  [Symbol.asyncDispose](): Promise<void> {
    this.link.close();
    return Promise.resolve();
  }
}

/** Refused only on the target's own word; whatever breaks is unknown. */
async function applied(asking: Promise<Answered>): Promise<Applied> {
  try {
    const { ok } = await asking;
    return ok ? { is: 'done', because: 'done' } : { is: 'refused', because: 'the target said no' };
  } catch (error) {
    return { is: 'unknown', because: String(error) };
  }
}

/** @param deadlineMs of a call, and of what is opened for it: what a lease must be longer than, and a busy machine faster */
export function contractAction(fencing: Class, deadlineMs = 600): Action<ContractWorld> {
  const common = { fencing, deadlineMs, verifyMs: 1_000, settleMs: 50, maxAttempts: 2 } as const;
  const steps = ({ socket, beforeCall }: ContractWorld): readonly Step<Before>[] => {
    const fenced = fencing === 'cas';
    /** Raises the fence first where there is one. */
    const state = async (run: Run): Promise<Answered> => {
      if (!fenced) return await askOnce(socket, { op: 'state' }, run.signal);
      const raised = await askOnce(socket, { op: 'raise', fence: run.fence }, run.signal);
      if (!raised.ok) throw new Error('a later holder was here');
      return raised;
    };
    const send = async (step: string, run: Run, asked: Asked): Promise<Applied> => {
      const by = fenced ? { fence: run.fence } : {};
      const link = new TargetLink(socket, run.signal);
      try {
        await link.ask({ op: 'state' }); // connected: what is asked now is sent in the same turn
        beforeCall(step);
        return await applied(link.ask({ ...asked, ...by }));
      } catch (error) {
        return { is: 'unknown', because: String(error) };
      } finally {
        link.close();
      }
    };
    const stop: Step<Before> = {
      ...common,
      name: 'stop',
      help: 'stops that incarnation',
      safePointAfter: false,
      lateCopy: 'harmless',
      probe: async (run) => {
        const { running } = await state(run);
        if (running === null) return { is: 'present', because: 'it is down' };
        return running === run.before.running
          ? { is: 'absent', because: 'it runs' }
          : { is: 'overtaken', because: 'another one runs' };
      },
      apply: (run) => send('stop', run, { op: 'stop', only: run.before.running ?? 0 }),
      verify: () => Promise.resolve({ is: 'yes', because: 'it has ended' }),
      compensate: 'none',
    };
    const start: Step<Before> = {
      ...common,
      name: 'start',
      help: 'starts it if nothing runs',
      safePointAfter: true,
      lateCopy: 'harmless',
      probe: async (run) =>
        (await state(run)).running === null ? { is: 'absent', because: 'down' } : { is: 'present', because: 'it runs' },
      apply: (run) => send('start', run, { op: 'start' }),
      verify: () => Promise.resolve({ is: 'yes', because: 'it was started' }),
      compensate: 'none',
    };
    const change: Step<Before> = {
      ...common,
      name: 'change',
      help: 'changes it; every call counts',
      safePointAfter: true,
      lateCopy: 'harmless',
      probe: async (run) =>
        (await state(run)).changes > run.before.changes
          ? { is: 'present', because: 'changed' }
          : { is: 'absent', because: 'as before' },
      ...(fencing === 'session'
        ? {
            session: async ({ signal }: Run) => {
              const link = new TargetLink(socket, signal);
              const { session = 0 } = await link.ask({ op: 'hello' });
              return new LinkSession(link, session);
            },
          }
        : {}),
      apply: (run, session) => {
        if (!(session instanceof LinkSession)) return send('change', run, { op: 'change' });
        beforeCall('change');
        return applied(session.link.ask({ op: 'change' }));
      },
      verify: () => Promise.resolve({ is: 'yes', because: 'changed' }),
      compensate: 'none',
    };
    if (fencing === 'cas') return [stop, start];
    return fencing === 'predicate' ? [start] : [change];
  };
  return actionOf<ContractWorld>()({
    name: `contract.${fencing}`,
    help: 'tries the step contract',
    kinds: ['fake'],
    params: z.strictObject({}),
    look: async (_target, _params, { socket }, signal) => {
      const { running, changes } = await askOnce(socket, { op: 'state' }, signal);
      return {
        alreadyFixed: allow('sick', 'it is sick'),
        preconditions: {},
        evidence: {},
        seen: {},
        before: { running, changes },
        advice: [],
      };
    },
    fence: async (_target, _params, { socket }, sessions, signal) => {
      for (const { identity } of sessions) {
        const { session } = identity as { session: number };
        await askOnce(socket, { op: 'end', session }, signal);
      }
      return { is: 'yes', because: 'ended' };
    },
    snapshot: () => ({ name: 'undo.txt', text: 'as before\n' }),
    steps: (_target, _params, world) => steps(world),
    soak: () => Promise.resolve({ is: 'yes', because: 'well' }),
  });
}
