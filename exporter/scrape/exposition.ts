import { promisify } from 'node:util';
import { constants, createGzip, gzip, gzipSync, type Gzip } from 'node:zlib';
import type { Clock } from '../runtime/clock.ts';
import { pacer } from '../runtime/pacing.ts';
import type { Block, Header } from './writer.ts';

export type Format = 'text' | 'openmetrics';

export const contentTypes: Readonly<Record<Format, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** One exposition in the order of its parts, which are not copied. */
export interface Exposition {
  readonly parts: readonly Buffer[];
  readonly bytes: number;
}

/** Families sorted by name, each with its header once, its blocks in the order given. */
export async function layOut(blocks: readonly Block[], format: Format, clock: Clock): Promise<Exposition> {
  const pace = pacer(clock);
  const families = new Map<string, { header: Header; parts: Buffer[] }>();
  for (const { header, bytes } of blocks) {
    const family = families.get(header.name);
    if (family === undefined) families.set(header.name, { header, parts: [bytes] });
    else family.parts.push(bytes);
  }
  const sorted = [...families.values()].sort((a, b) => (a.header.name < b.header.name ? -1 : 1));
  const parts: Buffer[] = [];
  let size = 0;
  const add = (part: Buffer): void => {
    parts.push(part);
    size += part.length;
  };
  for (const { header, parts: samples } of sorted) {
    if (!samples.some((s) => s.length > 0)) continue;
    add(Buffer.from(format === 'text' ? textHeader(header) : openMetricsHeader(header, families)));
    for (const part of samples) add(part);
    const turn = pace();
    if (turn !== undefined) await turn;
  }
  if (format === 'openmetrics') add(Buffer.from('# EOF\n'));
  return { parts, bytes: size };
}

export async function whole({ parts, bytes }: Exposition, clock: Clock): Promise<Buffer> {
  const pace = pacer(clock);
  const body = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] ?? none;
    at += part.copy(body, at);
    if (part.length < pieceBytes && i % 256 !== 0) continue; // to read the clock costs more than to copy a line
    const turn = pace();
    if (turn !== undefined) await turn;
  }
  return body;
}

const none = Buffer.alloc(0);
const pieceBytes = 64 * 1024;

/** The exposition in order, small parts as pieces of this size: to hand over each of them would cost more than to write it. */
export function* piecesOf({ parts }: Pick<Exposition, 'parts'>): Generator<Buffer> {
  let piece = none;
  let at = 0;
  for (const part of parts) {
    if (at + part.length > piece.length) {
      if (at > 0) yield piece.subarray(0, at);
      piece = part.length < pieceBytes ? Buffer.allocUnsafeSlow(pieceBytes) : none;
      at = 0;
    }
    if (piece.length === 0) yield part;
    else at += part.copy(piece, at);
  }
  if (at > 0) yield piece.subarray(0, at);
}

/** An exposition in one piece. */
export async function join(blocks: readonly Block[], format: Format, clock: Clock): Promise<Buffer> {
  return await whole(await layOut(blocks, format, clock), clock);
}

function textHeader({ name, type, help }: Header): string {
  return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`;
}

/**
 * In OpenMetrics a counter is named without the `_total` of its samples. One that has no `_total` (many names of
 * mysqld_exporter), or whose short name is another family's, can only be `unknown`.
 */
function openMetricsHeader({ name, type, help }: Header, families: ReadonlyMap<string, unknown>): string {
  const text = escapeHelp(help).replaceAll('"', '\\"');
  const header = (n: string, t: string): string => `# HELP ${n} ${text}\n# TYPE ${n} ${t}\n`;
  if (type === 'untyped') return header(name, 'unknown');
  if (type !== 'counter') return header(name, type);
  const short = name.replace(/_total$/, '');
  return short === name || families.has(short) ? header(name, 'unknown') : header(short, 'counter');
}

function escapeHelp(help: string): string {
  return help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

interface MediaRange {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly q: number;
}

/** OpenMetrics when it is accepted at least as gladly as text; anything unknown gets text, as exporters do. */
export function negotiate(accept: string | undefined): Format {
  let open = 0;
  let text = 0;
  for (const { type, parameters, q } of mediaRanges(accept ?? '')) {
    const version = parameters.get('version');
    if (type === 'application/openmetrics-text' && (version === undefined || version === '1.0.0')) {
      open = Math.max(open, q);
    }
    if (type === 'text/plain' && (version === undefined || version === '0.0.4')) text = Math.max(text, q);
  }
  return open > 0 && open >= text ? 'openmetrics' : 'text';
}

/** Is gzip accepted by an Accept-Encoding header? */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  const ranges = mediaRanges(acceptEncoding ?? '');
  const named = ranges.find(({ type }) => type === 'gzip' || type === 'x-gzip');
  return (named ?? ranges.find(({ type }) => type === '*') ?? { q: 0 }).q > 0;
}

function mediaRanges(header: string): MediaRange[] {
  return header.split(',').map((range) => {
    const [type = '', ...rest] = range.split(';').map((part) => part.trim().toLowerCase());
    const parameters = new Map(
      rest.map((part) => {
        const [name = '', value = ''] = part.split('=', 2);
        return [name.trim(), value.trim().replace(/^"(.*)"$/, '$1')];
      }),
    );
    const q = Number(parameters.get('q') ?? '1');
    return { type, parameters, q: Number.isFinite(q) ? q : 0 };
  });
}

const gzipAsync = promisify(gzip);

/** Below it a thread costs more than the work itself: 26 kB take 0.2 ms here, 0.4 ms there. */
const smallBytes = 64 * 1024;

/** On a thread of the pool; level 1 takes 36 MB to 2 MB in 50 ms, higher levels gain little on such text. */
export function compress(body: Buffer): Promise<Buffer> {
  if (body.length < smallBytes) return Promise.resolve(gzipSync(body, { level: constants.Z_BEST_SPEED }));
  return gzipAsync(body, { level: constants.Z_BEST_SPEED });
}

/** For what is too large to be held twice. */
export function compressor(): Gzip {
  return createGzip({ level: constants.Z_BEST_SPEED });
}
