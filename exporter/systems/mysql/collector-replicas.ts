import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { gauge } from '../../families.ts';
import type { MysqlClient } from './client.ts';
import { readReplicas } from './facts-replicas.ts';

/** Off as in mysqld_exporter: it needs a privilege that is worth more than the series. mysql_dump_threads needs none of that kind. */
export const replicasCollector = collectorOf<MysqlClient>()({
  name: 'slave_hosts',
  help: 'The replicas that have registered with this server.',
  defaultOn: false,
  config: z.strictObject({}),
  families: {
    // A slip of the peer in putting the name together, which people's rules have
    peer: gauge('mysql_heartbeat_mysql_slave_hosts_info', 'Information about running slaves.', [
      'server_id',
      'slave_host',
      'port',
      'master_id',
      'slave_uuid',
    ]),
    replica: gauge('mysql_connected_replica_info', 'Replicas that have registered with this server.', [
      'server_id',
      'replica_host',
      'port',
      'source_id',
      'replica_uuid',
    ]),
  },
  state: () => undefined,
  async collect({ client, emit, call }) {
    for (const { serverId, host, port, sourceId, uuid } of await readReplicas(client, call)) {
      emit.peer(1, { server_id: serverId, slave_host: host, port, master_id: sourceId, slave_uuid: uuid });
      emit.replica(1, { server_id: serverId, replica_host: host, port, source_id: sourceId, replica_uuid: uuid });
    }
  },
});
