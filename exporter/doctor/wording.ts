// How findings are made and put into words.
import type { Finding } from '../findings.ts';

export function right(check: string, text: string): Finding {
  return { check, ok: true, text };
}

export function wrong(check: string, severity: 'critical' | 'warning', text: string, fix: string): Finding {
  return { check, ok: false, severity, text, fix };
}

export function cannotKnow(check: string, text: string): Finding {
  return { check, ok: 'unknown', text };
}

/** The first few of many names. */
export function some(names: readonly string[]): string {
  const shown = 5;
  if (names.length <= shown) return names.join(', ');
  return `${names.slice(0, shown).join(', ')} and ${names.length - shown} more`;
}

/** As Prometheus writes durations, where that can be done exactly. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  if (ms % 1000 !== 0) return `${(ms / 1000).toFixed(1)}s`;
  const seconds = ms / 1000;
  if (seconds % 3600 === 0) return `${seconds / 3600}h`;
  return seconds % 60 === 0 ? `${seconds / 60}m` : `${seconds}s`;
}
