// Targets of several kinds that mean ill in every way that is known (test/support/hostile-targets.ts), asked as fast as they
// answer: what the exporter holds must not grow, and a healthy target beside them must stay up. The latter wants a core for
// itself: a scrape of all of them takes half a second of one.
// `node test/bench/hostile.ts [MINUTES]`; ends with status 1 when something has grown.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { waitFor } from '../../deploy/lab/ready.ts';
import type { HeapSample } from '../support/heap-probe.ts';
import { startHostileTargets } from '../support/hostile-targets.ts';
import { cpuMs, loadAverage, memoryMb } from '../support/measured-exporter.ts';
import { growthIn, trendOf, type SoakSample } from '../support/soak.ts';

const minutes = Number(process.argv[2] ?? 2);
const timeoutSeconds = 3;
const samplesWanted = 30;
const main = join(import.meta.dirname, '../../exporter/main.ts');
const probe = pathToFileURL(join(import.meta.dirname, '../support/heap-probe.ts')).href;
/** Of the first half: share and amount. Resident memory is what the system has not taken back, and swings with the floods. */
const grows = {
  heapMb: [0.05, 2],
  externalMb: [0.1, 5],
  rssMb: [0.15, 30],
  files: [0, 10],
  sockets: [0, 10],
} as const;

const dir = mkdtempSync(join(tmpdir(), 'pipemedic-hostile-'));
const socketPath = join(dir, 'web.sock');

async function sampleOf(child: ChildProcess): Promise<SoakSample> {
  child.send('sample');
  const [heap] = (await once(child, 'message', { signal: AbortSignal.timeout(60_000) })) as [HeapSample];
  const pid = child.pid ?? 0;
  const open = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return []; // closed meanwhile
    }
  });
  return {
    heapMb: heap.heapBytes / 1e6,
    externalMb: heap.externalBytes / 1e6,
    rssMb: memoryMb(pid),
    files: open.length,
    sockets: open.filter((what) => what.startsWith('socket:')).length,
  };
}

function get(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { Host: 'bench', 'X-Prometheus-Scrape-Timeout-Seconds': String(timeoutSeconds) };
    const asked = request({ socketPath, path, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('error', reject).on('end', () => {
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`${path}: ${String(response.statusCode)} ${text.slice(0, 200)}`));
      });
    });
    asked.on('error', reject);
    asked.end();
  });
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

await using hostile = await startHostileTargets();
const file = join(dir, 'pipemedic.yml');
writeFileSync(file, JSON.stringify({ targets: hostile.targets })); // JSON is YAML
const options = [
  `--config.file=${file}`,
  `--web.listen-address=unix:${socketPath}`,
  '--backoff=0',
  '--log.level=error',
];
const child = spawn(process.execPath, ['--expose-gc', '--import', probe, main, 'serve', ...options], {
  stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
});
const ended = once(child, 'exit');
try {
  await waitFor(() => get('/-/healthy'), { deadlineMs: 60_000, what: 'the exporter to listen' });
  const begun = performance.now();
  const samples: SoakSample[] = [];
  const outcomes = new Map<string, number>();
  let scrapes = 0;
  let longestMs = 0;
  while (performance.now() - begun < minutes * 60_000) {
    const asked = performance.now();
    const text = await get('/metrics');
    longestMs = Math.max(longestMs, performance.now() - asked);
    scrapes += 1;
    for (const [, target = '', value = ''] of text.matchAll(
      /^pipemedic_target_up\{target="([^"]+)"[^}]*\} ([01])$/gm,
    )) {
      outcomes.set(`${target} ${value}`, (outcomes.get(`${target} ${value}`) ?? 0) + 1);
    }
    if (performance.now() - begun < (samples.length * minutes * 60_000) / samplesWanted) continue;
    const sample = await sampleOf(child);
    samples.push(sample);
    const { heapMb, externalMb, rssMb, files, sockets } = sample;
    print(
      `${((performance.now() - begun) / 1000).toFixed(0).padStart(5)} s: heap ${heapMb.toFixed(1)} MB, buffers ${externalMb.toFixed(1)} MB, resident ${rssMb.toFixed(0)} MB, ${files} files, ${sockets} of them sockets`,
    );
  }
  const seconds = (performance.now() - begun) / 1000;
  const pid = child.pid ?? 0;
  print(
    `${scrapes} scrapes of ${hostile.targets.length} targets in ${seconds.toFixed(0)} s, the longest ${longestMs.toFixed(0)} ms of ${timeoutSeconds} s; ${(cpuMs(pid) / 1000).toFixed(0)} s of processor time, at most ${memoryMb(pid, 'VmHWM').toFixed(0)} MB resident; load ${loadAverage()}`,
  );
  print([...outcomes].map(([what, times]) => `${what}: ${times}`).toSorted().join('\n')); // prettier-ignore
  for (const what of Object.keys(grows) as (keyof SoakSample)[]) {
    const { first, second } = trendOf(samples, what);
    print(`${what}: median of the first half ${first.toFixed(1)}, of the second ${second.toFixed(1)}`);
  }
  const wrong = growthIn(samples, grows);
  if ((outcomes.get('healthy 1') ?? 0) < scrapes) wrong.push('the healthy target was not always up');
  print(wrong.length === 0 ? 'flat' : `wrong: ${wrong.join('; ')}`);
  if (wrong.length > 0) process.exitCode = 1;
} finally {
  child.kill('SIGTERM');
  await ended;
  rmSync(dir, { recursive: true, force: true });
}
