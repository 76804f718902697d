// Alertmanagers as a process of their own, so that they share no event loop with what is measured: so many connections, each
// with the next notification once the one before is answered, or so many notifications a second whatever the answers do.
// Bare sockets: a client that costs more than the receiver would be what is measured.
import { connect } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { payload, sent, token } from '../support/remediator-serve.ts';

export interface Sending {
  readonly port: number;
  readonly senders: number;
  readonly alerts: number;
  /** Until the receiver is gone when undefined. */
  readonly seconds: number | undefined;
  /** Offered, whatever the answers do; undefined: the next as soon as one is answered. */
  readonly perSecond: number | undefined;
}

export interface Sent {
  readonly acknowledged: readonly number[];
  readonly refused: number;
  /** From when it was due to its answer, sorted. */
  readonly tookMs: readonly number[];
  readonly ranMs: number;
  readonly bodyBytes: number;
  /** By how much the senders themselves were late, 99 % and at most: it is in `tookMs`, and none of the receiver's. */
  readonly stallP99Ms: number;
  readonly stallMaxMs: number;
}

/** 20 groups that go on firing, told again and again, with what alerts of the shipped rules carry. */
function requests(alerts: number): { readonly all: readonly Buffer[]; readonly bodyBytes: number } {
  const bodies = Array.from({ length: 20 }, (_, group) =>
    JSON.stringify(
      payload(
        Array.from({ length: alerts }, (_, i) =>
          sent(
            {
              ...{ alertname: `Bench${group}`, target: `maxwell${i}`, instance: `maxwell${i}.example.com:8080` },
              ...{ cluster: 'prod', job: 'pipemedic', severity: 'critical', priority: 'P1', remediation: 'auto' },
              scope: 'target',
            },
            {
              annotations: {
                summary: 'Maxwell is down',
                description: `Maxwell maxwell${i} has not answered for 2 minutes; the newest position is 74 s old.`,
                runbook_url: 'https://example.com/pipemedic/runbooks/MaxwellDown.md',
                dashboard_url: 'https://grafana.example.com/d/pipemedic-cdc?var-target=maxwell',
              },
            },
          ),
        ),
      ),
    ),
  );
  const all = bodies.map((body) =>
    Buffer.from(
      [
        'POST /webhook/main HTTP/1.1',
        'Host: 127.0.0.1',
        'User-Agent: Alertmanager/0.28.0',
        `Authorization: Bearer ${token}`,
        'Content-Type: application/json',
        `Content-Length: ${Buffer.byteLength(body)}`,
        '',
        body,
      ].join('\r\n'),
    ),
  );
  return { all, bodyBytes: Buffer.byteLength(bodies[0] ?? '') };
}

interface Answer {
  readonly status: number;
  readonly id: number | undefined;
  /** The receiver takes a number of requests from a connection and no more. */
  readonly isLast: boolean;
}

/** Of one answer with all its bytes; undefined while some are missing. */
function answerIn(bytes: Buffer): Answer | undefined {
  const text = bytes.toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
  if (end < 0 || length === undefined || text.length < end + 4 + Number(length)) return undefined;
  const id = /"id":(\d+)/.exec(text.slice(end + 4))?.[1];
  return {
    status: Number(text.slice(9, 12)),
    id: id === undefined ? undefined : Number(id),
    isLast: /\r\nconnection: *close/i.test(text.slice(0, end)),
  };
}

/** The delay that is measured has this in it. */
const stallEveryMs = 1;

async function send({ port, senders, alerts, seconds, perSecond }: Sending): Promise<Sent> {
  const { all, bodyBytes } = requests(alerts);
  const acknowledged: number[] = [];
  const tookMs: number[] = [];
  let refused = 0;
  let n = 0;
  const delay = monitorEventLoopDelay({ resolution: stallEveryMs });
  delay.enable();
  const begun = performance.now();
  const untilMs = seconds === undefined ? Infinity : begun + seconds * 1000;
  /** When the next one is due; undefined once there is none. */
  const nextDueMs = (): number | undefined => {
    const due = perSecond === undefined ? performance.now() : begun + (n * 1000) / perSecond;
    // who comes far too late with all of it has seen enough
    return due > untilMs || performance.now() > untilMs + (untilMs - begun) ? undefined : due;
  };

  const sendOn = (over: () => void): void => {
    const socket = connect(port, '127.0.0.1').setNoDelay(true);
    let fromMs = 0;
    let got = Buffer.alloc(0);
    const next = (): void => {
      const due = nextDueMs();
      if (due === undefined) {
        socket.destroy();
        return;
      }
      const request = all[n++ % all.length] ?? Buffer.alloc(0);
      fromMs = due;
      const waitMs = due - performance.now();
      // timers fire at whole milliseconds: what is due within one is sent
      if (waitMs < 1) socket.write(request);
      else setTimeout(() => socket.write(request), waitMs);
    };
    let goesOn = false;
    socket.on('connect', next);
    socket.on('data', (chunk) => {
      got = got.length === 0 ? chunk : Buffer.concat([got, chunk]);
      const answer = answerIn(got);
      if (answer === undefined) return;
      got = Buffer.alloc(0);
      tookMs.push(performance.now() - fromMs);
      if (answer.status === 200 && answer.id !== undefined) acknowledged.push(answer.id);
      else refused += 1;
      goesOn = answer.isLast;
      if (answer.isLast) socket.destroy();
      else next();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (goesOn) sendOn(over);
      else over(); // all is sent, or it was killed
    });
  };
  await Promise.all(Array.from({ length: senders }, () => new Promise<void>(sendOn)));
  return {
    ...{ acknowledged, refused, bodyBytes, tookMs: tookMs.toSorted((a, b) => a - b) },
    ranMs: performance.now() - begun,
    stallP99Ms: Math.max(0, delay.percentile(99) / 1e6 - stallEveryMs),
    stallMaxMs: Math.max(0, delay.max / 1e6 - stallEveryMs),
  };
}

process.once('message', (sending: Sending) => {
  void send(sending).then((result) => process.send?.(result, () => process.exit(0)));
});
