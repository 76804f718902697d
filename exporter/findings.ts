// What an examination of a target found, for people. No domain words.

/** One thing that was looked at. `unknown` is neither good nor bad: it says what is in the way of knowing. */
export interface Finding {
  /** snake_case, and the same as the label of the metric about it where there is one. */
  readonly check: string;
  readonly ok: boolean | 'unknown';
  /** What is so, in one line. */
  readonly text: string;
  /** What mends it: an exact statement, a setting, or a step. */
  readonly fix?: string;
  /** Of what is wrong: `critical` when alerts or repairs fail or mislead by it. */
  readonly severity?: 'critical' | 'warning';
}
