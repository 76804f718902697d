import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { deny } from '../../../remediator/guard.ts';
import type { Runner } from '../../../remediator/runner.ts';
import { FakeService, fakeAction, type Answer } from './fake-service.ts';
import { harness, policy, story, type Harness } from './run-harness.ts';

interface Situation {
  readonly h: Harness;
  readonly service: FakeService;
  readonly runner: Runner;
}

async function conducted(
  prepare: (s: { h: Harness; service: FakeService }) => Promise<void> | void,
  options: Parameters<typeof fakeAction>[1] = {},
  change: Parameters<Harness['runner']>[1] = {},
): Promise<Situation & AsyncDisposable> {
  const h = await harness();
  const service = new FakeService();
  const action = fakeAction(service, options);
  const { run, hold, evidenceHash } = await h.claim(action);
  await prepare({ h, service });
  const runner = h.runner(action, change);
  runner.begin(run, hold, evidenceHash);
  await runner.idle();
  return { h, service, runner, [Symbol.asyncDispose]: () => h[Symbol.asyncDispose]() };
}

test('a run: facts and evidence first, then each step with its intent, then verified, soaked and ended', async () => {
  let evidenceAtFirstCall = '';
  await using s = await conducted(({ h, service }) => {
    service.onCall = (step) => {
      if (step === 'stop') evidenceAtFirstCall = readFileSync(join(h.evidenceDir, 'run-1', 'SHA256SUMS'), 'utf8');
    };
  });
  assert.equal(
    story(await s.h.journal()),
    'claimed evidence facts stop:intent stop:result=done stop:verify=yes start:intent start:result=done start:verify=yes ' +
      'verify_data:verify=yes verified soak ended=verified',
  );
  assert.deepEqual(s.service.witness, ['stop 1', 'start 2', 'unlock']);
  assert.match(
    evidenceAtFirstCall,
    /^[0-9a-f]{64} {2}evidence\.json\n[0-9a-f]{64} {2}undo\.txt\n[0-9a-f]{64} {2}plan\.txt\n$/,
  );
  const run = await s.h.onlyRun();
  assert.equal(run.outcome, 'verified');
  assert.equal(run.evidencePath, join(s.h.evidenceDir, 'run-1'));
  assert.equal((run.cooldownUntilMs ?? 0) - (run.endedMs ?? 0), policy.pace.cooldownMs);
});

/** What a run that begins well ends as, and what the witness saw, when something is not as wished. */
const endings: readonly (readonly [
  what: string,
  prepare: (s: { h: Harness; service: FakeService }) => Promise<void> | void,
  outcome: string,
  witness: readonly string[],
])[] = [
  ['healthy by now', ({ service }) => void (service.isSick = false), 'already_fixed', []],
  ['a precondition no longer met', ({ service }) => void (service.precondition = deny('x', 'x')), 'refused', []],
  ['other facts than decided on', ({ service }) => void (service.running = 7), 'refused', []],
  ['the lock is somebody else’s', ({ service }) => void (service.lock = 'refused'), 'refused', []],
  ['the lock cannot be asked for', ({ service }) => void (service.lock = 'unknown'), 'refused', []],
  ['the lock is lost before the first step', ({ service }) => void (service.lockHeld = 'no'), 'refused', []],
  [
    'the alert is resolved before the first step',
    ({ h }) => h.store.setAlertState(h.episodeId, 'absent', '', h.clock.nowMs() + 1),
    'refused',
    [],
  ],
  [
    'the alert is silenced before the first step',
    ({ h }) => h.store.setAlertState(h.episodeId, 'silenced', 's1', h.clock.nowMs() + 1),
    'refused',
    [],
  ],
  [
    'the target refuses the first step',
    ({ service }) => {
      answers(service, { stop: ['refused', 'refused'] });
    },
    'refused',
    [],
  ],
  [
    'it refuses once',
    ({ service }) => {
      answers(service, { stop: ['refused'] });
    },
    'verified',
    ['stop 1', 'start 2'],
  ],
  [
    'an answer is lost, the call was made',
    ({ service }) => {
      answers(service, { stop: ['late'], start: ['late'] });
    },
    'verified',
    ['stop 1', 'start 2'],
  ],
  [
    'an answer is lost, the call was not made',
    ({ service }) => {
      answers(service, { stop: ['lost'], start: ['lost'] });
    },
    'verified',
    ['stop 1', 'start 2'],
  ],
  [
    'a call breaks after it was made',
    ({ service }) => {
      answers(service, { start: ['throw'] });
    },
    'verified',
    ['stop 1', 'start 2'],
  ],
  [
    'the second step is refused for good: undone',
    ({ service }) => {
      answers(service, { start: ['refused', 'refused'] });
    },
    'failed',
    ['stop 1', 'start 2'],
  ],
  [
    'the undoing fails too',
    ({ service }) => {
      answers(service, { start: ['refused', 'refused'], 'start.back': ['refused', 'refused'] });
    },
    'failed',
    ['stop 1'],
  ],
  ['the data does not move', ({ service }) => void (service.dataMoves = 'no'), 'failed', ['stop 1', 'start 2']],
  [
    'whether the data moves cannot be seen',
    ({ service }) => void (service.dataMoves = 'unknown'),
    'failed',
    ['stop 1', 'start 2'],
  ],
  ['it does not last through the soak', ({ service }) => void (service.soaks = 'no'), 'failed', ['stop 1', 'start 2']],
  [
    'somebody restarts it between the look and the stop',
    ({ service }) => {
      service.onCall = (step) => {
        if (step !== 'stop' || service.running !== 1) return;
        service.running = 9; // seen by the compare in the target, then by the probe of the second attempt
      };
    },
    'overtaken',
    [],
  ],
  [
    'somebody starts it between stop and start',
    ({ service }) => {
      service.onCall = (step) => {
        if (step !== 'start') return;
        service.running ??= 9;
      };
    },
    'verified',
    ['stop 1'],
  ],
  [
    'the first step cannot be seen',
    ({ service }) => {
      service.seen = 'unknown';
    },
    'refused',
    [],
  ],
  [
    'what a call did cannot be seen',
    ({ service }) => {
      answers(service, { start: ['lost'] });
      service.onCall = (step) => {
        if (step === 'start') service.seen = 'unknown';
      };
    },
    'outcome_unknown',
    ['stop 1'],
  ],
  [
    'a failure that no repair can mend',
    ({ service }) => {
      service.dataMoves = 'no';
      service.never = 'binlog purged';
    },
    'failed',
    ['stop 1', 'start 2'],
  ],
];

