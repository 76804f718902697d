import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { gauge } from '../../families.ts';
import { known, unknown } from '../../runtime/known.ts';
import type { MysqlClient } from './client.ts';
import { binlogsFact, readBinlogs } from './facts-binlogs.ts';

/** Nothing is emitted for a server that writes no binary logs, as in mysqld_exporter; mysql_binlog_cdc_ready tells. */
const absent = { state: 'mysql_binlog_cdc_ready' } as const;

export const binlogCollector = collectorOf<MysqlClient>()({
  name: 'binlog',
  help: 'Number and size of the binary logs.',
  config: z.strictObject({}),
  families: {
    size: gauge('mysql_binlog_size_bytes', 'Combined size of all registered binlog files.', [], absent),
    files: gauge('mysql_binlog_files', 'Number of registered binlog files.', [], absent),
    number: gauge('mysql_binlog_file_number', 'The last binlog file number.', [], absent),
    oldest: gauge('mysql_binlog_oldest_file_number', 'The number of the oldest binlog file.', [], absent),
  },
  state: () => undefined,
  async collect({ client, emit, call }) {
    const binlogs = await readBinlogs(client, call);
    call.board.publish(call.target, binlogsFact, known(binlogs, call.clock.wallMs()));
    const { files } = binlogs;
    const [oldest, newest] = [files[0], files.at(-1)];
    if (oldest === undefined || newest === undefined) return;
    emit.size(files.reduce((sum, file) => sum + file.sizeBytes, 0));
    emit.files(files.length);
    emit.number(newest.number);
    emit.oldest(oldest.number);
  },
  unknown({ call, why }) {
    call.board.publish(call.target, binlogsFact, unknown(why));
  },
});
