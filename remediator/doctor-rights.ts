// What the remediator's own credentials may do on a target, asked without doing any of it.
import type { Call } from '../exporter/collector.ts';
import { messageOf, TargetError } from '../exporter/runtime/errors.ts';
import type { Finding } from '../exporter/findings.ts';
import { mysqlAddress } from '../exporter/systems/mysql/address.ts';
import { openMysql, type MysqlClient } from '../exporter/systems/mysql/client.ts';
import {
  binlogPrivilege,
  grantFor,
  holds,
  readOwnGrants,
  type Grants,
} from '../exporter/systems/mysql/facts-grants.ts';
import { redisAddress } from '../exporter/systems/redis/address.ts';
import { openRedis, type RedisClient } from '../exporter/systems/redis/client.ts';
import { deliveryFinding } from './actions/cdc-service/needs.ts';
import { sampleCommands } from './actions/redis/acl.ts';
import { sourcesOf as replicatedFrom } from './actions/mysql/facts.ts';
import { needFindings, replicaNeeds, sourceNeeds } from './actions/mysql/needs.ts';
import type { World } from './world.ts';

/** What an action needs beyond looking. */
export interface Rights {
  /** Replaces the privileges' names where servers differ. */
  readonly mysql?: 'replication' | 'maxwell_source';
  /** Commands as they would be sent, with values that name nothing. */
  readonly redis?: readonly (readonly string[])[];
  /** Whether what it delivers can be seen. */
  readonly delivery?: boolean;
}

/** By the name of the action; one that is not here needs a supervisor only, and its look tells of that one. */
function rightsOf(action: string): Rights {
  if (action.startsWith('mysql.replica.')) return { mysql: 'replication' };
  if (action.startsWith('maxwell.')) return { mysql: 'maxwell_source' };
  if (action === 'redis.replica.reconnect' || action === 'redis.replica.full-resync') {
    return { redis: sampleCommands(action) };
  }
  if (action.startsWith('cdc-service.')) return { delivery: true };
  return {};
}

/** Never rejects: what cannot be asked is a finding. */
export async function examineRights(
  world: World,
  action: string,
  target: string,
  call: Call,
): Promise<readonly Finding[]> {
  const { mysql, redis, delivery } = rightsOf(action);
  const findings: Finding[] = [];
  if (mysql === 'replication') {
    findings.push(...(await withMysql(world, target, call, replicaRights)));
    for (const source of replicatedFrom(target, world)) {
      findings.push(...(await withMysql(world, source, call, replicationSourceRights)));
    }
  }
  if (mysql === 'maxwell_source') {
    for (const source of sourcesOf(world, target)) {
      findings.push(...(await withMysql(world, source, call, sourceRights)));
    }
  }
  if (redis !== undefined) findings.push(...(await redisRights(world, target, redis, call)));
  if (delivery === true) findings.push(await deliveryFinding(target, world, call.signal));
  return findings;
}

/** The databases that its pipelines read. */
function sourcesOf({ inventory }: World, cdc: string): readonly string[] {
  return [...new Set(inventory.pipelines.flatMap((p) => (p.cdc === cdc ? [p.source] : [])))].sort();
}

async function withMysql(
  world: World,
  target: string,
  call: Call,
  judge: (client: MysqlClient, grants: Grants, target: string) => readonly Finding[],
): Promise<readonly Finding[]> {
  try {
    const opening = world.opening(target, (address) => mysqlAddress.parse(address));
    await using client = await openMysql(opening, call);
    const grants = await readOwnGrants(client, call);
    return [
      { check: 'login', ok: true, text: `${target}: logged in as ${client.account}` },
      ...judge(client, grants, target),
    ];
  } catch (error) {
    return [loginFault(target, error)];
  }
}

function loginFault(target: string, error: unknown): Finding {
  // No account mends a server that does not answer.
  const fix =
    error instanceof TargetError && ['refused', 'unreachable', 'deadline'].includes(error.code)
      ? `bring ${target} up, or mend its address in the inventory`
      : `remediation.auth.${target}: {user: …, password_file: …}, an account of the remediator's own`;
  return { check: 'login', ok: false, text: `${target}: ${messageOf(error)}`, fix };
}

function replicaRights(client: MysqlClient, grants: Grants, target: string): readonly Finding[] {
  return needFindings(client, grants, target, replicaNeeds(client));
}

function replicationSourceRights(client: MysqlClient, grants: Grants, target: string): readonly Finding[] {
  return needFindings(client, grants, target, sourceNeeds(client));
}

function sourceRights(client: MysqlClient, grants: Grants, target: string): readonly Finding[] {
  return privileges(client, grants, target, [binlogPrivilege(client), 'PROCESS']);
}

function privileges(client: MysqlClient, grants: Grants, target: string, each: readonly string[]): readonly Finding[] {
  return each.map((first): Finding => {
    const check = `grant_${first.toLowerCase().replaceAll(/[ _]/g, '_')}`;
    if (holds(grants, first)) return { check, ok: true, text: `${target}: ${first}` };
    const fix = grantFor([first], client.account);
    if (grants.hasRoles) return { check, ok: 'unknown', text: `${target}: ${first} may come from a role`, fix };
    return { check, ok: false, text: `${target}: ${first} is missing`, fix };
  });
}

/** ACL DRYRUN (Redis 7) says whether a user might run a command and does not run it: https://redis.io/commands/acl-dryrun */
async function redisRights(
  world: World,
  target: string,
  commands: readonly (readonly string[])[],
  call: Call,
): Promise<readonly Finding[]> {
  try {
    const opening = world.opening(target, (address) => redisAddress.parse(address));
    await using client = await openRedis(opening, call);
    const user = client.user ?? 'default';
    const findings: Finding[] = [{ check: 'login', ok: true, text: `${target}: logged in as ${user}` }];
    for (const command of commands) findings.push(await dryRun(client, user, target, command, call));
    return findings;
  } catch (error) {
    return [loginFault(target, error)];
  }
}

async function dryRun(
  client: RedisClient,
  user: string,
  target: string,
  command: readonly string[],
  call: Call,
): Promise<Finding> {
  const [name = '', sub = ''] = command.map((c) => c.toLowerCase());
  const shown = ['client', 'config'].includes(name) ? `${name}|${sub}` : name;
  const check = `command_${shown.replace('|', '_')}`;
  try {
    const answer = await client.send(call, 'ACL', 'DRYRUN', user, ...command);
    if (answer === 'OK') return { check, ok: true, text: `${target}: ${shown}` };
    return { check, ok: false, text: `${target}: ${String(answer)}`, fix: `ACL SETUSER ${user} +${shown}` };
  } catch (error) {
    const text = `${target}: whether ${user} may run ${shown} cannot be asked: ${messageOf(error)}`;
    return { check, ok: 'unknown', text, fix: `ACL SETUSER ${user} +acl|dryrun, on Redis 7 or newer` };
  }
}
