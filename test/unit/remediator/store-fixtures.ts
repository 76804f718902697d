// What the store tests are made of.
import { randomUUID } from 'node:crypto';
import assert from 'node:assert/strict';
import type { Episode, IncomingAlert } from '../../../remediator/model.ts';
import type { Claim, EpisodeChange, Hold, Store } from '../../../remediator/store/store.ts';

export const hour = 3_600_000;

export function firing(labels: Readonly<Record<string, string>>, startsWallMs = 1_000_000): IncomingAlert {
  return { status: 'firing', labels, annotations: {}, startsWallMs, endsWallMs: undefined, fingerprint: '' };
}

export function resolved(labels: Readonly<Record<string, string>>, startsWallMs = 1_000_000): IncomingAlert {
  return { ...firing(labels, startsWallMs), status: 'resolved', endsWallMs: startsWallMs + 1000 };
}

export async function deliver(
  store: Store,
  alerts: readonly IncomingAlert[],
  { nowMs = 1_000_000, source = 'main', truncated = false } = {},
): Promise<readonly EpisodeChange[]> {
  const id = await store.appendWebhook({
    source,
    receivedMs: nowMs,
    receivedBy: '127.0.0.1 Alertmanager/0.25.0',
    body: Buffer.from('{}'),
    alertCount: alerts.length,
    truncatedCount: truncated ? 1 : 0,
  });
  return store.processWebhook(id, alerts, truncated, nowMs);
}

export async function openEpisode(
  store: Store,
  labels: Readonly<Record<string, string>>,
  options: { readonly nowMs?: number; readonly startsWallMs?: number } = {},
): Promise<Episode> {
  const { nowMs = 1_000_000 } = options;
  const [change] = await deliver(store, [firing(labels, options.startsWallMs ?? 1_000_000)], { nowMs });
  assert.equal(change?.change, 'opened');
  return episodeNow(store, change.episodeId);
}

export async function episodeNow(store: Store, id: string): Promise<Episode> {
  const episode = await store.episode(id);
  assert.ok(episode !== undefined, `episode ${id} is there`);
  return episode;
}

export function claimOf(episode: Episode, change: Partial<Claim> = {}): Claim {
  return {
    runId: randomUUID(),
    episodeId: episode.id,
    episodeVersion: episode.version,
    attempt: episode.attempts + 1,
    decisionId: 'd',
    action: 'maxwell.restart',
    planHash: 'p',
    policy: { name: 'p' },
    params: {},
    target: 'maxwell1',
    actor: 'auto',
    holder: 'me',
    ttlMs: 30_000,
    budgets: [{ scope: 'target:maxwell1', max: 3, windowMs: hour }],
    ...change,
  };
}

/** Claims and expects to win. */
export async function win(store: Store, episode: Episode, nowMs: number, change: Partial<Claim> = {}): Promise<Hold> {
  const result = await store.claim(claimOf(episode, change), () => nowMs);
  assert.ok(result.won, result.won ? '' : `${result.code}: ${result.because}`);
  return result.hold;
}

/** A run of one intent that ended. */
export async function runOnce(
  store: Store,
  episodeId: string,
  nowMs: number,
  change: Partial<Claim> = {},
): Promise<Hold> {
  const hold = await win(store, await episodeNow(store, episodeId), nowMs, change);
  await store.appendJournal(hold, { kind: 'intent', step: 's', attempt: 1, data: {} }, () => nowMs);
  await store.endRun(hold, { outcome: 'failed', because: 'test', cooldownMs: 0 }, () => nowMs);
  return hold;
}

export async function refusal(store: Store, claim: Claim, nowMs: number): Promise<string> {
  const result = await store.claim(claim, () => nowMs);
  return result.won ? 'won' : result.code;
}
