// For people: what stands in the way, and the commands for what is theirs alone. Pure.
import type { Advice } from '../../model.ts';
import type { PairFacts } from './facts.ts';
import { partialPossible, type ReconnectParams } from './reconnect-verdicts.ts';

export function reconnectAdvice(facts: PairFacts, { backlogShare }: ReconnectParams): readonly Advice[] {
  const { replica, primary } = facts;
  if (!replica.known) return [];
  const { link } = replica.value;
  const found: Advice[] = [];
  if (link !== undefined && !link.up && !link.syncInProgress) found.push(diagnosis(link));
  if (primary.known && replica.value.role === 'replica' && primary.value.role === 'primary') {
    const partial = partialPossible({ replica: replica.value, primary: primary.value }, backlogShare);
    if (partial.code === 'full_copy' || partial.code === 'backlog_short') {
      found.push(backlog(primary.value.backlog.sizeBytes));
    }
  }
  return found;
}

function diagnosis({ host, port }: { readonly host: string; readonly port: string }): Advice {
  return {
    title: 'The link is down: Redis tries again every second, so something keeps it from succeeding',
    text: [
      `# On the replica's machine; its log says what it stumbles over ("MASTER <-> REPLICA sync", "Error condition on socket")`,
      `redis-cli -h ${host} -p ${port} PING            # name, route, firewall, TLS`,
      '# masteruser and masterauth of the replica against the users of the primary (NOAUTH, WRONGPASS, NOPERM in its log);',
      '# the primary needs for that user: +psync +replconf +ping',
      `redis-cli -h ${host} -p ${port} INFO clients    # connected_clients against maxclients`,
    ].join('\n'),
  };
}

function backlog(sizeBytes: number): Advice {
  const larger = Math.max(16 * 1024 * 1024, 4 * sizeBytes);
  return {
    title: 'A reconnect would cost a full copy',
    text: [
      '# For this time: policy with action redis.replica.full-resync, by approval, if the replica is not to find its own way.',
      '# For the next time: a backlog that outlasts what the link is broken for, on the primary, online, and in its file',
      `redis-cli -h PRIMARY CONFIG SET repl-backlog-size ${String(larger)}`,
      'redis-cli -h PRIMARY CONFIG REWRITE',
    ].join('\n'),
  };
}

export function resyncAdvice(target: string, { settings, replica }: PairFacts): readonly Advice[] {
  if (!replica.known) return [];
  const { dir, dbfilename } = settings.replica.known ? settings.replica.value : {};
  const file = dir === undefined || dbfilename === undefined ? 'DIR/DBFILENAME' : `${dir}/${dbfilename}`;
  return [
    {
      title: 'Before it is approved: a copy of what the replica has, to go back to',
      text: [
        `# The copy from the primary takes the place of the replica's own file (seen on Redis 7.0.15): move it away first`,
        `redis-cli -h ${target} BGSAVE     # then wait for rdb_bgsave_in_progress:0 and rdb_last_bgsave_status:ok`,
        `cp ${file} ${file}.before`,
      ].join('\n'),
    },
  ];
}
