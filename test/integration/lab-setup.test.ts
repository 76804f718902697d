// The set-up script, with a stand-in for Maven: what is there stays, what was begun and not ended is made again.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

const script = join(import.meta.dirname, '..', '..', 'deploy', 'lab', 'setup.sh');

interface Result {
  readonly code: number | null;
  readonly out: string;
}

function setup(env: Readonly<Record<string, string>>): Result {
  const { status, stdout, stderr } = spawnSync(script, {
    env: { ...process.env, ...env },
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { code: status, out: stdout + stderr };
}

/** A cache of its own and a Maven that does what `script` says; `$lib` is the folder to fill. */
function room(t: TestContext): { cache: string; env: Record<string, string>; maven: (script: string) => void } {
  const folder = mkdtempSync(join(tmpdir(), 'pipemedic-test-'));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const cache = join(folder, 'cache');
  return {
    cache,
    env: {
      PATH: `${bin}:${process.env['PATH'] ?? ''}`,
      PIPEMEDIC_CACHE: cache,
      PIPEMEDIC_MAXWELL_VERSION: '1.22.6',
      PIPEMEDIC_UNSTABLE: 'no',
      PIPEMEDIC_ENGINE: 'no',
    },
    maven: (body) => {
      const head = '#!/bin/sh\nfor word; do case $word in -DoutputDirectory=*) lib=${word#*=} ;; esac; done\n';
      writeFileSync(join(bin, 'mvn'), `${head}${body}\n`, { mode: 0o755 });
    },
  };
}

test('quiet and quick when there is nothing to do', () => {
  setup({}); // in case this machine lacks something
  const begun = performance.now();
  assert.deepEqual(setup({}), { code: 0, out: '' });
  const tookMs = performance.now() - begun;
  assert.ok(tookMs < 5_000, `${tookMs} ms`); // some 10 ms on an idle machine
});

test('a failed download leaves nothing that looks complete, shows what Maven said, and is made again', (t) => {
  const { cache, env, maven } = room(t);
  maven('mkdir -p "$lib"; : >"$lib/half.jar"; echo "no route to the repository"; exit 1');
  const failed = setup(env);
  assert.equal(failed.code, 1);
  assert.match(failed.out, /no route to the repository[^]*could not get kafka/);
  assert.deepEqual(
    readdirSync(cache).filter((name) => !name.startsWith('.')),
    [],
  );
  maven('mkdir -p "$lib"; : >"$lib/whole.jar"');
  const made = setup(env);
  assert.equal(made.code, 0, made.out);
  assert.match(made.out, /getting kafka[^]*getting maxwell-1\.22\.6[^]*the lab uses maxwell-1\.22\.6/);
  assert.deepEqual(readdirSync(cache).sort(), ['.lock', 'jvm-agents', 'kafka_2.13-4.1.1', 'maxwell', 'maxwell-1.22.6']);
  assert.deepEqual(readdirSync(join(cache, 'kafka_2.13-4.1.1', 'lib')), ['whole.jar']);
  const shim = join(cache, 'maxwell-1.22.6', 'shim', 'jdk', 'nashorn', 'api', 'scripting', 'ScriptObjectMirror.class');
  assert.ok(existsSync(shim));
  maven('exit 1'); // is not needed any more
  assert.deepEqual(setup(env), { code: 0, out: '' });
});

test('a folder without its mark of completion is made again', (t) => {
  const { cache, env, maven } = room(t);
  mkdirSync(join(cache, 'kafka_2.13-4.1.1', 'lib'), { recursive: true });
  writeFileSync(join(cache, 'kafka_2.13-4.1.1', 'lib', 'half.jar'), '');
  maven('mkdir -p "$lib"; : >"$lib/whole.jar"');
  assert.equal(setup(env).code, 0);
  assert.deepEqual(readdirSync(join(cache, 'kafka_2.13-4.1.1', 'lib')), ['whole.jar']);
});

test('the named Maxwell is taken, and a folder without one is an error', (t) => {
  const { cache, env, maven } = room(t);
  maven('mkdir -p "$lib"; : >"$lib/dependency.jar"');
  const home = join(cache, '..', 'own-maxwell');
  mkdirSync(home);
  const own = { ...env, PIPEMEDIC_MAXWELL_VERSION: '', PIPEMEDIC_MAXWELL_HOME: home };
  const missing = setup(own);
  assert.equal(missing.code, 1);
  assert.match(missing.out, /no maxwell-\*\.jar with a pom\.xml in/);
  writeFileSync(join(home, 'maxwell-9.9.9.jar'), 'a jar');
  writeFileSync(join(home, 'pom.xml'), '<project/>');
  const found = setup(own);
  assert.match(found.out, /the lab uses maxwell-9\.9\.9/);
  assert.equal(statSync(join(cache, 'maxwell-9.9.9', 'lib', 'maxwell-9.9.9.jar')).size, 5);
});

test('where the newer servers cannot be had, one line says why, nothing fails, and it is not tried again at once', (t) => {
  const { cache, env, maven } = room(t);
  maven('mkdir -p "$lib"; : >"$lib/whole.jar"');
  assert.equal(setup(env).code, 0);
  const wanted = { ...env, PIPEMEDIC_UNSTABLE: '' };
  const [bin = ''] = env['PATH']?.split(':') ?? [];
  const apt = (script: string): void => {
    writeFileSync(join(bin, 'apt-get'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    rmSync(join(cache, 'debian-unstable.failed'), { force: true });
  };
  apt('exit 0');
  const bare = setup(wanted);
  assert.equal(bare.code, 0);
  assert.match(bare.out, /\n==> no MySQL 9.+ are skipped: the apt configuration has no Debian mirror\n$/);
  assert.deepEqual(setup(wanted), { code: 0, out: '' }, 'within the hour');

  const release = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? '';
  apt(`case "$*" in
    indextargets*) echo "http://mirror.invalid/debian/dists/${release}/main/binary-amd64/Packages" ;;
    *update*) cat "\${APT_CONFIG%/*}/unstable.sources"; echo 'E: mirror.invalid is not there' >&2; exit 100 ;;
  esac`);
  const unreachable = setup(wanted);
  assert.equal(unreachable.code, 0);
  assert.match(unreachable.out, /are skipped: E: mirror\.invalid is not there\n$/);
  assert.deepEqual(
    readdirSync(cache).filter((name) => name.includes('unstable')),
    ['debian-unstable.failed'],
  );
});
