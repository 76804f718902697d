// Does Maxwell's HTTP server accept connections, and does it answer? Two layers of its health.
import { connect } from 'node:net';
import type { Call } from '../../collector.ts';
import { until, within } from '../../runtime/deadline.ts';
import { classOf, messageOf } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { HttpGetter } from '../jvm/facts-fetch.ts';

/** Of one layer; unknown where it cannot be seen. */
export type LayerLook = Known<'healthy' | 'failed'>;

export interface HttpProbe {
  /** Somebody listens there. A stopped process still does: the kernel accepts for it. */
  readonly port: LayerLook;
  /** It answers. Says nothing of its work: seen to answer in every fault in which its process lived. */
  readonly function: LayerLook;
}

const connectMs = 1000;

/** GET /ping, which has no effect. Never throws. */
export async function probeHttp(http: HttpGetter | undefined, call: Call): Promise<HttpProbe> {
  if (http === undefined) {
    const none = unknown('http is not configured');
    return { port: none, function: none };
  }
  const is = (state: 'healthy' | 'failed'): LayerLook => known(state, call.clock.wallMs());
  try {
    const { status } = await http.get('/ping', call);
    return { port: is('healthy'), function: is(status === 200 ? 'healthy' : 'failed') };
  } catch (error) {
    if (classOf(error) === 'refused') return { port: is('failed'), function: is('failed') };
    if (call.signal.aborted) return { port: unknown(messageOf(error)), function: unknown(messageOf(error)) };
    const port = await connects(http.url, call);
    return { port, function: port.known ? is('failed') : port };
  }
}

/** Refused is a failed port; without any answer it may be the way to it. */
async function connects(url: string, call: Call): Promise<LayerLook> {
  const { hostname, port, protocol } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const socket = connect(Number(port) || (protocol === 'https:' ? 443 : 80), host);
  try {
    const opened = new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve).once('error', reject);
    });
    await until(within(connectMs, call.signal), `connecting to ${host}`, opened);
    return known('healthy', call.clock.wallMs());
  } catch (error) {
    return classOf(error) === 'refused' ? known('failed', call.clock.wallMs()) : unknown(messageOf(error));
  } finally {
    socket.on('error', () => undefined); // one that comes after the end
    socket.destroy();
  }
}
