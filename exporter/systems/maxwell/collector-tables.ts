import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { gauge } from '../../families.ts';
import type { MaxwellClient } from './client.ts';
import { tablesOf } from './facts-evidence.ts';
import { readRows, rowKinds } from './facts-rows.ts';

const absent = { state: 'maxwell_state' } as const;

export const tablesCollector = collectorOf<MaxwellClient>()({
  name: 'tables',
  help: 'What else stands in the tables of Maxwell: rows that nobody uses, other clients, changes of the schema.',
  config: z.strictObject({}),
  families: {
    rows: gauge(
      'maxwell_position_rows',
      'Rows of this client in positions by kind. former_server: left over from a server that it reads no more. other_mode: left over from before GTID mode, or from it.',
      ['client_id', 'kind'],
      absent,
    ),
    others: gauge(
      'maxwell_other_clients',
      'Other client_ids in positions; a client whose row is missing begins where another one stands.',
      ['client_id'],
      absent,
    ),
    schemas: gauge(
      'maxwell_schemas',
      'Rows of schemas, one per change of a table that was seen; counted up to 100000.',
      ['client_id'],
      absent,
    ),
    newest: gauge(
      'maxwell_schema_newest_id',
      'Newest id in schemas: its growth is how often tables were changed, of all clients of this schema.',
      ['client_id'],
      absent,
    ),
  },
  state: () => undefined,
  async collect({ client, emit, call }) {
    const client_id = client.address.clientId;
    const tables = await tablesOf(client, call);
    const { kinds, otherClients, schemas } = await readRows(await client.mysql(call), tables, call);
    for (const kind of rowKinds) emit.rows(kinds[kind], { client_id, kind });
    emit.others(otherClients, { client_id });
    emit.schemas(schemas.count, { client_id });
    emit.newest(schemas.newestId, { client_id });
  },
});
