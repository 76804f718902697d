import type {
  AlertState,
  AuditEntry,
  Decision,
  Episode,
  EpisodeOutcome,
  Escalation,
  IncomingAlert,
  JournalEntry,
  JournalKind,
  Json,
  Latch,
  Pause,
  Run,
  RunOutcome,
  RunState,
} from '../model.ts';
import type { StoreOfPeople } from './store-of-people.ts';

/**
 * What the remediator remembers. One interface; SQLite and MySQL, one test suite on both. Every method is one
 * transaction and durable when it resolves. A method that cannot write rejects with StoreError: callers stop acting,
 * the receiver answers 503.
 */
export interface Store extends StoreOfPeople, AsyncDisposable {
  // --- intake
  /** Durable (fsync) when it resolves: only then may a 2xx be written. */
  readonly appendWebhook: (hook: NewWebhook) => Promise<number>;
  readonly pendingWebhooks: (limit: number) => Promise<readonly StoredWebhook[]>;
  /** One transaction: split, episode upserts, links, processed mark. Idempotent. `alerts` undefined: the body is poison and only marked. */
  readonly processWebhook: (
    id: number,
    alerts: readonly IncomingAlert[] | undefined,
    truncated: boolean,
    nowMs: number,
  ) => Promise<readonly EpisodeChange[]>;
  /**
   * The same for several, in their order and in one transaction: all of it or nothing. Who meets an error goes on one by
   * one, so that one of them holds up nobody else.
   */
  readonly processWebhooks: (
    hooks: readonly ReadWebhook[],
    nowMs: number,
  ) => Promise<readonly (readonly EpisodeChange[])[]>;
  readonly webhooksOf: (episodeId: string) => Promise<
    readonly {
      readonly id: number;
      readonly receivedMs: number;
      readonly receivedBy: string;
      readonly status: string;
    }[]
  >;

  // --- episodes
  readonly openEpisodes: () => Promise<readonly Episode[]>;
  readonly dueEpisodes: (nowMs: number) => Promise<readonly Episode[]>;
  readonly episode: (id: string) => Promise<Episode | undefined>;
  readonly findEpisodes: (filter: {
    readonly alertname?: string;
    readonly limit: number;
  }) => Promise<readonly Episode[]>;
  /**
   * What a poll said, begun at `seenMs`. Silenced and inhibited always count; anything else only when nothing newer was
   * seen. Unreachable and unknown leave the time of the last sight. A changed state makes the episode due.
   */
  readonly setAlertState: (episodeId: string, state: AlertState, detail: string, seenMs: number) => Promise<void>;
  /** Of all open episodes, the earliest; undefined: none has a time. */
  readonly nextEvalMs: () => Promise<number | undefined>;
  /** CAS on the old value: false when another evaluator took it. */
  readonly scheduleEval: (episodeId: string, oldMs: number | undefined, nextMs: number) => Promise<boolean>;
  /** Closed episodes, ended since then and the newest of their identity, that were told as firing after their end. */
  readonly lateCopies: (source: string, sinceMs: number) => Promise<readonly LateCopy[]>;
  /** For a closed episode that Alertmanager still says is active: opens its successor. undefined when one is open already. */
  readonly reopen: (episodeId: string, startsWallMs: number, nowMs: number) => Promise<string | undefined>;
  /**
   * With what people were told of it, which is ended in the same transaction. False when the version moved, when it is
   * closed already, or while a run of it is active.
   */
  readonly closeEpisode: (
    episodeId: string,
    version: number,
    outcome: EpisodeOutcome,
    nowMs: number,
  ) => Promise<boolean>;

  // --- decisions
  /**
   * A new row only when reasonKey changed; else repeats + 1. Returns the stored one and whether it is new. Of an episode
   * that changes its reason without end the first ones, the newest ones and those that something rests on are kept.
   */
  readonly recordDecision: (
    decision: Omit<Decision, 'id' | 'firstMs' | 'lastMs' | 'repeats'>,
    nowMs: number,
  ) => Promise<{ readonly decision: Decision; readonly changed: boolean }>;
  readonly decisionsOf: (episodeId: string) => Promise<readonly Decision[]>;
  /** How many between its first and its newest ones are no longer kept. */
  readonly decisionsDropped: (episodeId: string) => Promise<number>;

  // --- claim and runs
  readonly claim: (claim: Claim, nowMs: () => number) => Promise<ClaimResult>;
  readonly run: (id: string) => Promise<Run | undefined>;
  readonly activeRuns: () => Promise<readonly Run[]>;
  readonly activeRunOf: (target: string) => Promise<Run | undefined>;
  readonly runsOf: (filter: {
    readonly episodeId?: string;
    readonly target?: string;
    readonly limit: number;
  }) => Promise<readonly Run[]>;
  readonly budgetUsed: (scope: string, sinceMs: number) => Promise<number>;
  /** Refuses (StoreError `fenced`) when the lease is not this holder's with this fence, or is over. `intent` marks the budget spent. */
  readonly appendJournal: (run: Hold, entry: NewJournalEntry, nowMs: () => number) => Promise<JournalEntry>;
  readonly journalOf: (runId: string) => Promise<readonly JournalEntry[]>;
  readonly renewLease: (run: Hold, ttlMs: number, nowMs: () => number) => Promise<boolean>;
  /**
   * Takes over an active run whose lease has been over for `graceMs` (or whose holder is this one, restarted, or is
   * proven dead): new fence.
   */
  readonly adopt: (
    runId: string,
    holder: string,
    ttlMs: number,
    nowMs: () => number,
    graceMs?: number,
  ) => Promise<Hold | undefined>;
  readonly setRun: (
    run: Hold,
    change: { readonly state?: RunState; readonly evidencePath?: string },
    nowMs: () => number,
  ) => Promise<void>;
  /** Journals `ended`, frees the lease, settles the budget (released only when no intent was written), sets the cooldown and, for outcome_unknown or `latch`, the latch. */
  readonly endRun: (run: Hold, end: RunEnd, nowMs: () => number) => Promise<void>;

