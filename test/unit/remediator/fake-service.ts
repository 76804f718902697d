// A service in memory behind an action with every kind of step: what the runner's tests conduct.
import { z } from 'zod';
import {
  actionOf,
  type Action,
  type Applied,
  type Checked,
  type LockAttempt,
  type Probe,
  type Step,
} from '../../../remediator/action.ts';
import { allow, deny, type Verdict } from '../../../remediator/guard.ts';

export interface Before {
  readonly seq: number | null;
}

/** What answers to one call: `late` carries it out and answers unknown, `lost` does not and answers unknown too. */
export type Answer = 'done' | 'refused' | 'late' | 'lost' | 'throw';

export class FakeService {
  /** The incarnation that runs. */
  running: number | null = 1;
  isSick = true;
  seq = 1;
  maxFence = 0;
  /** Append-only, as a supervisor's witness. */
  readonly witness: string[] = [];
  readonly answers: Record<string, Answer[]> = {};
  /** Called just before a mutation is carried out. */
  onCall: ((step: string) => Promise<void> | void) | undefined;
  seen: 'ok' | 'unknown' = 'ok';
  dataMoves: Checked['is'] = 'yes';
  soaks: Checked['is'] = 'yes';
  never: string | undefined;
  lock: LockAttempt['is'] = 'held';
  lockHeld: Checked['is'] = 'yes';
  precondition: Verdict = allow('fine', 'fine');

  count(what: string): number {
    return this.witness.filter((line) => line.startsWith(what)).length;
  }

  async mutate(step: string, fence: number, carryOut: () => string | undefined): Promise<Applied> {
    await this.onCall?.(step);
    const answer = this.answers[step]?.shift() ?? 'done';
    if (answer === 'refused') return { is: 'refused', because: 'the target said no' };
    if (answer === 'lost') return { is: 'unknown', because: 'no answer' };
    if (fence < this.maxFence) return { is: 'refused', because: 'fenced' };
    const refusal = carryOut();
    if (answer === 'throw') throw new Error('the connection broke');
    if (answer === 'late') return { is: 'unknown', because: 'no answer' };
    return refusal === undefined
      ? { is: 'done', because: 'done', data: { seq: this.running } }
      : { is: 'refused', because: refusal };
  }

  stop(fence: number, seq: number | null): Promise<Applied> {
    return this.mutate('stop', fence, () => {
      if (this.running === null || this.running !== seq) return 'another incarnation';
      this.witness.push(`stop ${this.running}`);
      this.running = null;
      return undefined;
    });
  }

  start(step: string, fence: number): Promise<Applied> {
    return this.mutate(step, fence, () => {
      if (this.running !== null) return 'it runs';
      this.seq += 1;
      this.running = this.seq;
      this.isSick = false;
      this.witness.push(`start ${this.running}`);
      return undefined;
    });
  }

  probe(fence: number, is: () => Probe): Promise<Probe> {
    if (this.seen === 'unknown') return Promise.resolve({ is: 'unknown', because: 'no answer' });
    this.maxFence = Math.max(this.maxFence, fence);
    return Promise.resolve(is());
  }
}

interface Options {
  readonly fencing?: Step<Before>['fencing'];
  readonly maxAttempts?: number;
}

export function fakeAction(service: FakeService, { fencing = 'cas', maxAttempts = 2 }: Options = {}): Action<unknown> {
  const common = { fencing, deadlineMs: 60, verifyMs: 300, settleMs: 40, maxAttempts, lateCopy: 'harmless' } as const;
  const started = (name: string): Step<Before> => ({
    ...common,
    name,
    help: name,
    safePointAfter: true,
    probe: ({ before, fence, memo }) =>
      service.probe(fence, () => {
        if (service.running !== null && service.running !== before.seq) return { is: 'present', because: 'it runs' };
        if (memo['start'] !== undefined) return { is: 'present', because: 'it was started and has ended since' };
        return service.running === null
          ? { is: 'absent', because: 'down' }
          : { is: 'overtaken', because: 'the old one runs' };
      }),
    apply: ({ fence }) => service.start(name, fence),
    verify: () =>
      Promise.resolve(
        service.running === null ? { is: 'no', because: 'it is down' } : { is: 'yes', because: 'it runs' },
      ),
    compensate: 'none',
  });
  const stop: Step<Before> = {
    ...common,
    name: 'stop',
    help: 'stop',
    safePointAfter: false,
    probe: ({ before, fence }) =>
      service.probe(fence, () => {
        if (service.running === null) return { is: 'present', because: 'down' };
        if (service.running !== before.seq) return { is: 'overtaken', because: 'another incarnation runs' };
        return { is: 'absent', because: 'it runs' };
      }),
    apply: ({ fence, before }) => service.stop(fence, before.seq),
    verify: ({ before }) =>
      Promise.resolve(
        service.running === before.seq && before.seq !== null
          ? { is: 'no', because: 'it still runs' }
          : { is: 'yes', because: 'gone' },
      ),
    compensate: started('start.back'),
  };
  const data: Step<Before> = {
    ...common,
    name: 'verify_data',
    help: 'looks only',
    fencing: 'read',
    safePointAfter: true,
    probe: () => Promise.resolve({ is: 'absent', because: 'only looks' }),
    verify: () =>
      Promise.resolve({
        is: service.dataMoves,
        because: 'the data',
        ...(service.never === undefined ? {} : { never: service.never }),
      }),
    compensate: 'none',
  };
  return actionOf<unknown>()({
    name: 'fake.restart',
    help: 'restarts the service in memory',
    kinds: ['fake'],
    params: z.strictObject({}),
    look: () =>
      Promise.resolve({
        alreadyFixed: service.isSick ? allow('sick', 'it is sick') : deny('healthy', 'it is healthy'),
        preconditions: { fine: service.precondition },
        evidence: { seq: service.running },
        seen: { seq: service.running },
        before: { seq: service.running },
        advice: [],
      }),
    lock: () =>
      Promise.resolve(
        service.lock === 'held'
          ? {
              is: 'held',
              lock: {
                held: () => Promise.resolve({ is: service.lockHeld, because: 'the session' }),
                [Symbol.asyncDispose]: () => {
                  service.witness.push('unlock');
                  return Promise.resolve();
                },
              },
            }
          : { is: service.lock, because: 'somebody holds the lock' },
      ),
    snapshot: (before: Before) => ({ name: 'undo.txt', text: `start ${before.seq}\n` }),
    steps: () => [stop, started('start'), data],
    soak: () => Promise.resolve({ is: service.soaks, because: 'soak' }),
  });
}
