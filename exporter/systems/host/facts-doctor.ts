// What doctor says of a machine beyond its series.
import type { Call } from '../../collector.ts';
import type { Finding } from '../../findings.ts';
import type { HostClient } from './client.ts';
import { readFolders, type Folder } from './facts-folders.ts';
import { ProcessMemory, readProcesses } from './facts-processes.ts';

const leastFree = 0.1;

export async function examineHost(client: HostClient, call: Call): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const folder of await readFolders(client, call, new Map())) findings.push(...folderFindings(folder));
  for (const [name, { state, why, processes }] of await readProcesses(client, call, new ProcessMemory())) {
    const ok = state === 'unknown' ? 'unknown' : state === 'running';
    const pids = processes.map(({ stat }) => String(stat.pid)).join(', ');
    findings.push({ check: 'process', ok, text: ok === true ? `${name} runs (pid ${pids})` : `${name}: ${why}` });
    if (!processes.some(({ files }) => files.state === 'denied')) continue;
    findings.push({
      check: 'process_files',
      ok: 'unknown',
      text: `open files of ${name} are not told to this user`,
      fix: 'run the exporter as root or as the user of that process, or do without this series',
    });
  }
  return findings;
}

function folderFindings({ name, path, state, why, space }: Folder): Finding[] {
  if (space === undefined || state !== 'ok') {
    const ok = state === 'late' || state === 'unknown' ? 'unknown' : false;
    return [
      { check: 'folder', ok, text: `${name}: ${why}`, fix: `see that ${path} is there, mounted and may be entered` },
    ];
  }
  const free = space.sizeBytes === 0 ? 1 : space.availBytes / space.sizeBytes;
  const text = `${name} (${path}): ${(free * 100).toFixed(0)} % free`;
  if (free >= leastFree) return [{ check: 'folder', ok: true, text }];
  return [{ check: 'folder', ok: false, text, fix: 'make room, or give the file system more' }];
}