for (const [what, prepare, outcome, witness] of endings) {
  test(`${what}: ${outcome}`, async () => {
    await using s = await conducted(prepare);
    const run = await s.h.onlyRun();
    const told = story(await s.h.journal());
    assert.equal(run.outcome, outcome, told);
    assert.deepEqual(
      s.service.witness.filter((line) => line !== 'unlock'),
      witness,
      told,
    );
    assert.equal(s.h.endings.length, 1);
    const latches = await s.h.store.latches();
    const isLatched =
      outcome === 'outcome_unknown' || what === 'the undoing fails too' || what === 'a failure that no repair can mend';
    assert.deepEqual(
      latches.map((l) => l.scope),
      isLatched ? ['target:svc1'] : [],
      told,
    );
    // nothing changed, nothing spent
    const spent = await s.h.store.budgetUsed('target:svc1', 0);
    assert.equal(spent, outcome === 'already_fixed' || !told.includes(':intent') ? 0 : 1, told);
  });
}

function answers(service: FakeService, by: Record<string, Answer[]>): void {
  Object.assign(service.answers, by);
}

test('class once: what a crash or a lost answer leaves open is never called again', async () => {
  await using s = await conducted(
    ({ service }) => {
      answers(service, { stop: ['lost'] });
    },
    { fencing: 'once' },
  );
  assert.equal((await s.h.onlyRun()).outcome, 'outcome_unknown');
  assert.deepEqual(s.service.witness, ['unlock']);
  assert.equal((await s.h.journal()).filter((e) => e.kind === 'intent').length, 1);
});

test('a pause before the first step: nothing is begun', async () => {
  await using s = await conducted(() => undefined, {}, { paused: () => Promise.resolve('paused by a person') });
  assert.equal((await s.h.onlyRun()).outcome, 'refused');
  assert.deepEqual(s.service.witness, ['unlock']);
});

test('a mode lowered before the first step: nothing is begun', async () => {
  await using s = await conducted(() => undefined, {}, { policies: () => [{ ...policy, mode: 'observe' }] });
  assert.equal((await s.h.onlyRun()).outcome, 'refused');
  assert.deepEqual(s.service.witness, ['unlock']);
});

test('a pause between stop and start: goes on until the service is up again', async () => {
  let paused: string | undefined;
  await using s = await conducted(
    ({ service }) => {
      service.onCall = (step) => {
        if (step === 'stop') paused = 'paused by a person';
      };
    },
    {},
    { paused: () => Promise.resolve(paused) },
  );
  assert.deepEqual(s.service.witness, ['stop 1', 'start 2', 'unlock']);
  assert.equal((await s.h.onlyRun()).outcome, 'verified');
});

test('a pause after a failure: still undone, nothing else begun', async () => {
  let paused: string | undefined;
  await using s = await conducted(
    ({ service }) => {
      answers(service, { start: ['refused', 'refused'] });
      service.onCall = (step) => {
        if (step === 'start') paused = 'paused by a person';
      };
    },
    {},
    { paused: () => Promise.resolve(paused) },
  );
  assert.deepEqual(s.service.witness, ['stop 1', 'start 2', 'unlock']);
  assert.match(story(await s.h.journal()), /start\.back:intent/);
});

