// The words of the remediator: what is stored, what guards see. Data only, JSON all through.
// All `…Ms` are ledger time (reference: a wall jump must not open a window early), unless the name says wall.

export const alertStates = ['active', 'silenced', 'inhibited', 'absent', 'unreachable', 'unknown'] as const;
/** What Alertmanager's API said of the alert: any peer silenced -> silenced; else any active -> active. */
export type AlertState = (typeof alertStates)[number];

/** One alert of one webhook body, after validation. Times are the sender's wall clock. */
export interface IncomingAlert {
  readonly status: 'firing' | 'resolved';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsWallMs: number;
  /** undefined while firing (0001-01-01 on the wire) */
  readonly endsWallMs: number | undefined;
  readonly fingerprint: string;
}

/** One incident: at most one open episode per identity, whatever the number of deliveries and peers. */
export interface Episode {
  readonly id: string;
  readonly source: string;
  /** sha256 over source and sorted labels without the replica labels */
  readonly ident: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly version: number;
  readonly startsWallMs: number;
  readonly firstSeenMs: number;
  readonly lastFiringMs: number;
  /** a `resolved` was delivered since the last firing */
  readonly resolvedHintMs: number | undefined;
  /** the newest delivery was of a group that Alertmanager had cut (truncatedAlerts > 0) */
  readonly truncated: boolean;
  readonly alertState: AlertState;
  /** silence or inhibitor ids, or why it is unreachable */
  readonly alertDetail: string;
  readonly alertSeenMs: number | undefined;
  readonly state: 'open' | 'closed';
  readonly attempts: number;
  readonly relapseOf: string | undefined;
  readonly nextEvalMs: number | undefined;
  readonly closedMs: number | undefined;
  readonly outcome: EpisodeOutcome | undefined;
}
export type EpisodeOutcome = 'healed' | 'repaired' | 'vanished' | 'failed';

export interface GuardResult {
  readonly guard: string;
  readonly result: 'allow' | 'deny' | 'unknown';
  /** stable, snake_case: part of the reason key and of metrics */
  readonly code: string;
  readonly because: string;
  /** what the verdict rests on */
  readonly inputs: Json;
}

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

export type DecisionVerdict = 'act' | 'would_act' | 'hold' | 'refuse';

export interface Decision {
  readonly id: string;
  readonly episodeId: string;
  readonly episodeVersion: number;
  readonly policy: string | undefined;
  readonly policyHash: string;
  readonly action: string | undefined;
  readonly target: string | undefined;
  readonly params: Json;
  readonly verdict: DecisionVerdict;
  /** the first guard that did not allow, and its code; a new row is stored only when this changes */
  readonly reasonKey: string;
  readonly because: string;
  readonly trace: readonly GuardResult[];
  /** hash of the declared, decision-relevant facts: no moving numbers */
  readonly evidenceHash: string | undefined;
  /** for people: e.g. the statement prepared for a repair that is not done automatically */
  readonly advice: readonly Advice[];
  readonly firstMs: number;
  readonly lastMs: number;
  readonly repeats: number;
}

export interface Advice {
  readonly title: string;
  readonly text: string;
}

export const runStates = ['running', 'soaking', 'ended'] as const;
export type RunState = (typeof runStates)[number];
export type RunOutcome =
  | 'verified' // the data moves and went on moving through the soak
  | 'already_fixed' // nothing was done: the facts were healthy when re-read under the claim
  | 'failed' // something was done and it did not help; compensated where declared
  | 'refused' // a step said no before anything was changed
  | 'overtaken' // somebody else changed the incarnation
  | 'outcome_unknown'; // terminal, with a latch: what was done cannot be known

export interface Run {
  readonly id: string;
  readonly episodeId: string;
  readonly attempt: number;
  readonly decisionId: string;
  readonly action: string;
  readonly planHash: string;
  readonly policy: Json;
  readonly params: Json;
  readonly target: string;
  readonly actor: string;
  readonly fence: number;
  readonly state: RunState;
  readonly claimedMs: number;
  readonly firstMutationMs: number | undefined;
  readonly endedMs: number | undefined;
  readonly cooldownUntilMs: number | undefined;
  readonly outcome: RunOutcome | undefined;
  readonly because: string | undefined;
  readonly evidencePath: string | undefined;
}

