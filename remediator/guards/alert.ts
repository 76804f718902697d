import { allow, defineGuard, deny, unsure, type Verdict } from '../guard.ts';
import type { Episode } from '../model.ts';

export const alert = defineGuard({
  name: 'alert',
  help: 'Alertmanager says now that the alert is active: not silenced, not inhibited, not gone, and this was seen lately.',
  decide({ episode, nowMs, alertFreshMs }) {
    return alertIsActive(episode, nowMs, alertFreshMs);
  },
});

/** Asked again before the first mutation of a run. */
export function alertIsActive(episode: Episode, nowMs: number, freshMs: number): Verdict {
  const { alertState, alertDetail, alertSeenMs, lastFiringMs, resolvedHintMs, truncated } = episode;
  const inputs = {
    alertState,
    alertDetail,
    alertSeenMs: alertSeenMs ?? null,
    lastFiringMs,
    resolvedHintMs: resolvedHintMs ?? null,
    nowMs,
  };
  switch (alertState) {
    case 'silenced':
      return deny('silenced', `the alert is silenced: ${alertDetail}`, inputs);
    case 'inhibited':
      return deny('inhibited', `the alert is inhibited: ${alertDetail}`, inputs);
    case 'absent':
      return deny('absent', 'Alertmanager no longer has the alert', inputs);
    case 'unreachable':
      return unsure('unreachable', `Alertmanager cannot be asked: ${alertDetail}`, inputs);
    case 'unknown':
      return unsure('not_asked', 'Alertmanager was not asked about this alert yet', inputs);
    case 'active':
  }
  // With one alert cut away, others may be as well: that many at once is not for a machine to repair.
  if (truncated) return deny('truncated', 'Alertmanager has cut alerts from the group: there are too many', inputs);
  if (resolvedHintMs !== undefined && resolvedHintMs >= Math.max(alertSeenMs ?? 0, lastFiringMs)) {
    return unsure('resolved', 'a resolved notification came after the alert was last seen active', inputs);
  }
  // a firing notification is as good as a poll that said active; a poll also sees silences
  const seenMs = Math.max(alertSeenMs ?? 0, lastFiringMs);
  const ageMs = nowMs - seenMs;
  // written so that a number that is none is no permission
  if (!(ageMs <= freshMs)) {
    return unsure('stale', `the alert was last seen active ${Math.round(ageMs / 1000)} s ago`, {
      ...inputs,
      ageMs,
      freshMs,
    });
  }
  return allow('active', 'the alert is active', { ...inputs, ageMs });
}
