// The numbers that are read from the store at each scrape.
import type { Inventory } from '../exporter/config/inventory.ts';
import type { LedgerClock } from './clock.ts';
import type { Limits, Policy } from './guard.ts';
import type { Metrics, StoredState } from './metrics.ts';
import type { KnownAction } from './policies.ts';
import { budgetsOf } from './situation.ts';
import type { Store } from './store/store.ts';
import { readSwitchFile, readSwitchStore } from './switch.ts';

interface Context {
  readonly store: Store;
  readonly switchFile: string;
  readonly inventory: Pick<Inventory, 'targets'>;
  readonly policies: () => readonly Policy[];
  readonly limits: () => Limits;
  readonly actions: readonly KnownAction[];
  readonly clock: LedgerClock;
  readonly metrics: Metrics;
}

/** Series of budgets beyond this would cost more than they tell. */
const mostBudgets = 1000;

export async function refreshGauges(context: Context): Promise<void> {
  const { store, switchFile, clock, metrics } = context;
  const { file } = await readSwitchFile(switchFile);
  try {
    const row = readSwitchStore(await store.pauses(), clock.nowMs()).store;
    metrics.latchedTargets((await store.latches()).filter((l) => l.scope.startsWith('target:')).length);
    metrics.stored(await storedState(context));
    if (file === 'set' || row === 'set') metrics.switchState('off');
    else metrics.switchState(file === 'clear' && row === 'clear' ? 'on' : 'unreadable');
  } catch {
    metrics.stored(undefined);
    metrics.switchState(file === 'set' ? 'off' : 'unreadable');
  }
}

async function storedState(context: Context): Promise<StoredState> {
  const { store, clock } = context;
  const nowMs = clock.nowMs();
  const open = await store.approvals({ open: true, nowMs, limit: 1000 });
  const waiting = open.filter((a) => a.state === 'requested');
  const oldestMs = waiting.length === 0 ? 0 : nowMs - Math.min(...waiting.map((a) => a.requestedMs));
  const lasting = (await store.maintenances(nowMs)).filter((m) => m.startsMs <= nowMs);
  const pauses = (await store.pauses()).filter((p) => p.paused && (p.untilMs === undefined || p.untilMs > nowMs));
  return {
    approvalsWaiting: waiting.length,
    approvalOldestSeconds: oldestMs / 1000,
    isStorm: (await store.storm())?.state === 'active',
    demotions: await store.demotions(),
    maintenance: [...new Set(lasting.map((m) => m.scope))],
    pauses: pauses.map((p) => p.scope),
    budgets: await budgets(context, nowMs),
    bytes: (await store.size()).bytes,
  };
}

/** The least of what the target and the policy as a whole have left; what all runs together have left is `*`. */
async function budgets(
  { store, inventory, policies, limits, actions }: Context,
  nowMs: number,
): Promise<StoredState['budgets']> {
  const { global } = limits();
  const leftOf = async ({ scope, max, windowMs }: Budget): Promise<number> =>
    Math.max(0, max - (await store.budgetUsed(scope, nowMs - windowMs)));
  const all = await leftOf({ scope: 'global', max: global.maxRuns, windowMs: global.windowMs });
  const wanted = policies().flatMap((policy) => {
    const kinds = actions.find((a) => a.name === policy.action)?.kinds ?? [];
    const named = policy.match['target'];
    return [...inventory.targets.values()]
      .filter((t) => kinds.includes(t.kind) && (named === undefined || named === t.name))
      .map((t) => ({ policy, target: t.name }));
  });
  const each = await Promise.all(
    wanted.slice(0, mostBudgets).map(async ({ policy, target }) => {
      const own = budgetsOf(policy, target, limits()).filter((b) => b.scope !== 'global');
      return { policy: policy.name, target, left: Math.min(...(await Promise.all(own.map(leftOf)))) };
    }),
  );
  return [...each, { policy: '*', target: '*', left: all }];
}

type Budget = ReturnType<typeof budgetsOf>[number];
