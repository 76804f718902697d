// What has become of a yes that was written beside the remediators that serve: they judge it at their next look.
import { pause, within } from '../exporter/runtime/deadline.ts';
import type { Store } from './store/store.ts';

export type Taken =
  | { readonly is: 'begun'; readonly run: string }
  /** The plan was another one by then. */
  | { readonly is: 'void'; readonly because: string }
  | { readonly is: 'waiting'; readonly because: string };

/** Waits for an answer of theirs, and no longer than that. @throws StoreError */
export async function takenOf(
  store: Pick<Store, 'approval' | 'decisionsOf'>,
  id: string,
  { timeoutMs, everyMs = 500 }: { readonly timeoutMs: number; readonly everyMs?: number },
): Promise<Taken> {
  const signal = within(timeoutMs);
  for (;;) {
    const approval = await store.approval(id);
    if (approval === undefined) return { is: 'waiting', because: 'it is gone from the store' };
    if (approval.usedByRun !== undefined) return { is: 'begun', run: approval.usedByRun };
    const newest = (await store.decisionsOf(approval.episodeId)).at(-1);
    const because = newest?.because ?? 'no remediator has looked at it yet';
    if (approval.state !== 'approved') return { is: 'void', because: `it is ${approval.state}; ${because}` };
    if (signal.aborted) return { is: 'waiting', because };
    await pause(everyMs, signal).catch(() => undefined);
  }
}
