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

/** A clock that is off by more bends every age and lag that is made of two clocks. */
const clockLimitMs = 1000;

/** @param whose such as `the server's clock`, said against that of this machine */
export function clockFindingOf(
  check: string,
  whose: string,
  { offsetMs, uncertaintyMs }: { readonly offsetMs: number; readonly uncertaintyMs: number },
): Finding {
  const off = Math.abs(offsetMs);
  const where = offsetMs < 0 ? 'behind' : 'ahead of';
  const text = `${whose} is ${(off / 1000).toFixed(3)} s ${where} ours, ± ${(uncertaintyMs / 1000).toFixed(3)} s`;
  if (off + uncertaintyMs <= clockLimitMs) return { check, ok: true, text };
  if (off - uncertaintyMs <= clockLimitMs) return { check, ok: 'unknown', text };
  const fix = 'synchronise the clocks of both machines (chrony, systemd-timesyncd)';
  return { check, ok: false, severity: 'warning', text, fix };
}
