// What people change, by the API or by the command line while nobody serves: one place for both, each with its audit.
import { z } from 'zod';
import { listed } from '../exporter/config/suggest.ts';
import type { LedgerClock } from './clock.ts';
import { decide } from './decide.ts';
import type { Json, Maintenance } from './model.ts';
import { keptOf } from './past.ts';
import { Refusal, type Actor, type PeopleContext } from './people-context.ts';
import { drillMs, drillVerb } from './promotion.ts';
import { resume } from './resume.ts';
import { setSwitchFile } from './switch.ts';

export interface Change {
  /** Below /api/v1/, of a POST; `:id` comes into the body. */
  readonly path: string;
  /** @throws ZodError, Refusal, StoreError */
  readonly run: (context: PeopleContext, actor: Actor, body: unknown) => Promise<Json>;
}

function defineChange<B extends z.ZodType>(
  path: string,
  body: B,
  run: (context: PeopleContext, actor: Actor, body: z.output<B>) => Promise<Json>,
): Change {
  return { path, run: async (context, actor, given) => run(context, actor, await body.parseAsync(given)) };
}

const why = z.string().trim().min(1).max(500);
const id = z.string().min(1).max(200);
const longestMs = 366 * 86_400_000;
const lasts = z.int().min(1000).max(longestMs);
const scope = z
  .string()
  .max(200)
  .regex(/^(global|(target|pipeline):.+)$/, 'global, target:NAME or pipeline:NAME');

const pause = defineChange(
  'pause',
  z.strictObject({ reason: why, scope: scope.default('global'), lasts_ms: lasts.optional() }),
  async (context, actor, { reason, scope: of, lasts_ms: lastsMs }) => {
    wanted(context, of);
    const { store, clock, switchFile } = context;
    const atMs = clock.nowMs();
    const untilMs = lastsMs === undefined ? undefined : atMs + lastsMs;
    const isFile = of === 'global' && untilMs === undefined;
    if (isFile) {
      await setSwitchFile(switchFile, { by: actor.name, reason, at: new Date(clock.wallMs()).toISOString() });
    } else {
      await refuseToShorten(context, of, untilMs, atMs);
    }
    // A file stops only the remediators of its own machine: with a shared store there are others.
    if (!isFile || context.sharedStore === true) {
      await store.setPause({ scope: of, paused: true, by: actor.name, reason, setMs: atMs, untilMs });
    }
    const detail = { reason, ...(lastsMs === undefined ? {} : { lastsMs }) };
    await store.audit({ atMs, actor: actor.name, via: actor.via, verb: 'pause', object: of, detail });
    return { paused: true, scope: of };
  },
);

/** A pause never ends earlier for another one that is set later. @throws Refusal */
async function refuseToShorten(
  { store, clock }: PeopleContext,
  of: string,
  untilMs: number | undefined,
  atMs: number,
): Promise<void> {
  const before = (await store.pauses()).find((p) => p.scope === of && p.paused);
  if (before === undefined) return;
  const endsMs = before.untilMs ?? Infinity;
  if (endsMs <= atMs || endsMs <= (untilMs ?? Infinity)) return;
  const ends = endsMs === Infinity ? 'without an end' : `until ${new Date(clock.wallOf(endsMs)).toISOString()}`;
  throw new Refusal(409, `${of} is paused by ${before.by} ${ends} (${before.reason}), and stays so`);
}

/** What was held up is looked at now, not in a minute. */
async function lookAgain({ store, clock, changed }: PeopleContext): Promise<void> {
  for (const { id: open, nextEvalMs } of await store.openEpisodes())
    await store.scheduleEval(open, nextEvalMs, clock.nowMs());
  changed();
}

const resumed = defineChange(
  'resume',
  z.strictObject({ scope: scope.default('global') }),
  async (context, actor, { scope: of }) => {
    const { store, clock, switchFile } = context;
    if (of === 'global') {
      await resume({ store, switchFile, clock, by: actor.name, via: actor.via });
    } else {
      const atMs = clock.nowMs();
      if (!(await store.pauses()).some((p) => p.scope === of && p.paused))
        throw new Refusal(404, `${of} is not paused`);
      await store.setPause({ scope: of, paused: false, by: actor.name, reason: '', setMs: atMs, untilMs: undefined });
      await store.audit({ atMs, actor: actor.name, via: actor.via, verb: 'resume', object: of, detail: {} });
    }
    await lookAgain(context);
    return { paused: false, scope: of };
  },
);

