import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, gauge } from '../../families.ts';
import { durationMs } from '../../fields.ts';
import { known, mapKnown, unknown, type Known } from '../../runtime/known.ts';
import type { MysqlClient } from './client.ts';
import { cdcChecks, cdcFindings, cdcStates, readBinlogFilters, readReaderGrants, type CdcNeeds } from './facts-cdc.ts';
import { replicationFact } from './facts-replication.ts';
import { readServer, readServerOnce, serverFact } from './facts-server.ts';

export const versionCollector = collectorOf<MysqlClient>()({
  name: 'version',
  help: 'Version of the server.',
  config: z.strictObject({}),
  families: {
    info: gauge('mysql_version_info', 'MySQL version and distribution.', [
      'innodb_version',
      'version',
      'version_comment',
    ]),
  },
  state: () => undefined,
  async collect({ client, emit, call }) {
    const server = await readServerOnce(client, call);
    emit.info(1, {
      innodb_version: server.innodbVersion,
      version: server.version,
      version_comment: server.versionComment,
    });
  },
});

const stateFamily = 'mysql_binlog_cdc_ready_state';

const cdcOptions = z.strictObject({
  /** `full` for readers that take the names of columns from the binary log. */
  row_metadata: z.enum(['any', 'full']).default('any'),
  /** Whether the reader goes by GTIDs. */
  gtid: z.boolean().default(false),
  /** How long binary logs have to be kept at least. */
  min_retention: durationMs.prefault('1d'),
  /** binlog-do-db and binlog-ignore-db are there on purpose. */
  allow_filters: z.boolean().default(false),
  /** `name@host`, the account of the reader. To see its grants takes SELECT on mysql.*, unless it is our own. */
  cdc_user: z.string().min(1).max(288).optional(),
});

/** @param written the options of the collector as they stand in the inventory; `false` where it is switched off */
export function cdcNeedsOf(written: unknown): CdcNeeds {
  return needsOf(cdcOptions.parse(written === false ? {} : (written ?? {})));
}

function needsOf(options: z.output<typeof cdcOptions>): CdcNeeds {
  return {
    rowMetadata: options.row_metadata,
    gtid: options.gtid,
    minRetentionSeconds: options.min_retention / 1000,
    allowFilters: options.allow_filters,
    user: options.cdc_user,
  };
}

export const cdcReadyCollector = collectorOf<MysqlClient>()({
  name: 'cdc_ready',
  help: 'Whether the server writes its binary logs as readers of changes need them.',
  config: cdcOptions,
  families: {
    ready: gauge(
      'mysql_binlog_cdc_ready',
      '1 where a setting is as readers of changes need it, 0 where it breaks them. Absent where nothing needs it.',
      ['check'],
      { state: stateFamily },
    ),
    state: gauge(stateFamily, '1 for what is known of a setting that readers of changes need.', ['check', 'state']),
  },
  /** Whether it is a replica, from the last sweep that knew. */
  state: (): { isReplica: Known<boolean> } => ({ isReplica: unknown('not seen yet') }),
  async collect({ client, config, emit, call, state: kept }) {
    const server = await readServer(client, call);
    call.board.publish(call.target, serverFact, known(server, call.clock.wallMs()));
    const filters = await readBinlogFilters(client, call);
    const grants = await readReaderGrants(client, config.cdc_user, call);
    const isReplica = mapKnown(call.board.read(call.target, replicationFact), (channels) => channels.length > 0);
    if (isReplica.known) kept.isReplica = isReplica;
    const source = { server, client, filters, isReplica: kept.isReplica, grants };
    const needs = needsOf(config);
    for (const { check, state: current } of cdcFindings(source, needs)) {
      if (current === 'ready' || current === 'not_ready') emit.ready(current === 'ready' ? 1 : 0, { check });
      emitState(
        (value, state) => {
          emit.state(value, { check, state });
        },
        cdcStates,
        current,
      );
    }
  },
  unknown({ emit, call, why }) {
    call.board.publish(call.target, serverFact, unknown(why));
    for (const check of cdcChecks) {
      emitState(
        (value, state) => {
          emit.state(value, { check, state });
        },
        cdcStates,
        'unknown',
      );
    }
  },
});
