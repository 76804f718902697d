// Targets that mean ill, each in its own way and for as long as it is asked: what they send is to fill or to stop whoever
// reads. And a healthy one.
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { hostileMysql, lengthCoded, packet, resultPackets, type Misdeed, type Reply } from './hostile-mysql.ts';
import { saneServer } from './mysql-tape.ts';
import { pour } from './pour.ts';
import { redisFixture } from './redis-replies.ts';

export interface HostileTargets extends AsyncDisposable {
  /** As in an inventory. */
  readonly targets: readonly { readonly name: string; readonly kind: string; readonly address: object }[];
}

function drip(socket: Socket, bytes: Buffer): void {
  let at = 0;
  const timer = setInterval(() => {
    if (socket.destroyed) clearInterval(timer);
    else socket.write(bytes.subarray(at % bytes.length, (at++ % bytes.length) + 1));
  }, 20);
}

/** A number that is new each time: for names and labels that never come again. */
function counter(): () => string {
  let n = 0;
  return () => String((n += 1));
}

const mebibyte = Buffer.alloc(1 << 20, 0x61);

/** What it answers to whatever is asked once it has let us in, and the two statements of the log-in behind it. */
function mysqlReplies(): Readonly<Record<string, Reply>> {
  const next = counter();
  const head = Buffer.concat(resultPackets({ columns: ['a'], rows: [] }).slice(0, 3));
  const rows = Buffer.concat(Array.from({ length: 256 }, (_, i) => packet(4 + i, Buffer.from([2, 0x31, 0x31]))));
  return {
    'half-a-packet': (s) => void s.write(head.subarray(0, 11)),
    'rows-without-end': (s) => {
      s.write(head);
      pour(s, rows);
    },
    'one-endless-row': (s) => {
      s.write(Buffer.concat([head, Buffer.from([0xff, 0xff, 0xff, 4])]));
      pour(s, mebibyte);
    },
    'slow-character-set': { columns: ['Variable_name', 'Value'], collation: 33, rows: [['a', 'x'.repeat(250_000)]] },
    'wrong-sequence': (s) => void s.write(Buffer.concat([packet(1, Buffer.from([1])), packet(9, Buffer.from([1]))])),
    'many-columns': (s) => void s.write(packet(1, Buffer.from([0xfc, 0xff, 0xff]))),
    'goes-away': (s) => void s.destroy(),
    'byte-by-byte': (s) => {
      drip(s, Buffer.concat(resultPackets({ columns: ['a'], rows: [['1']] })));
    },
    'errors-of-megabytes': (s) => void s.write(packet(1, Buffer.concat([Buffer.from('\xff\x51\x04#HY000', 'latin1'), mebibyte, mebibyte]))), // prettier-ignore
    'new-names-each-time': (s) => {
      const row = (): string[] => [`com_${next()}`, '1'];
      s.write(
        Buffer.concat(resultPackets({ columns: ['Variable_name', 'Value'], rows: Array.from({ length: 2000 }, row) })),
      );
    },
  };
}

const mysqlGreetings: Readonly<Record<string, { readonly greet?: Misdeed; readonly login?: Misdeed }>> = {
  'greets-without-end': {
    greet: (s) => {
      s.write(Buffer.from([0xff, 0xff, 0xff, 0, 10]));
      pour(s, mebibyte);
    },
  },
  'lets-in-without-end': {
    login: (s) => {
      pour(s, lengthCoded(Buffer.alloc(1 << 16, 1)));
    },
  },
};

function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}

