import type { z } from 'zod';
import type { Verdict } from './guard.ts';
import type { Advice, Json } from './model.ts';

/**
 * How far a late or doubled call can reach, honestly:
 * cas: the target itself compares and refuses; session: bound to a session that a successor ends first;
 * predicate: acts only while its condition holds, with a window between look and call; once: nothing fences it.
 */
export type FencingClass = 'read' | 'cas' | 'session' | 'predicate' | 'once';

export interface Probe {
  readonly is: 'absent' | 'present' | 'partial' | 'overtaken' | 'unknown';
  readonly because: string;
  readonly data?: Json;
}
export interface Applied {
  /** refused only on positive proof that nothing was done; a timeout or a reset after sending is unknown */
  readonly is: 'done' | 'refused' | 'unknown';
  readonly code?: string;
  readonly because: string;
  readonly data?: Json;
}
export interface Checked {
  readonly is: 'yes' | 'no' | 'unknown';
  readonly because: string;
  readonly data?: Json;
  /** A `no` that no later try can change: ends the step at once, and the target is latched with this reason. */
  readonly never?: string;
}

export interface StepRun<B> {
  /** Facts and incarnation as captured under the claim and frozen in the journal. */
  readonly before: B;
  /** Data that earlier steps' results left in the journal, by step name. */
  readonly memo: Readonly<Record<string, Json | undefined>>;
  readonly fence: number;
  readonly runId: string;
  readonly attempt: number;
  readonly signal: AbortSignal;
  /** Progress for people; never decides anything. */
  readonly note: (message: string, data?: Json) => void;
  /** The lock that the action took for this run; undefined where it has none, or could not be had again after a crash. */
  readonly lock?: VisibleLock | undefined;
}

/**
 * The one connection that a mutation goes over: dedicated, without reconnect, replay or pool. How the action finds its
 * client again from this is its own affair (a class of its own, a WeakMap).
 */
export interface StepSession extends AsyncDisposable {
  /**
   * What a successor needs to end it, and not another that was given the same number since: the server's identity and
   * start, the connection's id there. Journalled in the intent, before the call.
   */
  readonly identity: Json;
}

/** A session that an earlier life of the run wrote into the journal. */
export interface FormerSession {
  /** '' for the session of the lock */
  readonly step: string;
  readonly attempt: number;
  readonly fence: number;
  readonly identity: Json;
}

export interface Step<B> {
  readonly name: string;
  readonly help: string;
  readonly fencing: FencingClass;
  /** longest time of apply, and of one verification */
  readonly deadlineMs: number;
  readonly verifyMs: number;
  /**
   * For how long it is verified again and again, after its call, while the answer is unknown; `verifyMs` if left out. What
   * was called cannot be left half done for a target, or a supervisor, that does not answer for a moment.
   */
  readonly answeredMs?: number;
  /** how long after an unanswered apply its effect may still appear */
  readonly settleMs: number;
  readonly maxAttempts: number;
  readonly safePointAfter: boolean;
  readonly lateCopy: 'harmless' | 'harmful';
  /** Read-only, relative to `before`. */
  readonly probe: (run: StepRun<B>) => Promise<Probe>;
  /** `partial` is gone on with by `apply`, as `absent` is. Without it a half-done step is left to people. */
  readonly resumesPartial?: boolean;
  /**
   * Opens the session that `apply` uses, or names the one that the lock holds (then its dispose does nothing). Read-only.
   * Called before the intent is written, which carries its identity; disposed after the call. What it throws ends the
   * step with nothing done; where an earlier step has left the target half done it is called again for `verifyMs`. For
   * fencing `session` it is required, together with the action's `fence`: without both the
   * step is treated as `once`.
   */
  readonly session?: (run: StepRun<B>) => Promise<StepSession>;
  /** One external call; no retries, no reconnect inside. Absent for a step that only looks (a gate, a verification). */
  readonly apply?: (run: StepRun<B>, session?: StepSession) => Promise<Applied>;
  readonly verify: (run: StepRun<B>) => Promise<Checked>;
  /** Name of a compensating step to run when a later step fails; 'none' is a decision too. */
  readonly compensate: Step<B> | 'none';
}

/** A lock that others can see on the system concerned, held for the whole run. A courtesy, not the fence. */
export interface VisibleLock extends AsyncDisposable {
  /** Of the session that holds it, journalled when it is taken: see StepSession.identity. */
  readonly identity?: Json;
  /** Whether this run still has it, asked anew; never throws. */
  readonly held: (signal: AbortSignal) => Promise<Checked>;
}
export type LockAttempt =
  | { readonly is: 'held'; readonly lock: VisibleLock }
  | { readonly is: 'refused' | 'unknown'; readonly because: string };

