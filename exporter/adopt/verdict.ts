// What is said of an expression.

/** From best to worst; the worst of its reasons is the verdict of an expression. */
export const verdicts = ['served', 'raw', 'off', 'breaks', 'renamed', 'not_served', 'unclear'] as const;

/**
 * served: works as it is through either door. raw: works through /probe, or with the line that copies `target` to `instance`,
 * and not on the bare /metrics. off: works once something is switched on or added to the inventory given. breaks: the names
 * are served, but the expression does not say what it said. renamed: a name must be written otherwise. not_served: somebody
 * else serves a name, or nobody that is known. unclear: it cannot be read.
 */
export type Verdict = (typeof verdicts)[number];

export interface Reason {
  /** note: worth knowing, and no fault. */
  readonly verdict: Verdict | 'note';
  readonly text: string;
  /** What to write or to set. */
  readonly fix?: string;
  /** The name that it is about. */
  readonly metric?: string;
  /** The exporter that it is about, where no name of a metric tells. */
  readonly exporter?: string;
  /** The fix is something to be switched on or added. */
  readonly isNeed?: true;
}

export function worst(reasons: readonly Reason[]): Verdict {
  let found: Verdict = 'served';
  for (const { verdict } of reasons) {
    if (verdict !== 'note' && verdicts.indexOf(verdict) > verdicts.indexOf(found)) found = verdict;
  }
  return found;
}

/** What `instance` is on the bare /metrics, and what to do about it. */
export const crossed = 'on the bare /metrics every target has the address of the exporter as its instance';
export const keep = 'scrape through /probe, or keep the line that copies target to instance';

/** Where `instance:` of the inventory counts; /metrics has the name of the target. */
export const forSd = '(for /sd; with /metrics, name the target so)';

/** Works, with the configuration that the documentation shows. */
export function isServed(verdict: Verdict): boolean {
  return verdict === 'served' || verdict === 'raw';
}

/** Each once. */
export function distinct(reasons: readonly Reason[]): Reason[] {
  return [
    ...new Map(reasons.map((reason) => [`${reason.verdict} ${reason.text} ${reason.fix ?? ''}`, reason])).values(),
  ];
}
