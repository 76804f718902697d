// The steps of a restart: end exactly that life, look again while it is down, begin a new one, see the data move.
import type { Checked, Step } from '../../action.ts';
import { comparePositions } from '../../../exporter/systems/mysql/facts-binlogs.ts';
import { attempt, type World } from '../../world.ts';
import { capture } from '../service/capture.ts';
import { looking } from '../looking.ts';
import { never, start, stop, stopForce } from '../service/steps.ts';
import { verifyStart } from '../service/verify.ts';
import type { Before } from './before.ts';
import { readFacts, readOpenBootstraps } from './facts.ts';
import { placeOf } from './look.ts';
import { judgeEnd, verifyData, type StepParams } from './verify.ts';

export function restartSteps(target: string, params: StepParams, world: World): readonly Step<Before>[] {
  return [
    capture(target, params, world),
    stop(target, params, world, (signal) => bootstrapOf(target, world, signal)),
    stopForce(target, params, world),
    gate(target, params, world),
    start('start', target, params, world),
    verifyStart(target, params, world, judgeEnd(params)),
    verifyData(target, params, world),
  ];
}

/** One that was begun since the run was: a stop would have it begin anew. */
async function bootstrapOf(target: string, world: World, signal: AbortSignal): Promise<string | undefined> {
  const open = await attempt(world.clock, () => world.withMaxwell(target, signal, readOpenBootstraps));
  if (!open.known) return `whether a bootstrap runs: ${open.why}`;
  const tables = open.value.map((b) => `${b.database}.${b.table}`).join(', ');
  return open.value.length === 0 ? undefined : `a bootstrap was begun meanwhile: ${tables}`;
}

/** Read only, with the service down: what would make a start dangerous now. */
function gate(target: string, params: StepParams, world: World): Step<Before> {
  return {
    ...looking,
    name: 'gate',
    help: 'Looks while it is down: its position and the binary log, Kafka, a bootstrap, a second Maxwell.',
    verifyMs: 15_000,
    safePointAfter: false,
    verify: async (run) => {
      const facts = await readFacts(target, params.mysqlUser, world, run.signal);
      const { service, position, health, dumpThreads, bootstraps, kafka } = facts;
      const unknown = (because: string): Checked => ({ is: 'unknown', because });
      if (!service.known) return unknown(service.why);
      if (service.value.running !== null) return { is: 'yes', because: 'somebody has started it already' };
      if (!dumpThreads.known) return unknown(dumpThreads.why);
      const strangers = dumpThreads.value.filter((t) => !run.before.dumpIds.includes(t.id));
      if (strangers.length > 0) {
        const who = strangers.map((t) => `${t.id} from ${t.host}`).join(', ');
        return never(`another Maxwell reads the binary log (connection ${who}): a start would end it`);
      }
      if (!position.known) return unknown(position.why);
      if (!position.value.found) return never(`its position is gone: ${position.value.why}`);
      const { file, position: at, serverId } = run.before.position;
      const now = position.value;
      const order = comparePositions({ file: now.binlogFile, position: now.binlogPosition }, { file, position: at });
      // in GTID mode the set decides, and files are those of whichever server it read last
      const isBack = serverId !== 0 && (order === undefined || order < 0);
      if (now.serverId !== serverId || isBack) {
        return never(`its position went from ${file}:${at} back to ${now.binlogFile}:${now.binlogPosition}`);
      }
      if (!health.purge.known) return unknown(health.purge.why);
      if (health.purge.value.lost) return never(health.purge.value.why);
      if (!bootstraps.known) return unknown(bootstraps.why);
      if (bootstraps.value.length > 0) return { is: 'no', because: 'a bootstrap is under way' };
      for (const [bus, ends] of Object.entries(kafka)) if (!ends.known) return unknown(`${bus}: ${ends.why}`);
      return { is: 'yes', because: `its position ${placeOf(now)} is on the source, Kafka answers, no second Maxwell` };
    },
    compensate: 'none',
  };
}
