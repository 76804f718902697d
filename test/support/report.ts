// What test/run.ts needs of a stage: how each test that failed did so, each file's time, and the counts.
import { relative } from 'node:path';
import type { EventData } from 'node:test';
import type { TestEvent } from 'node:test/reporters';

export type ReportLine =
  | { readonly kind: 'failed'; readonly at: string; readonly name: string; readonly why: string }
  | { readonly kind: 'file'; readonly file: string; readonly seconds: number }
  | { readonly kind: 'total'; readonly passed: number; readonly failed: number; readonly skipped: number };

export function lineOf(event: TestEvent): ReportLine | undefined {
  if (event.type === 'test:fail') return failureOf(event.data);
  if (event.type !== 'test:summary') return undefined;
  const { file, duration_ms: ms, counts, success } = event.data;
  if (file !== undefined) return { kind: 'file', file: relative(process.cwd(), file), seconds: ms / 1000 };
  const { passed, skipped, todo, tests } = counts;
  const failed = tests - passed - skipped - todo;
  // A failure that the counts do not explain is one too.
  return { kind: 'total', passed, failed: success ? failed : Math.max(failed, 1), skipped: skipped + todo };
}

function failureOf({ details, todo, file = '', line = 0, name }: EventData.TestFail): ReportLine | undefined {
  const { error } = details;
  // A file or suite that fails because of what is in it has been told already.
  if (todo !== undefined || (error as { failureType?: string }).failureType === 'subtestsFailed') return undefined;
  return { kind: 'failed', at: `${relative(process.cwd(), file)}:${String(line)}`, name, why: whyOf(error) };
}

function whyOf(error: Error): string {
  const cause: unknown = error.cause;
  if (!(cause instanceof Error)) return typeof cause === 'string' ? cause : error.message;
  // The assertion or what was thrown, and where in a file of this project.
  const place = (cause.stack ?? '').split('\n').find((line) => /\/(test|exporter|remediator|deploy)\//.test(line));
  const under = cause.cause instanceof Error ? `\ncause: ${cause.cause.message}` : '';
  return `${cause.message}${under}${place === undefined ? '' : `\n${place.trim()}`}`;
}
