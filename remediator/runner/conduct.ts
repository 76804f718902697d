// The life of one run, from its claim (or from where a crash left it) to its end.
import { pause, within } from '../../exporter/runtime/deadline.ts';
import { messageOf } from '../../exporter/runtime/errors.ts';
import type { Look } from '../action.ts';
import { asJson, hashOf } from '../canonical.ts';
import { writeEvidence, type Evidence, type EvidencePlace } from '../evidence.ts';
import type { Verdict } from '../guard.ts';
import { limited } from '../limited.ts';
import type { Advice, JournalEntry, Json } from '../model.ts';
import { Abandoned, append, leaveIfLost, stepRun, type Ending, type RunContext } from './context.ts';
import { takeLock } from './fence.ts';
import { entryOf, field, mutated, mutatedSteps, phaseOf, textField } from './journal.ts';
import { conductStep } from './steps.ts';

export interface ConductOptions {
  readonly soakMs: number;
  readonly evidenceDir: string;
  /** For tests. */
  readonly evidencePlace: EvidencePlace | undefined;
  /** How long one reading of the facts may take. */
  readonly lookMs: number;
  /** Of the decision that this run was claimed for. */
  readonly evidenceHash: string | undefined;
}

/** Between two looks under the claim. */
const lookAgainMs = 500;
/** How long one look in the soak may take. */
const soakLookMs = 30_000;

/** Conducts the run to its end. @throws Abandoned, StoreError: the run stays open and is taken up again later */
export async function conduct<W>(ctx: RunContext<W>, options: ConductOptions): Promise<Ending> {
  const facts = frozenFacts(ctx);
  const frozen = facts === undefined ? await freeze(ctx, options) : { before: field(facts.data, 'before') };
  if ('outcome' in frozen) return frozen;
  const { before } = frozen;

  const failure = entryOf(ctx.entries, 'compensate');
  if (failure !== undefined) {
    return await compensate(ctx, before, {
      because: textField(failure.data, 'because') ?? 'a step failed',
      never: textField(failure.data, 'never'),
    });
  }
  if (entryOf(ctx.entries, 'verified') === undefined) {
    for (const step of ctx.steps) {
      const result = await conductStep(ctx, step, before, 'forward');
      if (result.is === 'over') return result.end;
      if (result.is === 'failed') return await fail(ctx, before, result.because, result.never);
    }
    const unknown = leftUnknown(ctx);
    if (unknown !== undefined) return unknown;
    await append(ctx, { kind: 'verified', step: '', attempt: 1, data: {} });
  }
  return await soak(ctx, before, options.soakMs);
}

/**
 * What the steps are relative to. Facts of a former life that has begun nothing are only old: a person may have been there
 * since, so they are read again.
 */
export function frozenFacts<W>({ entries, hold }: Pick<RunContext<W>, 'entries' | 'hold'>): JournalEntry | undefined {
  const facts = entryOf(entries, 'facts');
  const isBegun = mutated(entries) || entries.some(({ kind }) => kind === 'verified' || kind === 'compensate');
  return isBegun || facts?.fence === hold.fence ? facts : undefined;
}

