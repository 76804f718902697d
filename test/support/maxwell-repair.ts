// The remediator's evaluator on the Maxwell of a lab, with a store of its own; the test plays Alertmanager.
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { waitFor, type Lab } from '../../deploy/lab/lab.ts';
import { loadInventory } from '../../exporter/config/loader.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { createLog } from '../../exporter/runtime/log.ts';
import { actions } from '../../remediator/actions/index.ts';
import { openLedger } from '../../remediator/clock.ts';
import { createEvaluator, type Evaluator } from '../../remediator/evaluator.ts';
import { defaultLimits } from '../../remediator/policies.ts';
import type { Policy } from '../../remediator/guard.ts';
import type { AlertState, Decision, Json, JournalEntry, Run } from '../../remediator/model.ts';
import { newHolder } from '../../remediator/holder.ts';
import { openSqlite } from '../../remediator/store/sqlite.ts';
import type { Store } from '../../remediator/store/store.ts';
import { processSupervisor } from '../../remediator/supervisors/process-client.ts';
import type { Supervisor } from '../../remediator/supervisors/supervisor.ts';
import { witnessLineSchema, type WitnessLine } from '../../remediator/supervisors/process-wire.ts';
import { createWorld } from '../../remediator/world.ts';

export interface Repair extends AsyncDisposable {
  readonly store: Store;
  readonly evaluator: Evaluator;
  readonly switchFile: string;
  readonly dir: string;
  /** Delivers a firing alert for the target; gives the episode. */
  readonly fire: (labels?: Readonly<Record<string, string>>) => Promise<string>;
  /** Ticks, with Alertmanager saying `state`, until the condition gives something. */
  readonly until: <T>(what: string, deadlineMs: number, condition: () => Promise<T | undefined | false>) => Promise<T>;
  alertState: AlertState;
  /** Makes the next evaluation due now. */
  readonly soon: () => Promise<void>;
  readonly ended: (deadlineMs: number) => Promise<Run>;
  readonly decided: (reason: string, deadlineMs: number) => Promise<Decision>;
  readonly runs: () => Promise<readonly Run[]>;
  readonly journal: () => Promise<readonly JournalEntry[]>;
}

/** Short where the shipped policy is long; what is verified stays the same. */
export const quickParams = { startingSeconds: 1, startStableSeconds: 1, verifySeconds: 60, sourceUpSeconds: 5 };

export function quickPolicy(params: Readonly<Record<string, Json>> = {}): Policy {
  return {
    name: 'maxwell-down',
    mode: 'auto',
    match: { alertname: 'MaxwellDown' },
    action: 'maxwell.restart',
    params: { ...quickParams, ...params },
    pace: { maxRuns: 3, windowMs: 3_600_000, cooldownMs: 1_000, maxRelapses: 2 },
    soakMs: 2_000,
    relapseMs: 900_000,
    windows: [],
    approval: { role: 'operator', expiresMs: 3_600_000 },
    chain: [],
  };
}

export interface RepairOptions {
  readonly policy?: Policy;
  /** Another service than the lab's Maxwell stands behind the target. */
  readonly supervisorSocket?: string;
  /** For what must happen between two steps. */
  readonly wrapSupervisor?: (supervisor: Supervisor) => Supervisor;
}

