// What the remediator's own user must be allowed to, on either side, and the exact line that allows it. Pure.
import { grantOf } from '../../../exporter/systems/redis/client-refusals.ts';

/** What is read on both sides of a link. None of it sees a key or its value. */
export const readCommands = ['ping', 'info', 'client|list', 'config|get'] as const;
/** On the replica, to end a link. */
const reconnectCommands = ['client|kill'] as const;
/** On the replica, to have it copied anew. */
const resyncCommands = ['client|kill', 'client|id', 'client|setname', 'multi', 'exec', 'replicaof'] as const;

export type RedisActionName = 'redis.replica.reconnect' | 'redis.replica.full-resync';

/** By the side of the link; for `doctor`. */
export function needs(action: RedisActionName): Readonly<Record<'primary' | 'replica', readonly string[]>> {
  const more = action === 'redis.replica.reconnect' ? reconnectCommands : resyncCommands;
  return { primary: readCommands, replica: [...readCommands, ...more] };
}

/** The whole user: no key, no channel, nothing but what is needed. The password is for people to fill in. */
export function aclLine(user: string, commands: readonly string[]): string {
  const plus = commands.map((command) => `+${command}`).join(' ');
  return `ACL SETUSER ${user} on >PASSWORD resetkeys resetchannels -@all ${plus}`;
}

export function grantFor(command: string, user: string | undefined): string {
  return `To allow it: ${grantOf(command, user)}`;
}

/** Values that name nothing, for ACL DRYRUN (Redis 7), which says whether a command might be run and does not run it. */
const samples: Readonly<Record<string, readonly string[]>> = {
  'client|list': ['TYPE', 'master'],
  'client|kill': ['LADDR', '127.0.0.1:1', 'TYPE', 'master'],
  'client|setname': ['name'],
  'config|get': ['repl-timeout'],
  replicaof: ['127.0.0.1', '1'],
};

/** What the replica's user must be allowed to, as commands; for `doctor`. */
export function sampleCommands(action: RedisActionName): readonly (readonly string[])[] {
  return needs(action).replica.map((name) => [...name.toUpperCase().split('|'), ...(samples[name] ?? [])]);
}
