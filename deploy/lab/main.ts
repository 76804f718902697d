// `node deploy/lab/main.ts up [--parts a,b,…]`: starts a lab and keeps it until Ctrl-C.
import { parseArgs } from 'node:util';
import { startLab, type LabOptions } from './lab.ts';
import { isPartName, partNames } from './parts.ts';

const usage = `usage: node deploy/lab/main.ts up [--parts NAME,…] [--time-factor N] [--alertmanagers N] [--no-gossip] [--no-supervisor]
parts (with what they need; all when left out): ${partNames.join(', ')}
`;

function optionsOf(args: readonly string[]): LabOptions | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      parts: { type: 'string' },
      'time-factor': { type: 'string', default: '10' },
      alertmanagers: { type: 'string', default: '1' },
      'no-gossip': { type: 'boolean', default: false },
      'no-supervisor': { type: 'boolean', default: false },
    },
  });
  const parts = (values.parts?.split(',') ?? partNames).map((name) => {
    if (!isPartName(name)) throw new Error(`no part ${name}`);
    return name;
  });
  if (positionals.length !== 1 || positionals[0] !== 'up') return undefined;
  return {
    parts,
    timeFactor: positive(values['time-factor']),
    alertmanagers: positive(values.alertmanagers),
    gossip: !values['no-gossip'],
    supervisor: !values['no-supervisor'],
  };
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`${text} is no number above 0`);
  return value;
}

async function up(options: LabOptions): Promise<void> {
  const begun = performance.now();
  const lab = await startLab({
    ...options,
    onReady: (name, tookMs) => {
      process.stdout.write(`${(tookMs / 1000).toFixed(1).padStart(6)} s  ${name}\n`);
    },
  });
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  const { alertmanagers, ...urls } = lab.urls;
  const lines = Object.entries(urls)
    .filter(([name]) => lab.parts.includes(name))
    .concat(alertmanagers.map((url, i) => [`alertmanager${i + 1}`, url]))
    .map(([name, url]) => `  ${name.padEnd(14)} ${url}`);
  process.stdout.write(
    `up in ${seconds} s: ${lab.parts.join(' ')}\n  address        ${lab.address}\n  folder         ${lab.dir}\n${lines.join('\n')}\nCtrl-C ends it\n`,
  );
  const keepAlive = setInterval(() => undefined, 60_000);
  await new Promise<void>((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(name, () => {
        resolve();
      });
    }
  });
  clearInterval(keepAlive);
  await lab.stop();
}

try {
  const options = optionsOf(process.argv.slice(2));
  if (options === undefined) {
    process.stderr.write(usage);
    process.exitCode = 2;
  } else {
    await up(options);
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
