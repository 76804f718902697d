// Rows to model types. A value of another type than the schema gives is a broken store, not a default.
import {
  alertStates,
  runStates,
  type Advice,
  type Approval,
  type Decision,
  type Demotion,
  type Episode,
  type EpisodeOutcome,
  type GuardResult,
  type JournalEntry,
  type JournalKind,
  type Json,
  type Latch,
  type Maintenance,
  type Pause,
  type Run,
  type RunOutcome,
  type Storm,
} from '../model.ts';
import type { Row } from './db.ts';
import { StoreError, type StoredEscalation } from './store.ts';

export function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw new StoreError('broken', `column ${column} holds no text`);
  return value;
}

export function int(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== 'number') throw new StoreError('broken', `column ${column} holds no number`);
  return value;
}

export function maybe<T>(read: (row: Row, column: string) => T, row: Row, column: string): T | undefined {
  return row[column] === null ? undefined : read(row, column);
}

export function bytes(row: Row, column: string): Uint8Array {
  const value = row[column];
  if (!(value instanceof Uint8Array)) throw new StoreError('broken', `column ${column} holds no bytes`);
  return value;
}

/** What this program wrote itself, with its own types: parsed, not checked again. */
export function json(row: Row, column: string): unknown {
  return JSON.parse(text(row, column));
}

export function episodeOf(row: Row): Episode {
  return {
    id: text(row, 'id'),
    source: text(row, 'source'),
    ident: text(row, 'ident'),
    labels: json(row, 'labels') as Episode['labels'],
    annotations: json(row, 'annotations') as Episode['annotations'],
    version: int(row, 'version'),
    startsWallMs: int(row, 'starts_wall_ms'),
    firstSeenMs: int(row, 'first_seen_ms'),
    lastFiringMs: int(row, 'last_firing_ms'),
    resolvedHintMs: maybe(int, row, 'resolved_hint_ms'),
    truncated: int(row, 'truncated') !== 0,
    alertState: alertStates.find((s) => s === row['am_state']) ?? 'unknown',
    alertDetail: text(row, 'am_detail'),
    alertSeenMs: maybe(int, row, 'am_seen_ms'),
    state: row['state'] === 'closed' ? 'closed' : 'open',
    attempts: int(row, 'attempts'),
    relapseOf: maybe(text, row, 'relapse_of'),
    nextEvalMs: maybe(int, row, 'next_eval_ms'),
    closedMs: maybe(int, row, 'closed_ms'),
    outcome: maybe(text, row, 'outcome') as EpisodeOutcome | undefined,
  };
}

export function guardResultOf(row: Row): GuardResult {
  return {
    guard: text(row, 'guard'),
    result: text(row, 'result') as GuardResult['result'],
    code: text(row, 'code'),
    because: text(row, 'because'),
    inputs: json(row, 'inputs') as Json,
  };
}

export function decisionOf(row: Row, trace: readonly GuardResult[]): Decision {
  return {
    id: text(row, 'id'),
    episodeId: text(row, 'episode_id'),
    episodeVersion: int(row, 'episode_version'),
    policy: maybe(text, row, 'policy'),
    policyHash: text(row, 'policy_hash'),
    action: maybe(text, row, 'action'),
    target: maybe(text, row, 'target'),
    params: json(row, 'params') as Json,
    verdict: text(row, 'verdict') as Decision['verdict'],
    reasonKey: text(row, 'reason_key'),
    because: text(row, 'because'),
    trace,
    evidenceHash: maybe(text, row, 'evidence_hash'),
    advice: json(row, 'advice') as readonly Advice[],
    firstMs: int(row, 'first_ms'),
    lastMs: int(row, 'last_ms'),
    repeats: int(row, 'repeats'),
  };
}

