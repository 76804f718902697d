// Alertmanager's webhook body, version 4 (0.25 to 0.34): what is wanted of it, tolerant to what is not known.
import { z } from 'zod';
import type { IncomingAlert } from './model.ts';

export const maxBodyBytes = 4 * 1024 * 1024;
export const maxAlerts = 1000;

const texts = z.custom<Readonly<Record<string, string>>>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((v) => typeof v === 'string'),
  'an object of strings',
);

const instant = z.string().transform((text, context) => {
  const ms = Date.parse(text);
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
      readonly truncated: number;
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
  return {
    ok: true,
    truncated: parsed.data.truncatedAlerts,
    receiver: parsed.data.receiver ?? '',
    alerts: parsed.data.alerts.map((a) => ({
      status: a.status,
      labels: a.labels,
      annotations: a.annotations,
      startsWallMs: a.startsAt,
      // 0001-01-01 while it fires
      endsWallMs: a.endsAt === undefined || a.endsAt < 0 ? undefined : a.endsAt,
      fingerprint: a.fingerprint,
    })),
  };
}

function countOf(document: unknown): number {
  if (typeof document !== 'object' || document === null || !('alerts' in document)) return 0;
  return Array.isArray(document.alerts) ? document.alerts.length : 0;
}
