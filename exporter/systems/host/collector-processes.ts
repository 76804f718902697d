import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import type { HostClient } from './client.ts';
import { ProcessMemory, readProcesses, type WatchedGroup, type WatchedProcess } from './facts-processes.ts';
import { GroupCounters } from './facts-process-counters.ts';
import { processFamilies } from './families.ts';
import { filesStates, processStates, type FilesState, type ProcessState } from './state.ts';

type ProcessEmit = Emit<typeof processFamilies>;

export const hostProcesses = collectorOf<HostClient>()({
  name: 'processes',
  help: 'The watched processes: state, start, memory, processor time, open files, threads.',
  keeps: 'counters of processes that have ended',
  config: z.strictObject({}),
  families: processFamilies,
  state: () => ({ memory: new ProcessMemory(), counters: new Map<string, GroupCounters>() }),
  async collect({ client, emit, call, state }) {
    for (const [groupname, group] of await readProcesses(client, call, state.memory)) {
      const counters = state.counters.get(groupname) ?? new GroupCounters();
      state.counters.set(groupname, counters);
      if (group.state !== 'unknown') counters.look(group.processes);
      emitGroup(emit, groupname, group, counters);
    }
  },
  unknown({ emit, state }) {
    for (const groupname of state.counters.keys()) emitStates(emit, groupname, 'unknown', 'unknown');
  },
});

function emitGroup(emit: ProcessEmit, groupname: string, group: WatchedGroup, counters: GroupCounters): void {
  const { processes, state } = group;
  emitStates(emit, groupname, state, filesStateOf(processes, state));
  if (state === 'unknown') return;
  emit.processes(processes.length, { groupname });
  emit.cpu(counters.userSeconds, { groupname, mode: 'user' });
  emit.cpu(counters.systemSeconds, { groupname, mode: 'system' });
  emit.majorFaults(counters.majorFaults, { groupname });
  emit.starts(counters.starts, { groupname });
  const sum = (of: (process: WatchedProcess) => number): number => processes.reduce((total, p) => total + of(p), 0);
  emit.threads(
    sum(({ stat }) => stat.threads),
    { groupname },
  );
  emit.memory(
    sum(({ stat }) => stat.residentBytes),
    { groupname, memtype: 'resident' },
  );
  emit.memory(
    sum(({ stat }) => stat.virtualBytes),
    { groupname, memtype: 'virtual' },
  );
  if (processes.every(({ swappedBytes }) => swappedBytes.known)) {
    emit.memory(
      sum(({ swappedBytes }) => (swappedBytes.known ? swappedBytes.value : 0)),
      { groupname, memtype: 'swapped' },
    );
  }
  if (processes.length === 0) return;
  emit.started(Math.min(...processes.map((p) => p.startedAtSeconds)), { groupname });
  if (filesStateOf(processes, state) !== 'known') return;
  emit.openFiles(
    sum(({ files }) => files.open),
    { groupname },
  );
  emit.worstFiles(Math.max(...processes.map(({ files }) => files.open / files.limit)), { groupname });
}

function filesStateOf(processes: readonly WatchedProcess[], state: ProcessState): FilesState {
  if (state === 'unknown' || state === 'gone') return state;
  return processes.find(({ files }) => files.state !== 'known')?.files.state ?? 'known';
}

function emitStates(emit: ProcessEmit, groupname: string, state: ProcessState, files: FilesState): void {
  emitState(
    (value, of) => {
      emit.processState(value, { groupname, state: of });
    },
    processStates,
    state,
  );
  emitState(
    (value, of) => {
      emit.filesState(value, { groupname, state: of });
    },
    filesStates,
    files,
  );
}
