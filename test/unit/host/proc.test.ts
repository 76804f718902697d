// proc(5) as text: what is read of it, by node_exporter's names.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  mountOf,
  parseLoad,
  parseMeminfo,
  parseMounts,
  parsePressure,
  parseProcessStat,
  parseStat,
  parseVmstat,
} from '../../../exporter/systems/host/facts-proc.ts';

test('/proc/stat: seconds per processor and mode, not the sum over processors', () => {
  const stat = parseStat(
    'cpu  300 0 0 0 0 0 0 0 0 0\ncpu0 100 2 30 4000 5 0 6 7 8 9\ncpu1 200 0 0 0 0 0 0 0 0 0\nintr 1 2\nbtime 1700000000\nprocs_running 3\nprocs_blocked 0\n',
  );
  assert.deepEqual(
    stat.cpus.map(({ cpu, modes }) => [cpu, modes.get('user'), modes.get('idle'), modes.get('steal')]),
    [
      ['0', 1, 40, 0.07],
      ['1', 2, 0, 0],
    ],
  );
  assert.deepEqual(
    [...(stat.cpus[0]?.guest ?? [])],
    [
      ['user', 0.08],
      ['nice', 0.09],
    ],
  );
  assert.deepEqual([stat.bootTimeSeconds, stat.running, stat.blocked], [1_700_000_000, 3, 0]);
  assert.throws(() => parseStat('hello\n'), /names no processor/);
  assert.throws(() => parseStat('cpu0 1 x\n'), /\/proc\/stat: cpu0 1 x/);
});

test('/proc/meminfo: bytes, brackets, and counts that have no unit', () => {
  const found = parseMeminfo('MemTotal:  8 kB\nActive(anon):   2 kB\nHugePages_Total:       3\nnonsense\n');
  assert.deepEqual(
    [...found],
    [
      ['node_memory_MemTotal_bytes', 8192],
      ['node_memory_Active_anon_bytes', 2048],
      ['node_memory_HugePages_Total', 3],
    ],
  );
  assert.throws(() => parseMeminfo(''), /no MemTotal/);
});

test('/proc/vmstat: paging and the out-of-memory killer only', () => {
  const text =
    'nr_free_pages 1\npgpgin 2\npgpgout 3\npswpin 4\npswpout 5\npgfault 6\npgmajfault 7\noom_kill 8\npgsteal_kswapd 9\n';
  assert.deepEqual(
    [...parseVmstat(text).keys()].map((name) => name.replace('node_vmstat_', '')),
    ['pgpgin', 'pgpgout', 'pswpin', 'pswpout', 'pgfault', 'pgmajfault', 'oom_kill'],
  );
});

test('/proc/loadavg and pressure', () => {
  assert.deepEqual(parseLoad('0.10 2.00 3.50 1/200 123\n'), [0.1, 2, 3.5]);
  assert.throws(() => parseLoad('much\n'), /loadavg: much/);
  assert.deepEqual(
    parsePressure(
      'some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=2\n',
    ),
    { some: 1.5, full: 0.000002 },
  );
  assert.deepEqual(parsePressure('some avg10=0 total=1\n'), { some: 0.000001, full: undefined });
});

test('mounts: the longest that holds the path, the last of those on one place, names with spaces', () => {
  const mounts = parseMounts(
    [
      '21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw',
      '22 21 8:2 / /var rw - xfs /dev/sdb rw',
      '23 21 8:3 / /var/lib\\040x ro,nosuid shared:1 - ext4 /dev/sdc rw',
      '24 21 0:30 / /var rw - tmpfs tmpfs rw',
      '25 21 8:4 / /superro rw - ext4 /dev/sdd ro,noatime',
      'rubbish',
    ].join('\n'),
  );
  assert.equal(mountOf('/variable', mounts)?.mountPoint, '/');
  assert.equal(mountOf('/var', mounts)?.type, 'tmpfs');
  assert.equal(mountOf('/var/lib x/mysql', mounts)?.device, '/dev/sdc');
  assert.deepEqual(
    ['/var/lib x', '/superro', '/var'].map((path) => mountOf(path, mounts)?.readOnly),
    [true, true, false],
  );
  assert.equal(mountOf('/x', []), undefined);
});

test('/proc/PID/stat: a command with brackets, spaces and a newline moves nothing', () => {
  const fields = 'S 1 2 3 4 5 6 7 8 9 10 150 250 0 0 20 0 7 0 12345 4096000 100 18446744073709551615';
  const found = parseProcessStat(`42 (a) (b\n c) ${fields} 1 2 3\n`);
  assert.deepEqual(
    [found.pid, found.command, found.state, found.userSeconds, found.systemSeconds, found.majorFaults, found.threads],
    [42, 'a) (b\n c', 'S', 1.5, 2.5, 9, 7],
  );
  assert.deepEqual([found.startedTicks, found.virtualBytes, found.residentBytes], [12345, 4096000, 409600]);
  assert.throws(() => parseProcessStat('42 (x) S 1 2'), /PID\/stat/);
  assert.throws(() => parseProcessStat(''), /PID\/stat/);
});

test('what this machine says is understood', () => {
  assert.ok(parseStat(readFileSync('/proc/stat', 'utf8')).cpus.length > 0);
  assert.ok(parseMeminfo(readFileSync('/proc/meminfo', 'utf8')).size > 20);
  assert.equal(parseProcessStat(readFileSync('/proc/self/stat', 'utf8')).pid, process.pid);
  assert.ok(mountOf('/', parseMounts(readFileSync('/proc/self/mountinfo', 'utf8'))) !== undefined);
});
