// One incident out of many deliveries: identity, and what a delivery does to it. Pure: the store applies it.
import { createHash } from 'node:crypto';
import type { Episode, IncomingAlert } from './model.ts';

/** Put on by Prometheus replicas; one that is not dropped before Alertmanager gives two fingerprints for one fact. */
const ignoredLabels: ReadonlySet<string> = new Set(['replica', 'prometheus_replica']);

/** Clocks of other machines may be off by this much, and peers give the same alert start times that differ. */
const slackMs = 120_000;

/** Our own hash, not Alertmanager's fingerprint. The source comes from the path, never from the body. */
export function identOf(source: string, labels: Readonly<Record<string, string>>): string {
  const kept = Object.entries(labels)
    // Prometheus drops empty labels; a sender that keeps them means the same
    .filter(([name, value]) => !ignoredLabels.has(name) && value !== '')
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([source, kept]))
    .digest('hex');
}

/** pipemedic's own alerts come back when a route is too wide: acting on them would be a loop. */
export function isOwn(labels: Readonly<Record<string, string>>): boolean {
  return labels['generator'] === 'pipemedic';
}

export const watchdogName = 'PipemedicWatchdog';

export interface ClosedEpisode {
  readonly id: string;
  readonly startsWallMs: number;
  readonly closedMs: number;
  readonly closedWallMs: number;
}

export type Transition =
  | { readonly is: 'open'; readonly relapseOf: string | undefined }
  | { readonly is: 'refresh' }
  | { readonly is: 'hint' }
  /** of an episode that is over: attached to it, and Alertmanager is asked whether it is really over */
  | { readonly is: 'late'; readonly id: string }
  | { readonly is: 'ignore' };

export function transitionOf(
  alert: Pick<IncomingAlert, 'status' | 'startsWallMs'>,
  open: Pick<Episode, 'id'> | undefined,
  closed: ClosedEpisode | undefined,
  nowMs: number,
  relapseMs: number,
): Transition {
  if (open !== undefined) return { is: alert.status === 'firing' ? 'refresh' : 'hint' };
  if (closed !== undefined && (alert.status === 'resolved' || isLate(alert, closed))) {
    return { is: 'late', id: closed.id };
  }
  if (alert.status === 'resolved') return { is: 'ignore' };
  const relapsed = closed !== undefined && nowMs - closed.closedMs <= relapseMs;
  return { is: 'open', relapseOf: relapsed ? closed.id : undefined };
}

/** The same start (with drift), or a start well before the end: a copy that a slow peer or a retry brings late. */
function isLate(alert: Pick<IncomingAlert, 'startsWallMs'>, closed: ClosedEpisode): boolean {
  return alert.startsWallMs <= closed.startsWallMs + slackMs || alert.startsWallMs < closed.closedWallMs - slackMs;
}

/** How long what Alertmanager's API said stands against a webhook that says firing. */
const pollStandsMs = 90_000;

/**
 * A firing notification counts as `active`, seen when it arrived, but a webhook never knows of silences: it may have
 * been on its way (retries, the wait for peers) since before one was made. So it does not lift what a poll has seen
 * lately; the next poll does.
 */
export function alertStateAfterFiring(
  episode: Pick<Episode, 'alertState' | 'alertDetail' | 'alertSeenMs'>,
  receivedMs: number,
): Pick<Episode, 'alertState' | 'alertDetail' | 'alertSeenMs'> {
  const seenMs = episode.alertSeenMs ?? -Infinity;
  const { alertState } = episode;
  if (seenMs >= receivedMs) return episode;
  const polledAway = alertState === 'silenced' || alertState === 'inhibited' || alertState === 'absent';
  if (polledAway && receivedMs - seenMs < pollStandsMs) return episode;
  return { alertState: 'active', alertDetail: 'webhook', alertSeenMs: receivedMs };
}
