// A Maxwell behind the process supervisor: one that was killed, and one whose link to its source swallows everything.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { startLab } from '../../deploy/lab/lab.ts';
import { waitFor } from '../../deploy/lab/ready.ts';
import { lockName } from '../../remediator/actions/maxwell/lock.ts';
import type { Json } from '../../remediator/model.ts';
import { openGate } from './call-gate.ts';
import { fenceSeenAt, lastLine, witnessSince } from './maxwell-repair.ts';
import { intentsOf, type Scene } from './sweep-scenes.ts';

const target = 'maxwell1';

/** A request line to the supervisor, by what it changes of the service. */
function callIn(line: string): string | undefined {
  let asked: { readonly op?: unknown; readonly signal?: unknown };
  try {
    asked = JSON.parse(line) as typeof asked;
  } catch {
    return undefined;
  }
  if (asked.op === 'start') return 'start';
  if (asked.op !== 'stop') return undefined;
  return asked.signal === 'KILL' ? 'kill' : 'stop';
}

/** @param fault `killed` needs a start only; `stuck` ends neither at a stop nor in time, so it takes all three calls */
export async function maxwellScene(fault: 'killed' | 'stuck'): Promise<Scene> {
  const lab = await startLab({ parts: ['source', 'kafka', 'maxwell', 'writer'], rowsPerSecond: 20 });
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-sweep-'));
  const socket = join(dir, 'gate.sock');
  const gate = await openGate({ path: socket }, { path: lab.files.supervisorSocket }, () => (data) => {
    return callIn(data.toString('utf8'));
  });
  const maxwell = lab.part('maxwell');
  const link = lab.link('maxwell->source');
  const { targets, pipelines } = load(readFileSync(lab.files.pipemedic, 'utf8')) as { targets: Json; pipelines: Json };
  const auth = { user: 'remediator', password_file: lab.secretFile('remediator') };
  let line = 0;
  let over = new AbortController();
  /** Its link is, as soon as it has ended. */
  let healed = Promise.resolve();
  const settle = async (): Promise<void> => {
    over.abort();
    await healed;
    await link.restore();
  };
  const healthy = async (): Promise<boolean> => {
    const [row] = await lab.sql(
      'source',
      `SELECT UNIX_TIMESTAMP(SYSDATE(3)) - last_heartbeat_read / 1000 AS age FROM maxwell.positions`,
    );
    return row !== undefined && Number(row['age']) < 12;
  };
  return {
    gate,
    steps: fault === 'killed' ? { start: 'start' } : { stop: 'stop', kill: 'stop.force', start: 'start' },
    fenceSeen: () => fenceSeenAt(lab.files.supervisorSocket),
    prepare: async () => {
      await settle();
      if (maxwell.pid === undefined) await maxwell.start();
      over = new AbortController();
      const { signal } = over;
      if (fault === 'killed') await maxwell.kill();
      else {
        await waitFor(healthy, { what: 'Maxwell to read', deadlineMs: 60_000 });
        await link.blackhole();
        // as after a minute of it
        await lab.sql('source', 'UPDATE maxwell.heartbeats SET heartbeat = heartbeat - 60000');
        await lab.sql('source', 'UPDATE maxwell.positions SET last_heartbeat_read = last_heartbeat_read - 60000');
      }
      line = lastLine(lab);
      const { pid } = maxwell;
      if (fault === 'killed') return;
      healed = waitFor(() => maxwell.pid !== pid, { what: 'its end', deadlineMs: 300_000, signal })
        .then(() => link.restore())
        .catch(() => undefined);
    },
    // What a process that stands still holds is freed by the source after a minute without a word (maxwell/lock.ts).
    freeLocks: async () => {
      const [row] = await lab.sql('source', `SELECT IS_USED_LOCK('${lockName(target)}') AS id`);
      const id = Number(row?.['id'] ?? 0);
      if (id > 0) await lab.sql('source', `KILL ${String(id)}`);
    },
    life: (way) => ({
      action: 'maxwell.restart',
      target,
      params: { stopSeconds: 1, startingSeconds: 0, startStableSeconds: 1, verifySeconds: 60, sourceUpSeconds: 0 },
      inventory: { targets, pipelines },
      auth: { db1: auth },
      supervisors: { [target]: { kind: 'process', socket: way === 'past it' ? lab.files.supervisorSocket : socket } },
    }),
    judge: async ({ journal, said }) => {
      const seen = witnessSince(lab, line);
      const told = `${said}; the supervisor saw ${seen.join(', ')}`;
      // `cas`: what comes late is refused
      assert.deepEqual(
        seen.filter((event) => event.startsWith('start')),
        ['start run'],
        told,
      );
      const stops = seen.filter((event) => event === 'stop-request run').length;
      const intents = intentsOf(journal, 'stop') + intentsOf(journal, 'stop.force');
      assert.ok(stops <= intents && (fault === 'killed' ? stops === 0 : stops >= 1), told);
      assert.equal(seen.length, stops + 1, told);
      await settle();
    },
    [Symbol.asyncDispose]: async () => {
      await settle();
      await gate[Symbol.asyncDispose]();
      await lab.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
