// An evaluator with a real store, a clock that can be moved, and a service in memory.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Inventory, Target } from '../../../exporter/config/inventory.ts';
import { known } from '../../../exporter/runtime/known.ts';
import { createLog } from '../../../exporter/runtime/log.ts';
import { createEvaluator, type Evaluator, type EvaluatorDeps } from '../../../remediator/evaluator.ts';
import type { Limits, PlanInput, Policy } from '../../../remediator/guard.ts';
import type { Decision, IncomingAlert } from '../../../remediator/model.ts';
import { defaultLimits } from '../../../remediator/policies.ts';
import { openSqlite } from '../../../remediator/store/sqlite.ts';
import type { EpisodeChange, Store } from '../../../remediator/store/store.ts';
import { FakeService, fakeAction } from './fake-service.ts';
import { MovableClock, policy as runPolicy } from './run-harness.ts';

export interface World {
  upstreams: () => Promise<PlanInput['upstreams']>;
  others: () => Promise<PlanInput['upstreams']>;
}

export const policy: Policy = { ...runPolicy, match: { alertname: 'ServiceSick' } };
export const symptomMs = 50;

export class Bench {
  readonly clock = new MovableClock();
  readonly service = new FakeService();
  readonly world: World = {
    upstreams: () => Promise.resolve([]),
    others: () => Promise.resolve([{ target: 'svc2', up: known(true, 1), why: 'it answers' }]),
  };
  readonly dir: string;
  readonly store: { -readonly [K in keyof Store]: Store[K] };
  readonly guards: string[] = [];
  policies: readonly Policy[] = [policy];
  limits: Limits = defaultLimits;
  readonly evaluator: Evaluator;
  readonly #change: (bench: Bench) => Partial<EvaluatorDeps<World>>;

  constructor(dir: string, change: (bench: Bench) => Partial<EvaluatorDeps<World>> = () => ({})) {
    this.dir = dir;
    this.store = openSqlite({ file: join(dir, 'store.db') });
    this.#change = change;
    this.evaluator = this.another();
  }

  /** As a process that begins anew has it: the same store, nothing remembered. */
  another(): Evaluator {
    return createEvaluator<World>({
      store: this.store,
      inventory: inventoryWith(['svc1', 'svc2']),
      policies: () => this.policies,
      limits: () => this.limits,
      settings: { switchFile: join(this.dir, 'PAUSED'), evidenceDir: join(this.dir, 'evidence'), require: {} },
      actions: [fakeAction(this.service)],
      world: this.world,
      clock: this.clock,
      log: createLog('test', 'silent'),
      metrics: { decision: (guard, result) => this.guards.push(`${guard}:${result}`), run: () => undefined },
      holder: 'h1',
      symptomMs,
      ...this.#change(this),
    });
  }

  async fire(labels: Readonly<Record<string, string>> = { alertname: 'ServiceSick', target: 'svc1' }): Promise<string> {
    const [opened] = await this.deliver([{ status: 'firing', labels }]);
    assert.ok(opened);
    await this.store.setAlertState(opened.episodeId, 'active', '', this.clock.nowMs());
    return opened.episodeId;
  }

  /** One notification, as Alertmanager would send it. */
  async deliver(
    alerts: readonly Pick<IncomingAlert, 'status' | 'labels'>[],
    truncated = false,
  ): Promise<readonly EpisodeChange[]> {
    const hook = { source: 'main', receivedMs: this.clock.nowMs(), receivedBy: 't', body: Buffer.from('{}') };
    const id = await this.store.appendWebhook({
      ...hook,
      alertCount: alerts.length,
      truncatedCount: Number(truncated),
    });
    const incoming = alerts.map(({ status, labels }) => ({
      status,
      labels,
      annotations: {},
      startsWallMs: this.clock.wallMs(),
      endsWallMs: status === 'resolved' ? this.clock.wallMs() : undefined,
      fingerprint: 'f',
    }));
    return await this.store.processWebhook(id, incoming, truncated, this.clock.nowMs());
  }

  /** One evaluation now, whatever was planned. */
  async look(episodeId: string): Promise<Decision> {
    const episode = await this.store.episode(episodeId);
    await this.store.scheduleEval(episodeId, episode?.nextEvalMs, this.clock.nowMs());
    await this.evaluator.tick();
    const decision = (await this.store.decisionsOf(episodeId)).at(-1);
    assert.ok(decision);
    return decision;
  }

  /** Two looks, far enough apart. */
  async lookTwice(episodeId: string): Promise<Decision> {
    await this.look(episodeId);
    this.clock.aheadMs += symptomMs;
    return await this.look(episodeId);
  }

  async told(): Promise<readonly string[]> {
    return (await this.store.dueEscalations(Number.MAX_SAFE_INTEGER)).map((e) => e.labels['alertname'] ?? '');
  }

  runs(): ReturnType<Store['runsOf']> {
    return this.store.runsOf({ limit: 10 });
  }
}

export async function withBench(
  work: (bench: Bench) => Promise<void>,
  change: (bench: Bench) => Partial<EvaluatorDeps<World>> = () => ({}),
): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'pipemedic-evaluator-'));
  const bench = new Bench(dir, change);
  try {
    await work(bench);
  } finally {
    await bench.evaluator.idle();
    await bench.store[Symbol.asyncDispose]();
    await rm(dir, { recursive: true });
  }
}

export function inventoryWith(names: readonly string[]): Inventory {
  const targets = names.map((name) => [name, { name, kind: 'fake', instance: `${name}:1` } as Target] as const);
  return { targets: new Map(targets), pipelines: [], members: [], upstreams: new Map(), remediation: undefined };
}
