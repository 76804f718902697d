import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { collectorOf, type CollectorCall } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { absolutePath } from '../../fields.ts';
import { pause } from '../../runtime/deadline.ts';
import { messageOf } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { BackupAddress, BackupType } from './address.ts';
import { loadVerdicts } from './background-verify-store.ts';
import { verifyInBackground } from './background-verify.ts';
import type { BackupClient } from './client.ts';
import { backupFact, BackupMemory, readBackup, type BackupEvidence, type TypeEvidence } from './facts-backup.ts';
import { coordinatesFact, type BackupCoordinates } from './facts-coordinates.ts';
import { judgeBackup } from './facts-judge.ts';
import { rungOf, verifiedStates, type VerifiedState } from './facts-verdict.ts';
import { readOn } from './facts-verifying.ts';
import { backupFamilies } from './families.ts';
import { keepingStates, verifyFamilies } from './families-verify.ts';
import { backupStates, type BackupState } from './state.ts';

const families = { ...backupFamilies, ...verifyFamilies };

const sizes: Readonly<Record<string, number>> = { kB: 1e3, MB: 1e6, GB: 1e9 };

/** `50MB`; the output is bytes per second. */
const rateText = 'bytes per second, such as 50MB';
const verifyRate = z
  .string({ error: rateText })
  .regex(/^[1-9]\d{0,4}(kB|MB|GB)$/, rateText)
  .transform((text) => Number(text.slice(0, -2)) * (sizes[text.slice(-2)] ?? 1));

interface State {
  readonly memory: BackupMemory;
  /** Which tool the files should be of; known once the target has been opened. */
  tool: BackupAddress['tool'] | undefined;
  types: readonly BackupType[];
  loaded: boolean;
}

function newState(): State {
  const state: State = {
    memory: new BackupMemory((path, reading) => judgeBackup(path, state.tool, reading)),
    tool: undefined,
    types: [],
    loaded: false,
  };
  return state;
}

/** How long an examination waits for what it reads itself. */
const examineMs = 3_000;

export const backupFiles = collectorOf<BackupClient>()({
  name: 'backup_files',
  help: 'Whether the newest backup is complete, by reading it to its end, and when the last complete one was made.',
  keeps: 'verdicts on the files it has read to their end; over a restart in its state_file',
  config: z.strictObject({
    /** Backups are read no faster than this. */
    verify_rate: verifyRate.prefault('50MB'),
    /** Where results are kept over a restart; without it all is read anew. */
    state_file: absolutePath.optional(),
  }),
  families,
  state: newState,
  async collect({ client, config, emit, call, state }) {
    state.tool = client.address.tool;
    const { memory } = state;
    if (call.isExamination === true) await examine(state, client, config.state_file, call);
    const evidence = await readBackup(client, call, memory);
    state.types = evidence.types.map(({ type }) => type);
    const nowMs = call.clock.wallMs();
    call.board.publish(call.target, backupFact, known(evidence, nowMs));
    if (hasCoordinates(client.address))
      call.board.publish(call.target, coordinatesFact, coordinatesOf(evidence, nowMs));
    for (const its of evidence.types) {
      emitStates(emit, its.type, its.state, its.verified);
      emitType(emit, its);
      emitVerified(emit, its);
      const { current } = memory;
      if (current?.file.type === its.type) emit.verifyingSince(current.sinceMs / 1000, { type: its.type });
    }
    emitKeeping(emit, memory);
  },
  background: ({ config, state, work }) =>
    verifyInBackground(state.memory, {
      ...work,
      bytesPerSecond: config.verify_rate,
      stateFile: config.state_file,
    }),
  unknown({ emit, call, state, why }) {
    call.board.publish(call.target, backupFact, unknown(why));
    for (const type of state.types.length === 0 ? (['full'] as const) : state.types) {
      emitStates(emit, type, 'unknown', 'unknown');
    }
    emitKeeping(emit, state.memory);
  },
});

type EmitBackup = Emit<typeof families>;

/** Nothing runs beside an examination: what is small is read here, and what the exporter has kept is taken. */
async function examine(
  state: State,
  client: BackupClient,
  stateFile: string | undefined,
  call: CollectorCall,
): Promise<void> {
  const { memory } = state;
  if (!state.loaded && stateFile !== undefined) {
    const folder = access(dirname(stateFile), constants.W_OK).catch(messageOf);
    memory.keeping = ((await loadVerdicts(stateFile, memory)) ?? (await folder)) === undefined ? 'kept' : 'failed';
  }
  state.loaded = true;
  await readBackup(client, call, memory);
  const reading = readOn(memory, { signal: client.closed, clock: call.clock });
  const enough = new AbortController();
  const signal = AbortSignal.any([call.signal, enough.signal]);
  await Promise.race([reading, pause(examineMs, signal).catch(() => undefined)]);
  enough.abort();
}