test('a takeover while a call hangs: the late call is fenced off, the successor carries it through', async () => {
  await using h = await harness();
  const service = new FakeService();
  const action = fakeAction(service);
  const { run, hold, evidenceHash } = await h.claim(action, 'h1');
  let hang: (() => void) | undefined;
  const hanging = new Promise<void>((resolve) => {
    service.onCall = async (step) => {
      if (step !== 'stop' || hang !== undefined) return;
      await new Promise<void>((release) => {
        hang = release;
        resolve();
      });
    };
  });
  const first = h.runner(action, { holder: 'h1' });
  first.begin(run, hold, evidenceHash);
  await hanging;

  h.clock.aheadMs += 31_000; // the first holder is frozen for longer than its lease
  await h.store.setAlertState(h.episodeId, 'active', '', h.clock.nowMs());
  const second = h.runner(action, { holder: 'h2' });
  await second.resume();
  await second.idle();
  assert.equal((await h.onlyRun()).outcome, 'verified');
  hang?.(); // and now its call arrives
  await first.idle();
  assert.deepEqual(
    service.witness.filter((l) => l !== 'unlock'),
    ['stop 1', 'start 2'],
  );
  const journal = await h.journal();
  assert.equal(journal.filter((e) => e.kind === 'ended').length, 1);
  assert.ok(journal.filter((e) => e.step !== '' && e.fence > hold.fence).length > 0);
});

test('a run is not taken from a holder whose lease lasts', async () => {
  await using h = await harness();
  const service = new FakeService();
  const action = fakeAction(service);
  await h.claim(action, 'h1');
  const second = h.runner(action, { holder: 'h2' });
  await second.resume();
  await second.idle();
  assert.deepEqual(service.witness, []);
  assert.equal((await h.onlyRun()).state, 'running');
});

test('resumed with other steps than claimed: looks, changes nothing more, and leaves it to people', async () => {
  await using h = await harness();
  const service = new FakeService();
  const { run, hold, evidenceHash } = await h.claim(fakeAction(service));
  const first = h.runner(fakeAction(service), {
    store: {
      ...h.store,
      appendJournal: (of, entry, now) =>
        entry.step === 'start' ? Promise.reject(new Error('crash')) : h.store.appendJournal(of, entry, now),
      endRun: () => Promise.reject(new Error('crash')),
    },
  });
  first.begin(run, hold, evidenceHash);
  await first.idle();
  assert.deepEqual(service.witness, ['stop 1', 'unlock']);

  const second = h.runner(fakeAction(service, { maxAttempts: 5 }));
  await second.resume();
  await second.idle();
  assert.equal((await h.onlyRun()).outcome, 'failed');
  assert.deepEqual(
    service.witness.filter((l) => l !== 'unlock'),
    ['stop 1'],
  );
  assert.equal((await h.store.latches()).length, 1);
});

test('the end of the program before the first step leaves the run, and the next one carries it through', async () => {
  await using h = await harness();
  const service = new FakeService();
  const action = fakeAction(service);
  const { run, hold, evidenceHash } = await h.claim(action);
  const first = h.runner(action, { alertFreshMs: 90_000 });
  first.begin(run, hold, evidenceHash);
  await first.drain(AbortSignal.timeout(5_000));
  assert.deepEqual(
    service.witness.filter((l) => l !== 'unlock'),
    [],
  );
  const second = h.runner(action);
  await second.resume();
  await second.idle();
  assert.deepEqual(
    service.witness.filter((l) => l !== 'unlock'),
    ['stop 1', 'start 2'],
  );
  assert.equal((await h.onlyRun()).outcome, 'verified');
});

test('the end of the program between stop and start: started first', async () => {
  await using h = await harness();
  const service = new FakeService();
  const action = fakeAction(service);
  const { run, hold, evidenceHash } = await h.claim(action);
  const first = h.runner(action);
  let drained: Promise<void> | undefined;
  service.onCall = (step) => {
    if (step === 'stop') drained = first.drain(AbortSignal.timeout(5_000));
  };
  first.begin(run, hold, evidenceHash);
  await first.idle();
  await drained;
  assert.deepEqual(
    service.witness.filter((l) => l !== 'unlock'),
    ['stop 1', 'start 2'],
  );
  const second = h.runner(action);
  await second.resume();
  await second.idle();
  assert.deepEqual(
    service.witness.filter((l) => l !== 'unlock'),
    ['stop 1', 'start 2'],
  );
  assert.equal((await h.onlyRun()).outcome, 'verified');
});
