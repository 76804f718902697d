// A whole lab seen from outside: Prometheus, Alertmanager, what people received, the process supervisor's own record, and
// the remediator's API. For end-to-end tests.
import { readFileSync } from 'node:fs';
import { firing, query, scalar } from '../../deploy/demo/observe.ts';
import { startLab, waitFor, type Lab, type LabOptions } from '../../deploy/lab/lab.ts';
import { messageOf } from '../../exporter/runtime/errors.ts';
import type { Run } from '../../remediator/model.ts';
import type { Story } from '../../remediator/runs-view.ts';
import { witnessLineSchema, type WitnessLine } from '../../remediator/supervisors/process-wire.ts';

/** The lab's seven targets, by the names of its pipemedic.yml. */
export const targetNames = ['backup1', 'db1', 'db2', 'kafka1', 'maxwell1', 'redis1', 'redis2'] as const;

export interface QuickPolicy {
  readonly params?: Readonly<Record<string, number>>;
  readonly maxRuns?: number;
}

/** What is checked and verified is as shipped; only the waiting is shorter. */
export function quickPolicies({ params = {}, maxRuns = 3 }: QuickPolicy = {}): unknown {
  return {
    policies: [
      {
        name: 'maxwell-down',
        match: { alertname: 'MaxwellDown' },
        action: 'maxwell.restart',
        mode: 'auto',
        params: { startingSeconds: 1, startStableSeconds: 1, sourceUpSeconds: 5, ...params },
        pace: { max_runs: maxRuns, window: '1h', cooldown: '1s' },
        soak: '2s',
        relapse: '10m',
      },
    ],
  };
}

/** A lab whose targets are all up, with its pipeline's lag known. */
export async function startHealthyLab(options: LabOptions = {}): Promise<Lab> {
  const lab = await startLab({ policies: quickPolicies(), ...options });
  try {
    await waitFor(
      async () => {
        const down = await query(lab, 'pipemedic_target_up == 0');
        const unknown = await query(lab, 'pipeline_stage_state{state!="ok"} == 1');
        const running = await scalar(lab, 'maxwell_state{state="running"}');
        const bad = [...down, ...unknown].map(({ labels }) =>
          ['target', 'stage', 'state'].map((label) => labels[label] ?? '').join(' '),
        );
        if (bad.length > 0) throw new Error(bad.join(', '));
        return running === 1;
      },
      { deadlineMs: 90_000, what: 'all targets up, all stages ok, and Maxwell running', intervalMs: 300 },
    ).catch(async (error: unknown) => {
      throw new Error(`${messageOf(error)}\n${await factsOf(lab)}`, { cause: error });
    });
    return lab;
  } catch (error) {
    await lab.stop();
    throw error;
  }
}