export async function startRepair(lab: Lab, options: RepairOptions = {}): Promise<Repair> {
  const { policy = quickPolicy() } = options;
  const wrapSupervisor = options.wrapSupervisor ?? ((supervisor: Supervisor): Supervisor => supervisor);
  const dir = await mkdtemp(join(tmpdir(), 'pipemedic-repair-'));
  const socket = options.supervisorSocket ?? lab.files.supervisorSocket;
  seedFence(join(dir, 'store.db'), await fenceSeenAt(socket));
  const store = openSqlite({ file: join(dir, 'store.db') });
  const inventory = await loadInventory(lab.files.pipemedic);
  const clock = await openLedger(store, 3_600_000);
  const auth = { user: 'remediator', password_file: lab.secretFile('remediator') };
  const switchFile = join(dir, 'PAUSED');
  const world = createWorld({
    inventory,
    settings: { auth: new Map([['db1', auth]]), supervisors: new Map([['maxwell1', { kind: 'process', socket }]]) },
    clock: systemClock,
  });
  const evaluator = createEvaluator({
    store,
    inventory,
    policies: () => [policy],
    limits: () => defaultLimits,
    settings: { switchFile, evidenceDir: join(dir, 'evidence'), require: {} },
    actions,
    world: {
      ...world,
      supervisor: (target) => {
        const found = world.supervisor(target);
        return found === undefined ? undefined : wrapSupervisor(found);
      },
    },
    clock,
    log: createLog('repair', process.env['PIPEMEDIC_TEST_LOG'] ?? 'silent'),
    metrics: { decision: () => undefined, run: () => undefined },
    holder: newHolder(),
  });
  let episodeId = '';
  const repair: Repair = {
    store,
    evaluator,
    switchFile,
    dir,
    alertState: 'active',
    soon: async () => {
      const episode = await store.episode(episodeId);
      await store.scheduleEval(episodeId, episode?.nextEvalMs, clock.nowMs());
    },
    fire: async (labels = {}) => {
      const hook = { source: 'main', receivedMs: clock.nowMs(), receivedBy: 'test', body: Buffer.from('{}') };
      const id = await store.appendWebhook({ ...hook, alertCount: 1, truncatedCount: 0 });
      const alert = {
        status: 'firing',
        labels: { alertname: 'MaxwellDown', target: 'maxwell1', ...labels },
        annotations: {},
        startsWallMs: Date.now(),
        endsWallMs: undefined,
        fingerprint: 'f',
      } as const;
      const [change] = await store.processWebhook(id, [alert], false, clock.nowMs());
      if (change === undefined) throw new Error('the alert opened no episode');
      episodeId = change.episodeId;
      return episodeId;
    },
    until: (what, deadlineMs, condition) =>
      waitFor(
        async () => {
          await store.setAlertState(episodeId, repair.alertState, 'test', clock.nowMs());
          await evaluator.tick();
          return await condition();
        },
        {
          deadlineMs,
          what,
          intervalMs: 200,
          detail: () => lab.part('maxwell').log().split('\n').slice(-15).join('\n'),
        },
      ),
    ended: (deadlineMs) =>
      repair.until('the end of a run', deadlineMs, async () => {
        const [run] = await repair.runs();
        return run?.state === 'ended' ? run : undefined;
      }),
    decided: (reason, deadlineMs) =>
      repair.until(`the decision ${reason}`, deadlineMs, async () =>
        (await store.decisionsOf(episodeId)).findLast((d) => d.reasonKey === reason),
      ),
    runs: () => store.runsOf({ target: 'maxwell1', limit: 20 }),
    journal: async () => {
      const [run] = await repair.runs();
      return run === undefined ? [] : await store.journalOf(run.id);
    },
    [Symbol.asyncDispose]: async () => {
      await evaluator.drain(AbortSignal.timeout(20_000));
      await store[Symbol.asyncDispose]();
      await rm(dir, { recursive: true, force: true });
    },
  };
  return repair;
}

/** A store that has been in use has given out every fence that the supervisor has seen; a new one would be fenced off. */
export function seedFence(storeFile: string, fence: number): void {
  void openSqlite({ file: storeFile })[Symbol.asyncDispose](); // makes the tables
  const db = new DatabaseSync(storeFile, { timeout: 5_000 });
  db.prepare("INSERT INTO lease(scope, fence, expires_ms) VALUES('target:maxwell1', ?, 0)").run(fence);
  db.close();
}

export async function fenceSeenAt(socket: string): Promise<number> {
  const state = await processSupervisor({ socket }, Date.now).state(AbortSignal.timeout(10_000));
  if (!state.known) throw new Error(state.why);
  return state.value.maxFence ?? 0;
}

/** What the supervisor has seen: its own append-only record, not the remediator's. */
function witness(lab: Lab): readonly WitnessLine[] {
  return readFileSync(lab.files.witness, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => witnessLineSchema.parse(JSON.parse(line)));
}

/** Lines since then, as `start run:…` and `stop-request run:…`. */
export function witnessSince(lab: Lab, n: number): readonly string[] {
  return witness(lab)
    .filter((line) => line.n > n && (line.event === 'start' || line.event === 'stop-request'))
    .map((line) => `${line.event} ${line.by?.split(':')[0] ?? ''}`);
}

export function lastLine(lab: Lab): number {
  return witness(lab).at(-1)?.n ?? 0;
}
