// Writes the dashboards as JSON: `node dashboards/build.ts`. The JSON is committed; a test compares it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { pipelineOverview } from './src/pipeline-overview.ts';

/** Text of each file, by name. */
export function dashboardFiles(): ReadonlyMap<string, string> {
  return new Map([['pipeline-overview.json', `${JSON.stringify(pipelineOverview(), undefined, 2)}\n`]]);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const [name, text] of dashboardFiles()) writeFileSync(join(import.meta.dirname, name), text);
}
