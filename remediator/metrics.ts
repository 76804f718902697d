import { collectDefaultMetrics, Counter, Gauge, Registry, Summary } from 'prom-client';
import type { Family } from '../exporter/families.ts';
import { remediatorFamilies as f } from './catalogue.ts';

export type SwitchState = 'on' | 'off' | 'unreadable';

/** What the parts of the remediator report; names and help are the catalogue's. */
export interface Metrics {
  /** One guard's result in one evaluation. */
  readonly decision: (guard: string, result: 'allow' | 'deny' | 'unknown') => void;
  readonly run: (action: string, outcome: string, durationSeconds: number) => void;
  readonly webhook: (source: string, result: string) => void;
  readonly alerts: (source: string, result: 'taken' | 'own' | 'watchdog' | 'poison', count: number) => void;
  readonly lastWebhook: (source: string, wallMs: number) => void;
  readonly watchdog: (source: string, wallMs: number) => void;
  readonly alertmanagerUp: (source: string, peer: number, up: boolean) => void;
  readonly escalationsPending: (count: number) => void;
  readonly openEpisodes: (count: number) => void;
  readonly latchedTargets: (count: number) => void;
  readonly switchState: (state: SwitchState) => void;
  readonly contentType: string;
  readonly text: () => Promise<string>;
}

export function createMetrics(version: string): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const gauge = <L extends string>({ name, help, labels }: Family<readonly L[]>): Gauge<L> =>
    new Gauge({ name, help, labelNames: [...labels], registers: [registry] });
  const counter = <L extends string>({ name, help, labels }: Family<readonly L[]>): Counter<L> =>
    new Counter({ name, help, labelNames: [...labels], registers: [registry] });

  gauge(f.buildInfo).set({ version, node: process.version }, 1);
  const lastWebhook = gauge(f.lastWebhook);
  const watchdog = gauge(f.watchdogLastSeen);
  const webhooks = counter(f.webhooks);
  const alerts = counter(f.alerts);
  const escalationsPending = gauge(f.escalationsPending);
  const switchState = gauge(f.switchState);
  const runs = counter(f.runs);
  // Without quantiles a summary is exactly the two counters of the catalogue.
  const durations = new Summary({
    name: f.runDurationSum.name.replace(/_sum$/, ''),
    help: f.runDurationSum.help,
    labelNames: [...f.runDurationSum.labels],
    percentiles: [],
    registers: [registry],
  });
  const decisions = counter(f.decisions);
  const openEpisodes = gauge(f.openEpisodes);
  const latchedTargets = gauge(f.latchedTargets);
  const alertmanagerUp = gauge(f.alertmanagerUp);

  return {
    decision: (guard, result) => {
      decisions.inc({ guard, result });
    },
    run: (action, outcome, durationSeconds) => {
      runs.inc({ action, outcome });
      durations.observe({ action }, durationSeconds);
    },
    webhook: (source, result) => {
      webhooks.inc({ source, result });
    },
    alerts: (source, result, count) => {
      if (count > 0) alerts.inc({ source, result }, count);
    },
    lastWebhook: (source, wallMs) => {
      lastWebhook.set({ source }, wallMs / 1000);
    },
    watchdog: (source, wallMs) => {
      watchdog.set({ source }, wallMs / 1000);
    },
    alertmanagerUp: (source, peer, up) => {
      alertmanagerUp.set({ source, peer: String(peer) }, Number(up));
    },
    escalationsPending: (count) => {
      escalationsPending.set(count);
    },
    openEpisodes: (count) => {
      openEpisodes.set(count);
    },
    latchedTargets: (count) => {
      latchedTargets.set(count);
    },
    switchState: (state) => {
      for (const one of ['on', 'off', 'unreadable'] as const) switchState.set({ state: one }, Number(one === state));
    },
    contentType: registry.contentType,
    text: () => registry.metrics(),
  };
}
