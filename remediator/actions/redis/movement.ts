// Does the stream flow again? Pure, of looks one after the other at both ends.
export interface LinkSample {
  readonly up: boolean;
  readonly syncing: boolean;
  readonly lastIoSecondsAgo: number | undefined;
  /** Both ends have the same replication id. */
  readonly sameStream: boolean;
  readonly primaryRunId: string;
  readonly replicaOffset: number;
  readonly primaryOffset: number;
}

export type Movement =
  | { readonly is: 'moves' }
  | { readonly is: 'failed'; readonly because: string; readonly never?: true }
  | { readonly is: 'open'; readonly because: string };

/**
 * Two advances of the replica's offset, and all that its primary had written at the first look has arrived. An idle primary sends a PING
 * every repl-ping-replica-period (10 s), which is part of the stream, so that even then the offset advances.
 */
export function judgeLink(samples: readonly LinkSample[], before: { readonly primaryRunId: string }): Movement {
  const last = samples.at(-1);
  if (last === undefined) return { is: 'open', because: 'not looked at yet' };
  if (last.primaryRunId !== before.primaryRunId) {
    return { is: 'failed', because: 'its primary was started anew meanwhile', never: true };
  }
  if (!last.up) return { is: 'open', because: last.syncing ? 'it is being copied to' : 'the link is down' };
  if (!last.sameStream) return { is: 'open', because: 'both have different replication ids' };
  const run = samples.slice(samples.findLastIndex((s) => !s.up || !s.sameStream) + 1);
  const offsets = new Set(run.map((s) => s.replicaOffset));
  if (offsets.size < 3)
    return { is: 'open', because: `its offset has advanced ${String(offsets.size - 1)} times of 2` };
  if (run.some((s, i) => i > 0 && s.replicaOffset < (run[i - 1]?.replicaOffset ?? 0))) {
    return { is: 'open', because: 'its offset went back' };
  }
  const [first] = run;
  // Under load there is always something on its way; what was there at the first look must have arrived
  if (first !== undefined && last.replicaOffset < first.primaryOffset) {
    const missing = first.primaryOffset - last.replicaOffset;
    return { is: 'open', because: `${String(missing)} bytes that its primary had at the first look have not arrived` };
  }
  return { is: 'moves' };
}