/** Under the claim: the lock that others see, the facts again, and both on the disk before anything is changed. */
async function freeze<W>(ctx: RunContext<W>, options: ConductOptions): Promise<{ before: unknown } | Ending> {
  const { action, run } = ctx;
  const refused = (because: string): Ending => ({ outcome: 'refused', because });
  const noLock = await takeLock(ctx, options.lookMs);
  if (noLock !== undefined) return refused(noLock);
  if (!ctx.samePlan) return refused('the plan has changed since the claim');

  const { lost } = ctx.lease;
  const look = await lookUnderClaim(ctx, options.lookMs);
  if (look.alreadyFixed.is === 'deny') return { outcome: 'already_fixed', because: look.alreadyFixed.because };
  const against = verdictsOf(look).find((v) => v.is !== 'allow');
  if (against !== undefined) return refused(`${against.code}: ${against.because}`);
  const { observers = [] } = look;
  const doubting = observers.find((o) => o.says === 'healthy');
  if (doubting !== undefined) return refused(`${doubting.by} sees nothing wrong`);
  if (look.before === undefined) return refused('a fact that the steps need is unknown');
  if (options.evidenceHash !== undefined && hashOf(look.evidence) !== options.evidenceHash) {
    return refused('the facts are no longer those of the decision');
  }

  const snapshot = action.snapshot(look.before);
  let evidence: Evidence;
  try {
    const seen = `${JSON.stringify(evidenceOf(ctx, look), undefined, 2)}\n`;
    const files = [
      { name: 'evidence.json', text: seen, mayBeCut: true },
      { ...snapshot, mayBeCut: false },
      { name: 'plan.txt', text: undoText(ctx, snapshot.name), mayBeCut: false },
    ];
    evidence = await writeEvidence(options.evidenceDir, run.id, files, options.evidencePlace, lost);
  } catch (error) {
    leaveIfLost(ctx);
    return refused(`the evidence cannot be kept: ${messageOf(error)}`);
  }
  const before = asJson(look.before);
  await ctx.store.setRun(ctx.hold, { evidencePath: evidence.path }, ctx.clock.nowMs);
  await append(ctx, { kind: 'evidence', step: '', attempt: 1, data: { path: evidence.path, sha256: evidence.sha256 } });
  await append(ctx, { kind: 'facts', step: '', attempt: 1, data: { before, evidence: look.evidence } });
  return { before };
}

function verdictsOf({ alreadyFixed, preconditions, owner }: Look<unknown>): readonly Verdict[] {
  return [alreadyFixed, ...Object.values(preconditions), ...(owner === undefined ? [] : [owner])];
}

/**
 * Once. Of a run that was taken up again, for a while: a process that has just begun has seen nothing stand still yet, and
 * what is unknown to it now may be known after some looks.
 */
async function lookUnderClaim<W>(ctx: RunContext<W>, lookMs: number): Promise<Look<unknown>> {
  const { action, run, world, lease, clock } = ctx;
  const endMs = entryOf(ctx.entries, 'facts') === undefined ? -Infinity : clock.monoMs() + lookMs;
  for (;;) {
    const looking = action.look(run.target, run.params, world, within(lookMs, lease.lost));
    const look = await limited(looking, lookMs, 'the facts', lease.lost);
    leaveIfLost(ctx);
    const verdicts = verdictsOf(look).map((v) => v.is);
    const isOpen = verdicts.includes('unknown') && !verdicts.includes('deny');
    if (!isOpen || clock.monoMs() + lookAgainMs > endMs) return look;
    await pause(lookAgainMs, AbortSignal.any([lease.lost, ctx.draining])).catch(() => undefined);
    leaveIfDraining(ctx);
  }
}

function evidenceOf<W>(ctx: RunContext<W>, look: Look<unknown>): Json {
  const { run, hold } = ctx;
  const advice: readonly Advice[] = look.advice;
  return {
    run: run.id,
    episode: run.episodeId,
    action: run.action,
    target: run.target,
    fence: hold.fence,
    at: new Date(ctx.clock.wallMs()).toISOString(),
    evidence: look.evidence,
    seen: look.seen,
    advice: advice.map(({ title, text }) => ({ title, text })),
  };
}

/** For whoever finds the run half done: what it was about to do, and what undoes each part of it. */
function undoText<W>(ctx: RunContext<W>, snapshotName: string): string {
  const { run, steps } = ctx;
  const lines = steps
    .filter((s) => s.apply !== undefined)
    .map(({ name, help, compensate }) => {
      const undo = compensate === 'none' ? 'undone by nothing' : `undone by ${compensate.name}: ${compensate.help}`;
      return `- ${name}: ${help}\n  ${undo}\n`;
    });
  return [
    `Run ${run.id}: ${run.action} on ${run.target}.\n`,
    `What was there before, and how to bring it back by hand: ${snapshotName}.\n`,
    'Which of these steps were carried out says the journal of the run:\n',
    ...lines,
  ].join('');
}

async function fail<W>(
  ctx: RunContext<W>,
  before: unknown,
  because: string,
  never: string | undefined,
): Promise<Ending> {
  if (!mutated(ctx.entries)) return { outcome: 'refused', because, ...(never === undefined ? {} : { latch: never }) };
  await append(ctx, {
    kind: 'compensate',
    step: '',
    attempt: 1,
    data: { because, ...(never === undefined ? {} : { never }) },
  });
  return await compensate(ctx, before, { because, never });
}

