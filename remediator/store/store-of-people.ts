import type { Approval, AuditEntry, Demotion, Maintenance, PolicyCounts, Storm } from '../model.ts';

/** What people have said and what was learnt of policies, the sum of it over time, and what need not be kept. */
export interface StoreOfPeople {
  // --- approvals
  /**
   * Asks for leave. One open request (requested or approved) per episode and target: the same hashes give back the one
   * that is open; others void it and ask anew.
   */
  readonly requestApproval: (
    asked: Omit<Approval, 'id' | 'requestedMs' | 'state' | 'decidedBy' | 'decidedMs' | 'comment' | 'usedByRun'>,
    nowMs: number,
  ) => Promise<{ readonly approval: Approval; readonly isNew: boolean }>;
  readonly approval: (id: string) => Promise<Approval | undefined>;
  /** Newest first. `open`: requested or approved, and not expired. */
  readonly approvals: (filter: {
    readonly episodeId?: string;
    readonly open?: boolean;
    readonly nowMs: number;
    readonly limit: number;
  }) => Promise<readonly Approval[]>;
  /** With its audit. Only what is `requested` and not expired can be decided: else what stands against it. */
  readonly decideApproval: (
    id: string,
    verdict: 'approved' | 'rejected',
    by: string,
    comment: string,
    nowMs: number,
  ) => Promise<
    { readonly decided: true; readonly approval: Approval } | { readonly decided: false; readonly because: string }
  >;

  // --- maintenance, demotion, storm
  /** Those that last now or begin later. */
  readonly maintenances: (nowMs: number) => Promise<readonly Maintenance[]>;
  readonly addMaintenance: (maintenance: Omit<Maintenance, 'id'>, via: string, nowMs: number) => Promise<Maintenance>;
  readonly endMaintenance: (id: string, by: string, via: string, nowMs: number) => Promise<boolean>;
  readonly demotions: () => Promise<readonly Demotion[]>;
  /** The lower mode stays when there is one already. With its audit. */
  readonly demote: (demotion: Demotion) => Promise<void>;
  readonly liftDemotion: (
    policy: string,
    target: string,
    by: string,
    comment: string,
    nowMs: number,
  ) => Promise<boolean>;
  readonly storm: () => Promise<Storm | undefined>;
  readonly setStorm: (storm: Storm) => Promise<void>;

  // --- over time
  /** @param actions of these only; left out: whatever the policy has named at any time */
  readonly policyCounts: (
    policy: string,
    target: string | undefined,
    actions?: readonly string[],
  ) => Promise<PolicyCounts>;
  readonly auditOf: (filter: { readonly object?: string; readonly limit: number }) => Promise<readonly AuditEntry[]>;
  /** One chunk of what is older than it must be kept; call it again while it says `more`. */
  readonly prune: (keep: Retention, nowMs: number) => Promise<{ readonly deleted: number; readonly more: boolean }>;
  readonly size: () => Promise<{ readonly bytes: number; readonly webhooks: number; readonly webhookBytes: number }>;
}

export interface Retention {
  /** Of closed episodes with all that belongs to them. */
  readonly episodesMs: number;
  /** Bodies of notifications beyond this are deleted, oldest processed first. */
  readonly webhookBytes: number;
  /** No entry that a window, a cooldown or a relapse may still look at is deleted. */
  readonly longestWindowMs: number;
  /** Of the audit, the newest; 100,000. */
  readonly auditRows?: number;
}