function emitStates(emit: EmitBackup, type: BackupType, state: BackupState, verified: VerifiedState): void {
  emitState((value, of) => { emit.backupState(value, { type, state: of }); }, backupStates, state); // prettier-ignore
  emitState((value, of) => { emit.verified(value, { type, state: of }); }, verifiedStates, verified); // prettier-ignore
}

function emitKeeping(emit: EmitBackup, memory: BackupMemory): void {
  const keeping = memory.keeping ?? 'off';
  emitState((value, state) => { emit.keeping(value, { state }); }, keepingStates, keeping); // prettier-ignore
}

function emitType(emit: EmitBackup, { type, files, newest, newestFinished, lastSuccess }: TypeEvidence): void {
  emit.files(files, { type });
  if (newest !== undefined) emit.newestFile(newest.modifiedAtMs / 1000, { type });
  if (newestFinished !== undefined) emit.lastSize(newestFinished.file.sizeBytes, { type });
  if (lastSuccess === undefined) return;
  emit.lastSuccess(lastSuccess.completedAtMs / 1000, { type });
  if (lastSuccess.durationSeconds.known) emit.lastDuration(lastSuccess.durationSeconds.value, { type });
}

function emitVerified(emit: EmitBackup, { type, newestFinished, verified, finished, lastSuccess }: TypeEvidence): void {
  emit.unread(finished.filter(({ verdict }) => !verdict.known).length, { type });
  if (newestFinished?.verdict.known === true) {
    const { value: verdict, observedAtMs } = newestFinished.verdict;
    // What cannot be seen is neither complete nor not.
    if (verified !== 'unverifiable') emit.lastComplete(verdict.class === 'complete' ? 1 : 0, { type });
    emit.verdict(1, { type, verdict: verdict.class });
    emit.verifiedAt(observedAtMs / 1000, { type });
    emit.verifyDuration(verdict.tookSeconds, { type });
    emit.verifiedBytes(verdict.readBytes, { type });
    emit.contentBytes(verdict.contentBytes, { type });
    const [checksum, compression] = [rungOf(verdict, 'checksum')?.ok, rungOf(verdict, 'compression')?.ok];
    if (typeof checksum === 'boolean') emit.checksumOk(checksum ? 1 : 0, { type });
    if (typeof compression === 'boolean') emit.compressionOk(compression ? 1 : 0, { type });
  }
  if (lastSuccess === undefined) return;
  const { tool, toolVersion, serverVersion, characterSet, tables, startedAtMs, coordinates } = lastSuccess.verdict.told;
  emit.header(1, {
    type,
    tool: labelOf(tool),
    tool_version: labelOf(toolVersion),
    server_version: labelOf(serverVersion),
    character_set: labelOf(characterSet),
  });
  if (tables !== undefined) emit.tables(tables, { type });
  if (startedAtMs !== undefined) emit.startedAt(startedAtMs / 1000, { type });
  if (coordinates === undefined) return;
  const { position, gtid, of } = coordinates;
  emit.binlogInfo(1, { type, file: labelOf(position?.file), gtid: labelOf(gtid, 200), of });
  if (position !== undefined) emit.binlogPosition(position.position, { type });
}

/** What a file says may be anything: bounded, and in one line. */
function labelOf(text = '', atMost = 64): string {
  const line = text.replace(/[^\x20-\x7e]+/g, '');
  return line.length > atMost ? `${line.slice(0, atMost - 3)}...` : line;
}

/** What other tools write has none. */
function hasCoordinates({ tool }: BackupAddress): boolean {
  return tool === 'mysqldump' || tool === 'mydumper' || tool === 'xtrabackup' || tool === 'status_file';
}

function coordinatesOf({ lastSuccess, type }: BackupEvidence, nowMs: number): Known<BackupCoordinates> {
  if (lastSuccess === undefined) return unknown('there is no complete backup, or none was read yet');
  const { file, verdict, completedAtMs, durationSeconds } = lastSuccess;
  const { coordinates, startedAtMs } = verdict.told;
  // A dump holds what was so when it was begun
  const beganAtMs = startedAtMs ?? completedAtMs - (durationSeconds.known ? durationSeconds.value * 1000 : 0);
  if (coordinates === undefined) return unknown(`${file.name} does not say where in the binary log it stands`);
  const { position, gtid, of, from } = coordinates;
  const whose = of === 'server' ? '' : ' (of the source of the server that was dumped)';
  const found = { name: file.name, type, position, gtid, atMs: beganAtMs, from: `${from}${whose}` };
  return known(found, nowMs);
}
