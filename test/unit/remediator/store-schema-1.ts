// The tables of version 1, as stores out there have them: never to be changed.
export const schema1 = `
CREATE TABLE meta(k TEXT PRIMARY KEY, v TEXT NOT NULL) STRICT;

CREATE TABLE webhook(
  id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, received_ms INTEGER NOT NULL, received_by TEXT NOT NULL, body_gz BLOB NOT NULL,
  alert_count INTEGER NOT NULL, truncated_count INTEGER NOT NULL,
  processed_ms INTEGER, outcome TEXT) STRICT;
CREATE INDEX webhook_todo ON webhook(processed_ms, id);

CREATE TABLE episode(
  id TEXT PRIMARY KEY, source TEXT NOT NULL, ident TEXT NOT NULL, open_key TEXT UNIQUE, alertname TEXT NOT NULL,
  version INTEGER NOT NULL, starts_wall_ms INTEGER NOT NULL, first_seen_ms INTEGER NOT NULL, last_firing_ms INTEGER NOT NULL,
  resolved_hint_ms INTEGER, truncated INTEGER NOT NULL, am_state TEXT NOT NULL, am_detail TEXT NOT NULL, am_seen_ms INTEGER,
  state TEXT NOT NULL, labels TEXT NOT NULL, annotations TEXT NOT NULL, attempts INTEGER NOT NULL, relapse_of TEXT,
  next_eval_ms INTEGER, closed_ms INTEGER, closed_wall_ms INTEGER, outcome TEXT) STRICT;
CREATE INDEX episode_due ON episode(state, next_eval_ms);
CREATE INDEX episode_ident ON episode(ident, closed_ms);
CREATE INDEX episode_seen ON episode(first_seen_ms);

CREATE TABLE episode_webhook(
  episode_id TEXT NOT NULL, webhook_id INTEGER NOT NULL, status TEXT NOT NULL, starts_wall_ms INTEGER NOT NULL, ends_wall_ms INTEGER,
  PRIMARY KEY(episode_id, webhook_id)) STRICT;

CREATE TABLE decision(
  id TEXT PRIMARY KEY, episode_id TEXT NOT NULL, episode_version INTEGER NOT NULL, policy TEXT, policy_hash TEXT NOT NULL,
  action TEXT, target TEXT, params TEXT NOT NULL, verdict TEXT NOT NULL, reason_key TEXT NOT NULL, because TEXT NOT NULL,
  evidence_hash TEXT, advice TEXT NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, repeats INTEGER NOT NULL) STRICT;
CREATE INDEX decision_episode ON decision(episode_id, last_ms);

CREATE TABLE guard_result(
  decision_id TEXT NOT NULL, ord INTEGER NOT NULL, guard TEXT NOT NULL, result TEXT NOT NULL, code TEXT NOT NULL,
  because TEXT NOT NULL, inputs TEXT NOT NULL, PRIMARY KEY(decision_id, ord)) STRICT;

CREATE TABLE lease(
  scope TEXT PRIMARY KEY, fence INTEGER NOT NULL, holder TEXT, run_id TEXT, acquired_ms INTEGER, expires_ms INTEGER NOT NULL) STRICT;

CREATE TABLE run(
  id TEXT PRIMARY KEY, episode_id TEXT NOT NULL, attempt INTEGER NOT NULL, decision_id TEXT NOT NULL, action TEXT NOT NULL,
  plan_hash TEXT NOT NULL, policy_json TEXT NOT NULL, params TEXT NOT NULL, target TEXT NOT NULL, active_key TEXT UNIQUE,
  actor TEXT NOT NULL, fence INTEGER NOT NULL, state TEXT NOT NULL, claimed_ms INTEGER NOT NULL, first_mutation_ms INTEGER, ended_ms INTEGER,
  cooldown_until_ms INTEGER, outcome TEXT, because TEXT, evidence_path TEXT, UNIQUE(episode_id, attempt)) STRICT;
CREATE INDEX run_target ON run(target, ended_ms);
CREATE INDEX run_claimed ON run(claimed_ms);

CREATE TABLE journal(
  run_id TEXT NOT NULL, n INTEGER NOT NULL, kind TEXT NOT NULL, step TEXT NOT NULL, attempt INTEGER NOT NULL, outcome TEXT,
  fence INTEGER NOT NULL, holder TEXT NOT NULL, at_ms INTEGER NOT NULL, data TEXT NOT NULL, PRIMARY KEY(run_id, n)) STRICT;

CREATE TABLE budget_entry(
  scope TEXT NOT NULL, run_id TEXT NOT NULL, at_ms INTEGER NOT NULL, state TEXT NOT NULL, PRIMARY KEY(scope, run_id)) STRICT;
CREATE INDEX budget_window ON budget_entry(scope, at_ms);

CREATE TABLE latch(
  id TEXT PRIMARY KEY, open_key TEXT UNIQUE, scope TEXT NOT NULL, reason TEXT NOT NULL, run_id TEXT, set_ms INTEGER NOT NULL,
  cleared_ms INTEGER, cleared_by TEXT, comment TEXT) STRICT;

CREATE TABLE pause_switch(
  scope TEXT PRIMARY KEY, paused INTEGER NOT NULL, set_by TEXT NOT NULL, reason TEXT NOT NULL, set_ms INTEGER NOT NULL,
  until_ms INTEGER) STRICT;

CREATE TABLE outbox(
  dedupe_key TEXT PRIMARY KEY, episode_id TEXT NOT NULL, labels TEXT NOT NULL, annotations TEXT NOT NULL,
  state TEXT NOT NULL, first_ms INTEGER NOT NULL, next_ms INTEGER NOT NULL, tries INTEGER NOT NULL, last_ok_ms INTEGER, last_error TEXT) STRICT;
CREATE INDEX outbox_due ON outbox(state, next_ms);
CREATE INDEX outbox_episode ON outbox(episode_id);

CREATE TABLE audit(
  id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, actor TEXT NOT NULL, via TEXT NOT NULL, verb TEXT NOT NULL, object TEXT NOT NULL,
  detail TEXT NOT NULL) STRICT;
`;
