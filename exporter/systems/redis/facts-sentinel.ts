// What a Sentinel says of the primaries that it watches: https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/
import type { Call } from '../../collector.ts';
import { messageOf, TargetError } from '../../runtime/errors.ts';
import type { RedisClient } from './client.ts';
import { infoNumber, partsOf, type RedisInfo } from './facts-info.ts';
import { isRefusal } from './facts-refused.ts';

type Asked = Pick<RedisClient, 'send'>;

/** A `master0:name=…,status=…,address=…,slaves=…,sentinels=…` line of INFO. */
export interface SentinelMaster {
  readonly name: string;
  readonly address: string;
  /** ok, sdown (down for this Sentinel) or odown (down for the quorum) */
  readonly status: string;
  readonly replicas: number;
  /** This one included. */
  readonly sentinels: number;
}

export function sentinelMastersOf(section: NonNullable<RedisInfo['sentinel']>): readonly SentinelMaster[] {
  const found: SentinelMaster[] = [];
  for (const [field, text] of section) {
    if (!/^master\d+$/.test(field)) continue;
    const parts = partsOf(text);
    const [replicas, sentinels] = [infoNumber(parts.get('slaves') ?? ''), infoNumber(parts.get('sentinels') ?? '')];
    if (replicas === undefined || sentinels === undefined) continue;
    const word = (name: string): string => parts.get(name) ?? '';
    found.push({ name: word('name'), address: word('address'), status: word('status'), replicas, sentinels });
  }
  return found;
}

/** What SENTINEL says of one primary; undefined is what this user may not ask for. */
export interface SentinelDetails {
  readonly name: string;
  readonly address: string;
  readonly settings: Readonly<Record<'quorum' | 'failoverTimeoutMs' | 'parallelSyncs' | 'downAfterMs', number>>;
  readonly configEpoch: number;
  readonly lastOkPingReplyMs: number;
  readonly quorum: { readonly isReached: boolean; readonly message: string } | undefined;
  /** Neither subjectively nor objectively down; this Sentinel counts as one of them. */
  readonly okSentinels: number | undefined;
  readonly okReplicas: number | undefined;
}

/** @throws TargetError also when SENTINEL MASTERS is refused; what else is refused is undefined */
export async function readSentinel(client: Asked, call: Call): Promise<readonly SentinelDetails[]> {
  const masters = listOf(await client.send(call, 'SENTINEL', 'MASTERS'));
  return await Promise.all(masters.map((master) => detailsOf(client, call, master)));
}

type Reply = ReadonlyMap<string, string>;

async function detailsOf(client: Asked, call: Call, master: Reply): Promise<SentinelDetails> {
  const name = master.get('name') ?? '';
  const number = (field: string): number => infoNumber(master.get(field) ?? '') ?? 0;
  const ask = (subcommand: string): Promise<unknown> => client.send(call, 'SENTINEL', subcommand, name);
  const [quorum, sentinels, replicas] = await Promise.all([
    quorumOf(ask('CKQUORUM')),
    healthy(ask('SENTINELS')),
    healthy(ask('SLAVES')), // REPLICAS is its other name since 5.0
  ]);
  return {
    name,
    address: `${master.get('ip') ?? ''}:${master.get('port') ?? ''}`,
    settings: {
      quorum: number('quorum'),
      failoverTimeoutMs: number('failover-timeout'),
      parallelSyncs: number('parallel-syncs'),
      downAfterMs: number('down-after-milliseconds'),
    },
    configEpoch: number('config-epoch'),
    lastOkPingReplyMs: number('last-ok-ping-reply'),
    quorum,
    okSentinels: sentinels === undefined ? undefined : sentinels + 1,
    okReplicas: replicas,
  };
}

/** An error reply is the answer no: `NOQUORUM 1 usable Sentinels. …` */
async function quorumOf(asked: Promise<unknown>): Promise<SentinelDetails['quorum']> {
  try {
    return { isReached: true, message: String(await asked) };
  } catch (error) {
    const message = messageOf(error).replace(/^SENTINEL: /, '');
    if (/^NOQUORUM\b/.test(message)) return { isReached: false, message };
    if (isRefusal(error)) return undefined;
    throw error;
  }
}

async function healthy(asked: Promise<unknown>): Promise<number | undefined> {
  try {
    return listOf(await asked).filter((one) => !/[os]_down/.test(one.get('flags') ?? 'o_down')).length;
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
}

/** A list of flat lists of names and values. */
function listOf(reply: unknown): Reply[] {
  if (!Array.isArray(reply)) throw new TargetError('protocol', 'SENTINEL: the reply is not a list');
  return (reply as readonly unknown[]).map((item) => {
    const found = new Map<string, string>();
    if (!Array.isArray(item)) return found;
    for (let i = 0; i + 1 < item.length; i += 2) found.set(String(item[i]), String(item[i + 1]));
    return found;
  });
}
