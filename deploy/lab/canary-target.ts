// The exporter's own canary in a lab: a row of shop.canary on the source, which the sink writes into Redis as `canary:NAME`,
// and a key on the Redis primary. For `configure` of a lab, and after its start.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { repo } from './context.ts';
import type { Lab } from './lab.ts';

const table = 'shop.canary';

interface Written {
  readonly name: string;
  readonly auth?: { readonly password_file: string };
}

/** `document` with the canaries `canary1` (the pipeline's) and `canary2` (Redis alone), written every second. */
export function withCanary(document: Record<string, unknown>): Record<string, unknown> {
  const { targets, pipelines } = document as { targets: Written[]; pipelines: object[] };
  const has = (name: string): boolean => targets.some((target) => target.name === name);
  const times = { every: '1s', late_after: '2s', give_up_after: '15s' };
  const seenAt = [
    ...(has('redis1') ? [{ target: 'redis1', key: 'canary:canary1' }] : []),
    ...(has('redis2') ? [{ target: 'redis2', key: 'canary:canary1', field: 'token' }] : []),
    ...(has('kafka1') ? [{ target: 'kafka1', topic: 'maxwell' }] : []),
    ...(has('db2') ? [{ target: 'db2' }] : []),
  ];
  const ofPipeline = {
    name: 'canary1',
    kind: 'canary',
    address: { write: { target: 'db1', table }, seen_at: seenAt, ...times },
    auth: { user: 'canary', password_file: passwordFile(targets) },
  };
  const write = { target: 'redis1', key: 'pipemedic:canary' };
  const ofRedis = { name: 'canary2', kind: 'canary', address: { write, seen_at: [{ target: 'redis2' }], ...times } };
  return {
    ...document,
    targets: [...targets, ofPipeline, ...(has('redis2') ? [ofRedis] : [])],
    pipelines: pipelines.map((pipeline) => ({ ...pipeline, canary: 'canary1' })),
  };
}

/** Runs the shipped statements on the source. Until then the canary says that it has no table. */
export async function createCanaryTable(lab: Pick<Lab, 'sql' | 'secret'>): Promise<void> {
  const text = readFileSync(join(repo, 'deploy', 'sql', 'canary-mysql.sql'), 'utf8')
    .replaceAll(/^--.*$/gm, '')
    .replaceAll('CHANGE-ME', lab.secret('canary'))
    .replaceAll('pipemedic.canary', table)
    .replaceAll('pipemedic_', '');
  const statements = text.split(';').filter((statement) => statement.trim() !== '');
  for (const statement of statements) await lab.sql('source', statement);
}

/** Beside those of the lab's other users, so that `lab.secret('canary')` finds it. */
function passwordFile(targets: readonly Written[]): string {
  const other = targets.find(({ auth }) => auth !== undefined)?.auth?.password_file;
  if (other === undefined) throw new Error('this lab has no database');
  const file = join(dirname(other), 'canary');
  if (!existsSync(file)) writeFileSync(file, `${randomBytes(18).toString('base64url')}\n`, { mode: 0o600 });
  return file;
}