/** Undoes what was done, last first, as each step declares it. Not when the failure says that it must stay as it is. */
async function compensate<W>(
  ctx: RunContext<W>,
  before: unknown,
  { because, never }: { readonly because: string; readonly never: string | undefined },
): Promise<Ending> {
  const unknown = leftUnknown(ctx, because);
  if (unknown !== undefined) return unknown;
  if (never !== undefined) return { outcome: 'failed', because, latch: never };
  const names = mutatedSteps(ctx.entries);
  for (const step of ctx.steps.toReversed()) {
    if (step.compensate === 'none' || !names.includes(step.name)) continue;
    const result = await conductStep(ctx, step.compensate, before, 'reach');
    if (result.is === 'over') return result.end;
    if (result.is === 'failed') {
      const also = `${because}; and then ${result.because}`;
      return { outcome: 'failed', because: also, latch: `left as it is: ${also}` };
    }
  }
  return { outcome: 'failed', because };
}

/**
 * A call without an outcome is looked at when its step's turn comes. One that has no turn is of another plan: the run was
 * left by another version of the action. Nothing is undone around what cannot be known.
 */
function leftUnknown<W>(ctx: RunContext<W>, because?: string): Ending | undefined {
  const undoing = ctx.steps.flatMap((s) => (s.compensate === 'none' ? [] : [s.compensate.name]));
  const open = mutatedSteps(ctx.entries).filter((name) => phaseOf(ctx.entries, name).is === 'open');
  const names = open.filter((name) => !undoing.includes(name));
  if (names.length === 0) return undefined;
  const latch = `what ${names.join(', ')} did cannot be known: the plan has changed since`;
  return { outcome: 'outcome_unknown', because: because === undefined ? latch : `${because}; ${latch}`, latch };
}

/** Watched for the time of the soak; a no ends it, and it ends well only with a yes. */
async function soak<W>(ctx: RunContext<W>, before: unknown, soakMs: number): Promise<Ending> {
  let begun = entryOf(ctx.entries, 'soak');
  if (begun === undefined) {
    await ctx.store.setRun(ctx.hold, { state: 'soaking' }, ctx.clock.nowMs);
    begun = await append(ctx, { kind: 'soak', step: '', attempt: 1, data: { soakMs } });
  }
  const { clock } = ctx;
  // Ledger time may jump, which would end it unseen: it only says how much of a soak that is gone on with is over.
  const spentMs = clock.steady().known ? Math.max(0, clock.nowMs() - begun.atMs) : 0;
  const endMono = clock.monoMs() + Math.max(0, soakMs - spentMs);
  // what cannot be seen at the end of the soak may be seen a little later, but not without end
  const lastMono = endMono + Math.max(60_000, soakMs);
  const everyMs = Math.max(200, Math.min(5_000, soakMs / 4));
  for (;;) {
    const leftMs = endMono - clock.monoMs();
    if (leftMs > 0) {
      await pause(Math.min(everyMs, leftMs), AbortSignal.any([ctx.lease.lost, ctx.draining])).catch(() => undefined);
    }
    leaveIfLost(ctx);
    leaveIfDraining(ctx);
    const leave = AbortSignal.any([ctx.lease.lost, ctx.draining]);
    const run = stepRun(ctx, 'soak', before, 1, within(soakLookMs, leave));
    const looking = ctx.action.soak(ctx.run.target, ctx.run.params, ctx.world, run);
    const seen = await limited(looking, soakLookMs, 'whether it lasts', leave).catch(
      (error: unknown) => ({ is: 'unknown', because: messageOf(error) }) as const,
    );
    leaveIfLost(ctx);
    leaveIfDraining(ctx);
    if (seen.is === 'no') return { outcome: 'failed', because: `it did not last: ${seen.because}` };
    const nowMono = clock.monoMs();
    if (seen.is === 'yes' && nowMono >= endMono) return { outcome: 'verified', because: seen.because };
    if (nowMono >= lastMono) return { outcome: 'failed', because: `it could not be seen to last: ${seen.because}` };
    if (nowMono >= endMono)
      await pause(everyMs, AbortSignal.any([ctx.lease.lost, ctx.draining])).catch(() => undefined);
  }
}

function leaveIfDraining<W>(ctx: RunContext<W>): void {
  if (ctx.draining.aborted) throw new Abandoned('the program ends');
}
