// What people decide from the command line: approvals, maintenance, and how far a policy may go.
import { readFile } from 'node:fs/promises';
import { change, CommandError, jsonText, reading, type Shared } from './commands.ts';
import type { Approval, Maintenance } from './model.ts';
import { findApproval } from './decide.ts';
import { maintenanceView } from './people.ts';
import { Refusal } from './people-context.ts';
import { lineOfMode, policyViews, type PolicyView, type ViewedPolicy } from './promotion.ts';
import { takenOf, type Taken } from './taken.ts';
import { plain, spanText, table, timeWith, type WallText } from './terminal.ts';

export async function approvalsCommand(shared: Shared, limit: number, asJson: boolean): Promise<void> {
  await reading(shared, async (store, clock) => {
    const nowMs = clock.nowMs();
    const approvals = await store.approvals({ open: true, nowMs, limit });
    shared.print(asJson ? jsonText(approvals) : approvalsText(approvals, nowMs));
  });
}

function approvalsText(approvals: readonly Approval[], nowMs: number): string {
  if (approvals.length === 0) return 'nothing waits for an approval\n';
  const rows = approvals.map((a) => [
    ...[a.state, a.target, a.action, a.policy, a.role, spanText(nowMs - a.requestedMs), spanText(a.expiresMs - nowMs)],
    a.id,
  ]);
  const header = ['state', 'target', 'action', 'policy', 'role', 'waits', 'expires in', 'approval'];
  return `${table(header, rows)}\nWhat it rests on: pipemedic-remediator why APPROVAL. Then: pipemedic-remediator approve|reject APPROVAL\n`;
}

export async function decideCommand(
  shared: Shared,
  verdict: 'approve' | 'reject',
  what: string,
  comment: string,
): Promise<void> {
  // The path of the change names one approval; an episode or the beginning of an id is looked up first.
  let id = what;
  await reading(shared, async (store, clock) => {
    try {
      ({ id } = await findApproval(store, what, clock.nowMs()));
    } catch (error) {
      if (error instanceof Refusal) throw new CommandError(error.message, { cause: error });
      throw error;
    }
  });
  const done = (await change(shared, `approvals/:id/${verdict}`, { id, comment })) as {
    readonly action?: string;
    readonly target?: string;
    readonly episode?: string;
    /** Left out where nobody has looked: nobody serves, or not here. */
    readonly plan?: string;
  };
  const what2 = plain(`${done.action ?? ''} of ${done.target ?? ''}`);
  if (verdict === 'reject') {
    shared.print(`rejected: ${what2} is not done\n`);
    return;
  }
  const see = `See: pipemedic-remediator why ${done.episode ?? id}\n`;
  if (done.plan === undefined && shared.settings.mysqlStore !== undefined) {
    await reading(shared, async (store) => {
      shared.print(takenText(what2, await takenOf(store, id, { timeoutMs: takenMs })) + see);
    });
    return;
  }
  const condition = done.plan === 'unchanged' ? '' : ', if it is still the plan that was asked for';
  const unseen = done.plan?.startsWith('unknown') === true ? ` (${plain(done.plan)})` : '';
  shared.print(`approved: ${what2} begins as soon as every other guard allows it${condition}${unseen}. ${see}`);
}

/** Two looks of a remediator that serves, with what lies between them. */
const takenMs = 15_000;

/** @throws CommandError when the yes was for another plan than there is */
export function takenText(what: string, taken: Taken): string {
  switch (taken.is) {
    case 'begun':
      return `approved: ${what} has begun, run ${plain(taken.run)}. `;
    case 'waiting':
      return `approved: ${what} has not begun yet: ${plain(taken.because)}. `;
    case 'void':
      throw new CommandError(`not approved after all: ${plain(taken.because)}`);
  }
}

export async function latchesCommand(shared: Shared, asJson: boolean): Promise<void> {
  await reading(shared, async (store, { wallOf }) => {
    const latches = await store.latches();
    if (asJson) {
      shared.print(jsonText(latches));
      return;
    }
    const at = timeWith(wallOf);
    const rows = latches.map((l) => [at(l.setMs), l.scope, l.id, l.reason]);
    shared.print(latches.length === 0 ? 'no latches\n' : table(['set', 'scope', 'latch', 'reason'], rows));
  });
}

export async function auditCommand(shared: Shared, limit: number, asJson: boolean): Promise<void> {
  await reading(shared, async (store, { wallOf }) => {
    const entries = await store.auditOf({ limit });
    if (asJson) {
      shared.print(jsonText(entries));
      return;
    }
    const at = timeWith(wallOf);
    const rows = entries.map((e) => [at(e.atMs), e.actor, e.via, e.verb, e.object, JSON.stringify(e.detail)]);
    shared.print(rows.length === 0 ? 'nothing yet\n' : table(['when', 'who', 'via', 'did', 'to', 'detail'], rows));
  });
}

export async function maintenanceListCommand(shared: Shared, asJson: boolean): Promise<void> {
  await reading(shared, async (store, clock) => {
    const nowMs = clock.nowMs();
    const all = await store.maintenances(nowMs);
    shared.print(
      asJson
        ? jsonText(all.map((m) => maintenanceView(m, clock.wallOf, nowMs)))
        : maintenanceText(all, timeWith(clock.wallOf), nowMs),
    );
  });
}

function maintenanceText(all: readonly Maintenance[], at: WallText, nowMs: number): string {
  if (all.length === 0) return 'no maintenance\n';
  const rows = all.map((m) => {
    const now = m.startsMs <= nowMs ? `${spanText(m.endsMs - nowMs)} left` : `in ${spanText(m.startsMs - nowMs)}`;
    return [now, m.scope, at(m.startsMs), at(m.endsMs), m.owner, m.id, m.reason];
  });
  return table(['now', 'scope', 'from', 'until', 'owner', 'maintenance', 'reason'], rows);
}