/** What it answers to each piece that comes. */
function redisDeeds(): Readonly<Record<string, (socket: Socket) => void>> {
  const next = counter();
  const info = redisFixture('info-all-redis-7.0.15-primary.txt');
  return {
    'announces-gigabytes': (s) => {
      s.write('$9000000000\r\n');
      pour(s, mebibyte);
    },
    'line-without-end': (s) => {
      s.write('+');
      pour(s, mebibyte);
    },
    'array-of-a-billion': (s) => {
      s.write('*1000000000\r\n');
      pour(s, Buffer.from(':1\r\n'.repeat(10_000)));
    },
    'arrays-in-arrays': (s) => {
      pour(s, Buffer.from('*1\r\n'.repeat(10_000)));
    },
    'half-a-reply': (s) => void s.write('$1000\r\nredis_version:7.0.15\r\n'),
    'goes-away': (s) => void s.destroy(),
    'byte-by-byte': (s) => {
      drip(s, Buffer.from(bulk(info)));
    },
    'errors-of-megabytes': (s) => void s.write(`-ERR ${'a'.repeat(4 << 20)}\r\n`),
    'replies-nobody-asked-for': (s) => {
      pour(s, Buffer.from(bulk('unasked').repeat(5000)));
    },
    'new-names-each-time': (s) => {
      const lines = (make: (n: string) => string): string => Array.from({ length: 2000 }, () => make(next())).join('');
      const made = [
        `# Keyspace\r\n${lines((n) => `db${n}:keys=1,expires=0,avg_ttl=0\r\n`)}`,
        `# Commandstats\r\n${lines((n) => `cmdstat_c${n}:calls=1,usec=1,usec_per_call=1.00\r\n`)}`,
        `# Errorstats\r\n${lines((n) => `errorstat_E${n}:count=1\r\n`)}`,
      ];
      s.write(bulk(`${info}\r\n${made.join('\r\n')}`));
    },
  };
}

const ok200 = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n';

/** The page of a JVM. */
function pageDeeds(): Readonly<Record<string, (socket: Socket) => void>> {
  const next = counter();
  return {
    'page-without-end': (s) => {
      s.write(`${ok200}\r\njvm_threads_current 1\r\n`);
      pour(s, Buffer.from('jvm_memory_used_bytes{area="heap"} 1\n'.repeat(10_000)));
    },
    'headers-without-end': (s) => {
      s.write(ok200);
      pour(s, Buffer.from(`X-A: ${'a'.repeat(1000)}\r\n`.repeat(100)));
    },
    'zipped-without-end': (s) => {
      s.write(`${ok200}Content-Encoding: gzip\r\n\r\n`);
      pour(s, mebibyte);
    },
    'new-names-each-time': (s) => {
      const lines = Array.from({ length: 2000 }, () => `jvm_memory_pool_used_bytes{pool="p${next()}"} 1\n`);
      s.end(`${ok200}Connection: close\r\n\r\n${lines.join('')}`);
    },
  };
}

export async function startHostileTargets(): Promise<HostileTargets> {
  await using stack = new AsyncDisposableStack();
  const targets: { name: string; kind: string; address: object }[] = [];
  const at = (port: number): object => ({ host: '127.0.0.1', port });
  const add = (kind: string, name: string, address: object): void => {
    targets.push({ name: `${kind}-${name}`, kind, address });
  };
  const sane = saneServer('mariadb');
  const healthy = await hostileMysql({ reply: sane.reply });
  stack.use(healthy);
  targets.push({ name: 'healthy', kind: 'mysql', address: at(healthy.port) });
  for (const [name, reply] of Object.entries(mysqlReplies())) {
    const server = await hostileMysql({ reply: (sql, index) => (index < 2 ? sane.reply(sql) : reply) });
    stack.use(server);
    add('mysql', name, at(server.port));
  }
  for (const [name, behaviour] of Object.entries(mysqlGreetings)) {
    const server = await hostileMysql({ reply: sane.reply, ...behaviour });
    stack.use(server);
    add('mysql', name, at(server.port));
  }
  for (const [name, deed] of Object.entries(redisDeeds())) add('redis', name, at(await listen(stack, deed)));
  for (const [name, deed] of Object.entries(pageDeeds())) {
    add('jvm', name, { prometheus: { url: `http://127.0.0.1:${await listen(stack, deed)}/metrics` } });
  }
  const all = stack.move();
  return { targets, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

async function listen(stack: AsyncDisposableStack, deed: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    let underWay = false;
    socket.on('data', () => {
      // what floods goes on; the others answer each piece
      if (underWay && socket.writableNeedDrain) return;
      underWay = true;
      deed(socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(async () => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  });
  return (server.address() as AddressInfo).port;
}
