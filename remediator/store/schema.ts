// One text for both dialects. UNIQUE with NULLs carries "at most one open": partial indexes do not exist in MySQL.

export const schemaVersion = 2;

interface Dialect {
  /** an id or a short word, compared byte by byte */
  readonly key: string;
  readonly text: string;
  readonly blob: string;
  readonly int: string;
  readonly autoId: string;
  /** of each table */
  readonly options: string;
}

/** By version: a new store gets all of them, an older one those that it lacks. */
function schemaFor({ key, text, blob, int, autoId, options }: Dialect): readonly string[] {
  const first = `
CREATE TABLE meta(k ${key} PRIMARY KEY, v ${text} NOT NULL)${options};

CREATE TABLE webhook(
  id ${autoId}, source ${key} NOT NULL, received_ms ${int} NOT NULL, received_by ${text} NOT NULL, body_gz ${blob} NOT NULL,
  alert_count ${int} NOT NULL, truncated_count ${int} NOT NULL,
  processed_ms ${int}, outcome ${key})${options};
CREATE INDEX webhook_todo ON webhook(processed_ms, id);

CREATE TABLE episode(
  id ${key} PRIMARY KEY, source ${key} NOT NULL, ident ${key} NOT NULL, open_key ${key} UNIQUE, alertname ${text} NOT NULL,
  version ${int} NOT NULL, starts_wall_ms ${int} NOT NULL, first_seen_ms ${int} NOT NULL, last_firing_ms ${int} NOT NULL,
  resolved_hint_ms ${int}, truncated ${int} NOT NULL, am_state ${key} NOT NULL, am_detail ${text} NOT NULL, am_seen_ms ${int},
  state ${key} NOT NULL, labels ${text} NOT NULL, annotations ${text} NOT NULL, attempts ${int} NOT NULL, relapse_of ${key},
  next_eval_ms ${int}, closed_ms ${int}, closed_wall_ms ${int}, outcome ${key})${options};
CREATE INDEX episode_due ON episode(state, next_eval_ms);
CREATE INDEX episode_ident ON episode(ident, closed_ms);
CREATE INDEX episode_seen ON episode(first_seen_ms);

CREATE TABLE episode_webhook(
  episode_id ${key} NOT NULL, webhook_id ${int} NOT NULL, status ${key} NOT NULL, starts_wall_ms ${int} NOT NULL, ends_wall_ms ${int},
  PRIMARY KEY(episode_id, webhook_id))${options};

CREATE TABLE decision(
  id ${key} PRIMARY KEY, episode_id ${key} NOT NULL, episode_version ${int} NOT NULL, policy ${key}, policy_hash ${key} NOT NULL,
  action ${key}, target ${key}, params ${text} NOT NULL, verdict ${key} NOT NULL, reason_key ${key} NOT NULL, because ${text} NOT NULL,
  evidence_hash ${key}, advice ${text} NOT NULL, first_ms ${int} NOT NULL, last_ms ${int} NOT NULL, repeats ${int} NOT NULL)${options};
CREATE INDEX decision_episode ON decision(episode_id, last_ms);

CREATE TABLE guard_result(
  decision_id ${key} NOT NULL, ord ${int} NOT NULL, guard ${key} NOT NULL, result ${key} NOT NULL, code ${key} NOT NULL,
  because ${text} NOT NULL, inputs ${text} NOT NULL, PRIMARY KEY(decision_id, ord))${options};

CREATE TABLE lease(
  scope ${key} PRIMARY KEY, fence ${int} NOT NULL, holder ${key}, run_id ${key}, acquired_ms ${int}, expires_ms ${int} NOT NULL)${options};

CREATE TABLE run(
  id ${key} PRIMARY KEY, episode_id ${key} NOT NULL, attempt ${int} NOT NULL, decision_id ${key} NOT NULL, action ${key} NOT NULL,
  plan_hash ${key} NOT NULL, policy_json ${text} NOT NULL, params ${text} NOT NULL, target ${key} NOT NULL, active_key ${key} UNIQUE,
  actor ${key} NOT NULL, fence ${int} NOT NULL, state ${key} NOT NULL, claimed_ms ${int} NOT NULL, first_mutation_ms ${int}, ended_ms ${int},
  cooldown_until_ms ${int}, outcome ${key}, because ${text}, evidence_path ${text}, UNIQUE(episode_id, attempt))${options};
CREATE INDEX run_target ON run(target, ended_ms);
CREATE INDEX run_claimed ON run(claimed_ms);

CREATE TABLE journal(
  run_id ${key} NOT NULL, n ${int} NOT NULL, kind ${key} NOT NULL, step ${key} NOT NULL, attempt ${int} NOT NULL, outcome ${key},
  fence ${int} NOT NULL, holder ${key} NOT NULL, at_ms ${int} NOT NULL, data ${text} NOT NULL, PRIMARY KEY(run_id, n))${options};

CREATE TABLE budget_entry(
  scope ${key} NOT NULL, run_id ${key} NOT NULL, at_ms ${int} NOT NULL, state ${key} NOT NULL, PRIMARY KEY(scope, run_id))${options};
CREATE INDEX budget_window ON budget_entry(scope, at_ms);

CREATE TABLE latch(
  id ${key} PRIMARY KEY, open_key ${key} UNIQUE, scope ${key} NOT NULL, reason ${text} NOT NULL, run_id ${key}, set_ms ${int} NOT NULL,
  cleared_ms ${int}, cleared_by ${key}, comment ${text})${options};

CREATE TABLE pause_switch(
  scope ${key} PRIMARY KEY, paused ${int} NOT NULL, set_by ${key} NOT NULL, reason ${text} NOT NULL, set_ms ${int} NOT NULL,
  until_ms ${int})${options};

CREATE TABLE outbox(
  dedupe_key ${key} PRIMARY KEY, episode_id ${key} NOT NULL, labels ${text} NOT NULL, annotations ${text} NOT NULL,
  state ${key} NOT NULL, first_ms ${int} NOT NULL, next_ms ${int} NOT NULL, tries ${int} NOT NULL, last_ok_ms ${int}, last_error ${text})${options};
CREATE INDEX outbox_due ON outbox(state, next_ms);
CREATE INDEX outbox_episode ON outbox(episode_id);

CREATE TABLE audit(
  id ${autoId}, at_ms ${int} NOT NULL, actor ${key} NOT NULL, via ${key} NOT NULL, verb ${key} NOT NULL, object ${key} NOT NULL,
  detail ${text} NOT NULL)${options};
`;
  const second = `
CREATE TABLE approval(
  id ${key} PRIMARY KEY, open_key ${key} UNIQUE, episode_id ${key} NOT NULL, decision_id ${key} NOT NULL, policy ${key} NOT NULL,
  action ${key} NOT NULL, target ${key} NOT NULL, policy_hash ${key} NOT NULL, evidence_hash ${key} NOT NULL,
  params_hash ${key} NOT NULL, role ${key} NOT NULL, requested_ms ${int} NOT NULL, expires_ms ${int} NOT NULL, state ${key} NOT NULL,
  decided_by ${key}, decided_ms ${int}, comment ${text}, used_by_run ${key} UNIQUE)${options};
CREATE INDEX approval_episode ON approval(episode_id, requested_ms);

CREATE TABLE maintenance(
  id ${key} PRIMARY KEY, scope ${key} NOT NULL, starts_ms ${int} NOT NULL, ends_ms ${int} NOT NULL, owner ${key} NOT NULL,
  reason ${text} NOT NULL, ended_by ${key}, ended_ms ${int})${options};
CREATE INDEX maintenance_window ON maintenance(ends_ms, scope);

CREATE TABLE demotion(
  policy ${key} NOT NULL, target ${key} NOT NULL, mode ${key} NOT NULL, reason ${text} NOT NULL, set_ms ${int} NOT NULL,
  PRIMARY KEY(policy, target))${options};

CREATE TABLE storm(
  scope ${key} PRIMARY KEY, state ${key} NOT NULL, entered_ms ${int} NOT NULL, cooldown_until_ms ${int}, inputs ${text} NOT NULL)${options};

CREATE INDEX episode_webhook_webhook ON episode_webhook(webhook_id);
CREATE INDEX episode_closed ON episode(state, closed_ms);
CREATE INDEX decision_policy ON decision(policy, verdict);
CREATE INDEX run_decision ON run(decision_id);
CREATE INDEX audit_object ON audit(object, id);
`;
  return [first, second];
}

/** STRICT: a wrong type is an error, not another affinity. */
export const sqliteSchema = schemaFor({
  key: 'TEXT',
  text: 'TEXT',
  blob: 'BLOB',
  int: 'INTEGER',
  autoId: 'INTEGER PRIMARY KEY AUTOINCREMENT',
  options: ' STRICT',
});

/**
 * Compared byte by byte, blanks at the end as well: the default collations fold case, and `_bin` ones pad. 190
 * characters: two of them fit into a key. What is longer is an error (strict mode), never cut.
 */
export function mysqlSchema(isMariadb: boolean): readonly string[] {
  const collation = isMariadb ? 'utf8mb4_nopad_bin' : 'utf8mb4_0900_bin';
  return schemaFor({
    key: 'VARCHAR(190)',
    text: 'MEDIUMTEXT',
    blob: 'LONGBLOB',
    int: 'BIGINT',
    autoId: 'BIGINT AUTO_INCREMENT PRIMARY KEY',
    options: ` ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE ${collation}`,
  });
}
