import type { Known } from '../exporter/runtime/known.ts';
import type { Approval, Demotion, Episode, GuardResult, Json, Latch, Storm } from './model.ts';

export interface Verdict {
  readonly is: 'allow' | 'deny' | 'unknown';
  /** stable, snake_case */
  readonly code: string;
  readonly because: string;
  /** What the verdict rests on; shown in the trace. */
  readonly inputs: Readonly<Record<string, Json>>;
}

type Make = (code: string, because: string, inputs?: Verdict['inputs']) => Verdict;
export const allow: Make = (code, because, inputs = {}) => ({ is: 'allow', code, because, inputs });
export const deny: Make = (code, because, inputs = {}) => ({ is: 'deny', code, because, inputs });
export const unsure: Make = (code, because, inputs = {}) => ({ is: 'unknown', code, because, inputs });

export interface Pace {
  /** Runs in the window, per target and policy; started by the remediator itself. */
  readonly maxRuns: number;
  readonly windowMs: number;
  readonly cooldownMs: number;
  /** So many relapses within the window, and no more is tried: then repairing is not the remedy. */
  readonly maxRelapses: number;
  /** Runs of the policy in the window on all its targets together. Default: maxRuns. */
  readonly maxRunsTotal?: number;
}

/** When a policy may act by itself; outside it asks. Wall time of a named zone. */
export interface Window {
  /** 1 Monday … 7 Sunday */
  readonly days: readonly number[];
  /** Minutes since midnight; `to` may be less than `from`: over midnight. */
  readonly fromMinute: number;
  readonly toMinute: number;
  /** IANA name */
  readonly timezone: string;
}

/** What is tried next when the one before has failed. */
export interface ChainLink {
  readonly action: string;
  readonly params: Json;
  /** Never above the policy's own. */
  readonly mode: Policy['mode'];
}

export interface Policy {
  readonly name: string;
  readonly mode: 'observe' | 'approve' | 'auto';
  /** exact label values */
  readonly match: Readonly<Record<string, string>>;
  readonly action: string;
  readonly params: Json;
  readonly pace: Pace;
  readonly soakMs: number;
  readonly relapseMs: number;
  /** Empty: always. */
  readonly windows: readonly Window[];
  readonly approval: { readonly role: string; readonly expiresMs: number };
  /** After `action` itself, in order; empty: people come next. */
  readonly chain: readonly ChainLink[];
}

/** What policies.yml says beside its policies. */
export interface Limits {
  /** Of all runs together. */
  readonly global: { readonly maxRuns: number; readonly windowMs: number; readonly maxConcurrent: number };
  /** Distinct targets with an open episode: both must be reached. */
  readonly storm: {
    readonly minTargets: number;
    readonly percent: number;
    readonly windowMs: number;
    readonly cooldownMs: number;
  };
  /** Recurring times in which people work on `scope`. */
  readonly maintenance: readonly {
    readonly scope: string;
    readonly windows: readonly Window[];
    readonly reason: string;
  }[];
}

export interface PolicyFile {
  readonly policies: readonly Policy[];
  readonly limits: Limits;
  /** Absolute globs of the alert rules that the policies answer; `check` compares both. */
  readonly rules: readonly string[];
}

/** What of a policy's chain is due: its own action first, the next one after each that has failed. */
export interface LinkView extends ChainLink {
  /** The highest mode that the action allows whatever the file says. */
  readonly highestMode: 'approve' | 'auto';
  /** From 0. */
  readonly position: number;
  readonly length: number;
  /** Every link was tried in this episode and has failed: people come next. */
  readonly over: boolean;
}

/** Whether the remediator itself is fit to judge. */
export interface SelfView {
  /** The journal can be written: tried just now. */
  readonly store: Known<'writable'>;
  /** Sweeps over the open episodes since the start, this one included. */
  readonly sweeps: number;
  readonly minimumSweeps: number;
  /** The alert that always fires; undefined: none is expected. */
  readonly watchdog: { readonly ageMs: number; readonly everyMs: number; readonly source: string } | undefined;
  /** Targets other than this one, asked for a sign of life: if none answers, it may be us who is cut off. */
  readonly others: { readonly asked: number; readonly answering: number };
}

/** Of the runs and the approvals of this episode. */
export interface ApprovalView {
  readonly role: string;
  /** The newest one for exactly this policy, action, parameters and evidence. */
  readonly latest: Pick<Approval, 'id' | 'state' | 'expiresMs' | 'decidedBy' | 'comment'> | undefined;
  /** The newest one for another plan, and in what that was another one. */
  readonly former:
    | { readonly decidedBy: string | undefined; readonly wasRejected: boolean; readonly changes: readonly string[] }
    | undefined;
}

