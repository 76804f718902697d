// A dump that was cut off and then compressed, so that gzip is content with it. The judgement is the exporter's own, on real
// files; the action that makes a dump anew stands in for the one that is still to come.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { z } from 'zod';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { judgeBackup } from '../../../exporter/systems/backup/facts-judge.ts';
import { actionOf, type Action, type Checked } from '../../../remediator/action.ts';
import { allow, deny } from '../../../remediator/guard.ts';
import { withBench, type Bench, type World } from './evaluator-bench.ts';

const body = `-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB\n${'INSERT INTO `orders` VALUES (1);\n'.repeat(50)}`;
const whole = gzipSync(`${body}-- Dump completed on 2026-11-21 12:25:31\n`);
const cutOff = gzipSync(body);

type Judge = (path: string) => Promise<{ readonly isGood: boolean; readonly why: string }>;

const byReadingIt: Judge = async (path) => {
  const reading = { clock: systemClock, signal: AbortSignal.timeout(30_000), isUrgent: true } as const;
  const { class: found, why } = await judgeBackup(path, 'mysqldump', reading);
  return { isGood: found === 'complete', why: `${found}: ${why}` };
};
/** As `gzip -t` does. */
const byCompression: Judge = async (path) => ({ isGood: gunzipSync(await readFile(path)).length > 0, why: 'gzip' });

/** Dumps that the tool will write, one after the other, and how often it was called. */
interface Tool {
  readonly writes: Buffer[];
  calls: number;
}

function rerun(path: string, tool: Tool, judge: Judge): Action<World> {
  const checked = async (): Promise<Checked> => {
    const { isGood, why } = await judge(path);
    return { is: isGood ? 'yes' : 'no', because: why };
  };
  return actionOf<World>()({
    name: 'fake.restart',
    help: 'makes the dump anew',
    kinds: ['fake'],
    params: z.strictObject({}),
    look: async () => {
      const { isGood, why } = await judge(path);
      return {
        alreadyFixed: isGood ? deny('good', why) : allow('bad', why),
        preconditions: {},
        evidence: { why },
        seen: { why },
        before: { calls: tool.calls },
        advice: [],
      };
    },
    snapshot: () => ({ name: 'undo.txt', text: 'the dump before is bad\n' }),
    steps: () => [
      {
        ...{ name: 'dump', help: 'dump', fencing: 'cas', safePointAfter: true, lateCopy: 'harmless' },
        ...{ deadlineMs: 5_000, verifyMs: 5_000, settleMs: 10, maxAttempts: 1, compensate: 'none' },
        probe: ({ before }) =>
          Promise.resolve({ is: tool.calls > before.calls ? 'present' : 'absent', because: 'calls of the tool' }),
        apply: async () => {
          tool.calls += 1;
          await writeFile(path, tool.writes.shift() ?? cutOff);
          return { is: 'done', because: 'the tool ended with 0' };
        },
        verify: checked,
      },
    ],
    soak: checked,
  });
}

async function play(
  writes: readonly Buffer[],
  judge: Judge,
  then: (b: Bench, id: string, tool: Tool) => Promise<void>,
): Promise<void> {
  const tool: Tool = { writes: [...writes], calls: 0 };
  let path = '';
  await withBench(
    async (b) => {
      await writeFile(path, cutOff);
      const id = await b.fire();
      await b.lookTwice(id);
      await b.evaluator.idle();
      await then(b, id, tool);
    },
    (b) => {
      path = join(b.dir, 'shop.sql.gz');
      return { actions: [rerun(path, tool, judge)] };
    },
  );
}

test('scenario 16: a truncated dump with valid gzip is seen, made anew, and the new one is read to its end', async () => {
  await play([whole], byReadingIt, async (b, _id, tool) => {
    assert.deepEqual([tool.calls, (await b.runs()).map((r) => r.outcome)], [1, ['verified']]);
  });
});

test('scenario 16: a new dump that is cut off again is no repair, and people are told', async () => {
  await play([cutOff], byReadingIt, async (b, _id, tool) => {
    const [run] = await b.runs();
    assert.deepEqual([tool.calls, run?.outcome], [1, 'failed']);
    assert.match(run?.because ?? '', /no_trailer/);
    assert.deepEqual(await b.told(), ['RemediationFailed']);
  });
});

test('scenario 16; mutant that asks gzip only: the truncated dump counts as good, and nothing is done', async () => {
  await play([whole], byCompression, async (b, id, tool) => {
    assert.equal((await b.store.decisionsOf(id)).at(-1)?.reasonKey, 'already_fixed:good');
    assert.deepEqual([tool.calls, await b.runs()], [0, []]);
  });
});
