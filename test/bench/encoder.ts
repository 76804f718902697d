// Encoder: 100,000 samples. Ratios between ways to do it, all measured in this run and this process, alternating.
import { emitter, gauge, type Family } from '../../exporter/families.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { pacer } from '../../exporter/runtime/pacing.ts';
import { LineMemory } from '../../exporter/scrape/line-memory.ts';
import { compress, join } from '../../exporter/scrape/exposition.ts';
import { escapeLabel, SampleWriter, type Block } from '../../exporter/scrape/writer.ts';
import { loadAverage, median } from '../support/measured-exporter.ts';

const samples = Number(process.argv[2] ?? 100_000);
const rounds = 8;
const names = ['kafka_consumergroup_current_offset', 'kafka_consumergroup_lag', 'kafka_consumergroup_lag_seconds'];
const memories = names.map(() => new LineMemory(samples));
const families = names.map((name) => gauge(name, 'Help text.', ['consumergroup', 'topic', 'partition']));
const constant = { target: 'kafka-main' };

interface Row {
  readonly labels: { readonly consumergroup: string; readonly topic: string; readonly partition: string };
  readonly value: number;
}

function* rows(): Generator<Row> {
  for (let i = 0; i < samples / names.length; i++) {
    const labels = {
      consumergroup: `group-${String(i % 102)}`,
      topic: `maxwell.shop.orders-${String(Math.floor(i / 102) % 100)}`,
      partition: String(Math.floor(i / 10_200)),
    };
    yield { labels, value: i * 1.37 + 1e6 };
  }
}

function write(family: Family, checkDuplicates: boolean, memory?: LineMemory): Block[] {
  const writer = new SampleWriter({ level: 'target', constant, checkDuplicates, memory });
  for (const { labels, value } of rows()) writer.put({ family, labels, value });
  return writer.finish();
}

async function direct(checkDuplicates: boolean): Promise<Buffer> {
  return join(
    families.flatMap((family) => write(family, checkDuplicates)),
    'text',
    systemClock,
  );
}

/** As in each sweep but the first. */
function known(): Promise<Buffer> {
  const blocks = families.flatMap((family, i) => write(family, true, memories[i]));
  return join(blocks, 'text', systemClock);
}

/** As in the first sweep: what is written is taken down. */
function first(): Promise<Buffer> {
  const blocks = families.flatMap((family) => write(family, true, new LineMemory(samples)));
  return join(blocks, 'text', systemClock);
}

/** A collector that takes a breath while it emits, as one with very many series should. */
async function paced(of: readonly LineMemory[]): Promise<Buffer> {
  const pace = pacer(systemClock);
  const blocks: Block[] = [];
  for (const [i, family] of families.entries()) {
    const writer = new SampleWriter({ level: 'target', constant, memory: of[i] });
    const emit = emitter({ family }, writer.put);
    for (const { labels, value } of rows()) {
      emit.family(value, labels);
      const turn = pace();
      if (turn !== undefined) await turn;
    }
    blocks.push(...writer.finish());
  }
  return join(blocks, 'text', systemClock);
}

/** What the bench itself takes: making the samples. */
function rowsOnly(): Promise<Buffer> {
  let sum = 0;
  for (let i = 0; i < families.length; i++) {
    for (const { labels, value } of rows()) sum += value + labels.topic.charCodeAt(3);
  }
  return Promise.resolve(sum > 0 ? Buffer.alloc(0) : Buffer.from('x'));
}

/** What it is compared with: sample objects kept, one string made of them, checked for duplicates too. */
function strings(): Promise<Buffer> {
  let out = '';
  for (const { name, help, type, labels: own } of families) {
    const kept: Row[] = [...rows()];
    const seen = new Set<string>();
    out += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
    for (const { labels, value } of kept) {
      const parts = own.map((l) => `${l}="${escapeLabel(labels[l])}"`);
      const series = `${name}{target="kafka-main",${parts.join(',')}}`;
      if (seen.has(series)) throw new Error('duplicate');
      seen.add(series);
      out += `${series} ${String(value)}\n`;
    }
  }
  return Promise.resolve(Buffer.from(out));
}

const ways: Readonly<Record<string, () => Promise<Buffer>>> = {
  direct: () => direct(true),
  'direct, no duplicate check': () => direct(false),
  'direct, taken down': first,
  'direct, known lines': known,
  'direct, paced': () => paced([]),
  'direct, paced, taken down': () => paced(families.map(() => new LineMemory(samples))),
  'direct, paced, known lines': () => paced(memories),
  'rows only': rowsOnly,
  'string join': strings,
};

/** Longest time between two turns of the event loop until the returned function is called. */
function watchBlocks(): () => Promise<number> {
  let lastMs = performance.now();
  let longestMs = 0;
  const look = (): void => {
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - lastMs);
    lastMs = nowMs;
  };
  let timer = setImmediate(function turn() {
    look();
    timer = setImmediate(turn);
  });
  return async () => {
    await new Promise((resolve) => setImmediate(resolve));
    clearImmediate(timer);
    return longestMs;
  };
}

const took = new Map<string, number[]>();
/** Of all threads: on a busy machine it says more than the time that passed. */
const used = new Map<string, number[]>();
const blocked = new Map<string, number[]>();
let body: Buffer = Buffer.alloc(0);
for (let round = 0; round < rounds; round++) {
  for (const [name, way] of Object.entries(ways)) {
    const stop = watchBlocks();
    const [cpu, startedMs] = [process.cpuUsage(), performance.now()];
    const made = await way();
    const tookMs = performance.now() - startedMs;
    const { user, system } = process.cpuUsage(cpu);
    const longestMs = await stop();
    // The first round compiles.
    if (round > 0) {
      note(took, name, tookMs);
      note(used, name, (user + system) / 1000);
      note(blocked, name, longestMs);
    }
    if (made.length === 0) continue;
    if (body.length > 0 && !made.equals(body)) throw new Error(`${name}: a different exposition`);
    body = made;
  }
}
const startedMs = performance.now();
const packed = await compress(body);
const gzipMs = performance.now() - startedMs;

function note(all: Map<string, number[]>, name: string, ms: number): void {
  all.set(name, [...(all.get(name) ?? []), ms]);
}

const of = (all: ReadonlyMap<string, number[]>, name: string): number => Number(median(all.get(name) ?? []).toFixed(1));
const lines = Object.keys(ways).map((name) => ({
  way: name,
  'cpu ms': of(used, name),
  'wall ms': of(took, name),
  'ratio to direct': Number((of(used, name) / of(used, 'direct')).toFixed(2)),
  'longest block ms': of(blocked, name),
}));
process.stdout.write(
  `${String(samples)} samples, ${(body.length / 1e6).toFixed(1)} MB, ${String(rounds - 1)} rounds, medians, load average ${loadAverage()}\n`,
);
for (const line of lines) process.stdout.write(`${JSON.stringify(line)}\n`);
process.stdout.write(`gzip level 1: ${gzipMs.toFixed(0)} ms, ${(packed.length / 1e6).toFixed(2)} MB\n`);