/** What the exporter says of pipeline and Maxwell, and the end of Maxwell's log: for whoever asks why it is not healthy. */
async function factsOf(lab: Lab): Promise<string> {
  const page = await fetch(`${lab.urls.exporter}/metrics`, { signal: AbortSignal.timeout(10_000) }).then(
    (answer) => answer.text(),
    messageOf,
  );
  const told = /^(pipeline_|maxwell_|pipemedic_(target_up|collector_success|\w*reason))/;
  const isFalse = /_state\{.* 0$/;
  const lines = page.split('\n').filter((line) => told.test(line) && !isFalse.test(line));
  return [...lines, ...lab.part('maxwell').log().split('\n').slice(-25)].join('\n');
}

/** The newest episode of the alert as the API tells it; undefined while there is none. */
export async function storyOf(lab: Lab, alertname: string): Promise<Story | undefined> {
  const answer = await ofRemediator(lab, `/api/v1/why/${alertname}`);
  if (answer.status === 404) return undefined;
  if (!answer.ok) throw new Error(`the remediator answers ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as Story;
}

/** All runs there ever were. */
export async function runsOf(lab: Lab): Promise<readonly Run[]> {
  const answer = await ofRemediator(lab, '/api/v1/runs');
  if (!answer.ok) throw new Error(`the remediator answers ${answer.status}: ${await answer.text()}`);
  return ((await answer.json()) as { runs: Run[] }).runs;
}

function ofRemediator(lab: Lab, path: string): Promise<Response> {
  return fetch(`${lab.urls.remediator}${path}`, {
    headers: { authorization: `Bearer ${lab.secret('remediator-webhook.token')}` },
    signal: AbortSignal.timeout(10_000),
  });
}

/** A notification as Alertmanager 0.25 sends it, but not by Alertmanager. */
export async function postWebhook(lab: Lab, labels: Readonly<Record<string, string>>): Promise<number> {
  const alert = {
    status: 'firing',
    labels,
    annotations: {},
    startsAt: new Date().toISOString(),
    endsAt: '0001-01-01T00:00:00Z',
    generatorURL: '',
    fingerprint: '0123456789abcdef',
  };
  const body = {
    version: '4',
    status: 'firing',
    receiver: 'remediator',
    groupKey: '{}',
    truncatedAlerts: 0,
    alerts: [alert],
  };
  const answer = await fetch(`${lab.urls.remediator}/webhook/main`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${lab.secret('remediator-webhook.token')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  await answer.arrayBuffer();
  return answer.status;
}

export interface HeldAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly fingerprint: string;
  readonly status: {
    readonly state: 'active' | 'suppressed' | 'unprocessed';
    readonly inhibitedBy: readonly string[];
    readonly silencedBy: readonly string[];
  };
}

/** What one of the Alertmanagers holds now. */
export async function heldBy(lab: Lab, peer = 0): Promise<readonly HeldAlert[]> {
  const answer = await fetch(`${peerUrl(lab, peer)}/api/v2/alerts`, { signal: AbortSignal.timeout(10_000) });
  if (!answer.ok) throw new Error(`Alertmanager answers ${answer.status}`);
  return (await answer.json()) as HeldAlert[];
}

export function peerUrl(lab: Lab, peer: number): string {
  const url = lab.urls.alertmanagers[peer];
  if (url === undefined) throw new Error(`there is no Alertmanager ${peer}`);
  return url;
}

/** `NAME/TARGET` of what fires in Prometheus for people. */
export async function firingNames(lab: Lab): Promise<readonly string[]> {
  const names = (await firing(lab)).map((alert) => nameOf(alert.labels));
  return [...new Set(names)].sort();
}

export function nameOf(labels: Readonly<Record<string, string>>): string {
  return `${labels['alertname'] ?? ''}/${labels['target'] ?? labels['pipeline'] ?? labels['instance'] ?? ''}`;
}

/** `NAME/TARGET` of the firing pages after the first `since`, each once. */
export function pagedNames(lab: Lab, since = 0): readonly string[] {
  const names = lab.pages.slice(since).filter((page) => page.status === 'firing');
  return [...new Set(names.map((page) => nameOf(page.labels)))].sort();
}

/** The process supervisor's own record. */
export function witnessOf(lab: Lab): readonly WitnessLine[] {
  const text = readFileSync(lab.files.witness, 'utf8');
  return text
    .slice(0, text.lastIndexOf('\n') + 1) // the last line may be half written
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => witnessLineSchema.parse(JSON.parse(line)));
}

export function startsIn(lines: readonly WitnessLine[]): readonly WitnessLine[] {
  return lines.filter((line) => line.event === 'start');
}

/** Writes a row on the source and waits for it at the end of the pipeline. */
export async function changeArrives(lab: Lab, customer: string, deadlineMs = 60_000): Promise<void> {
  await lab.sql('source', `INSERT INTO shop.orders (customer, state, total) VALUES ('${customer}', 'new', 12.5)`);
  const [row] = await lab.sql('source', `SELECT MAX(id) AS id FROM shop.orders WHERE customer = '${customer}'`);
  const key = `orders:${String(row?.['id'])}`;
  await waitFor(async () => (await lab.redis('redisReplica', (redis) => redis.hget(key, 'customer'))) === customer, {
    deadlineMs,
    what: `${key} in the Redis replica`,
  });
}

export interface Scrape {
  readonly text: string;
  readonly tookMs: number;
}

/** As Prometheus asks, with its patience in the header. */
export async function scrape(lab: Lab, timeoutSeconds: number): Promise<Scrape> {
  const begun = performance.now();
  const answer = await fetch(`${lab.urls.exporter}/metrics`, {
    headers: { 'x-prometheus-scrape-timeout-seconds': String(timeoutSeconds) },
    // longer than what is asked for, so that a late answer is seen as late
    signal: AbortSignal.timeout(timeoutSeconds * 1000 + 30_000),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`the exporter answers ${answer.status}: ${text.slice(0, 300)}`);
  return { text, tookMs: performance.now() - begun };
}

/** What to read when a test of repairs fails: runs, decisions, pages, log. */
export async function account(lab: Lab, alertname = 'MaxwellDown'): Promise<string> {
  const story = await storyOf(lab, alertname).catch(() => undefined);
  return [
    ...(story?.decisions ?? []).map((d) => `decision ${d.verdict} ${d.reasonKey} ×${d.repeats} ${d.because}`),
    ...(story?.runs ?? []).flatMap(({ run, journal }) => [
      `run ${run.id} ${run.state} ${run.outcome ?? ''} ${run.because ?? ''}`,
      ...journal.map((e) => `  +${e.atMs - run.claimedMs} ms ${e.kind} ${e.step} ${e.outcome ?? ''}`),
    ]),
    `pages ${pagedNames(lab).join(', ')}`,
    'log of the remediator',
    ...lab.part('remediator').log().split('\n').slice(-25),
  ].join('\n');
}
