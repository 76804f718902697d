// Alertmanager's webhook body, version 4 (0.25 to 0.34): what is wanted of it, tolerant to what is not known.
import { z } from 'zod';
import type { IncomingAlert } from './model.ts';

export const maxBodyBytes = 4 * 1024 * 1024;
export const maxAlerts = 1000;

/** Labels are identity and are never cut: an alert that has more is left out, and the others are taken. */
const maxLabels = 100;
const maxNameLength = 256;
const maxValueLength = 8192;

/** Annotations are for people, and are cut. */
const maxAnnotations = 50;
const maxAnnotationLength = 4096;

const texts = z.custom<Readonly<Record<string, string>>>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((v) => typeof v === 'string'),
  'an object of strings',
);

/** As Go writes a time (RFC 3339): Date.parse() alone would take a mere number for a year. */
const rfc3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;

const instant = z.string().transform((text, context) => {
  const ms = rfc3339.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(ms)) return ms;
  context.addIssue({ code: 'custom', message: 'a time such as 2026-01-31T12:00:00Z' });
  return z.NEVER;
});

const alert = z.object({
  status: z.enum(['firing', 'resolved']),
  labels: texts,
  annotations: texts.default({}),
  startsAt: instant,
  endsAt: instant.optional(),
  fingerprint: z.string().max(200).default(''),
});

const body = z.object({
  version: z.literal('4'),
  alerts: z.array(alert),
  truncatedAlerts: z.int().min(0).default(0),
  groupKey: z.string().optional(),
  /** Escaped as a regular expression on the wire: receiver `ok.re` arrives as `ok\.re`. For people only. */
  receiver: z.string().optional(),
});

export type Parsed =
  | {
      readonly ok: true;
      readonly alerts: readonly IncomingAlert[];
      /** Alerts that Alertmanager has left out (max_alerts). */
      readonly truncated: number;
      /** Alerts with too many or too long labels; not among `alerts`. */
      readonly unfit: number;
      readonly receiver: string;
    }
  | { readonly ok: false; readonly status: 400 | 413; readonly why: string };

/** commonLabels, groupLabels and externalURL are not looked at: they differ from peer to peer and as the group grows. */
export function parseBody(bytes: Buffer): Parsed {
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return { ok: false, status: 400, why: 'not JSON in UTF-8' };
  }
  const count = countOf(document);
  if (count > maxAlerts) {
    return { ok: false, status: 413, why: `${count} alerts, at most ${maxAlerts}: set max_alerts or group_by` };
  }
  const parsed = body.safeParse(document);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return {
      ok: false,
      status: 400,
      why: issue === undefined ? '' : `${z.core.toDotPath(issue.path)}: ${issue.message}`,
    };
  }
  const fit = parsed.data.alerts.filter((a) => isFit(a.labels));
  return {
    ok: true,
    truncated: parsed.data.truncatedAlerts,
    unfit: parsed.data.alerts.length - fit.length,
    receiver: (parsed.data.receiver ?? '').slice(0, maxNameLength),
    alerts: fit.map((a) => ({
      status: a.status,
      labels: a.labels,
      annotations: shortened(a.annotations),
      startsWallMs: a.startsAt,
      // 0001-01-01 while it fires
      endsWallMs: a.endsAt === undefined || a.endsAt < 0 ? undefined : a.endsAt,
      fingerprint: a.fingerprint,
    })),
  };
}

function isFit(labels: Readonly<Record<string, string>>): boolean {
  const all = Object.entries(labels);
  return (
    all.length <= maxLabels &&
    all.every(([name, value]) => name.length <= maxNameLength && value.length <= maxValueLength)
  );
}

function shortened(annotations: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(annotations)
      .filter(([name]) => name.length <= maxNameLength)
      .slice(0, maxAnnotations)
      .map(([name, value]) => [name, value.length <= maxAnnotationLength ? value : cut(value)]),
  );
}

/** Not between the halves of a character. */
function cut(text: string): string {
  return `${text.slice(0, maxAnnotationLength).replace(/[\ud800-\udbff]$/, '')}…`;
}

function countOf(document: unknown): number {
  if (typeof document !== 'object' || document === null || !('alerts' in document)) return 0;
  return Array.isArray(document.alerts) ? document.alerts.length : 0;
}
