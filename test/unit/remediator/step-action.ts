// An action of one step, each part of which a test may replace: what the step contract is tried on.
import { z } from 'zod';
import { actionOf, type Action, type Checked, type FormerSession, type Step } from '../../../remediator/action.ts';
import { allow } from '../../../remediator/guard.ts';
import type { Json } from '../../../remediator/model.ts';

/** The target: a counter of calls that took effect, and the sessions that it would still hear. */
export class Target {
  calls = 0;
  readonly witness: string[] = [];
  readonly open = new Set<string>();
  #next = 100;

  connect(): string {
    this.#next += 1;
    const id = String(this.#next);
    this.open.add(id);
    return id;
  }
}

export interface Parts {
  readonly step?: Partial<Step<Before>>;
  readonly fence?: (sessions: readonly FormerSession[]) => Promise<Checked>;
  readonly lock?: () => Promise<{ readonly identity: Json; readonly close: () => void }>;
  readonly longestMs?: number;
  readonly snapshotText?: string;
}
interface Before {
  readonly calls: number;
}

export function stepAction(
  target: Target,
  { step = {}, fence, lock, longestMs, snapshotText }: Parts,
): Action<unknown> {
  const only: Step<Before> = {
    name: 'change',
    help: 'changes it',
    fencing: 'cas',
    deadlineMs: 80,
    verifyMs: 300,
    settleMs: 20,
    maxAttempts: 2,
    safePointAfter: true,
    lateCopy: 'harmless',
    probe: ({ before }) =>
      Promise.resolve(
        target.calls > before.calls ? { is: 'present', because: 'changed' } : { is: 'absent', because: 'as before' },
      ),
    apply: () => {
      target.calls += 1;
      target.witness.push('change');
      return Promise.resolve({ is: 'done', because: 'changed' });
    },
    verify: () => Promise.resolve({ is: 'yes', because: 'changed' }),
    compensate: 'none',
    ...step,
  };
  return actionOf<unknown>()({
    name: 'fake.restart',
    help: 'changes a counter',
    kinds: ['fake'],
    params: z.strictObject({}),
    look: () =>
      Promise.resolve({
        alreadyFixed: allow('sick', 'it is sick'),
        preconditions: {},
        evidence: {},
        seen: {},
        before: { calls: target.calls },
        advice: [],
      }),
    ...(lock === undefined
      ? {}
      : {
          lock: async () => {
            const { identity, close } = await lock();
            return {
              is: 'held',
              lock: {
                identity,
                held: () => Promise.resolve({ is: 'yes', because: 'held' }),
                [Symbol.asyncDispose]: () => {
                  close();
                  return Promise.resolve();
                },
              },
            };
          },
        }),
    ...(fence === undefined ? {} : { fence: (_target, _params, _world, sessions) => fence(sessions) }),
    ...(longestMs === undefined ? {} : { longestMs }),
    snapshot: () => ({ name: 'undo.txt', text: snapshotText ?? 'as before\n' }),
    steps: () => [only],
    soak: () => Promise.resolve({ is: 'yes', because: 'well' }),
  });
}
