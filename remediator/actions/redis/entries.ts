// Which of the replicas that a primary lists is the one in question. Pure.
import type { RedisReplicaSeen } from '../../../exporter/systems/redis/facts-replication-replicas.ts';
import type { PairFacts } from './facts.ts';
import type { Pair } from './verdicts.ts';

export interface OwnEntries {
  /** Several: one that hangs is listed beside the one that came after it, and so is another replica of that address. */
  readonly entries: readonly RedisReplicaSeen[];
  /** false: each of them may be another replica, on the same port of another host or behind the same address. */
  readonly isSure: boolean;
}

/**
 * By the port that it listens on, and by the address that its own end of the link has. Behind a translation of addresses,
 * or with replica-announce-ip, the primary lists another address: then it may be any of that port.
 */
export function ownEntries({ replica, primary }: Pair, link: PairFacts['link']): OwnEntries {
  const ofPort = primary.replicas.filter((r) => r.port === String(replica.server.port));
  const ip = link.known ? hostOf(link.value?.laddr) : undefined;
  const own = ofPort.filter((r) => r.ip === ip);
  if (own.length > 0) return { entries: own, isSure: own.length === 1 };
  return { entries: ofPort, isSure: ip === undefined && ofPort.length === 1 };
}

export function isServed({ state, ackAgeSeconds }: RedisReplicaSeen, silentSeconds: number): boolean {
  return state === 'online' && (ackAgeSeconds ?? Infinity) < silentSeconds;
}

/** `10.0.0.2:40088`, `[::1]:40088` */
function hostOf(address: string | undefined): string | undefined {
  return /^\[?(.+?)\]?:\d+$/.exec(address ?? '')?.[1];
}
