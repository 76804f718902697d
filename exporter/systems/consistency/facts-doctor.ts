// What `doctor` says of a comparison. Nothing is compared: the tables are looked at on both sides.
import type { Call } from '../../collector.ts';
import type { Finding } from '../../findings.ts';
import { messageOf, TargetError } from '../../runtime/errors.ts';
import type { MysqlClient } from '../mysql/client.ts';
import { grantFor, replicaStatusPrivilege } from '../mysql/facts-grants.ts';
import { readReplication } from '../mysql/facts-replication.ts';
import type { KeysPlan, TablesPlan } from './address.ts';
import type { ConsistencyClient } from './client.ts';
import { keyCommands, readDigest, readStreamPlace } from './facts-keys.ts';
import { findTables, readShape } from './facts-shape.ts';
import { placesOf, placeText, planOf, type Both } from './facts-table.ts';

/** Of more tables it is only said how many there are. */
const maxTables = 20;

export async function examineConsistency(client: ConsistencyClient, call: Call): Promise<readonly Finding[]> {
  const { plan } = client;
  return plan.kind === 'mysql' ? examineTables(client, plan, call) : examineKeys(client, plan, call);
}

async function examineTables(client: ConsistencyClient, plan: TablesPlan, call: Call): Promise<readonly Finding[]> {
  const opened: Finding[] = [];
  const open = async (side: 'source' | 'copy'): Promise<MysqlClient | undefined> => {
    try {
      return await client.openTables(side, call);
    } catch (error) {
      opened.push({ check: 'consistency_login', ok: false, text: `${plan[side]}: ${messageOf(error)}` });
      return undefined;
    }
  };
  const source = await open('source');
  const copy = await open('copy');
  try {
    if (source === undefined || copy === undefined) return opened;
    const { tables, more } = await findTables(source, plan.tables, maxTables, call);
    const findings: Finding[] = [];
    if (tables.length === 0) {
      const text = `${plan.source}: no table that this user may see is named by ${plan.tables.join(', ')}`;
      findings.push({ check: 'consistency_tables', ok: false, text });
    }
    for (const { database, table } of tables) {
      findings.push(await tableFinding({ source, copy }, plan, `${database}.${table}`, call));
    }
    if (more) {
      const text = `only the first ${String(maxTables)} tables were looked at`;
      findings.push({ check: 'consistency_tables', ok: 'unknown', text });
    }
    return [...findings, await lagFinding(copy, plan, call), ...keepFindings(plan)];
  } finally {
    await source?.[Symbol.asyncDispose]();
    await copy?.[Symbol.asyncDispose]();
  }
}

async function tableFinding(clients: Both<MysqlClient>, plan: TablesPlan, name: string, call: Call): Promise<Finding> {
  const check = 'consistency_table';
  const places = placesOf(name, plan);
  for (const side of ['source', 'copy'] as const) {
    try {
      if ((await readShape(clients[side], places[side], call)) === undefined) {
        return { check, ok: false, text: `${plan[side]} has no table ${placeText(places[side])}` };
      }
    } catch (error) {
      if (!(error instanceof TargetError) || error.code !== 'denied') {
        return { check, ok: false, text: `${plan[side]}: ${messageOf(error)}` };
      }
      const fix = grantFor(['SELECT'], clients[side].account, placeText(places[side]));
      return { check, ok: false, text: `${plan[side]}: ${name} may not be read`, fix };
    }
  }
  const [source, copy] = [
    await readShape(clients.source, places.source, call),
    await readShape(clients.copy, places.copy, call),
  ];
  if (source === undefined || copy === undefined) return { check, ok: 'unknown', text: `${name} went away` };
  const found = planOf(places, { source, copy }, clients.source.flavour === clients.copy.flavour);
  if (typeof found === 'string') return { check, ok: false, text: `${name}: rows cannot be compared: ${found}` };
  const by = found.key.map((column) => column.name).join(', ');
  const skipped = found.skipped.map(({ column, why }) => `${column} (${why})`).join('; ');
  if (skipped === '') return { check, ok: true, text: `${name}: compared by ${by}` };
  return { check, ok: 'unknown', text: `${name}: compared by ${by}, but not in ${skipped}` };
}

async function lagFinding(copy: MysqlClient, plan: TablesPlan, call: Call): Promise<Finding> {
  const check = 'consistency_lag';
  try {
    const channels = await readReplication(copy, call);
    if (channels.length > 0) return { check, ok: true, text: `${plan.copy}: its lag can be read` };
    const text = `${plan.copy} does not replicate: how late it is, is not known; settle has to be longer than that`;
    return { check, ok: 'unknown', text };
  } catch (error) {
    if (!(error instanceof TargetError) || error.code !== 'denied') {
      return { check, ok: false, text: `${plan.copy}: ${messageOf(error)}` };
    }
    const fix = grantFor([replicaStatusPrivilege(copy)], copy.account);
    return { check, ok: false, text: `${plan.copy}: its lag may not be read`, fix };
  }
}

function keepFindings({ stateFile, reportDir }: TablesPlan): readonly Finding[] {
  const check = 'consistency_kept';
  return [
    ...(stateFile === undefined
      ? [{ check, ok: 'unknown', text: 'no state_file: a restart begins anew' } as const]
      : []),
    ...(reportDir === undefined
      ? [{ check, ok: 'unknown', text: 'no report_dir: rows are counted, not named' } as const]
      : []),
  ];
}

async function examineKeys(client: ConsistencyClient, plan: KeysPlan, call: Call): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const side of ['source', 'copy'] as const) {
    const name = side === 'source' ? plan.primary : plan.copy;
    const check = 'consistency_keys';
    try {
      await using redis = await client.openKeys(side, call);
      await readStreamPlace(redis, call);
      const key = side === 'source' ? await redis.send(call, 'RANDOMKEY') : undefined;
      await readDigest(redis, typeof key === 'string' ? key : 'pipemedic', call);
      findings.push({ check, ok: true, text: `${name}: keys can be read` });
    } catch (error) {
      const isDenied = error instanceof TargetError && error.code === 'denied';
      const fix = isDenied ? { fix: `the user needs: %R~* ${keyCommands}` } : {};
      findings.push({ check, ok: false, text: `${name}: ${messageOf(error)}`, ...fix });
    }
  }
  return findings;
}
