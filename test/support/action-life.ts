// One life of a remediator's runner with an action of the registry on its real target, as a process that may be killed or
// stopped anywhere; and the same within the test, for a successor. Its options are one argument of JSON.
import { join } from 'node:path';
import { waitFor } from '../../deploy/lab/ready.ts';
import { inventoryOf } from '../../exporter/config/inventory.ts';
import type { Auth } from '../../exporter/fields.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { systems } from '../../exporter/systems/index.ts';
import type { Action, Step } from '../../remediator/action.ts';
import { actions } from '../../remediator/actions/index.ts';
import { asJson } from '../../remediator/canonical.ts';
import type { Policy } from '../../remediator/guard.ts';
import type { Json } from '../../remediator/model.ts';
import { supervisorSettings } from '../../remediator/supervisors/index.ts';
import { createWorld, type World } from '../../remediator/world.ts';
import { conductToEnd, hurried, openStore, type LifeStore, type StorePlace, type ToConduct } from './life.ts';

export interface ActionLife {
  readonly dir: string;
  readonly store: StorePlace;
  readonly episodeId: string;
  readonly action: string;
  readonly target: string;
  readonly params: Json;
  readonly policy: Policy;
  /** As in pipemedic.yml. */
  readonly inventory: Json;
  readonly auth: Readonly<Record<string, Auth>>;
  readonly supervisors: Readonly<Record<string, Json>>;
  /** Stops itself (SIGSTOP) as the call of this step begins, or as it comes back. */
  readonly stop?: { readonly step: string; readonly when: 'before' | 'after' };
  /** Stops itself (SIGSTOP) before it opens the store, to be traced from there on. */
  readonly stopFirst?: boolean;
}

/** The longest call of a step here. */
const callMs = 3_000;
/** Between its renewal and the call lie two COMMITs, which may be slow: what is left then must still be enough. */
export const actionLease = { ttlMs: 6_000, renewMs: 1_000, marginMs: 300 };

export function toConduct(life: ActionLife, at: LifeStore, logLevel: string): ToConduct<World> {
  const found = actions.find(({ name }) => name === life.action);
  if (found === undefined) throw new Error(`there is no action ${life.action}`);
  const world = createWorld({
    inventory: inventoryOf(life.inventory, 'test', systems),
    settings: {
      auth: new Map(Object.entries(life.auth)),
      supervisors: new Map(Object.entries(life.supervisors).map(([k, v]) => [k, supervisorSettings.parse(v)])),
    },
    clock: systemClock,
  });
  const action = stopping(hurried(found, callMs), life.stop);
  const params = asJson(action.params.parse(life.params));
  return {
    at,
    action,
    world,
    target: life.target,
    params,
    policy: life.policy,
    episodeId: life.episodeId,
    evidenceDir: join(life.dir, 'evidence'),
    lease: actionLease,
    logLevel,
    ready: async () => {
      let against = 'no look yet';
      await waitFor(
        async () => {
          const look = await action.look(life.target, params, world, AbortSignal.timeout(15_000));
          const all = [look.alreadyFixed, ...Object.values(look.preconditions)].filter((v) => v.is !== 'allow');
          against = all.map((v) => `${v.is} ${v.code}: ${v.because}`).join('\n');
          return against === '';
        },
        { what: 'a look that has nothing against it', deadlineMs: 60_000, detail: () => against },
      );
    },
  };
}

function stopping<W>(action: Action<W>, stop: ActionLife['stop']): Action<W> {
  if (stop === undefined) return action;
  const halt = (when: string): void => {
    if (when === stop.when) process.kill(process.pid, 'SIGSTOP');
  };
  const wrapped = (step: Step<unknown>): Step<unknown> => {
    const { apply } = step;
    if (apply === undefined || step.name !== stop.step) return step;
    return {
      ...step,
      apply: async (run, session) => {
        halt('before');
        const applied = await apply(run, session);
        halt('after');
        return applied;
      },
    };
  };
  return { ...action, steps: (target, params, world) => action.steps(target, params, world).map(wrapped) };
}

const [, file, options] = process.argv;
if (file === import.meta.filename && options !== undefined) {
  const life = JSON.parse(options) as ActionLife;
  if (life.stopFirst === true) process.kill(process.pid, 'SIGSTOP');
  await using at = await openStore(life.store);
  await conductToEnd(toConduct(life, at, 'warn'));
}
