import type { LedgerClock } from './clock.ts';
import type { Store } from './store/store.ts';
import { clearSwitchFile } from './switch.ts';

/** Clears what pauses all of it: the file, and the row in the store. */
export async function resume(context: {
  readonly store: Pick<Store, 'pauses' | 'setPause' | 'audit'>;
  readonly switchFile: string;
  readonly clock: LedgerClock;
  readonly by: string;
  readonly via: string;
}): Promise<void> {
  const { store, switchFile, clock, by, via } = context;
  const atMs = clock.nowMs();
  // First what may fail and is not seen from outside; the file last.
  const paused = (await store.pauses()).some((p) => p.scope === 'global' && p.paused);
  if (paused) await store.setPause({ scope: 'global', paused: false, by, reason: '', setMs: atMs, untilMs: undefined });
  await store.audit({ atMs, actor: by, via, verb: 'resume', object: 'global', detail: {} });
  await clearSwitchFile(switchFile);
}
