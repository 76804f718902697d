// Who must agree before anything is repaired: each observer by what it alone can see. One voice is never enough, and one
// that sees it well holds the others back; that is the guard's part (guards.test.ts).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unknown } from '../../../exporter/runtime/known.ts';
import { positionOf } from '../../../exporter/systems/maxwell/facts-position.ts';
import type { Look } from '../../../remediator/action.ts';
import { observersOf as cdcObservers } from '../../../remediator/actions/cdc-service/look.ts';
import { observersOf as maxwellObservers, type Seen } from '../../../remediator/actions/maxwell/observers.ts';

type Observers = NonNullable<Look<unknown>['observers']>;
/** `broken: supervisor, source; healthy: its tables`, without those that cannot tell. */
function voices(observers: Observers): string {
  const of = (says: 'broken' | 'healthy'): string[] => {
    const by = observers.filter((o) => o.says === says).map((o) => o.by);
    return by.length === 0 ? [] : [`${says}: ${by.join(', ')}`];
  };
  return [...of('broken'), ...of('healthy')].join('; ');
}

const now = 1_000_000;
const row = {
  ...{ server_id: 1, client_id: 'maxwell', binlog_file: 'bin.000005', binlog_position: 500, gtid_set: null },
  ...{ last_heartbeat_read: now - 2_000, heartbeat: now - 1_000 },
};
const state = { processState: known('S', 1), orphan: false, last: null, maxFence: null };
const alive = known({ ...state, running: { id: 'x', pid: 7, startedAtMs: 1 } }, 1);
const gone = known({ ...state, running: null }, 1);
const kept = known({ lost: false, why: '', reason: undefined, bytes: 1, files: 1 }, 1);
const lost = known({ lost: true, why: '', reason: 'file_purged' as const, bytes: undefined, files: undefined }, 1);
const reader = { id: 9, user: 'maxwell', host: 'h:1', command: 'Binlog Dump', seconds: 3, state: '' };

function health(over: Partial<Seen['health']>): Seen['health'] {
  const numbers = { serverId: known(1, 1), lagSeconds: known(1, 1), behindBytes: known(1, 1), purge: kept };
  return { state: 'down', reason: 'process_gone', why: '', heartbeatAgeSeconds: known(60, 1), ...numbers, ...over };
}
function maxwell(over: Partial<Seen>): Seen {
  return {
    service: gone,
    health: health({}),
    position: known(positionOf([row], now, now, 'maxwell'), now),
    binlogs: known({ files: [], current: { file: 'bin.000005', position: 900 } }, 1),
    dumpThreads: known([reader], 1),
    http: undefined,
    ...over,
  };
}
const atEnd = known({ files: [], current: { file: 'bin.000005', position: 500 } }, 1);
const fresh = known(3, 1);
const still = health({ state: 'stalled', reason: 'still' });
const silent = health({ state: 'stalled', reason: 'silent' });

const ofMaxwell: readonly (readonly [what: string, seen: Partial<Seen>, expected: string])[] = [
  ['gone for a while', {}, 'broken: supervisor, its tables, source'],
  [
    'gone a moment ago, while the source goes on',
    { health: health({ heartbeatAgeSeconds: fresh }) },
    'broken: supervisor, source',
  ],
  [
    'gone a moment ago, with nothing to read: its supervisor alone',
    { health: health({ heartbeatAgeSeconds: fresh }), binlogs: atEnd },
    'broken: supervisor',
  ],
  [
    'gone by its supervisor, while its heartbeats come back: another one runs',
    { health: health({ state: 'running', reason: 'heartbeats_return' }) },
    'broken: supervisor',
  ],
  ['gone, and nobody reads', { dumpThreads: known([], 1), binlogs: atEnd }, 'broken: supervisor, its tables, source'],
  ['it lives and stands still', { service: alive, health: still }, 'broken: its tables, source'],
  [
    'it lives and is silent at the end of the log',
    { service: alive, health: silent, binlogs: atEnd },
    'broken: its tables',
  ],
  [
    'it lives, is silent, and its HTTP server too',
    { service: alive, health: silent, binlogs: atEnd, http: 'silent' },
    'broken: its tables, its HTTP server',
  ],
  ['that its HTTP server answers shows nothing', { http: 'answers' }, 'broken: supervisor, its tables, source'],
  [
    'its position is lost',
    { service: alive, health: health({ state: 'position_lost', reason: 'file_purged', purge: lost }) },
    'broken: its tables, source',
  ],
  [
    'it works',
    { service: alive, health: health({ state: 'running', reason: 'heartbeats_return' }) },
    'healthy: its tables',
  ],
  [
    'nothing can be read',
    {
      service: unknown('no'),
      health: health({ state: 'unknown', reason: 'unreadable', purge: unknown('no') }),
      ...{ position: unknown('no'), binlogs: unknown('no'), dumpThreads: unknown('no') },
    },
    '',
  ],
  [
    'its supervisor cannot be asked, its tables are old',
    { service: unknown('no'), health: silent },
    'broken: its tables, source',
  ],
];
for (const [what, seen, expected] of ofMaxwell) {
  test(`maxwell.restart, ${what}: ${expected === '' ? 'nobody' : expected}`, () => {
    assert.equal(voices(maxwellObservers(maxwell(seen))), expected);
  });
}

type CdcSeen = Parameters<typeof cdcObservers>[0];
interface Cdc {
  readonly service?: CdcSeen['service'];
  readonly reading?: Partial<CdcSeen['reading']>;
  readonly flow?: CdcSeen['health']['layers']['data_flow'];
}
function cdc({ service = alive, reading = {}, flow = 'unknown' }: Cdc): CdcSeen {
  const layers = { process: 'ok', port: 'ok', function: 'ok', data_flow: flow } as const;
  const none = unknown('none');
  return {
    service,
    reading: {
      process: known('alive' as const, 1),
      port: known(true, 1),
      works: known(true, 1),
      worksWhy: '',
      ...{ lagSeconds: none, queueDepth: none, progress: none },
      ...reading,
    },
    health: { state: 'down', why: '', lagSeconds: none, lagAtLeastSeconds: none, queueDepth: none, layers },
  };
}
const mute = { process: known('gone' as const, 1), port: known(false, 1), works: unknown('gone') };
const ofCdc: readonly (readonly [what: string, seen: Cdc, expected: string])[] = [
  ['gone', { service: gone, reading: mute, flow: 'failed' }, 'broken: supervisor, its addresses'],
  ['gone, and yet it answers: another one runs', { service: gone, flow: 'ok' }, 'broken: supervisor'],
  ['it lives, and nobody answers', { reading: mute, flow: 'failed' }, 'broken: its addresses'],
  ['it says that it works, and reads nothing', { flow: 'failed' }, 'broken: its position, source'],
  [
    'it says that it does not work, and reads nothing',
    { reading: { works: known(false, 1) }, flow: 'failed' },
    'broken: its addresses, its position, source',
  ],
  [
    'it says that it does not work, and reads: not all of it is broken',
    { reading: { works: known(false, 1) }, flow: 'ok' },
    'broken: its addresses; healthy: its position',
  ],
  [
    'it says that it does not work, and whether it reads is not known: its own word alone',
    { reading: { works: known(false, 1) } },
    'broken: its addresses',
  ],
  ['that it says it works shows nothing', {}, ''],
];
for (const [what, seen, expected] of ofCdc) {
  test(`cdc-service.restart, ${what}: ${expected === '' ? 'nobody' : expected}`, () => {
    assert.equal(voices(cdcObservers(cdc(seen))), expected);
  });
}
