// What the remediator and the process supervisor have written down. The supervisor's record is the witness: it is made by
// another program than the one that is judged here.
import { readFileSync } from 'node:fs';
import type { Lab } from '../lab/lab.ts';
import { remediator } from './observe.ts';

export interface JournalView {
  readonly kind: string;
  readonly step: string;
  readonly outcome?: string | null;
  readonly atMs: number;
}

export interface RunView {
  readonly id: string;
  readonly state: string;
  readonly outcome?: string;
  readonly because?: string;
  readonly claimedMs: number;
  readonly journal: readonly JournalView[];
}

export interface DecisionView {
  readonly verdict: string;
  readonly reasonKey: string;
  readonly because: string;
  readonly advice: readonly { readonly title: string; readonly text: string }[];
}

export interface Story {
  readonly episode: { readonly id: string; readonly state: string; readonly outcome?: string };
  readonly decisions: readonly DecisionView[];
  readonly runs: readonly { readonly run: Omit<RunView, 'journal'>; readonly journal: readonly JournalView[] }[];
}

/** The newest episode of the alert; undefined while there is none. */
export async function story(lab: Lab, alertname: string): Promise<Story | undefined> {
  const answer = await fetch(`${lab.urls.remediator}/api/v1/why/${alertname}`, {
    headers: { authorization: `Bearer ${lab.secret('remediator-webhook.token')}` },
    signal: AbortSignal.timeout(5_000),
  });
  if (answer.status === 404) return undefined;
  if (!answer.ok) throw new Error(`the remediator answers ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as Story;
}

export async function newestRun(lab: Lab, alertname: string): Promise<RunView | undefined> {
  const newest = (await story(lab, alertname))?.runs.at(-1);
  return newest === undefined ? undefined : { ...newest.run, journal: newest.journal };
}

/** As a person asks it. */
export function why(lab: Lab, what: string): Promise<string> {
  return remediator(lab, 'why', what);
}

interface Witnessed {
  readonly event: string;
}

/** Starts of Maxwell in the supervisor's own record. */
export function starts(lab: Lab): readonly Witnessed[] {
  return readFileSync(lab.files.witness, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Witnessed)
    .filter((line) => line.event === 'start');
}
