// What people are told, through the Alertmanagers that told us: built here, sent by outbox.ts.
import type { Advice, Approval, Decision, Episode, Escalation, Run, Storm } from './model.ts';

type Kind = 'RemediationRefused' | 'RemediationFailed' | 'RemediationNeedsApproval' | 'RemediationStorm';

const severities: Readonly<Record<Kind, { severity: string; priority: string }>> = {
  RemediationFailed: { severity: 'critical', priority: 'P1' },
  RemediationRefused: { severity: 'warning', priority: 'P2' },
  RemediationNeedsApproval: { severity: 'warning', priority: 'P2' },
  RemediationStorm: { severity: 'critical', priority: 'P1' },
};

const summaries: Readonly<Record<Kind, string>> = {
  RemediationFailed: 'A repair did not help.',
  RemediationRefused: 'A repair was not begun.',
  RemediationNeedsApproval: 'A repair waits for a person to approve it.',
  RemediationStorm: 'Many targets are in trouble at once: nothing is repaired by itself.',
};

/** An alert may be answered, but a guard said no. One per changed reason. */
export function refused(episode: Episode, decision: Decision): Escalation {
  return ofDecision('RemediationRefused', episode, decision);
}

/** @param lastsMs how long the question stands from now on */
export function needsApproval(episode: Episode, decision: Decision, approval: Approval, lastsMs: number): Escalation {
  const asked = ofDecision('RemediationNeedsApproval', episode, decision);
  const minutes = Math.max(1, Math.round(lastsMs / 60_000));
  return {
    ...asked,
    dedupeKey: `${asked.dedupeKey}:${approval.id}`,
    // Each question is an alert of its own: of new words of an old one Alertmanager tells after repeat_interval only.
    labels: { ...asked.labels, approval: approval.id },
    annotations: {
      ...asked.annotations,
      approval: approval.id,
      role: approval.role,
      description: `${asked.annotations['description'] ?? ''}. ${approval.action} of ${approval.target} begins when somebody with the role ${approval.role} agrees within ${minutes} min.`,
      command: `pipemedic-remediator approve ${approval.id}`,
      reject_command: `pipemedic-remediator reject ${approval.id}`,
      why_command: `pipemedic-remediator why ${episode.id}`,
    },
  };
}

/** Not of one episode: told to every source. */
export const stormEpisode = 'storm';

/** One for the whole storm, whatever it grows to. */
export function stormy({ enteredMs, inputs }: Storm): Escalation {
  const { firing, truncated, of } = inputs as {
    readonly firing: readonly string[];
    readonly truncated: readonly string[];
    readonly of: number;
  };
  const cut = truncated.length === 0 ? '' : ` Alertmanager has cut groups of alerts: ${truncated.join(', ')}.`;
  return {
    dedupeKey: `RemediationStorm:${enteredMs}`,
    episodeId: stormEpisode,
    labels: {
      alertname: 'RemediationStorm',
      ...severities.RemediationStorm,
      remediation: 'none',
      scope: 'remediation',
      generator: 'pipemedic',
    },
    annotations: withoutEmpty({
      summary: summaries.RemediationStorm,
      description: `${firing.length} of ${of} targets alert: ${firing.join(', ')}.${cut} The cause is likely elsewhere (network, host, storage). Repairs begin again by themselves after a time of calm.`,
      command: 'pipemedic-remediator runs',
    }),
  };
}

/** A run ended without the repair being verified. */
export function failed(episode: Episode, run: Run, advice: readonly Advice[] = []): Escalation {
  const outcome = run.outcome ?? 'failed';
  return build('RemediationFailed', episode, {
    key: run.id,
    target: run.target,
    because: `${run.action} of ${run.target}: ${outcome}. ${run.because ?? ''}`.trim(),
    annotations: {
      run: run.id,
      outcome,
      action: run.action,
      ...(run.evidencePath === undefined ? {} : { evidence: run.evidencePath }),
    },
    advice,
    why: run.id,
  });
}

function ofDecision(kind: Kind, episode: Episode, decision: Decision): Escalation {
  const decisive = decision.trace.find((g) => g.result !== 'allow');
  return build(kind, episode, {
    key: decision.reasonKey,
    target: decision.target,
    because: decision.because,
    annotations: {
      guard: decisive === undefined ? decision.reasonKey : `${decisive.guard}: ${decisive.code}`,
      ...(decision.action === undefined ? {} : { action: decision.action }),
      ...(decision.policy === undefined ? {} : { policy: decision.policy }),
    },
    advice: decision.advice,
    why: episode.id,
  });
}

interface Told {
  /** what must change for it to be told anew */
  readonly key: string;
  readonly target: string | undefined;
  readonly because: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly advice: readonly Advice[];
  readonly why: string;
}

/** Labels name the alert and never change with the reason: else each reason would be an alert of its own. */
function build(kind: Kind, episode: Episode, told: Told): Escalation {
  const { cluster } = episode.labels;
  const target = told.target ?? episode.labels['target'];
  const labels: Record<string, string> = {
    alertname: kind,
    ...severities[kind],
    remediation: 'none',
    scope: 'remediation',
    generator: 'pipemedic',
    source_alert: episode.labels['alertname'] ?? '',
    // two incidents of one target (two channels of a replica) are two messages
    episode: episode.id,
    ...(target === undefined ? {} : { target }),
    ...(cluster === undefined ? {} : { cluster }),
  };
  const advice = told.advice.map((a) => `${a.title}\n${a.text}`).join('\n\n');
  return {
    dedupeKey: `${kind}:${episode.id}:${told.key}`,
    episodeId: episode.id,
    labels: withoutEmpty(labels),
    annotations: withoutEmpty({
      summary: summaries[kind],
      description: `${episode.labels['alertname'] ?? 'an alert'}${target === undefined ? '' : ` of ${target}`}: ${told.because}`,
      advice,
      command: `pipemedic-remediator why ${told.why}`,
      ...told.annotations,
    }),
  };
}

/** To Prometheus and Alertmanager an empty value is the same as none. */
function withoutEmpty(entries: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== ''));
}
