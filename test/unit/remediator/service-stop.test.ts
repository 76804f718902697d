// What may have begun between the facts and the stop: a run can be taken up again long after it has looked.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known } from '../../../exporter/runtime/known.ts';
import type { StepRun } from '../../../remediator/action.ts';
import type { ServiceBefore } from '../../../remediator/actions/service/started.ts';
import { stop } from '../../../remediator/actions/service/steps.ts';
import type { ServiceState, Supervisor } from '../../../remediator/supervisors/supervisor.ts';
import type { World } from '../../../remediator/world.ts';

const life = { id: 'docker:abc:2026', pid: 7, startedAtMs: 1 };
const refused = { kind: 'refused', code: 'unsupported', message: 'none' } as const;

function world(running: ServiceState['running']): World {
  const state: ServiceState = {
    running,
    processState: known('S', 1),
    orphan: false,
    last: null,
    maxFence: null,
  };
  const supervisor: Pick<Supervisor, 'fencing' | 'state' | 'raiseFence'> = {
    fencing: { stop: 'predicate', start: 'predicate' },
    state: () => Promise.resolve(known(state, 1)),
    raiseFence: () => Promise.resolve(refused),
  };
  return { supervisor: () => supervisor } as unknown as World;
}

const run: StepRun<ServiceBefore> = {
  before: { running: life, last: null },
  memo: {},
  fence: 1,
  runId: 'r',
  attempt: 0,
  signal: AbortSignal.timeout(30_000),
  note: () => undefined,
};

test('a bootstrap that was begun meanwhile holds the stop back', async () => {
  const probe = async (running: ServiceState['running'], why: string | undefined): Promise<string> => {
    const step = stop<ServiceBefore>('m', { stopSeconds: 1, verifySeconds: 5 }, world(running), () =>
      Promise.resolve(why),
    );
    const { is, because } = await step.probe(run);
    return `${is}: ${because}`;
  };
  assert.equal(await probe(life, undefined), 'absent: it runs');
  assert.equal(await probe(life, 'a bootstrap was begun meanwhile'), 'unknown: a bootstrap was begun meanwhile');
  // what has ended already is not asked about
  assert.equal(await probe(null, 'a bootstrap was begun meanwhile'), 'present: it has ended');
});
