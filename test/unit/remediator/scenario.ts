// A situation in which every guard allows; each test changes what it is about.
import { known, type Known } from '../../../exporter/runtime/known.ts';
import { allow, type ActionView, type LinkView, type PlanInput, type Policy } from '../../../remediator/guard.ts';
import type { Episode } from '../../../remediator/model.ts';

export const nowMs = 1_000_000_000;

export const episode: Episode = {
  id: 'e1',
  source: 'main',
  ident: 'i1',
  labels: { alertname: 'MaxwellDown', target: 'maxwell1', cluster: 'prod' },
  annotations: {},
  version: 1,
  startsWallMs: nowMs - 60_000,
  firstSeenMs: nowMs - 50_000,
  lastFiringMs: nowMs - 50_000,
  resolvedHintMs: undefined,
  truncated: false,
  alertState: 'active',
  alertDetail: '',
  alertSeenMs: nowMs - 10_000,
  state: 'open',
  attempts: 0,
  relapseOf: undefined,
  nextEvalMs: undefined,
  closedMs: undefined,
  outcome: undefined,
};

export const policy: Policy = {
  name: 'maxwell-down',
  mode: 'auto',
  match: { alertname: 'MaxwellDown' },
  action: 'maxwell.restart',
  params: {},
  pace: { maxRuns: 3, windowMs: 3_600_000, cooldownMs: 300_000, maxRelapses: 2 },
  soakMs: 120_000,
  relapseMs: 900_000,
  windows: [],
  approval: { role: 'operator', expiresMs: 3_600_000 },
  chain: [],
};

export const link: LinkView = {
  action: 'maxwell.restart',
  params: {},
  mode: 'auto',
  highestMode: 'auto',
  position: 0,
  length: 1,
  over: false,
};

export const view: ActionView = {
  name: 'maxwell.restart',
  alreadyFixed: allow('broken', 'it is down'),
  preconditions: { error_class: allow('killed', 'it was killed') },
  owner: undefined,
  observers: undefined,
  progressMark: undefined,
};

export const upstream = (target: string, up: Known<boolean> = known(true, nowMs)): PlanInput['upstreams'][number] => ({
  target,
  up,
  why: up.known ? String(up.value) : up.why,
});

export const permitted: PlanInput = {
  nowMs,
  episode,
  clock: known('steady', nowMs),
  switches: { file: 'clear', fileDetail: '', store: 'clear', storeDetail: '' },
  self: {
    store: known('writable', nowMs),
    sweeps: 2,
    minimumSweeps: 2,
    watchdog: { ageMs: 60_000, everyMs: 60_000, source: 'main' },
    others: { asked: 2, answering: 1 },
  },
  policies: [policy],
  link,
  demotion: undefined,
  window: { inside: known(true, nowMs), why: 'always' },
  candidates: [{ name: 'maxwell1', kind: 'maxwell', by: 'target' }],
  require: { cluster: 'prod' },
  kinds: ['maxwell'],
  object: { is: 'clear', params: {} },
  latches: [],
  maintenance: [],
  storm: known({ state: 'calm', enteredMs: 0, inputs: {} }, nowMs),
  upstreams: [upstream('db1'), upstream('kafka1')],
  action: view,
  symptom: { looks: 2, heldMs: 3_000, minimumMs: 3_000 },
  activeRun: undefined,
  cooldown: undefined,
  relapses: { count: 0, max: 2, windowMs: 3_600_000 },
  lastFailed: undefined,
  budgets: [
    { scope: 'target:maxwell1', used: 0, max: 3, windowMs: 3_600_000 },
    { scope: 'global', used: 2, max: 10, windowMs: 3_600_000 },
  ],
  approval: { role: 'operator', latest: undefined },
  alertFreshMs: 90_000,
};
