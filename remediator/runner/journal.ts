// What the journal of a run says about its steps. Pure: the same after a crash as before it.
import type { FormerSession } from '../action.ts';
import type { JournalEntry, Json } from '../model.ts';

/**
 * Where one step stands. `tries`: intents whose call surely or possibly was made; `skips`: how often there was nothing to
 * call, as somebody else had done it.
 */
export type StepPhase =
  | {
      readonly is: 'pending';
      readonly tries: number;
      readonly intents: number;
      readonly skips: number;
      readonly because: string | undefined;
    }
  /** An intent whose outcome is not known: no result was written, or `unknown`. */
  | { readonly is: 'open'; readonly attempt: number; readonly intentMs: number }
  | { readonly is: 'applied'; readonly attempt: number }
  | { readonly is: 'verified' };

/**
 * Of a `result`: what came of the call. `absent`: looked at later, nothing had been done; `partial`: something had, and
 * the step can go on from there.
 */
export type Result = 'done' | 'refused' | 'unknown' | 'recovered' | 'skipped' | 'absent' | 'partial' | 'overtaken';

export function phaseOf(entries: readonly JournalEntry[], step: string): StepPhase {
  let phase: StepPhase = { is: 'pending', tries: 0, intents: 0, skips: 0, because: undefined };
  let tries = 0;
  let intents = 0;
  let skips = 0;
  let intentMs = 0;
  const again = (entry: JournalEntry): StepPhase => ({
    ...{ is: 'pending', tries, intents, skips },
    because: becauseOf(entry),
  });
  for (const entry of entries) {
    if (entry.step !== step) continue;
    if (entry.kind === 'intent') {
      tries += 1;
      intents += 1;
      intentMs = entry.atMs;
      phase = { is: 'open', attempt: entry.attempt, intentMs };
    }
    if (entry.kind === 'result') {
      if (entry.outcome === 'skipped') skips += 1;
      switch (entry.outcome as Result) {
        case 'done':
        case 'recovered':
        case 'skipped':
          phase = { is: 'applied', attempt: entry.attempt };
          break;
        case 'absent':
          tries -= 1;
          phase = again(entry);
          break;
        case 'partial':
        case 'refused':
          phase = again(entry);
          break;
        case 'unknown':
        case 'overtaken': // ends the run
          phase = { is: 'open', attempt: entry.attempt, intentMs };
      }
    }
    if (entry.kind === 'verify') phase = entry.outcome === 'yes' ? { is: 'verified' } : again(entry);
  }
  return phase;
}

/** Whether anything was changed, or may have been: an intent that was not followed by the proof of the contrary. */
export function mutated(entries: readonly JournalEntry[]): boolean {
  return mutatedSteps(entries).length > 0;
}

/** Names of steps that changed something, or may have, in their order. */
export function mutatedSteps(entries: readonly JournalEntry[]): readonly string[] {
  const steps = new Map<string, boolean>();
  for (const { kind, step, outcome } of entries) {
    if (kind === 'intent') steps.set(step, true);
    if (kind === 'result' && (outcome === 'refused' || outcome === 'absent')) {
      // an earlier intent of the step may have had its effect
      steps.set(step, effective(entries, step));
    }
  }
  return [...steps].filter(([, yes]) => yes).map(([step]) => step);
}

/**
 * The step that the target's state is of: the last one that changed something, or that, after one had, was found done by
 * somebody else and seen to hold. undefined: nothing was changed.
 */
export function lastReached(entries: readonly JournalEntry[]): string | undefined {
  const changed = mutatedSteps(entries);
  const isChange = ({ kind, step }: JournalEntry): boolean => kind === 'intent' && changed.includes(step);
  const isFoundDone = ({ kind, step, outcome, n }: JournalEntry): boolean =>
    kind === 'verify' &&
    outcome === 'yes' &&
    entries.findLast((e) => e.step === step && e.kind === 'result' && e.n < n)?.outcome === 'skipped';
  const from = entries.findIndex(isChange);
  if (from < 0) return undefined;
  return entries.slice(from).findLast((e) => isChange(e) || isFoundDone(e))?.step;
}

function effective(entries: readonly JournalEntry[], step: string): boolean {
  return entries.some(
    (e) => e.step === step && e.kind === 'result' && ['done', 'recovered', 'partial'].includes(e.outcome ?? ''),
  );
}

/**
 * Sessions that may still be on the target and are not the one in use: those of former fences, and those of this one
 * whose call had no answer.
 */
export function formerSessions(entries: readonly JournalEntry[], fence: number): readonly FormerSession[] {
  return entries.flatMap((e) => {
    const identity = e.kind === 'intent' || e.kind === 'lock' ? field(e.data, 'session') : undefined;
    if (identity === undefined) return [];
    const isOpen = e.kind === 'intent' && phaseOf(entries, e.step).is === 'open' && isLastIntent(entries, e);
    return e.fence < fence || isOpen ? [{ step: e.step, attempt: e.attempt, fence: e.fence, identity }] : [];
  });
}

function isLastIntent(entries: readonly JournalEntry[], entry: JournalEntry): boolean {
  return entries.findLast((e) => e.kind === 'intent' && e.step === entry.step) === entry;
}

/** What earlier steps left for later ones: the newest data of each. */
export function memoOf(entries: readonly JournalEntry[]): Record<string, Json | undefined> {
  const memo: Record<string, Json | undefined> = {};
  for (const { kind, step, data } of entries) {
    if (kind !== 'result' && kind !== 'verify') continue;
    const left = field(data, 'memo');
    if (left !== undefined && left !== null) memo[step] = left;
  }
  return memo;
}

export function entryOf(entries: readonly JournalEntry[], kind: JournalEntry['kind']): JournalEntry | undefined {
  return entries.findLast((e) => e.kind === kind);
}

export function field(data: Json, name: string): Json | undefined {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return undefined;
  return (data as Readonly<Record<string, Json>>)[name];
}

export function textField(data: Json, name: string): string | undefined {
  const value = field(data, name);
  return typeof value === 'string' ? value : undefined;
}

function becauseOf(entry: JournalEntry): string | undefined {
  return textField(entry.data, 'because');
}
