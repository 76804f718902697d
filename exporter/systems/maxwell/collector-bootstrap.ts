import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, gauge } from '../../families.ts';
import { durationMs } from '../../fields.ts';
import type { MaxwellClient } from './client.ts';
import {
  bootstrapStates,
  readBootstrapWork,
  watchBootstraps,
  type BootstrapMark,
  type BootstrapState,
} from './facts-bootstrap.ts';

const absent = { state: 'maxwell_bootstrap_state' } as const;
const ofTable = ['client_id', 'database', 'table'] as const;

interface State {
  /** Known from the first look on: the address belongs to the client. */
  clientId: string;
  mark: BootstrapMark | undefined;
}

export const bootstrapCollector = collectorOf<MaxwellClient>()({
  name: 'bootstrap',
  help: 'Bootstraps that are running or requested, from the tables of Maxwell.',
  keeps: 'the progress before: since when a bootstrap stands still',
  config: z.strictObject({
    /** Without a new row for this long, a bootstrap that runs has stalled. */
    stalled_after: durationMs.default(60_000),
    /** Tables with progress of their own; the rest is in the counts. */
    max_tables: z.int().min(0).max(1000).default(20),
  }),
  families: {
    state: gauge(
      'maxwell_bootstrap_state',
      'State of the bootstraps of this client: one series per state, 1 for the present one. stalled: one runs, and no row was copied for a while.',
      ['client_id', 'state'],
    ),
    running: gauge(
      'maxwell_bootstraps_running',
      'Bootstraps that were started and are not complete; a restart begins them anew.',
      ['client_id'],
      absent,
    ),
    queued: gauge(
      'maxwell_bootstraps_queued',
      'Bootstraps that were requested and not started; counted up to 1000.',
      ['client_id'],
      absent,
    ),
    inserted: gauge('maxwell_bootstrap_rows_inserted', 'Rows that the running bootstrap has copied.', ofTable, absent),
    total: gauge(
      'maxwell_bootstrap_rows_total',
      'Rows that the running bootstrap will copy, as counted when it was requested; absent when it was not counted.',
      ofTable,
      absent,
    ),
  },
  state: (): State => ({ clientId: '', mark: undefined }),
  async collect({ client, config, emit, call, state }) {
    const { schema, clientId } = client.address;
    state.clientId = clientId;
    const work = await readBootstrapWork(await client.mysql(call), { schema, clientId }, call);
    const seen = watchBootstraps(work, state.mark, call.clock.monoMs(), config.stalled_after);
    state.mark = seen.mark;
    const client_id = clientId;
    emitStates(emit.state, client_id, seen.state);
    emit.running(work.running.length, { client_id });
    emit.queued(work.queued, { client_id });
    // One series per table: of two requests for it, that of the newer counts.
    const byTable = new Map(work.running.map((b) => [`${b.database}\0${b.table}`, b]));
    for (const { database, table, insertedRows, totalRows } of [...byTable.values()].slice(0, config.max_tables)) {
      emit.inserted(insertedRows, { client_id, database, table });
      if (totalRows > 0) emit.total(totalRows, { client_id, database, table });
    }
  },
  unknown({ emit, state }) {
    emitStates(emit.state, state.clientId, 'unknown');
  },
});

function emitStates(
  emit: (value: number, labels: { readonly client_id: string; readonly state: string }) => void,
  client_id: string,
  current: BootstrapState,
): void {
  emitState(
    (value, state) => {
      emit(value, { client_id, state });
    },
    bootstrapStates,
    current,
  );
}