/** What an action saw: facts for people, a verdict for the planner, and what is frozen for the steps. */
export interface Look<B> {
  readonly alreadyFixed: Verdict;
  /** In order; codes are stable. Every one is shown in the trace. */
  readonly preconditions: Readonly<Record<string, Verdict>>;
  /** Who else starts and stops it (a restart policy, Sentinel, an orchestrator): `deny` while that one is at work. */
  readonly owner?: Verdict;
  /** Fresh facts by at least two ways that agree on the symptom; absent: the action looks one way only and says so. */
  readonly observers?: readonly { readonly by: string; readonly says: 'broken' | 'healthy' | 'unknown' }[];
  /** Grows while the data moves (a position, an executed set): no attempt follows one that has not moved it. */
  readonly progressMark?: string;
  /** Trouble that a repair answers once within this time: the next time it is for people. */
  readonly once?: { readonly what: string; readonly withinMs: number };
  /** Declared, decision-relevant facts only (incarnation, error class, needed file): hashed, no moving numbers. */
  readonly evidence: Json;
  /** Everything seen, for the evidence file. */
  readonly seen: Json;
  /** undefined while a fact that the steps need is unknown: then nothing is done. */
  readonly before: B | undefined;
  readonly advice: readonly Advice[];
}

interface ActionSpec<P extends z.ZodType, B, W> {
  readonly name: string;
  readonly help: string;
  /** kinds of targets it works on */
  readonly kinds: readonly string[];
  /** The highest mode a policy may give it; what cannot be undone is never `auto`. Default: auto. */
  readonly highestMode?: 'approve' | 'auto';
  /** Labels of the alert that name its object within the target (a channel of a replica), by parameter. */
  readonly objectLabels?: Readonly<Record<string, string>>;
  readonly params: P;
  /** Reads the facts; never throws for a target's fault. */
  readonly look: (target: string, params: z.output<P>, world: W, signal: AbortSignal) => Promise<Look<B>>;
  /** Taken before the facts are read again under the claim; without it nothing is begun. */
  readonly lock?: (target: string, params: z.output<P>, world: W, signal: AbortSignal) => Promise<LockAttempt>;
  /**
   * Ends the sessions that former lives of the run, or a call without an answer, may still have on the target: their
   * late calls are refused from then on. `yes` only when none of them is left (ended now, or gone before: another start
   * of the server, another connection under that id). Asked before the lock is taken again and before an unanswered call
   * is looked at; the identities come from the journal. Must be safe to repeat.
   */
  readonly fence?: (
    target: string,
    params: z.output<P>,
    world: W,
    sessions: readonly FormerSession[],
    signal: AbortSignal,
  ) => Promise<Checked>;
  /** The whole of a run, before its soak, may take this long; then nothing more is begun in it. Default: 15 minutes. */
  readonly longestMs?: number;
  /** A copy with its own undo, written and fsynced before the first mutation. */
  readonly snapshot: (before: B) => { readonly name: string; readonly text: string };
  readonly steps: (target: string, params: z.output<P>, world: W) => readonly Step<B>[];
  /** Watched through the soak: yes while the data moves. */
  readonly soak: (target: string, params: z.output<P>, world: W, run: StepRun<B>) => Promise<Checked>;
}

/** Closed over its types; the runner and the journal see JSON. */
export interface Action<W> {
  readonly name: string;
  readonly help: string;
  readonly kinds: readonly string[];
  readonly highestMode: 'approve' | 'auto';
  readonly objectLabels: Readonly<Record<string, string>>;
  readonly params: z.ZodType;
  readonly look: (target: string, params: Json, world: W, signal: AbortSignal) => Promise<Look<unknown>>;
  readonly lock: ((target: string, params: Json, world: W, signal: AbortSignal) => Promise<LockAttempt>) | undefined;
  readonly fence:
    | ((
        target: string,
        params: Json,
        world: W,
        sessions: readonly FormerSession[],
        signal: AbortSignal,
      ) => Promise<Checked>)
    | undefined;
  readonly longestMs: number;
  readonly snapshot: (before: unknown) => { readonly name: string; readonly text: string };
  readonly steps: (target: string, params: Json, world: W) => readonly Step<unknown>[];
  readonly soak: (target: string, params: Json, world: W, run: StepRun<unknown>) => Promise<Checked>;
}

/** `before` goes through the journal as JSON, so B must be plain data. */
export function actionOf<W>() {
  return function defineAction<P extends z.ZodType, B>(spec: ActionSpec<P, B, W>): Action<W> {
    return {
      name: spec.name,
      help: spec.help,
      kinds: spec.kinds,
      highestMode: spec.highestMode ?? 'auto',
      objectLabels: spec.objectLabels ?? {},
      params: spec.params,
      look: (target, params, world, signal) => spec.look(target, spec.params.parse(params), world, signal),
      lock:
        spec.lock === undefined
          ? undefined
          : async (target, params, world, signal) =>
              (await spec.lock?.(target, spec.params.parse(params), world, signal)) ?? {
                is: 'unknown',
                because: 'the action has no lock',
              },
      fence:
        spec.fence === undefined
          ? undefined
          : async (target, params, world, sessions, signal) =>
              (await spec.fence?.(target, spec.params.parse(params), world, sessions, signal)) ?? {
                is: 'unknown',
                because: 'the action ends no sessions',
              },
      longestMs: spec.longestMs ?? 15 * 60_000,
      snapshot: (before) => spec.snapshot(before as B),
      steps: (target, params, world) =>
        spec.steps(target, spec.params.parse(params), world) as unknown as readonly Step<unknown>[],
      soak: (target, params, world, run) => spec.soak(target, spec.params.parse(params), world, run as StepRun<B>),
    };
  };
}
