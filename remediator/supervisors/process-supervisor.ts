#!/usr/bin/env node
// The parent of one service, apart from the remediator: `process-supervisor --config FILE`. See process-wire.ts.
// Nothing is imported statically here: on an old Node the reason must be printed before node:sqlite fails to load.
const [major = 0] = process.versions.node.split('.').map(Number);
if (major < 24) {
  process.stderr.write(`pipemedic needs Node 24 or newer, this is ${process.version}\n`);
  process.exitCode = 1;
} else {
  const { run } = await import('./process/run.ts');
  await run(process.argv.slice(2));
}
