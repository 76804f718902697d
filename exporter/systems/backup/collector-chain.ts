import { z } from 'zod';
import { collectorOf, type CollectorCall } from '../../collector.ts';
import type { FactKey } from '../../facts.ts';
import { emitState, type Emit } from '../../families.ts';
import { mapKnown, unknown, type Known } from '../../runtime/known.ts';
import { binlogAgesFact } from '../mysql/facts-binlog-history.ts';
import { binlogsFact } from '../mysql/facts-binlogs.ts';
import { mainTypeOf, type BackupAddress } from './address.ts';
import type { BackupClient } from './client.ts';
import { backupFact, type BackupEvidence } from './facts-backup.ts';
import { archiveChainOf, archiveOf, chainOf, LinkMemory, readLinks, type Archive, type Chain, type IncrementalChain } from './facts-chain.ts'; // prettier-ignore
import { coordinatesFact } from './facts-coordinates.ts';
import { GrowthMemory, growingOf } from './facts-growth.ts';
import { listingFact } from './facts-listing.ts';
import { fullPointOf, heldAt, pitrOf, recoveryPointOf, type Pitr, type RecoveryPoint } from './facts-pitr.ts';
import { chainFamilies, chainReasons, chainStates, pitrReasons, pitrStates, pointStates } from './families-chain.ts';

type EmitChain = Emit<typeof chainFamilies>;

interface State {
  readonly growth: GrowthMemory;
  readonly links: LinkMemory;
}

/** Other targets, and the other collectors of this one, are waited for so long. */
const peerWaitMs = 1_000;

const notConfigured: Chain = { state: 'not_configured', reason: 'none', why: 'nothing of the kind is configured' };

export const backupChain = collectorOf<BackupClient>()({
  name: 'backup_chain',
  help: 'Whether incremental backups and archived binary logs go on without a gap, and up to which moment one can come back.',
  keeps: 'how files grew: which one is still being written',
  config: z.strictObject({}),
  families: chainFamilies,
  state: (): State => ({ growth: new GrowthMemory(), links: new LinkMemory() }),
  async collect({ client, emit, call, state }) {
    const { address } = client;
    const files = await client.list(call);
    if (mainTypeOf(address) === 'binlog') {
      const archive = archiveOf(files);
      emitChain(emit, 'incremental', notConfigured);
      emitChain(emit, 'binlog', archiveChainOf(archive, null));
      emitArchive(emit, archive);
      emitPitr(emit, pitrOf({ full: unknown('an archive has none'), source: undefined, archive: undefined }));
      // An archive alone brings nothing back; the target that names it tells up to when.
      emitPoint(emit, { state: 'unknown', why: 'an archive has no full backup', ageSeconds: undefined });
      return;
    }
    const growing = growingOf(files, state.growth, call);
    const finished = files.filter((f) => !growing.has(f.inode));
    const chain = chainOf(await readLinks(client, finished, state.links, call));
    const isIncremental = address.incremental !== undefined || files.some((f) => f.type === 'incremental');
    emitChain(emit, 'incremental', isIncremental ? chain : notConfigured);
    if (isIncremental) emitLength(emit, chain);
    await collectPoints(emit, call, address, isIncremental ? chain : undefined);
  },
  unknown({ emit, why }) {
    const chain = { state: 'unknown', reason: 'unknown', why } as const;
    emitChain(emit, 'incremental', chain);
    emitChain(emit, 'binlog', chain);
    const numbers = { gapFiles: undefined, gapSeconds: undefined, headroomFiles: undefined };
    emitPitr(emit, { state: 'unknown', reason: 'unknown', why, ...numbers });
    emitPoint(emit, { state: 'unknown', why, ageSeconds: undefined });
  },
});

