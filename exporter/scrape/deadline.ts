/** How long a scrape may take, from what Prometheus says about its own patience. */

export interface DeadlineOptions {
  /** Kept back for the way to Prometheus: an answer that arrives at the very timeout is lost. */
  readonly offsetMs: number;
  /** Without the header: curl, a browser, a proxy that removed it. */
  readonly defaultMs: number;
  readonly atMostMs: number;
}

export const defaultDeadline: DeadlineOptions = { offsetMs: 250, defaultMs: 10_000, atMostMs: 60_000 };

/** At most this share of the timeout is kept back, so that a short timeout still leaves time to work. */
const largestOffsetShare = 0.2;

/**
 * @param header `X-Prometheus-Scrape-Timeout-Seconds`, such as `10.000000`; garbage counts as no header
 * @returns milliseconds from the arrival of the request
 */
export function scrapeBudgetMs(header: string | undefined, options: DeadlineOptions = defaultDeadline): number {
  const timeoutMs = Math.min(timeoutMsOf(header) ?? options.defaultMs, options.atMostMs);
  return timeoutMs - Math.min(options.offsetMs, timeoutMs * largestOffsetShare);
}

/** When the targets must have answered: the rest is for the pipelines' numbers and for joining the answer. */
export function targetsBudgetMs(budgetMs: number): number {
  return budgetMs - Math.min(500, budgetMs * 0.1);
}

function timeoutMsOf(header: string | undefined): number | undefined {
  if (header === undefined || !/^\d+(\.\d+)?$/.test(header.trim())) return undefined;
  const ms = Number(header) * 1000;
  return ms > 0 && Number.isFinite(ms) ? ms : undefined;
}