const clearLatch = defineChange(
  'latches/:id/clear',
  z.strictObject({ id, comment: why }),
  async (context, actor, { id: latch, comment }) => {
    const { store, clock } = context;
    if (!(await store.clearLatch(latch, actor.name, comment, clock.nowMs()))) {
      throw new Refusal(404, `there is no open latch ${latch}`);
    }
    await lookAgain(context);
    return { cleared: true };
  },
);

const decision = z.strictObject({ id, comment: z.string().trim().max(500).default('') });
const approve = defineChange('approvals/:id/approve', decision, (context, actor, body) =>
  decide(context, actor, 'approved', body),
);
const reject = defineChange('approvals/:id/reject', decision, (context, actor, body) =>
  decide(context, actor, 'rejected', body),
);

const addMaintenance = defineChange(
  'maintenance',
  z.strictObject({ scope, reason: why, in_ms: z.int().min(0).max(longestMs).default(0), lasts_ms: lasts }),
  async (context, actor, { scope: of, reason, in_ms: inMs, lasts_ms: lastsMs }) => {
    wanted(context, of);
    const { store, clock } = context;
    const nowMs = clock.nowMs();
    const startsMs = nowMs + inMs;
    const added = await store.addMaintenance(
      { scope: of, startsMs, endsMs: startsMs + lastsMs, owner: actor.name, reason },
      actor.via,
      nowMs,
    );
    return maintenanceView(added, clock.wallOf, nowMs);
  },
);

const endMaintenance = defineChange(
  'maintenance/:id/end',
  z.strictObject({ id }),
  async (context, actor, { id: maintenance }) => {
    const { store, clock } = context;
    if (!(await store.endMaintenance(maintenance, actor.name, actor.via, clock.nowMs()))) {
      throw new Refusal(404, `there is no maintenance ${maintenance} that lasts or is to come`);
    }
    await lookAgain(context);
    return { ended: true };
  },
);

const liftDemotion = defineChange(
  'demotions/lift',
  z.strictObject({ policy: id, target: id, comment: why }),
  async (context, actor, { policy, target, comment }) => {
    const { store, clock } = context;
    if (!(await store.liftDemotion(policy, target, actor.name, comment, clock.nowMs()))) {
      throw new Refusal(404, `policy ${policy} is not demoted on ${target}`);
    }
    await lookAgain(context);
    return { lifted: true };
  },
);

const drilled = defineChange(
  'drills',
  z.strictObject({ run: id, comment: why }),
  async (context, actor, { run: of, comment }) => {
    const { store, clock } = context;
    const run = await store.run(of);
    if (run === undefined) throw new Refusal(404, `there is no run ${of}. See: pipemedic-remediator runs`);
    const nowMs = clock.nowMs();
    const { policy } = keptOf(run);
    if (run.outcome !== 'verified' || run.endedMs === undefined) {
      throw new Refusal(
        409,
        `run ${of} is ${run.outcome ?? run.state}: a drill has passed when its repair was verified`,
      );
    }
    if (nowMs - run.endedMs > drillMs) throw new Refusal(409, `run ${of} ended more than 90 days ago`);
    const detail = { run: of, action: run.action, target: run.target, comment };
    await store.audit({ atMs: nowMs, actor: actor.name, via: actor.via, verb: drillVerb, object: policy, detail });
    return { drilled: true, policy, target: run.target };
  },
);

export const changes: readonly Change[] = [
  pause,
  resumed,
  clearLatch,
  approve,
  reject,
  addMaintenance,
  endMaintenance,
  liftDemotion,
  drilled,
];

export function maintenanceView(
  m: Maintenance,
  wallOf: LedgerClock['wallOf'],
  nowMs: number,
): { readonly id: string; readonly scope: string; readonly [key: string]: Json } {
  return {
    id: m.id,
    scope: m.scope,
    active: m.startsMs <= nowMs && nowMs < m.endsMs,
    starts: new Date(wallOf(m.startsMs)).toISOString(),
    ends: new Date(wallOf(m.endsMs)).toISOString(),
    owner: m.owner,
    reason: m.reason,
  };
}

/** A scope that nothing is in would be a pause that does not hold. @throws Refusal */
function wanted({ inventory }: PeopleContext, of: string): void {
  const [kind = '', ...rest] = of.split(':');
  const name = rest.join(':');
  if (kind === 'global') return;
  const names = kind === 'target' ? [...inventory.targets.keys()] : inventory.pipelines.map((p) => p.name);
  if (!names.includes(name)) throw new Refusal(404, `there is no ${kind} ${name}. Name one of: ${listed(names, name)}`);
}
