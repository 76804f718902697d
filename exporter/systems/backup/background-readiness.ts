// What only the account of the backups can tell: looked at now and then, on a connection of its own, never on a scrape.
import type { Background } from '../../collector.ts';
import { within } from '../../runtime/deadline.ts';
import { repeat } from '../../runtime/repeat.ts';
import type { BackupClient } from './client.ts';
import { lookAsAccount, type AccountLook } from './facts-readiness.ts';

export interface ReadinessMemory {
  account: { readonly look: AccountLook; readonly atMonoMs: number } | undefined;
}

const lookMs = 15_000;

/** Until the signal aborts. */
export async function lookInBackground(
  { everyMs, databases }: { readonly everyMs: number; readonly databases: readonly string[] },
  memory: ReadinessMemory,
  { open, clock, signal }: Background<BackupClient>,
): Promise<void> {
  await repeat({ signal, clock, everyMs }, async () => {
    const call = { clock, signal: within(lookMs, signal) };
    await using client = await open(call);
    const look = await lookAsAccount(client, databases, call);
    if (!signal.aborted) memory.account = { look, atMonoMs: clock.monoMs() };
  });
}
