// The row of a canary, written and seen on real servers of each release.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCanaryTable } from '../../deploy/lab/canary-target.ts';
import { waitFor } from '../../deploy/lab/lab.ts';
import { databasePorts, type DatabaseName } from '../../deploy/lab/release.ts';
import { canaryAddress } from '../../exporter/systems/canary/address.ts';
import { openCanary, type CanaryClient } from '../../exporter/systems/canary/client.ts';
import { call, type Room } from './mysql-room.ts';

export function canarySuite(room: Room): void {
  const { lab } = room;
  const skip = room.missing;
  const source = (statement: string): Promise<readonly Readonly<Record<string, unknown>>[]> =>
    lab().sql('source', statement);

  const canary = (): CanaryClient =>
    openCanary({
      target: 'canary1',
      address: canaryAddress.parse({
        write: { target: 'source', table: 'shop.canary' },
        seen_at: [{ target: 'replica' }],
      }),
      auth: { user: 'canary', password_file: lab().secretFile('canary') },
      tls: undefined,
      resolve: (name) => ({
        name,
        kind: 'mysql',
        address: { host: lab().address, port: databasePorts[name as DatabaseName] },
        auth: { user: 'exporter', password_file: lab().secretFile('exporter') },
        tls: undefined,
      }),
    });

  test('canary: the shipped grants are enough to write one row and to see it on the replica', { skip }, async () => {
    await createCanaryTable(lab());
    // A session that does not commit, or looks into one old transaction, would never see anything
    for (const name of ['source', 'replica'] as const) await lab().sql(name, 'SET GLOBAL autocommit = 0');
    try {
      const { plan, openWriter, openSight } = canary();
      const [place] = plan.seenAt;
      assert.ok(place);
      await using writer = await openWriter(call());
      await using sight = await openSight(place, call());
      assert.equal(await writer.obstacle(call()), undefined);
      for (const token of [1_790_000_000_000_123, 1_790_000_010_000_123]) {
        assert.equal(await writer.write(token, call()), 'written');
        await waitFor(async () => (await sight.look(call()))?.includes(` ${String(token)} `), {
          what: `${String(token)} on the replica`,
        });
      }
    } finally {
      for (const name of ['source', 'replica'] as const) await lab().sql(name, 'SET GLOBAL autocommit = 1');
    }
    const rows = await source('SELECT id, token FROM shop.canary');
    assert.deepEqual(
      rows.map(({ id, token }) => [id, String(token)]),
      [['canary1', '1790000010000123']],
    );
  });

  test(
    'canary: refused by a server that is read only, denied without a grant, and what mends it',
    { skip },
    async () => {
      const { openWriter } = canary();
      await using writer = await openWriter(call());
      await source('SET GLOBAL read_only = 1');
      try {
        assert.partialDeepStrictEqual(await writer.write(1_790_000_020_000_123, call()), { state: 'refused' });
        assert.partialDeepStrictEqual(await writer.obstacle(call()), { state: 'refused' });
      } finally {
        await source('SET GLOBAL read_only = 0');
      }
      const fix = "GRANT SELECT, INSERT, UPDATE ON shop.canary TO 'canary'@'%'";
      await source("REVOKE UPDATE ON shop.canary FROM 'canary'@'%'");
      assert.partialDeepStrictEqual(await writer.write(1_790_000_030_000_123, call()), { state: 'denied', fix });
      assert.partialDeepStrictEqual(await writer.obstacle(call()), { state: 'denied', fix });
      await source(fix);
      assert.equal(await writer.write(1_790_000_040_000_123, call()), 'written');
      // A token that does not fit is an error, and not another number
      await source('DELETE FROM shop.canary');
      await source('ALTER TABLE shop.canary MODIFY token INT NOT NULL');
      await assert.rejects(writer.write(1_790_000_050_000_123, call()), /Out of range/);
      await source('ALTER TABLE shop.canary DROP COLUMN written_at');
      assert.partialDeepStrictEqual(await writer.write(1_790_000_060_000_123, call()), { state: 'no_table' });
      assert.partialDeepStrictEqual(await writer.obstacle(call()), { state: 'no_table' });
      await source('DROP TABLE shop.canary');
      const gone = await writer.write(1_790_000_070_000_123, call());
      assert.ok(gone !== 'written' && ['no_table', 'denied'].includes(gone.state));
      assert.match(
        (await writer.obstacle(call()))?.fix ?? '',
        /^CREATE TABLE shop\.canary .*; GRANT SELECT, INSERT, UPDATE ON/,
      );
    },
  );
}
