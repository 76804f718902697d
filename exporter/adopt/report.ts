// What is said of one file.
import type { Found } from './found.ts';
import type { Job } from './scrape-configs.ts';
import type { Reason, Verdict } from './verdict.ts';

export interface Judged extends Omit<Found, 'promql'> {
  readonly verdict: Verdict;
  readonly reasons: readonly Reason[];
  readonly metrics: readonly string[];
}

export interface FileReport {
  readonly file: string;
  readonly kind: 'rules' | 'dashboard' | 'scrape configuration' | 'unreadable';
  readonly expressions: readonly Judged[];
  readonly jobs: readonly Job[];
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}
