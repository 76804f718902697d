import type { TargetState } from './scrape/sweeper.ts';

/** The page a person meets at `/`: links, version, and how each target was at the last scrape. */
export function landingPage(states: readonly TargetState[], version: string, nowMs: number): string {
  const rows = states.map(
    (state) =>
      `<tr>${cellsOf(state, nowMs)
        .map((c) => `<td>${escapeHtml(c)}</td>`)
        .join('')}</tr>`,
  );
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>pipemedic exporter</title>
<style>body{font-family:sans-serif;margin:2em}td,th{padding:.2em 1em .2em 0;text-align:left;vertical-align:top}</style>
</head>
<body>
<h1>pipemedic exporter</h1>
<p>Version ${escapeHtml(version)}. <a href="/metrics">Metrics</a> · <a href="/sd">Service discovery</a> · <a href="/-/healthy">Healthy</a> · <a href="/-/ready">Ready</a></p>
<table>
<thead><tr><th>Target</th><th>Kind</th><th>State</th><th>Why</th><th>Seen</th></tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table>
</body>
</html>
`;
}

function cellsOf({ target, seen }: TargetState, nowMs: number): string[] {
  const { name, kind } = target;
  if (seen === undefined) return [name, kind, 'not seen yet', '', ''];
  const ago = `${String(Math.max(0, Math.round((nowMs - seen.atMs) / 1000)))} s ago`;
  if (seen.down !== undefined) return [name, kind, `down (${seen.down.class})`, seen.down.why, ago];
  const why = seen.failed.length > 0 ? `collectors failing: ${seen.failed.join(', ')}` : '';
  return [name, kind, 'up', why, ago];
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
