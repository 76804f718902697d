// The story of an episode and the list of runs, as text for a terminal.
import type { Approval, Decision, GuardResult, Json, Run } from './model.ts';
import type { RunStory, Story } from './runs-view.ts';
import { iso, plain, table, timeWith, type WallOf, type WallText } from './terminal.ts';

const marks: Readonly<Record<GuardResult['result'], string>> = { allow: 'ok', deny: 'NO', unknown: '??' };

export function storyText(story: Story, wallOf: WallOf): string {
  const { episode, deliveries, decisions, runs, escalations, approvals, latches, others } = story;
  const at = timeWith(wallOf);
  const labels = Object.entries(episode.labels).filter(([name]) => name !== 'alertname');
  const lines = [
    `${plain(episode.labels['alertname'] ?? '(no alertname)')}  episode ${episode.id}`,
    ...labels.map(([name, value]) => `  ${plain(name)}=${plain(value)}`),
    ...Object.entries(episode.annotations).map(([name, value]) => `  ${plain(name)}: ${plain(value)}`),
    '',
    `  source ${episode.source}, started ${iso(episode.startsWallMs)} by the sender's clock, first seen ${at(episode.firstSeenMs)}`,
    `  now ${stateText(story, at)}`,
    ...(others > 0 ? [`  (the newest of ${others + 1} that fit; ask by id for another)`] : []),
    '',
    `Deliveries: ${deliveries.length}`,
    ...shortened(deliveries, 10).map((d) =>
      typeof d === 'string' ? d : `  ${at(d.receivedMs)}  ${d.status}  from ${plain(d.receivedBy)}  webhook ${d.id}`,
    ),
    '',
    `Decisions: ${decisions.length}`,
    ...decisions.flatMap((d) => decisionLines(d, at)),
    '',
    `Runs: ${runs.length}`,
    ...runs.flatMap((r) => runLines(r, at)),
    ...(escalations.length === 0 ? [] : ['', `Told to people: ${escalations.length}`]),
    ...escalations.flatMap((e) => [
      `  ${at(e.firstMs)}  ${e.labels['alertname'] ?? ''}  ${e.state}, last taken ${e.lastOkMs === undefined ? 'never' : at(e.lastOkMs)}${e.lastError === undefined ? '' : `, last error: ${plain(e.lastError)}`}`,
      `      ${plain(e.annotations['description'] ?? '')}`,
    ]),
    ...(approvals.length === 0 ? [] : ['', `Approvals: ${approvals.length}`]),
    ...approvals.flatMap((a) => approvalLines(a, at)),
    ...(latches.length === 0 ? [] : ['', 'Latched: left to people until cleared']),
    ...latches.flatMap((l) => [
      `  ${at(l.setMs)}  ${plain(l.scope)}: ${plain(l.reason)}`,
      `      pipemedic-remediator latch clear ${l.id} --comment="…"`,
    ]),
  ];
  return `${lines.join('\n')}\n`;
}

function stateText({ episode }: Story, at: WallText): string {
  const seen = episode.alertSeenMs === undefined ? 'never seen' : `seen ${at(episode.alertSeenMs)}`;
  const alert = `Alertmanager: ${episode.alertState}${episode.alertDetail === '' ? '' : ` (${plain(episode.alertDetail)})`}, ${seen}`;
  if (episode.closedMs === undefined) return `open; ${alert}`;
  return `closed ${at(episode.closedMs)}: ${episode.outcome ?? ''}; ${alert}`;
}

function decisionLines(d: Decision, at: WallText): string[] {
  const many = d.repeats === 0 ? '' : `, ${d.repeats + 1} times until ${at(d.lastMs)}`;
  return [
    `  ${at(d.firstMs)}  ${d.verdict.toUpperCase()}  ${d.reasonKey}${many}`,
    `      ${plain(d.because)}`,
    `      policy ${d.policy ?? 'none'}, action ${d.action ?? 'none'}, target ${d.target ?? 'none'}`,
    ...d.trace.map((g) => {
      // What an allowing guard saw is in --json; here it would hide the ones that did not allow.
      const inputs =
        g.result === 'allow' || isEmpty(g.inputs) ? '' : `  ${plain(JSON.stringify(g.inputs)).slice(0, 300)}`;
      return `        ${marks[g.result]}  ${g.guard.padEnd(14)} ${g.code.padEnd(20)} ${plain(g.because)}${inputs}`;
    }),
    ...d.advice.flatMap((a) => [
      `      advice: ${plain(a.title)}`,
      ...a.text.split('\n').map((line) => `        | ${plain(line)}`),
    ]),
  ];
}

function runLines({ run, journal }: RunStory, at: WallText): string[] {
  return [
    `  ${run.id}  ${run.action} of ${run.target}, attempt ${run.attempt}, by ${plain(run.actor)}, fence ${run.fence}`,
    `      claimed ${at(run.claimedMs)}, ${run.endedMs === undefined ? run.state : `ended ${at(run.endedMs)} after ${seconds(run.endedMs - run.claimedMs)}`}: ${run.outcome ?? 'not over'}`,
    ...(run.because === undefined ? [] : [`      ${plain(run.because)}`]),
    ...(run.evidencePath === undefined ? [] : [`      evidence: ${plain(run.evidencePath)}`]),
    ...journal.map((entry, i) => {
      const took = entry.atMs - (journal[i - 1]?.atMs ?? entry.atMs);
      const because = becauseOf(entry.data);
      return `        ${String(entry.n).padStart(3)}  ${at(entry.atMs)}  +${seconds(took).padEnd(8)} ${entry.kind.padEnd(10)} ${entry.step.padEnd(14)} ${entry.outcome ?? ''}${because === '' ? '' : `  ${because}`}`;
    }),
  ];
}

function approvalLines(a: Approval, at: WallText): string[] {
  const decided =
    a.decidedMs === undefined
      ? `role ${plain(a.role)}, until ${at(a.expiresMs)}`
      : `by ${plain(a.decidedBy ?? 'nobody')} ${at(a.decidedMs)}${a.comment === undefined || a.comment === '' ? '' : `: ${plain(a.comment)}`}`;
  return [
    `  ${at(a.requestedMs)}  ${a.state}  ${a.action} of ${plain(a.target)}, ${decided}`,
    ...(a.state === 'requested' ? [`      pipemedic-remediator approve ${a.id}`] : []),
  ];
}

export function runsText(runs: readonly Run[], wallOf: WallOf): string {
  const at = timeWith(wallOf);
  if (runs.length === 0) return 'no runs yet\n';
  const rows = runs.map((r) => [
    at(r.claimedMs),
    r.target,
    r.action,
    r.outcome ?? r.state,
    r.endedMs === undefined ? '' : seconds(r.endedMs - r.claimedMs),
    r.id,
  ]);
  return table(['claimed', 'target', 'action', 'outcome', 'took', 'run'], rows);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)}s`;
}

function isEmpty(inputs: Json): boolean {
  return typeof inputs === 'object' && inputs !== null && Object.keys(inputs).length === 0;
}

function becauseOf(data: Json): string {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return '';
  const because = (data as Readonly<Record<string, Json>>)['because'];
  return typeof because === 'string' ? plain(because) : '';
}

/** The first and the last of a long list. */
function shortened<T>(items: readonly T[], most: number): readonly (T | string)[] {
  if (items.length <= most) return items;
  const half = Math.floor(most / 2);
  return [...items.slice(0, half), `  … ${items.length - 2 * half} more …`, ...items.slice(-half)];
}