export type JournalKind =
  | 'claimed'
  | 'facts' // re-read under the claim; data = `before`, frozen
  | 'evidence' // the evidence file and the position backup are durable
  | 'probe'
  | 'lock' // taken: data = the identity of the session that holds it
  | 'intent' // written and durable before the one external call
  | 'result' // outcome done | refused | unknown | recovered | skipped
  | 'verify'
  | 'verified'
  | 'soak'
  | 'compensate'
  | 'ended';

export interface JournalEntry {
  readonly n: number;
  readonly kind: JournalKind;
  /** name of the step; '' for the run itself */
  readonly step: string;
  readonly attempt: number;
  readonly outcome: string | undefined;
  readonly atMs: number;
  readonly fence: number;
  readonly holder: string;
  readonly data: Json;
}

export interface Latch {
  readonly id: string;
  readonly scope: string;
  readonly reason: string;
  readonly runId: string | undefined;
  readonly setMs: number;
}

/** What somebody has done, by which way. */
export interface AuditEntry {
  readonly atMs: number;
  readonly actor: string;
  readonly via: string;
  readonly verb: string;
  readonly object: string;
  readonly detail: Json;
}

export interface Pause {
  readonly scope: string;
  readonly paused: boolean;
  readonly by: string;
  readonly reason: string;
  readonly setMs: number;
  readonly untilMs: number | undefined;
}

/** A person's leave for one repair, bound to what it was given on: void when that changes. */
export interface Approval {
  readonly id: string;
  readonly episodeId: string;
  /** The decision that asked. */
  readonly decisionId: string;
  readonly policy: string;
  readonly action: string;
  readonly target: string;
  readonly policyHash: string;
  /** Of the declared, decision-relevant facts only: a lag that moves does not void it. */
  readonly evidenceHash: string;
  readonly paramsHash: string;
  /** Of `plan`. '' of one that was asked for by a version that did not keep it: that one carries nothing any more. */
  readonly planHash: string;
  /** What was shown, see shown-plan.ts. */
  readonly plan: Json;
  /** Who may decide; free text of policies.yml, checked against the roles of the API's tokens. */
  readonly role: string;
  readonly requestedMs: number;
  readonly expiresMs: number;
  /** void: the facts, the policy or the parameters have changed since; used: a run was claimed with it, once. */
  readonly state: 'requested' | 'approved' | 'rejected' | 'expired' | 'void' | 'used';
  readonly decidedBy: string | undefined;
  readonly decidedMs: number | undefined;
  readonly comment: string | undefined;
  readonly usedByRun: string | undefined;
}

/** People work there: nothing begins, what runs stops at its next safe point. */
export interface Maintenance {
  readonly id: string;
  /** `global`, `target:NAME` or `pipeline:NAME` */
  readonly scope: string;
  readonly startsMs: number;
  readonly endsMs: number;
  readonly owner: string;
  readonly reason: string;
}

/** The remediator trusts a policy less than its file does: the lower of both modes counts until a person lifts it. */
export interface Demotion {
  readonly policy: string;
  readonly target: string;
  readonly mode: 'observe' | 'approve';
  readonly reason: string;
  readonly setMs: number;
}

/** Many targets alert at once: then the cause is elsewhere. Left only after a time of calm. */
export interface Storm {
  readonly state: 'calm' | 'active';
  readonly enteredMs: number;
  /** Active: not left before this. */
  readonly cooldownUntilMs: number | undefined;
  readonly inputs: Json;
}

/** What `policy promote` shows: how a policy has done so far, on one target or on all. */
export interface PolicyCounts {
  /** Decisions that would have acted. */
  readonly wouldAct: number;
  /** Of these: healed by itself within ten minutes, so acting was needless. */
  readonly needless: number;
  readonly approved: number;
  readonly rejected: number;
  readonly verified: number;
  /** Of these: begun with the yes of a person. */
  readonly approvedVerified: number;
  readonly failed: number;
  readonly unknownOutcome: number;
  readonly relapses: number;
  readonly firstSeenMs: number | undefined;
}

/** What is told to people through Alertmanager. */
export interface Escalation {
  /** one notification per changed reason, not one per evaluation */
  readonly dedupeKey: string;
  readonly episodeId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}