async function collectPoints(
  emit: EmitChain,
  call: CollectorCall,
  { source, archive }: BackupAddress,
  chain: IncrementalChain | undefined,
): Promise<void> {
  const [full, evidence, binlogs, ages, listing] = await Promise.all([
    factOf(call, call.target, coordinatesFact),
    factOf(call, call.target, backupFact),
    source === undefined ? undefined : factOf(call, source, binlogsFact),
    source === undefined ? undefined : factOf(call, source, binlogAgesFact),
    archive === undefined ? undefined : factOf(call, archive, listingFact),
  ]);
  const logs =
    listing === undefined ? undefined : mapKnown(listing, ({ types }) => archiveOf(types.flatMap((t) => t.files)));
  emitChain(emit, 'binlog', binlogChain(logs, full.known ? full.value : undefined));
  if (logs?.known === true) emitArchive(emit, logs.value);
  const input = { full, source: binlogs, archive: logs };
  emitPitr(emit, pitrOf(input));
  emitPoint(
    emit,
    recoveryPointOf({
      ...input,
      fullAtMs: full.known ? mapKnown(full, ({ atMs }) => atMs) : fullPointOf(evidence),
      incrementalAtMs: evidence.known ? incrementalAt(evidence.value, chain) : undefined,
      ages: ages ?? unknown('no source is configured'),
      nowMs: call.clock.wallMs(),
    }),
  );
}

/** Only of one that is complete, in a chain that is valid. */
function incrementalAt({ types }: BackupEvidence, chain: IncrementalChain | undefined): number | undefined {
  const its = types.find(({ type }) => type === 'incremental');
  if (chain?.state !== 'valid' || its?.lastSuccess?.file.name !== chain.newest?.name) return undefined;
  return its === undefined ? undefined : heldAt(its);
}

function binlogChain(logs: Known<Archive | undefined> | undefined, full: Parameters<typeof archiveChainOf>[1]): Chain {
  if (logs === undefined) return notConfigured;
  if (!logs.known) return { state: 'unknown', reason: 'unknown', why: logs.why };
  return archiveChainOf(logs.value, full);
}

/** What a collector before this one has found in this sweep, or another target. */
async function factOf<T>({ board, peers, target }: CollectorCall, of: string, key: FactKey<T>): Promise<Known<T>> {
  const here = of === target ? board.read(of, key) : undefined;
  if (here?.known === true) return here;
  return (await peers?.fact(of, key, peerWaitMs)) ?? here ?? unknown(`${of} is not looked at here`);
}

function emitChain(emit: EmitChain, type: 'incremental' | 'binlog', { state: its, reason: why }: Chain): void {
  emitState((value, state) => { emit.chainState(value, { type, state }); }, chainStates, its); // prettier-ignore
  emitState((value, reason) => { emit.chainReason(value, { type, reason }); }, chainReasons, why); // prettier-ignore
}

function emitLength(emit: EmitChain, { length, orphans }: IncrementalChain): void {
  if (length !== undefined) emit.chainLength(length);
  if (orphans !== undefined) emit.orphans(orphans.length);
}

function emitArchive(emit: EmitChain, archive: Archive | undefined): void {
  if (archive === undefined) return;
  emit.archiveMissing(archive.missing);
  emit.archiveOldest(archive.oldest);
  emit.archiveNewest(archive.newest);
}

function emitPitr(emit: EmitChain, { state: its, reason: why, gapFiles, gapSeconds, headroomFiles }: Pitr): void {
  emitState((value, state) => { emit.pitrState(value, { state }); }, pitrStates, its); // prettier-ignore
  emitState((value, reason) => { emit.pitrReason(value, { reason }); }, pitrReasons, why); // prettier-ignore
  if (gapFiles !== undefined) emit.pitrGapFiles(gapFiles);
  if (gapSeconds !== undefined) emit.pitrGapSeconds(gapSeconds);
  if (headroomFiles !== undefined) emit.headroomFiles(headroomFiles);
}

function emitPoint(emit: EmitChain, { state: its, ageSeconds }: RecoveryPoint): void {
  emitState((value, state) => { emit.pointState(value, { state }); }, pointStates, its); // prettier-ignore
  if (ageSeconds !== undefined) emit.pointAge(ageSeconds);
}