  // --- latches, switch, outbox
  /** Open ones, of one scope (`target:NAME`) or of all. */
  readonly latches: (scope?: string) => Promise<readonly Latch[]>;
  readonly clearLatch: (id: string, by: string, comment: string, nowMs: number) => Promise<boolean>;
  readonly pauses: () => Promise<readonly Pause[]>;
  readonly setPause: (pause: Pause) => Promise<void>;
  /**
   * False when the same one is open already. A new reason takes the place of the former one with the same labels, and a
   * RemediationFailed ends what was refused or waited for before.
   */
  readonly enqueue: (escalation: Escalation, nowMs: number) => Promise<boolean>;
  readonly dueEscalations: (nowMs: number) => Promise<readonly StoredEscalation[]>;
  readonly markEscalation: (
    dedupeKey: string,
    change: {
      readonly nextMs: number;
      readonly okMs?: number;
      readonly error?: string;
      readonly state?: 'open' | 'ending' | 'done';
    },
  ) => Promise<void>;
  readonly escalationsOf: (episodeId: string) => Promise<readonly StoredEscalation[]>;
  /** Taken by no peer yet, or not anew since `sinceMs`. */
  readonly undeliveredEscalations: (sinceMs: number) => Promise<number>;
  /** Escalations of the episode are ended: posted once more with endsAt now. */
  readonly endEscalations: (episodeId: string, nowMs: number) => Promise<void>;
  readonly audit: (entry: AuditEntry) => Promise<void>;

  // --- the ledger clock and small marks (high-water of failed messages, watchdog last seen)
  readonly meta: (key: string) => Promise<string | undefined>;
  readonly setMeta: (key: string, value: string) => Promise<void>;
}

export interface NewWebhook {
  readonly source: string;
  readonly receivedMs: number;
  /** Which receiver took it, and the peer it came from (address), for people. */
  readonly receivedBy: string;
  readonly body: Buffer;
  readonly alertCount: number;
  readonly truncatedCount: number;
}
export interface StoredWebhook extends NewWebhook {
  readonly id: number;
}

/** A stored one whose body was read; `alerts` undefined: it is poison. */
export interface ReadWebhook {
  readonly id: number;
  readonly alerts: readonly IncomingAlert[] | undefined;
  readonly truncated: boolean;
}

export interface LateCopy {
  readonly episodeId: string;
  /** When the newest one was processed. */
  readonly copyMs: number;
}

export interface EpisodeChange {
  readonly episodeId: string;
  /** `altered`: refreshed, with something new in it, so that it is due. */
  readonly change: 'opened' | 'refreshed' | 'altered' | 'resolved_hint' | 'late_copy';
  /** Of one that was opened: the episode before. */
  readonly relapseOf?: string;
}

export interface Claim {
  readonly runId: string;
  readonly episodeId: string;
  /** As read by the planner: a stale decision loses even when the other run is already over. */
  readonly episodeVersion: number;
  readonly attempt: number;
  readonly decisionId: string;
  readonly action: string;
  readonly planHash: string;
  readonly policy: Json;
  readonly params: Json;
  readonly target: string;
  /** `auto`, or `human:NAME`: a person's run holds lease and cooldown, but uses up no budget. */
  readonly actor: string;
  readonly holder: string;
  readonly ttlMs: number;
  /** Each scope with its limit in the window; e.g. target:maxwell1, policy:maxwell-down, global. */
  readonly budgets: readonly { readonly scope: string; readonly max: number; readonly windowMs: number }[];
  /** Pipelines of the target: a pause, a latch or a maintenance of one of them holds the claim up too. */
  readonly pipelines?: readonly string[];
  /** Runs that are not in their soak, of all targets; checked in the claim. */
  readonly maxConcurrent?: number;
  /** Used up by the claim, exactly once; the hashes must still be those it was given on. */
  readonly approval?: {
    readonly id: string;
    readonly policyHash: string;
    readonly evidenceHash: string;
    readonly paramsHash: string;
    readonly planHash: string;
  };
}

export type ClaimResult =
  | { readonly won: true; readonly run: Run; readonly hold: Hold }
  | {
      readonly won: false;
      readonly code:
        | 'paused'
        | 'latched'
        | 'maintenance'
        | 'demoted'
        | 'storm'
        | 'cooldown'
        | 'leased'
        | 'active'
        | 'budget'
        | 'approval'
        | 'stale';
      readonly because: string;
    };

/** Proof of ownership, handed to every write of a run. */
export interface Hold {
  readonly runId: string;
  readonly target: string;
  readonly holder: string;
  readonly fence: number;
}

export interface NewJournalEntry {
  readonly kind: JournalKind;
  readonly step: string;
  readonly attempt: number;
  readonly outcome?: string;
  readonly data: Json;
}

export interface RunEnd {
  readonly outcome: RunOutcome;
  readonly because: string;
  readonly cooldownMs: number;
  /** Set on the target; an open one keeps every further run away until a person clears it. */
  readonly latch?: string;
}

export interface StoredEscalation extends Escalation {
  readonly state: 'open' | 'ending' | 'done';
  readonly tries: number;
  readonly firstMs: number;
  readonly lastOkMs: number | undefined;
  readonly lastError: string | undefined;
}

export class StoreError extends Error {
  readonly code: 'full' | 'fenced' | 'busy' | 'broken';
  constructor(code: StoreError['code'], message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'StoreError';
    this.code = code;
  }
}