export function runOf(row: Row): Run {
  const state = runStates.find((s) => s === row['state']);
  if (state === undefined) throw new StoreError('broken', `a run is in a state that does not exist`);
  return {
    id: text(row, 'id'),
    episodeId: text(row, 'episode_id'),
    attempt: int(row, 'attempt'),
    decisionId: text(row, 'decision_id'),
    action: text(row, 'action'),
    planHash: text(row, 'plan_hash'),
    policy: json(row, 'policy_json') as Json,
    params: json(row, 'params') as Json,
    target: text(row, 'target'),
    actor: text(row, 'actor'),
    fence: int(row, 'fence'),
    state,
    claimedMs: int(row, 'claimed_ms'),
    firstMutationMs: maybe(int, row, 'first_mutation_ms'),
    endedMs: maybe(int, row, 'ended_ms'),
    cooldownUntilMs: maybe(int, row, 'cooldown_until_ms'),
    outcome: maybe(text, row, 'outcome') as RunOutcome | undefined,
    because: maybe(text, row, 'because'),
    evidencePath: maybe(text, row, 'evidence_path'),
  };
}

export function journalEntryOf(row: Row): JournalEntry {
  return {
    n: int(row, 'n'),
    kind: text(row, 'kind') as JournalKind,
    step: text(row, 'step'),
    attempt: int(row, 'attempt'),
    outcome: maybe(text, row, 'outcome'),
    atMs: int(row, 'at_ms'),
    fence: int(row, 'fence'),
    holder: text(row, 'holder'),
    data: json(row, 'data') as Json,
  };
}

export function latchOf(row: Row): Latch {
  return {
    id: text(row, 'id'),
    scope: text(row, 'scope'),
    reason: text(row, 'reason'),
    runId: maybe(text, row, 'run_id'),
    setMs: int(row, 'set_ms'),
  };
}

export function pauseOf(row: Row): Pause {
  return {
    scope: text(row, 'scope'),
    paused: int(row, 'paused') !== 0,
    by: text(row, 'set_by'),
    reason: text(row, 'reason'),
    setMs: int(row, 'set_ms'),
    untilMs: maybe(int, row, 'until_ms'),
  };
}

export function escalationOf(row: Row): StoredEscalation {
  return {
    dedupeKey: text(row, 'dedupe_key'),
    episodeId: text(row, 'episode_id'),
    labels: json(row, 'labels') as StoredEscalation['labels'],
    annotations: json(row, 'annotations') as StoredEscalation['annotations'],
    state: text(row, 'state') as StoredEscalation['state'],
    tries: int(row, 'tries'),
    firstMs: int(row, 'first_ms'),
    lastOkMs: maybe(int, row, 'last_ok_ms'),
    lastError: maybe(text, row, 'last_error'),
  };
}

export function approvalOf(row: Row): Approval {
  return {
    id: text(row, 'id'),
    episodeId: text(row, 'episode_id'),
    decisionId: text(row, 'decision_id'),
    policy: text(row, 'policy'),
    action: text(row, 'action'),
    target: text(row, 'target'),
    policyHash: text(row, 'policy_hash'),
    evidenceHash: text(row, 'evidence_hash'),
    paramsHash: text(row, 'params_hash'),
    role: text(row, 'role'),
    requestedMs: int(row, 'requested_ms'),
    expiresMs: int(row, 'expires_ms'),
    state: text(row, 'state') as Approval['state'],
    decidedBy: maybe(text, row, 'decided_by'),
    decidedMs: maybe(int, row, 'decided_ms'),
    comment: maybe(text, row, 'comment'),
    usedByRun: maybe(text, row, 'used_by_run'),
  };
}

export function maintenanceOf(row: Row): Maintenance {
  return {
    id: text(row, 'id'),
    scope: text(row, 'scope'),
    startsMs: int(row, 'starts_ms'),
    endsMs: int(row, 'ends_ms'),
    owner: text(row, 'owner'),
    reason: text(row, 'reason'),
  };
}

export function demotionOf(row: Row): Demotion {
  return {
    policy: text(row, 'policy'),
    target: text(row, 'target'),
    mode: row['mode'] === 'approve' ? 'approve' : 'observe',
    reason: text(row, 'reason'),
    setMs: int(row, 'set_ms'),
  };
}

export function stormOf(row: Row): Storm {
  return {
    // anything but `calm` keeps repairs away
    state: row['state'] === 'calm' ? 'calm' : 'active',
    enteredMs: int(row, 'entered_ms'),
    cooldownUntilMs: maybe(int, row, 'cooldown_until_ms'),
    inputs: json(row, 'inputs') as Json,
  };
}
