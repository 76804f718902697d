import { defineSystem } from '../../system.ts';
import { hostAddress } from './address.ts';
import { openHost } from './client.ts';
import { hostDisk } from './collector-disk.ts';
import { hostProcesses } from './collector-processes.ts';
import { hostSystem } from './collector-system.ts';
import { examineHost } from './facts-doctor.ts';

export const host = defineSystem({
  kind: 'host',
  help: 'The machine that the exporter runs on: folders, memory, processors, watched processes.',
  address: hostAddress,
  thresholds: {
    host_folder_avail_ratio: 'share of a folder that is free',
    host_folder_full_in_seconds: 'time until a folder is full',
  },
  open: (opening) => Promise.resolve(openHost(opening)),
  collectors: [hostDisk, hostSystem, hostProcesses],
  examine: examineHost,
});
