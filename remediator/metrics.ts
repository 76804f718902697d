import { collectDefaultMetrics, Counter, Gauge, Registry, Summary } from 'prom-client';
import type { Family } from '../exporter/families.ts';
import { remediatorFamilies as f } from './catalogue.ts';
import type { RunOutcome } from './model.ts';

export type SwitchState = 'on' | 'off' | 'unreadable';

/** What only the store knows. */
export interface StoredState {
  readonly approvalsWaiting: number;
  readonly approvalOldestSeconds: number;
  readonly isStorm: boolean;
  readonly demotions: readonly { readonly policy: string; readonly target: string; readonly mode: string }[];
  readonly maintenance: readonly string[];
  readonly pauses: readonly string[];
  readonly budgets: readonly { readonly policy: string; readonly target: string; readonly left: number }[];
  readonly bytes: number;
}

export type StoreOperation = 'intake' | 'claim' | 'journal' | 'other';

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
  readonly alertToRepair: (action: string, seconds: number) => void;
  /** Of the inventory. */
  readonly targets: (names: Iterable<string>) => void;
  readonly relapse: (target: string) => void;
  readonly policies: (
    policies: readonly { readonly name: string; readonly action: string; readonly mode: string }[],
  ) => void;
  /** undefined: it cannot be read, and nothing is claimed. */
  readonly stored: (state: StoredState | undefined) => void;
  readonly storeCall: (operation: StoreOperation, seconds: number) => void;
  readonly storeError: (code: string) => void;
  readonly reloaded: (isTaken: boolean, wallMs: number) => void;
  readonly contentType: string;
  readonly text: () => Promise<string>;
}

const runOutcomes: readonly RunOutcome[] = [
  'verified',
  'already_fixed',
  'failed',
  'refused',
  'overtaken',
  'outcome_unknown',
];

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
  const summary = <L extends string>({ name, help, labels }: Family<readonly L[]>): Summary<L> =>
    new Summary({
      ...{ name: name.replace(/_sum$/, ''), help, labelNames: [...labels], percentiles: [] },
      registers: [registry],
    });
  // Without a sample until one is set: prom-client begins with 0.
  const unset = (family: Family<readonly never[]>): Gauge => {
    const made = gauge(family);
    made.remove();
    return made;
  };
  const durations = summary(f.runDurationSum);
  const decisions = counter(f.decisions);
  const openEpisodes = gauge(f.openEpisodes);
  const latchedTargets = gauge(f.latchedTargets);
  const alertmanagerUp = gauge(f.alertmanagerUp);
  const alertToRepair = summary(f.alertToRepairSum);
  const relapses = counter(f.relapses);
  const policyInfo = gauge(f.policyInfo);
  const budgetLeft = gauge(f.budgetLeft);
  const policyDemoted = gauge(f.policyDemoted);
  const maintenanceActive = gauge(f.maintenanceActive);
  const pauseActive = gauge(f.pauseActive);
  const approvalsWaiting = unset(f.approvalsWaiting);
  const approvalOldest = unset(f.approvalOldest);
  const stormActive = unset(f.stormActive);
  const storeBytes = unset(f.storeBytes);
  const storeSeconds = summary(f.storeSecondsSum);
  const storeErrors = counter(f.storeErrors);
  for (const code of ['full', 'busy', 'broken', 'other']) storeErrors.inc({ code }, 0);
  const reloadSuccessful = unset(f.reloadSuccessful);
  const reloadTimestamp = unset(f.reloadTimestamp);

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
    alertToRepair: (action, seconds) => {
      alertToRepair.observe({ action }, seconds);
    },
    targets: (names) => {
      for (const target of names) relapses.inc({ target }, 0);
    },
    relapse: (target) => {
      relapses.inc({ target });
    },
    policies: (policies) => {
      policyInfo.reset();
      for (const { name: policy, action, mode } of policies) {
        policyInfo.set({ policy, action, mode }, 1);
        // A counter that begins with 1 has no increase: the first one would raise no alert.
        for (const outcome of runOutcomes) runs.inc({ action, outcome }, 0);
      }
    },
    stored: (state) => {
      for (const labelled of [budgetLeft, policyDemoted, maintenanceActive, pauseActive]) labelled.reset();
      if (state === undefined) {
        for (const plain of [approvalsWaiting, approvalOldest, stormActive, storeBytes]) plain.remove();
        return;
      }
      approvalsWaiting.set(state.approvalsWaiting);
      approvalOldest.set(state.approvalOldestSeconds);
      stormActive.set(Number(state.isStorm));
      storeBytes.set(state.bytes);
      for (const { policy, target, mode } of state.demotions) policyDemoted.set({ policy, target, mode }, 1);
      for (const scope of state.maintenance) maintenanceActive.set({ scope }, 1);
      for (const scope of state.pauses) pauseActive.set({ scope }, 1);
      for (const { policy, target, left } of state.budgets) budgetLeft.set({ policy, target }, left);
    },
    storeCall: (operation, seconds) => {
      storeSeconds.observe({ operation }, seconds);
    },
    storeError: (code) => {
      storeErrors.inc({ code });
    },
    reloaded: (isTaken, wallMs) => {
      reloadSuccessful.set(Number(isTaken));
      if (isTaken) reloadTimestamp.set(wallMs / 1000);
    },
    contentType: registry.contentType,
    text: () => registry.metrics(),
  };
}
