import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { gauge } from '../../families.ts';
import { known, unknown } from '../../runtime/known.ts';
import type { MysqlClient } from './client.ts';
import { cdcReady, readServer, serverFact } from './facts-server.ts';

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
    const server = await readServer(client, call);
    emit.info(1, {
      innodb_version: server.innodbVersion,
      version: server.version,
      version_comment: server.versionComment,
    });
  },
});

export const cdcReadyCollector = collectorOf<MysqlClient>()({
  name: 'cdc_ready',
  help: 'Whether the server writes its binary logs as readers of changes need them.',
  config: z.strictObject({}),
  families: {
    ready: gauge(
      'mysql_binlog_cdc_ready',
      '1 where a setting is as readers of changes need it: log_bin=ON, binlog_format=ROW, binlog_row_image=FULL, server_id not 0.',
      ['check'],
    ),
  },
  state: () => undefined,
  async collect({ client, emit, call }) {
    const server = await readServer(client, call);
    call.board.publish(call.target, serverFact, known(server, call.clock.wallMs()));
    for (const { check, ok } of cdcReady(server)) emit.ready(ok ? 1 : 0, { check });
  },
  unknown({ call, why }) {
    call.board.publish(call.target, serverFact, unknown(why));
  },
});