/** Everything a guard may know. Gathered before, never by a guard. */
export interface PlanInput {
  readonly nowMs: number;
  readonly episode: Episode;
  readonly clock: Known<'steady'>;
  readonly switches: {
    /** the switch file: ENOENT in a readable folder is clear, any other error is unreadable */
    readonly file: 'clear' | 'set' | 'unreadable';
    readonly fileDetail: string;
    readonly store: 'clear' | 'set' | 'missing';
    readonly storeDetail: string;
  };
  readonly self: SelfView;
  /** Policies whose match fits, in the order of the file; the first one counts. */
  readonly policies: readonly Policy[];
  readonly link: LinkView | undefined;
  /** The policy is trusted less than its file says, on this target. */
  readonly demotion: Demotion | undefined;
  /** Whether the policy may act by itself at this hour; `why` names the windows. */
  readonly window: { readonly inside: Known<boolean>; readonly why: string };
  /** Inventory targets that the alert's labels name, and how they were found. */
  readonly candidates: readonly { readonly name: string; readonly kind: string; readonly by: 'target' | 'instance' }[];
  /** Labels required on every alert (`require: {cluster: prod}`). */
  readonly require: Readonly<Record<string, string>>;
  /** The parameters, with what the alert's labels say of the object within the target. */
  readonly object:
    | { readonly is: 'clear'; readonly params: Json }
    | { readonly is: 'missing' | 'invalid' | 'other'; readonly because: string };
  readonly latches: readonly Latch[];
  /** In force now, on the target, on a pipeline of it or on all. */
  readonly maintenance: readonly { readonly scope: string; readonly by: string; readonly reason: string }[];
  readonly storm: Known<Pick<Storm, 'state' | 'enteredMs' | 'inputs'> & Partial<Pick<Storm, 'cooldownUntilMs'>>>;
  /** Transitive upstreams of the target with fresh facts on each. */
  readonly upstreams: readonly { readonly target: string; readonly up: Known<boolean>; readonly why: string }[];
  /** Kinds of targets that the policy's action works on; empty when there is no policy. */
  readonly kinds: readonly string[];
  /** What the action's own look at the facts said; undefined when no policy or target was found. */
  readonly action: ActionView | undefined;
  /** How long the facts have said the same: looks one after the other with equal decision-relevant facts. */
  readonly symptom: { readonly looks: number; readonly heldMs: number; readonly minimumMs: number };
  /** A run on this target; else one elsewhere that is not yet in its soak (one at a time). */
  readonly activeRun:
    { readonly id: string; readonly action: string; readonly state: string; readonly target: string } | undefined;
  readonly cooldown: { readonly untilMs: number; readonly runId: string } | undefined;
  /** Verified runs after which the same trouble came back soon. */
  readonly relapses: { readonly count: number; readonly max: number; readonly windowMs: number };
  /** The last run of this action on the target that has failed, and how far the data had come before it. */
  readonly lastFailed: { readonly runId: string; readonly mark: string | undefined } | undefined;
  /** Of each scope: the target, the policy, all runs. */
  readonly budgets: readonly {
    readonly scope: string;
    readonly used: number;
    readonly max: number;
    readonly windowMs: number;
  }[];
  readonly approval: ApprovalView;
  /** Oldest permission still good: webhook or poll older than this is stale. */
  readonly alertFreshMs: number;
}

export interface ActionView {
  readonly name: string;
  /** deny `already_fixed` when the facts are healthy; unknown when they cannot be had */
  readonly alreadyFixed: Verdict;
  readonly preconditions: Readonly<Record<string, Verdict>>;
  readonly owner: Verdict | undefined;
  readonly observers: readonly { readonly by: string; readonly says: 'broken' | 'healthy' | 'unknown' }[] | undefined;
  readonly progressMark: string | undefined;
  /** Trouble that is answered once in a while, and the run that has answered it already. */
  readonly answered?: { readonly what: string; readonly runId: string; readonly atMs: number } | undefined;
}

export interface Guard {
  readonly name: string;
  readonly help: string;
  readonly decide: (input: PlanInput) => Verdict;
}

/** One file per guard. Pure: no clock, no chance, no I/O (lint). */
export function defineGuard(guard: Guard): Guard {
  return guard;
}

export function resultOf(guard: string, verdict: Verdict): GuardResult {
  return { guard, result: verdict.is, code: verdict.code, because: verdict.because, inputs: verdict.inputs };
}
