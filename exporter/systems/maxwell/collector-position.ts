import { z } from 'zod';
import { collectorOf, type CollectorCall } from '../../collector.ts';
import { emitState, gauge, type Emit } from '../../families.ts';
import { known, unknown } from '../../runtime/known.ts';
import type { MaxwellClient } from './client.ts';
import { judgeTables, readMaxwellTables } from './facts-evidence.ts';
import {
  judgeMaxwell,
  maxwellHealthFact,
  maxwellStates,
  type MaxwellEvidence,
  type MaxwellHealth,
  type PositionMark,
} from './facts-health.ts';

const labels = ['client_id', 'server_id'] as const;
const absent = { state: 'maxwell_state' } as const;

const families = {
  state: gauge(
    'maxwell_state',
    'State of Maxwell: one series per state, 1 for the present one. position_lost: the binary log of its position is gone from the source.',
    ['client_id', 'state'],
  ),
  lag: gauge(
    'maxwell_heartbeat_lag_seconds',
    'Age of the newest heartbeat that went through Maxwell, behind the newest that it wrote; behind the clock of the database once it writes none.',
    labels,
    absent,
  ),
  age: gauge(
    'maxwell_heartbeat_age_seconds',
    'Time since Maxwell wrote its newest heartbeat, by the clock of the database.',
    labels,
    absent,
  ),
  behind: gauge(
    'maxwell_position_behind_bytes',
    'Binary log between the position of Maxwell and the current one of its source.',
    labels,
    absent,
  ),
  headroomBytes: gauge(
    'maxwell_position_purge_headroom_bytes',
    'Binary log on the source before the position of Maxwell: purging more than this loses the position.',
    labels,
    absent,
  ),
  headroomFiles: gauge(
    'maxwell_position_purge_headroom_files',
    'Binary log files on the source before the one that Maxwell reads.',
    labels,
    absent,
  ),
  lost: gauge(
    'maxwell_position_lost',
    '1 when the source no longer has the binary log from the position of Maxwell on.',
    labels,
    absent,
  ),
} as const;

interface State {
  /** Known from the first look on: the address belongs to the client. */
  clientId: string;
  mark: PositionMark | undefined;
  /** What was found before something failed in this sweep: emitted by `unknown`, as what `collect` emitted is dropped. */
  partial: MaxwellHealth | undefined;
  /** A sweep is looked at while it runs too, perhaps more than once: what was found counts until the run has ended. */
  isRunning: boolean;
}

/**
 * Position, lag and state from Maxwell's tables, the source's binary logs and the process. Where a part cannot be read
 * the collector fails with the class of that error, and what the other parts tell is served all the same.
 */
export const positionCollector = collectorOf<MaxwellClient>()({
  name: 'position',
  help: 'State, position and lag of Maxwell from its tables, and whether its source still has what it needs.',
  config: z.strictObject({}),
  families,
  state: (): State => ({ clientId: '', mark: undefined, partial: undefined, isRunning: false }),
  async collect({ client, emit, call, state }) {
    state.clientId = client.address.clientId;
    state.partial = undefined;
    state.isRunning = true;
    try {
      const health = await look(client, state, call);
      emitHealth(emit, state.clientId, health, call);
    } finally {
      state.isRunning = false;
    }
  },
  unknown({ emit, call, state, why }) {
    const health = state.partial ?? withoutTables(unknown(why));
    if (!state.isRunning) state.partial = undefined;
    emitHealth(emit, state.clientId, health, call);
  },
});

async function look(client: MaxwellClient, state: State, call: CollectorCall): Promise<MaxwellHealth> {
  const process = client.process(call).then((found) => {
    state.partial ??= withoutTables(found);
    return found;
  });
  const tables = await readMaxwellTables(client, call);
  const { health, mark } = judgeTables(await process, tables, state.mark, call);
  state.mark = mark;
  if (tables.failure === undefined) return health;
  state.partial = health;
  throw tables.failure;
}

function withoutTables(process: MaxwellEvidence['process']): MaxwellHealth {
  const nothing = unknown(process.known ? 'its tables were not read in time' : process.why);
  return judgeMaxwell({ process, position: nothing, binlogs: nothing, gtidsPurged: nothing, movement: nothing });
}

function emitHealth(emit: Emit<typeof families>, clientId: string, health: MaxwellHealth, call: CollectorCall): void {
  call.board.publish(call.target, maxwellHealthFact, known(health, call.clock.wallMs()));
  emitState(
    (value, state) => {
      emit.state(value, { client_id: clientId, state });
    },
    maxwellStates,
    health.state,
  );
  if (!health.serverId.known) return;
  const of = { client_id: clientId, server_id: String(health.serverId.value) };
  if (health.lagSeconds.known) emit.lag(health.lagSeconds.value, of);
  if (health.heartbeatAgeSeconds.known) emit.age(health.heartbeatAgeSeconds.value, of);
  if (health.behindBytes.known) emit.behind(health.behindBytes.value, of);
  if (!health.purge.known) return;
  const { lost, bytes, files } = health.purge.value;
  emit.lost(lost ? 1 : 0, of);
  if (bytes !== undefined) emit.headroomBytes(bytes, of);
  if (files !== undefined) emit.headroomFiles(files, of);
}
