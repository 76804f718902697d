// What may stand in policies.yml, and what stands for what is left out.
import { z } from 'zod';
import { durationMs } from '../exporter/fields.ts';
import { isTimezone } from './windows.ts';

const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

const clockTime = z
  .string('a quoted time of day such as "22:00"')
  .regex(/^([01]\d|2[0-3]):[0-5]\d$|^24:00$/, 'a quoted time of day such as "22:00"')
  .transform((text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3)));

const window = z
  .strictObject({
    days: z
      .array(z.enum(days))
      .min(1)
      .default([...days]),
    from: clockTime.refine((minute) => minute < 1440, 'a quoted time of day before "24:00"; midnight is "00:00"'),
    to: clockTime,
    timezone: z.string().refine(isTimezone, 'a name of the tz database such as Europe/Berlin or UTC'),
  })
  .refine((w) => w.from !== w.to, 'from and to that differ; for a whole day from "00:00" to "24:00"')
  .transform((w) => ({
    days: w.days.map((d) => days.indexOf(d) + 1),
    fromMinute: w.from,
    toMinute: w.to,
    timezone: w.timezone,
  }));

const mode = z.enum(['observe', 'approve', 'auto']);
const params = z.record(z.string(), z.json()).default({});
const longer = durationMs.refine((ms) => ms > 0, 'a duration above 0, such as 1h');

const pace = z
  .strictObject({
    max_runs: z.int().min(1).max(100).default(3),
    /** Of all targets of the policy together; as many as of one when left out. */
    max_runs_total: z.int().min(1).max(1000).optional(),
    window: durationMs.default(3_600_000),
    cooldown: durationMs.default(300_000),
    max_relapses: z.int().min(1).max(100).default(2),
  })
  .prefault({});

const approval = z
  .strictObject({ role: z.string().min(1).max(64).default('operator'), expires: longer.default(3_600_000) })
  .prefault({});

const labelValue = z
  .string()
  .refine((value) => value !== '', 'a value: to Prometheus a label without one is not there, and this never fits');

const policy = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,99}$/, 'lower case letters, digits, _ and -'),
  /** Exact label values. An empty match would take every alert. */
  match: z
    .record(z.string(), labelValue, 'labels with their exact values are wanted, such as {alertname: MaxwellDown}')
    .refine((m) => Object.keys(m).length > 0, 'at least one label, such as alertname'),
  action: z.string(),
  mode: mode.default('observe'),
  params,
  pace,
  soak: durationMs.default(120_000),
  relapse: durationMs.default(900_000),
  windows: z.array(window).max(50).default([]),
  approval,
  then: z
    .array(z.strictObject({ action: z.string(), params, mode: mode.optional() }))
    .max(10)
    .default([]),
});

const limits = z
  .strictObject({
    global: z
      .strictObject({
        max_runs: z.int().min(1).max(1000).default(10),
        window: longer.default(3_600_000),
        max_concurrent: z.int().min(1).max(100).default(1),
      })
      .prefault({}),
    storm: z
      .strictObject({
        min_targets: z.int().min(2).max(1000).default(3),
        percent: z.number().min(0).max(100).default(40),
        window: longer.default(600_000),
        cooldown: durationMs.default(600_000),
      })
      .prefault({}),
  })
  .prefault({});

const maintenance = z.strictObject({
  scope: z.string().regex(/^(global|(target|pipeline):.+)$/, 'global, target:NAME or pipeline:NAME'),
  windows: z.array(window).min(1).max(50),
  reason: z.string().min(1).max(500),
});

export const policyFileSchema = z.strictObject({
  policies: z.array(policy).min(1),
  limits,
  maintenance: z.array(maintenance).max(200).default([]),
  /** Alert rules that the policies answer, as globs beside this file: `check` compares names and labels. */
  rules: z.array(z.string().min(1)).max(50).default([]),
});

export type WrittenPolicy = z.output<typeof policy>;
export type WrittenFile = z.output<typeof policyFileSchema>;
