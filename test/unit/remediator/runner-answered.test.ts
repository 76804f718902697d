// After a call was answered: for how long what it has done may stay unseen before the run ends with an unknown outcome.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { inventoryOf } from '../../../exporter/config/inventory.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { systems } from '../../../exporter/systems/index.ts';
import type { Checked, StepRun } from '../../../remediator/action.ts';
import { actions } from '../../../remediator/actions/index.ts';
import { allSteps } from '../../../remediator/runner/looks.ts';
import { createWorld } from '../../../remediator/world.ts';
import { harness, story } from './run-harness.ts';
import { stepAction, Target } from './step-action.ts';

async function conducted(
  verifications: readonly ((run: Pick<StepRun<unknown>, 'signal'>) => Promise<Checked>)[],
  times: { readonly verifyMs: number; readonly answeredMs?: number },
): Promise<{ readonly told: string; readonly looks: number; readonly ended: string }> {
  await using h = await harness();
  let looks = 0;
  const verify = (run: Pick<StepRun<unknown>, 'signal'>): Promise<Checked> => {
    const one = verifications[Math.min(looks, verifications.length - 1)];
    looks += 1;
    return one === undefined ? Promise.reject(new Error('none')) : one(run);
  };
  const action = stepAction(new Target(), { step: { ...times, verify } });
  const { run, hold, evidenceHash } = await h.claim(action);
  const runner = h.runner(action);
  runner.begin(run, hold, evidenceHash);
  await runner.idle();
  const { outcome, because } = await h.onlyRun();
  return { told: story(await h.journal()), looks, ended: `${outcome ?? '?'}: ${because ?? ''}` };
}

/** As a connection that hangs, until its time is over. */
const silent = ({ signal }: Pick<StepRun<unknown>, 'signal'>): Promise<Checked> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => {
      reject(new Error('no answer'));
    });
  });
const unseen = (because: string) => (): Promise<Checked> => Promise.resolve({ is: 'unknown', because });
const yes = (): Promise<Checked> => Promise.resolve({ is: 'yes', because: 'changed' });

test('a target that is silent for longer than one look takes is looked at again', async () => {
  const { ended, looks, told } = await conducted([silent, yes], { verifyMs: 30, answeredMs: 60_000 });
  assert.match(ended, /^verified/, told);
  assert.equal(looks, 2);
});

test('one that stays silent ends as unknown, with what was last known of it', async () => {
  const { ended } = await conducted([unseen('its supervisor starts'), silent], { verifyMs: 300, answeredMs: 320 });
  assert.match(ended, /^outcome_unknown: .*its supervisor starts/);
});

test('every call of every action is given as long as its data may take to move', () => {
  const targets = [
    { name: 'r1', kind: 'redis', address: { host: '127.0.0.1', port: 1 } },
    { name: 'm1', kind: 'mysql', address: { host: '127.0.0.1', port: 1 } },
    { name: 'c1', kind: 'cdc-service', address: { http: 'http://127.0.0.1:1' } },
    { name: 'x1', kind: 'maxwell', address: { mysql: 'm1' } },
  ];
  const world = createWorld({
    inventory: inventoryOf({ targets }, 'test', systems),
    settings: { auth: new Map(), supervisors: new Map() },
    clock: systemClock,
  });
  const seconds = z.object({ verifySeconds: z.number().optional(), copySeconds: z.number().optional() });
  for (const action of actions) {
    const target = targets.find(({ kind }) => action.kinds.includes(kind));
    assert.ok(target, action.name);
    const { verifySeconds, copySeconds = 0 } = seconds.parse(action.params.parse({}));
    const wantedMs = 1000 * (verifySeconds ?? Math.min(120, copySeconds));
    const calls = allSteps(action.steps(target.name, {}, world)).filter((s) => s.apply !== undefined);
    assert.ok(wantedMs >= 60_000 && calls.length > 0, action.name);
    for (const { name, answeredMs, verifyMs } of calls) {
      assert.ok((answeredMs ?? 0) >= wantedMs && verifyMs < wantedMs, `${action.name} ${name}: ${String(answeredMs)}`);
    }
  }
});
