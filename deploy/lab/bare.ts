// What every lab of a few servers alone has: a loopback address, a folder, secrets, one breakable link, and an end.
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claimAddress, ports } from './address.ts';
import { secretsIn, type LabContext } from './context.ts';
import type { Lab } from './lab.ts';
import { startReaper } from './processes.ts';
import { TcpProxy } from './tcp-proxy.ts';

export interface BareLab extends AsyncDisposable, Pick<Lab, 'address' | 'dir' | 'secret' | 'secretFile' | 'stop'> {}

/** Between two servers: where it listens, and where it leads. */
export interface BareLink {
  readonly name: string;
  readonly port: keyof typeof ports;
  readonly to: keyof typeof ports;
}

/** @param start starts the servers; when it fails, what it has begun is ended. `stop` ends all and removes the folder. */
export async function startBareLab<T>(
  between: BareLink,
  start: (lab: LabContext, link: TcpProxy) => Promise<T>,
): Promise<BareLab & T> {
  const claim = await claimAddress();
  const { address } = claim;
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-lab-'));
  const reaper = startReaper(dir);
  const to = { host: address, port: ports[between.to] };
  const link = new TcpProxy({ name: between.name, host: address, port: ports[between.port], to });
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= reaper.end().finally(() => {
      link.close();
      claim.release();
    });
    return stopping;
  };
  try {
    mkdirSync(join(dir, 'logs'), { mode: 0o700 });
    const lab: LabContext = { dir, address, reaper, ...secretsIn(dir) };
    await link.open();
    const own = await start(lab, link);
    const { secret, secretFile } = lab;
    return { address, dir, secret, secretFile, stop, [Symbol.asyncDispose]: stop, ...own };
  } catch (error) {
    await stop();
    throw error;
  }
}
