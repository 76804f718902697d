// mysql.replica.restart-thread on real servers, with the remediator's own account; the witness is the replica's general log.
import { startDatabases, type DatabaseLab } from '../../deploy/lab/databases.ts';
import { waitFor } from '../../deploy/lab/ready.ts';
import { databasePorts, type Release } from '../../deploy/lab/release.ts';
import { inventoryOf, type Inventory } from '../../exporter/config/inventory.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { within } from '../../exporter/runtime/deadline.ts';
import { systems } from '../../exporter/systems/index.ts';
import type { Action, Look } from '../../remediator/action.ts';
import { mysqlReplicaRestartThread as action } from '../../remediator/actions/mysql-replica-restart-thread.ts';
import type { Json, Run } from '../../remediator/model.ts';
import { createWorld, type World } from '../../remediator/world.ts';
import { harness, type Harness } from '../unit/remediator/run-harness.ts';

export const target = 'db2';

/** Short where the defaults are long; what is verified stays the same. */
export const quick = { stuckSeconds: 1, stableSeconds: 1, verifySeconds: 60 };

export interface MysqlRepair {
  readonly lab: DatabaseLab;
  readonly world: World;
  readonly inventory: Inventory;
  readonly look: (params?: Json) => Promise<Look<unknown>>;
  /** Looks until nothing is against it, then lets a runner do it; without waiting when `now` is set. */
  readonly run: (params?: Json, options?: RunOptions) => Promise<Run & { readonly journalText: string }>;
  /** START, STOP and KILL that the remediator's account has said since the last call of `mark`. */
  readonly said: () => Promise<readonly { readonly connection: number; readonly statement: string }[]>;
  /** Everything that its account has said, since the server's start. */
  readonly everything: () => Promise<string>;
  readonly mark: () => Promise<void>;
}

export interface RunOptions {
  /** Whatever the look says. */
  readonly now?: boolean;
  readonly change?: (action: Action<unknown>) => Action<unknown>;
}

export async function startMysqlRepair(release: Release): Promise<MysqlRepair> {
  const witness = { 'general-log': 'ON', 'log-output': 'TABLE' };
  const lab = await startDatabases(release, { options: { replica: { settings: witness } } });
  const auth = { user: 'remediator', password_file: lab.secretFile('remediator') };
  const at = (port: number): Json => ({ host: lab.address, port });
  const inventory = inventoryOf(
    {
      targets: [
        { name: 'db1', kind: 'mysql', address: at(databasePorts.source), auth },
        { name: 'db2', kind: 'mysql', address: at(databasePorts.replica), auth },
      ],
      pipelines: [{ name: 'orders', source: 'db1', replicas: ['db2'], objective: '1m' }],
    },
    'test',
    systems,
  );
  const world = createWorld({ inventory, settings: { auth: new Map(), supervisors: new Map() }, clock: systemClock });
  const look = (params: Json = {}): Promise<Look<unknown>> => action.look(target, with_(params), world, within(15_000));
  let since = '';
  const rows = async (where: string): Promise<readonly Readonly<Record<string, unknown>>[]> =>
    await lab.sql(
      'replica',
      `SELECT thread_id AS connection, CONVERT(argument USING utf8mb4) AS statement FROM mysql.general_log
        WHERE user_host LIKE '%remediator%' AND command_type = 'Query' ${where} ORDER BY event_time`,
    );
  return {
    lab,
    world,
    inventory,
    look,
    run: async (params = {}, { now = false, change = same } = {}) => {
      if (!now) await willAct(look, params);
      await using h = await harness();
      return await conduct(h, change(bound(with_(params), world)));
    },
    said: async () =>
      (await rows(since === '' ? '' : `AND event_time > '${since}'`))
        .map((row) => ({ connection: Number(row['connection']), statement: String(row['statement']) }))
        .filter(({ statement }) => /^(START|STOP|KILL)/.test(statement)),
    everything: async () => (await rows('')).map((row) => String(row['statement'])).join('\n'),
    mark: async () => {
      const [row] = await lab.sql('replica', 'SELECT CAST(NOW(6) AS CHAR) AS now');
      since = String(row?.['now']);
    },
  };
}

function same(unchanged: Action<unknown>): Action<unknown> {
  return unchanged;
}

function with_(params: Json): Json {
  return { ...quick, ...(params as object) };
}

/** The action on the replica, as one on the harness's service. */
function bound(params: Json, world: World): Action<unknown> {
  const { lock, fence } = action;
  return {
    ...action,
    look: (_target, _params, _world, signal) => action.look(target, params, world, signal),
    lock: lock && ((_target, _params, _world, signal) => lock(target, params, world, signal)),
    fence: fence && ((_target, _params, _world, sessions, signal) => fence(target, params, world, sessions, signal)),
    steps: () => action.steps(target, params, world),
    soak: (_target, _params, _world, run) => action.soak(target, params, world, run),
  };
}

async function conduct(h: Harness, bound_: Action<unknown>): Promise<Run & { readonly journalText: string }> {
  const { run, hold, evidenceHash } = await h.claim(bound_);
  const runner = h.runner(bound_);
  runner.begin(run, hold, evidenceHash);
  await runner.idle();
  const ended = await h.onlyRun();
  return { ...ended, journalText: JSON.stringify(await h.journal()) };
}

export function against(look: Look<unknown>): string {
  const all = [look.alreadyFixed, ...Object.values(look.preconditions)].filter((v) => v.is !== 'allow');
  return all.map((v) => `${v.is} ${v.code}: ${v.because}`).join('\n');
}

async function willAct(look: MysqlRepair['look'], params: Json): Promise<void> {
  let last = '';
  await waitFor(
    async () => {
      last = against(await look(params));
      return last === '';
    },
    { what: 'a look that has nothing against it', detail: () => last, intervalMs: 500 },
  );
}
