// From the first byte of a notification to the first mutating call of its repair: receiver, store, intake, every guard, the
// claim, evidence and the journal's intent, all as in the program; the service is in memory. The declared time that a
// symptom must hold is taken off. Half a second later another alert comes, as it does when something breaks.
// `node test/bench/remediator-first-step.ts [rounds]`
import { waitFor } from '../../deploy/lab/ready.ts';
import { loadInventory } from '../../exporter/config/loader.ts';
import { pause } from '../../exporter/runtime/deadline.ts';
import { createLog } from '../../exporter/runtime/log.ts';
import { createEvaluator } from '../../remediator/evaluator.ts';
import { defaultLimits } from '../../remediator/policies.ts';
import { serve, type EvaluatorParts } from '../../remediator/serve.ts';
import { settingsOf } from '../../remediator/settings.ts';
import { makeHome, payload, sent, token } from '../support/remediator-serve.ts';
import { portOf } from '../support/serving-port.ts';
import { inventoryWith, policy, type World } from '../unit/remediator/evaluator-bench.ts';
import { FakeService, fakeAction } from '../unit/remediator/fake-service.ts';

const rounds = Number(process.argv[2] ?? 10);
/** The default. */
const symptomMs = 3_000;
const aimMs = 250;

const service = new FakeService();
let firstCallMs: number | undefined;
service.onCall = () => {
  firstCallMs ??= performance.now();
};
const up = { known: true, value: true, observedAtMs: 1 } as const;
const world: World = {
  upstreams: () => Promise.resolve([]),
  others: () => Promise.resolve([{ target: 'svc2', up, why: 'it answers' }]),
};

const home = await makeHome();
const inventory = await loadInventory(home.configFile);
const actions = [fakeAction(service)];
let parts: EvaluatorParts | undefined;
const often = { maxRuns: 1_000_000, windowMs: 3_600_000, cooldownMs: 0, maxRelapses: 1_000_000 };
const serving = await serve({
  inventory,
  settings: settingsOf(inventory, home.configFile),
  policyFile: {
    // One each: repairs that come back so soon would be left to people.
    policies: Array.from({ length: rounds }, (_, i) => ({
      ...policy,
      ...{ name: `sick-${i}`, match: { alertname: `Sick${i}` }, mode: 'auto', pace: often, soakMs: 0 },
    })),
    limits: { ...defaultLimits, global: { ...defaultLimits.global, maxRuns: 1_000_000 } },
    rules: [],
  },
  reloadPolicies: () => Promise.reject(new Error('not here')),
  ...{ listen: [{ host: '127.0.0.1', port: 0 }], version: 'bench', log: createLog('bench', 'silent') },
  actions,
  createEvaluator: (given) => {
    parts = given;
    return createEvaluator({
      ...given,
      inventory: inventoryWith(['svc1', 'svc2']),
      ...{ actions, world, symptomMs },
    });
  },
});
async function post(labels: Readonly<Record<string, string>>): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${portOf(serving)}/webhook/main`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(payload([sent(labels, { startsAt: new Date().toISOString() })])),
  });
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
}

try {
  const store = parts?.store;
  if (store === undefined) throw new Error('no evaluator was made');
  const tookMs: number[] = [];
  for (let i = 0; i < rounds; i++) {
    service.isSick = true;
    firstCallMs = undefined;
    const begun = performance.now();
    await post({ alertname: `Sick${i}`, target: 'svc1' });
    await pause(500);
    await post({ alertname: `Other${i}`, target: 'svc2' });
    const called = await waitFor(() => firstCallMs, { what: 'the first call' }).catch(async (error: unknown) => {
      const [open] = await store.openEpisodes();
      const decisions = open === undefined ? [] : await store.decisionsOf(open.id);
      throw new Error(`round ${i}: ${decisions.map((d) => d.because).join('; ')}`, { cause: error });
    });
    tookMs.push(called - begun - symptomMs);
    await waitFor(
      async () => {
        const [newest] = await store.runsOf({ limit: 1 });
        return newest?.state === 'ended' && (await store.activeRuns()).length === 0;
      },
      { what: 'the run to end' },
    );
    for (const open of await store.openEpisodes()) {
      await store.closeEpisode(open.id, open.version, 'repaired', parts?.clock.nowMs() ?? 0);
    }
  }
  tookMs.sort((a, b) => a - b);
  const at = (q: number): number => Math.round(tookMs[Math.floor((tookMs.length - 1) * q)] ?? Number.NaN);
  const figures = { rounds, symptomMs, afterItMs: { p50: at(0.5), p90: at(0.9), max: at(1) }, aimMs };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
} finally {
  await serving.stop();
  await home[Symbol.asyncDispose]();
}