export interface MaintenanceWanted {
  readonly scope: string;
  readonly reason: string;
  readonly inMs: number;
  readonly lastsMs: number;
}

export async function maintenanceAddCommand(shared: Shared, wanted: MaintenanceWanted): Promise<void> {
  const { scope, reason, inMs, lastsMs } = wanted;
  const added = (await change(shared, 'maintenance', { scope, reason, in_ms: inMs, lasts_ms: lastsMs })) as {
    readonly id: string;
    readonly starts: string;
    readonly ends: string;
  };
  shared.print(
    `maintenance of ${scope} from ${added.starts} until ${added.ends}: nothing begins there, what runs ends at its next safe point.\nSooner: pipemedic-remediator maintenance end ${added.id}\n`,
  );
}

export async function maintenanceEndCommand(shared: Shared, id: string): Promise<void> {
  await change(shared, 'maintenance/:id/end', { id });
  shared.print(`maintenance ${id} is over\n`);
}

export async function policyListCommand(
  shared: Shared,
  policies: readonly ViewedPolicy[],
  target: string | undefined,
  asJson: boolean,
): Promise<void> {
  await reading(shared, async (store, clock) => {
    const views = await policyViews(store, policies, clock.nowMs(), target);
    shared.print(asJson ? jsonText(views) : policiesText(views));
  });
}

function policiesText(views: readonly PolicyView[]): string {
  const rows = views.map(({ name, mode, action, counts: c, needlessRate, demotions }) => [
    ...[
      name,
      demotions.length === 0 ? mode : `${mode}, demoted on ${demotions.map((d) => d.target).join(' ')}`,
      action,
    ],
    ...[String(c.wouldAct), needlessRate === undefined ? '-' : `${Math.round(100 * needlessRate)} %`],
    ...[c.approved, c.rejected, c.verified, c.failed, c.unknownOutcome, c.relapses].map(String),
  ]);
  const header = [
    ...['policy', 'mode', 'action', 'would act', 'needless'],
    ...['approved', 'rejected', 'verified', 'failed', 'unknown', 'relapses'],
  ];
  return table(header, rows);
}

export interface Promotion {
  readonly file: string;
  readonly policies: readonly ViewedPolicy[];
  readonly name: string;
  readonly target: string | undefined;
}

/** Says what speaks for the next mode and which line to change: the file stays the only place that gives leave. */
export async function promoteCommand(shared: Shared, wanted: Promotion, asJson: boolean): Promise<void> {
  const { file, name, target, policies } = wanted;
  const policy = policies.find((p) => p.policy.name === name);
  if (policy === undefined) {
    const names = policies.map((p) => p.policy.name).join(', ');
    throw new CommandError(`there is no policy ${name} in ${file}. Name one of: ${names}`);
  }
  const text = await readFile(file, 'utf8');
  await reading(shared, async (store, clock) => {
    const [view] = await policyViews(store, [policy], clock.nowMs(), target);
    if (view === undefined) return;
    const line = view.next === undefined ? undefined : lineOfMode(text, name, view.next.mode);
    shared.print(asJson ? jsonText({ ...view, file, line }) : promotionText(view, file, line, timeWith(clock.wallOf)));
    const missing = (view.next?.criteria ?? []).filter((c) => !c.met);
    if (asJson || missing.length === 0) return;
    const what = missing.map((c) => `${c.what}: ${c.found} (wanted: ${c.wanted})`).join('; ');
    throw new CommandError(`refused, ${name} has not earned ${view.next?.mode ?? 'more'}: ${what}`);
  });
}

export async function drilledCommand(shared: Shared, run: string, comment: string): Promise<void> {
  const { policy, target } = (await change(shared, 'drills', { run, comment })) as {
    readonly policy: string;
    readonly target: string;
  };
  shared.print(`recorded: ${plain(policy)} has passed a drill on ${plain(target)}\n`);
}

function promotionText(view: PolicyView, file: string, line: ReturnType<typeof lineOfMode>, at: WallText): string {
  const { name, mode, next } = view;
  const lines = [policiesText([view])];
  for (const d of view.demotions) {
    lines.push(
      `demoted on ${plain(d.target)} to ${d.mode} since ${at(d.setMs)}: ${plain(d.reason)}`,
      `  when that is understood: pipemedic-remediator policy promote ${name} --target=${plain(d.target)} --lift --comment="what was found"`,
      '',
    );
  }
  if (next === undefined) {
    lines.push(`${name} is in mode ${mode}: nothing is above that for ${view.action}.`);
    return `${lines.join('\n')}\n`;
  }
  lines.push(`From ${mode} to ${next.mode}:`);
  for (const c of next.criteria) lines.push(`  ${c.met ? 'yes' : 'NO '}  ${c.what}: ${c.found} (wanted: ${c.wanted})`);
  const all = next.criteria.every((c) => c.met);
  lines.push('', all ? 'All of it is met.' : 'Not all of it is met: better wait.');
  lines.push(
    line === undefined
      ? `To change it, set mode: ${next.mode} for ${name} in ${file}, then reload (SIGHUP or POST /-/reload).`
      : `To change it: line ${line.line} of ${file} becomes what follows; then reload (SIGHUP or POST /-/reload).\n${line.shouldBe}`,
  );
  return `${lines.join('\n')}\n`;
}

export async function liftCommand(shared: Shared, policy: string, target: string, comment: string): Promise<void> {
  await change(shared, 'demotions/lift', { policy, target, comment });
  shared.print(`the demotion of ${policy} on ${target} is lifted: the mode of the file counts again\n`);
}
