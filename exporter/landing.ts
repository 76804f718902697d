import type { TargetErrorCode } from './runtime/errors.ts';
import type { TargetState } from './scrape/sweeper.ts';

export interface Landing {
  readonly states: readonly TargetState[];
  /** Names. */
  readonly pipelines: readonly string[];
  /** Has each target been looked at once? */
  readonly settled: boolean;
  readonly version: string;
  readonly nowMs: number;
  /** What servers and clients said, in their words: these name addresses and users, so not for everybody. */
  readonly withReasons: boolean;
}

/** The page a person meets at `/`: links, version, and how each target was at the last scrape, what is wrong first. */
export function landingPage({ states, pipelines, settled, version, nowMs, withReasons }: Landing): string {
  const rows = states.map((state) => rowOf(state, nowMs, withReasons));
  const ordered = kinds.flatMap((kind) => rows.filter((row) => row.kind === kind));
  const counts = kinds
    .map((kind) => [kind, rows.filter((row) => row.kind === kind).length] as const)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `<span class="${kind}">${String(count)} ${words[kind]}</span>`);
  const probes = pipelines.map((name) => probe('pipeline', name));
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="referrer" content="no-referrer">
<title>pipemedic exporter</title>
<style>${style}</style>
</head>
<body>
<h1>pipemedic exporter</h1>
<p>Version ${escapeHtml(version)}. <a href="/metrics">Metrics</a> · <a href="/metrics?self=1">Metrics of the exporter only</a> · <a href="/sd">Service discovery</a> · <a href="/-/healthy">Healthy</a> · <a href="/-/ready">Ready</a></p>
${probes.length === 0 ? '' : `<p>Pipelines: ${probes.join(' · ')}</p>\n`}<h2>Targets</h2>
<p>${counts.length === 0 ? 'There are none.' : `${counts.join(', ')}, as of the last scrape. Up is what answers: whether it is well, a replica that stands still for example, is in the metrics and alerts, and <code>pipemedic-exporter doctor</code> tells.`}${settled ? '' : ' The first look at all of them has not ended yet.'}</p>
${counts.length === 0 ? '' : table(ordered)}${withReasons ? '' : hint}</body>
</html>
`;
}

/** In the order in which a person wants to see them. */
const kinds = ['down', 'failing', 'queued', 'unseen', 'up'] as const;
type Kind = (typeof kinds)[number];

const words: Readonly<Record<Kind, string>> = {
  down: 'down',
  failing: 'partly failing',
  queued: 'not asked',
  unseen: 'not seen yet',
  up: 'up',
};

const style = [
  ':root{color-scheme:light dark}',
  'body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em}',
  'h1{font-size:1.5em}h2{font-size:1.2em;margin-bottom:0}',
  'table{border-collapse:collapse;width:100%}',
  'th,td{padding:.3em 1em .3em 0;text-align:left;vertical-align:top;border-bottom:1px solid #8884}',
  'td{white-space:nowrap;unicode-bidi:isolate}',
  'td:nth-child(1),td:nth-child(4){white-space:normal;overflow-wrap:anywhere}td:nth-child(1){min-width:16em}',
  '@media(max-width:45em){thead{display:none}tr{display:block;padding:.4em 0;border-bottom:1px solid #8884}',
  'td{display:inline-block;border:0;padding:0 .8em 0 0}td:nth-child(4){display:block}}',
  '.down{color:#c62828;font-weight:bold}.failing{color:#b26a00;font-weight:bold}.up{color:#2e7d32}.unseen,.queued{color:#777}',
  '@media(prefers-color-scheme:dark){.down{color:#ff8a80}.failing{color:#ffb74d}.up{color:#81c784}.unseen,.queued{color:#aaa}}',
].join('');

const hint =
  '<p>Reasons are short here, because nobody is asked who they are. In full they are in the log and in ' +
  '<code>pipemedic-exporter doctor</code>, and on this page with users or client certificates in --web.config.file.</p>\n';

/** For eyes that may belong to anybody: no more than the class, which /metrics tells too. */
const reasons: Readonly<Record<TargetErrorCode, string>> = {
  deadline: 'no answer in time',
  refused: 'nobody listens there',
  unreachable: 'it cannot be reached',
  auth: 'the login was not accepted',
  denied: 'a right is missing',
  protocol: 'its answer makes no sense',
  tls: 'no TLS that both agree on',
  secret: 'its credentials cannot be read here',
  unsupported: 'its version or its settings lack what is asked',
  failed: 'it said no',
  queue: 'its turn did not come in time',
  bug: 'a fault of the exporter',
};

interface Row {
  readonly kind: Kind;
  readonly html: string;
}

function rowOf({ target: { name, kind }, seen }: TargetState, nowMs: number, withReasons: boolean): Row {
  const make = (is: Kind, state: string, why: string): Row => {
    const age = seen === undefined ? '' : ageOf(nowMs - seen.atMs);
    const cells = [probe('target', name), escapeHtml(kind), `<span class="${is}">${escapeHtml(state)}</span>`];
    const all = [...cells, escapeHtml(why), age].map((cell) => `<td>${cell}</td>`);
    return { kind: is, html: `<tr>${all.join('')}</tr>` };
  };
  if (seen === undefined) return make('unseen', words.unseen, '');
  const { down, failed } = seen;
  if (down?.class === 'queue') return make('queued', words.queued, reasons.queue);
  if (down !== undefined) {
    return make('down', `down (${down.class})`, withReasons ? shortened(down.why) : reasons[down.class]);
  }
  if (failed.length > 0) return make('failing', words.failing, `collectors: ${failed.join(', ')}`);
  return make('up', words.up, '');
}

function table(rows: readonly Row[]): string {
  return `<table>
<thead><tr><th scope="col">Target</th><th scope="col">Kind</th><th scope="col">State</th><th scope="col">Why</th><th scope="col">Seen</th></tr></thead>
<tbody>
${rows.map(({ html }) => html).join('\n')}
</tbody>
</table>
`;
}

function probe(parameter: 'target' | 'pipeline', name: string): string {
  const value = escapeHtml(encodeURIComponent(Buffer.from(name).toString())); // half a surrogate pair cannot be encoded
  return `<a href="/probe?${parameter}=${value}">${escapeHtml(name)}</a>`;
}

function ageOf(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${String(seconds)} s ago`;
  return seconds < 7200 ? `${String(Math.round(seconds / 60))} min ago` : `${String(Math.round(seconds / 3600))} h ago`;
}

/** A server's message may be of any length, and repeat a URL with its password. */
function shortened(text: string): string {
  const safe = text.replace(/(\/\/)[^/\s]+@/g, '$1…@');
  return safe.length > 300 ? `${safe.slice(0, 300)}…` : safe;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => entities[c] ?? c);
}
