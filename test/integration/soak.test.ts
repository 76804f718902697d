// The short form of test/bench/soak.ts: some hundred scrapes with all that goes wrong, and nothing is held for longer.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { claimAddress, ports } from '../../deploy/lab/address.ts';
import { TcpProxy } from '../../deploy/lab/tcp-proxy.ts';
import type { FleetPorts } from '../support/fleet-stand-in.ts';
import { growthIn, soak, trendOf } from '../support/soak.ts';

const scrapes = 300;
const grows = {
  // Of 300 scrapes half are in the second half: 100 kB or one file in five of them would be seen.
  heapMb: [0.1, 8],
  externalMb: [0.1, 8],
  rssMb: [0.25, 40],
  files: [0, 4],
  sockets: [0, 4],
} as const;

test(`${String(scrapes)} scrapes, with links that break and clients that go away: memory, files and sockets stay`, async (t) => {
  const played = fork(join(import.meta.dirname, '../support/fleet-stand-in.ts'));
  const claim = await claimAddress();
  const host = claim.address;
  const links: TcpProxy[] = [];
  try {
    const [servers] = (await once(played, 'message')) as [FleetPorts];
    const behind = async (name: string, port: number, to: number): Promise<{ host: string; port: number }> => {
      const link = new TcpProxy({ name, host, port, to: { host: '127.0.0.1', port: to } });
      links.push(link);
      await link.open();
      return { host, port };
    };
    const targets = [
      { name: 'db1', kind: 'mysql', address: await behind('db1', ports.source, servers.mariadb), auth: { user: 'x' } },
      { name: 'db2', kind: 'mysql', address: { host: '127.0.0.1', port: servers.mysql }, auth: { user: 'x' } },
      { name: 'cache1', kind: 'redis', address: await behind('cache1', ports.redis, servers.redis) },
      { name: 'dead', kind: 'redis', address: { host, port: ports.redisReplica } },
    ].map((target) => ({ ...target, collector: target.kind === 'mysql' ? 'replication' : 'replication_stream' }));
    const { samples, answers, ups } = await soak({ targets, links, scrapes, samples: 20, timeoutSeconds: 30 });
    for (const what of ['heapMb', 'rssMb', 'files', 'sockets'] as const) {
      const { first, second } = trendOf(samples, what);
      t.diagnostic(`${what}: ${first.toFixed(1)}, later ${second.toFixed(1)}`);
    }
    assert.deepEqual(growthIn(samples, grows), []);
    assert.equal(answers.get(0), Math.floor(scrapes / 11));
    assert.equal(answers.get(400), Math.floor(scrapes / 7));
    assert.equal(ups.get('db2'), scrapes);
    assert.equal(ups.get('dead'), undefined);
    // Those behind a link are found again each time
    for (const name of ['db1', 'cache1']) assert.ok((ups.get(name) ?? 0) > scrapes * 0.8, `${name}: ${ups.get(name)}`);
  } finally {
    for (const link of links) link.close();
    played.disconnect();
    claim.release();
  }
});
