import { counter, gauge, openFamily, untyped } from '../../families.ts';

const folder = ['folder'] as const;
const mount = ['device', 'fstype', 'mountpoint'] as const;
const group = ['groupname'] as const;
const ofFolder = { state: 'host_folder_state' };
const ofProcess = { state: 'host_process_state' };
const ofFiles = { state: 'host_process_files_state' };

/** `node_…`: names, types, labels and values of node_exporter 1.5, of the file systems that the folders lie on. */
export const folderFamilies = {
  avail: gauge('node_filesystem_avail_bytes', 'Space that is free for users other than root.', mount, ofFolder),
  free: gauge('node_filesystem_free_bytes', 'Space that is free.', mount, ofFolder),
  size: gauge('node_filesystem_size_bytes', 'Size of the file system.', mount, ofFolder),
  inodes: gauge(
    'node_filesystem_files',
    'Inodes of the file system; 0 where it makes them as needed.',
    mount,
    ofFolder,
  ),
  inodesFree: gauge('node_filesystem_files_free', 'Inodes that are free.', mount, ofFolder),
  readOnly: gauge('node_filesystem_readonly', '1 when the file system is mounted read-only.', mount, ofFolder),
  info: gauge(
    'host_folder_info',
    'The file system that a folder lies on: 1. Joins a folder with node_filesystem_*.',
    ['folder', 'path', ...mount] as const,
    ofFolder,
  ),
  folderState: gauge(
    'host_folder_state',
    'State of each folder of the inventory: one series per state, 1 for the present one. late: the file system does not answer.',
    ['folder', 'state'],
  ),
  folderAvail: gauge(
    'host_folder_avail_bytes',
    'Space that is free for users other than root, of the file system of the folder.',
    folder,
    ofFolder,
  ),
  folderSize: gauge('host_folder_size_bytes', 'Size of the file system of the folder.', folder, ofFolder),
  folderInodes: gauge(
    'host_folder_inodes_free_ratio',
    'Share of the inodes that are free; absent where the file system makes them as needed.',
    folder,
    ofFolder,
  ),
  fullIn: gauge(
    'host_folder_full_in_seconds',
    'When the folder is full if it goes on filling as in the past window: from the least squares line of what is free. Absent while it does not fill, or only in more than 30 days.',
    folder,
    { state: 'host_folder_filling_state' },
  ),
  filling: gauge(
    'host_folder_filling_state',
    'Whether the folder fills: one series per state, 1 for the present one. unknown: it has been watched for less than a minute, or cannot be looked at.',
    ['folder', 'state'],
  ),
} as const;

/** Names, types, labels and values of node_exporter 1.5. */
export const systemFamilies = {
  memoryTotal: gauge('node_memory_MemTotal_bytes', 'Memory of the machine.', []),
  memoryAvailable: gauge(
    'node_memory_MemAvailable_bytes',
    'Memory that is free, or free as soon as it is asked for.',
    [],
  ),
  swapTotal: gauge('node_memory_SwapTotal_bytes', 'Swap space; 0 without any.', []),
  swapFree: gauge('node_memory_SwapFree_bytes', 'Swap space that is not used.', []),
  oomKills: untyped('node_vmstat_oom_kill', 'Processes that the kernel has killed for lack of memory.', []),
  cpu: counter('node_cpu_seconds_total', 'Time that each processor spent in each mode.', ['cpu', 'mode']),
  guest: counter('node_cpu_guest_seconds_total', 'Time spent for guests; it is part of user and nice too.', [
    'cpu',
    'mode',
  ]),
  load1: gauge('node_load1', 'Tasks that run or wait for a processor or disk, mean of a minute.', []),
  load5: gauge('node_load5', 'The same, of five minutes.', []),
  load15: gauge('node_load15', 'The same, of fifteen minutes.', []),
  bootTime: gauge('node_boot_time_seconds', 'When the machine was started.', []),
  time: gauge('node_time_seconds', 'Time of day of the machine.', []),
  running: gauge('node_procs_running', 'Tasks that run or could run.', []),
  blocked: gauge('node_procs_blocked', 'Tasks that wait for a disk.', []),
  cpuWaiting: counter('node_pressure_cpu_waiting_seconds_total', 'Time in which a task waited for a processor.', [], {
    state: 'host_pressure_state',
  }),
  ioWaiting: counter('node_pressure_io_waiting_seconds_total', 'Time in which a task waited for a disk.', [], {
    state: 'host_pressure_state',
  }),
  ioStalled: counter('node_pressure_io_stalled_seconds_total', 'Time in which all tasks waited for a disk.', [], {
    state: 'host_pressure_state',
  }),
  memoryWaiting: counter('node_pressure_memory_waiting_seconds_total', 'Time in which a task waited for memory.', [], {
    state: 'host_pressure_state',
  }),
  memoryStalled: counter(
    'node_pressure_memory_stalled_seconds_total',
    'Time in which all tasks waited for memory.',
    [],
    {
      state: 'host_pressure_state',
    },
  ),
  pressureState: gauge(
    'host_pressure_state',
    'Whether the kernel tells how long tasks waited: one series per state, 1 for the present one. off: it is built or started without (psi=1).',
    ['state'],
  ),
} as const;

export const memoryFamilies = openFamily(
  'node_memory_',
  'gauge',
  'The rest of /proc/meminfo, under its name there.',
  [],
);
export const vmstatFamilies = openFamily(
  'node_vmstat_',
  'untyped',
  'Of /proc/vmstat what tells of paging, under its name there.',
  [],
);

/** Names, types and labels of process-exporter 0.7; groupname is the name in the inventory. */
export const processFamilies = {
  processes: gauge('namedprocess_namegroup_num_procs', 'Processes of the group.', group, ofProcess),
  threads: gauge('namedprocess_namegroup_num_threads', 'Their threads.', group, ofProcess),
  memory: gauge('namedprocess_namegroup_memory_bytes', 'Their memory.', ['groupname', 'memtype'], ofProcess),
  cpu: counter(
    'namedprocess_namegroup_cpu_seconds_total',
    'Processor time of all processes seen in the group.',
    ['groupname', 'mode'],
    ofProcess,
  ),
  majorFaults: counter(
    'namedprocess_namegroup_major_page_faults_total',
    'Pages read from disk for all processes seen in the group.',
    group,
    ofProcess,
  ),
  started: gauge(
    'namedprocess_namegroup_oldest_start_time_seconds',
    'When the oldest process of the group was started.',
    group,
    ofProcess,
  ),
  openFiles: gauge('namedprocess_namegroup_open_filedesc', 'Open files of the group.', group, ofFiles),
  worstFiles: gauge(
    'namedprocess_namegroup_worst_fd_ratio',
    'Open files as a share of the limit, of the process that is nearest to it.',
    group,
    ofFiles,
  ),
  starts: counter(
    'host_process_starts_total',
    'Processes of the group that have appeared since the exporter began to look.',
    group,
    ofProcess,
  ),
  processState: gauge(
    'host_process_state',
    'State of each watched group of processes: one series per state, 1 for the present one. stopped: by a signal; zombie: ended, and its parent has not taken note.',
    ['groupname', 'state'],
  ),
  filesState: gauge(
    'host_process_files_state',
    'Whether the open files of the group can be counted: one series per state, 1 for the present one. denied: they are of another user, and this program is not root.',
    ['groupname', 'state'],
  ),
} as const;
