// A program that plays any number of healthy MariaDB, MySQL and Redis servers with what real ones answered: every
// connection is one of them. Answers are made once, so that it takes little of the machine that it shares with the exporter.
// Run by fork(): it sends its ports, and ends with its parent.
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { defaultStatusNames } from '../../exporter/systems/mysql/facts-status.ts';
import { error, greeting, ok, resultPackets, type Reply, type Result } from './hostile-mysql.ts';
import { saneServer, type Flavour } from './mysql-tape.ts';
import { redisFixture, repliesOf } from './redis-replies.ts';

export interface FleetPorts {
  readonly mariadb: number;
  readonly mysql: number;
  readonly redis: number;
}

/** MySQL 9.7 tells as many when it is asked for all. */
const statusVariables = 439;
/** Of the other flavour, or of Galera: a server does not have them. */
const foreign: Readonly<Record<Flavour, RegExp>> = {
  mariadb: /wsrep|_source_|replica/,
  mysql: /wsrep|_master_|slave|qcache|binlog_commits|group_commits|checkpoint_age|deadlocks/,
};

/** The tapes have the first forty variables of each answer: the others are there too, with a number. */
function filled({ columns, rows }: Result, flavour: Flavour, names: readonly string[], total: number): Result {
  const there = new Set(rows.map(([name]) => String(name).toLowerCase()));
  const more = names.filter((name) => !there.has(name) && !foreign[flavour].test(name));
  for (let i = 0; there.size + more.length < total; i++) more.push(`com_played_${String(i)}`);
  return { columns, rows: [...rows, ...more.map((name, i) => [name, String(i * 1009)])] };
}

function answerOf(flavour: Flavour, server: ReturnType<typeof saneServer>, sql: string): Reply {
  const reply = server.reply(sql);
  if (typeof reply === 'string' || typeof reply === 'function' || 'errno' in reply) return reply;
  const [, wanted = ''] = /^SHOW GLOBAL (?:STATUS|VARIABLES) WHERE Variable_name IN \((.*)\)$/.exec(sql) ?? [];
  const names = wanted.split(', ').map((name) => name.slice(1, -1));
  if (names.length > 60) return filled(reply, flavour, names, 0);
  return sql === 'SHOW GLOBAL STATUS' ? filled(reply, flavour, defaultStatusNames, statusVariables) : reply;
}

function bytesOf(reply: Reply): Buffer {
  if (reply === 'ok') return ok(1);
  if (typeof reply === 'function') throw new Error('a healthy server does no such thing');
  return 'errno' in reply ? error(1, reply.errno, reply.text) : Buffer.concat(resultPackets(reply));
}

function playMysql(flavour: Flavour): (socket: Socket) => void {
  const server = saneServer(flavour);
  const answers = new Map<string, Buffer>();
  const answer = (sql: string): Buffer => {
    const made = answers.get(sql) ?? bytesOf(answerOf(flavour, server, sql));
    answers.set(sql, made);
    return made;
  };
  return (socket) => {
    let loggedIn = false;
    let before: Buffer = Buffer.alloc(0);
    socket.write(greeting(server.version));
    socket.on('data', (chunk: Buffer) => {
      let rest = before.length === 0 ? chunk : Buffer.concat([before, chunk]);
      while (rest.length >= 4 && rest.length >= 4 + rest.readUIntLE(0, 3)) {
        const end = 4 + rest.readUIntLE(0, 3);
        if (!loggedIn) socket.write(ok(2));
        else if (rest[4] === 3) socket.write(answer(rest.toString('utf8', 5, end)));
        else socket.end();
        loggedIn = true;
        rest = rest.subarray(end);
      }
      before = rest;
    });
  };
}

const settings: Readonly<Record<string, string>> = {
  'repl-timeout': '60',
  'tcp-keepalive': '300',
  'client-output-buffer-limit': 'normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60',
  'replica-serve-stale-data': 'yes',
  'replica-ignore-maxmemory': 'yes',
  'min-replicas-to-write': '0',
  'min-replicas-max-lag': '10',
  save: '3600 1 300 100 60 10000',
};

function encoded(reply: unknown): string {
  if (typeof reply === 'number') return `:${String(reply)}\r\n`;
  if (Array.isArray(reply)) return `*${String(reply.length)}\r\n${reply.map(encoded).join('')}`;
  const text = String(reply);
  return `$${String(Buffer.byteLength(text))}\r\n${text}\r\n`;
}

function redisAnswers(): (words: readonly string[]) => string {
  const replies = repliesOf('replies-redis-7.0.15.json');
  const info = encoded(redisFixture('info-all-redis-7.0.15-primary.txt'));
  return (words) => {
    const [command, , ...names] = words;
    if (command === 'INFO') return info;
    if (command === 'PING') return '+PONG\r\n';
    const recorded = replies[`primary ${words.join(' ')}`];
    if (recorded !== undefined) return encoded(recorded);
    if (command === 'CONFIG') return encoded(names.flatMap((n) => (n in settings ? [n, settings[n]] : [])));
    return `-ERR unknown command '${String(command)}', with args beginning with: \r\n`;
  };
}

/** `*2\r\n$4\r\nINFO\r\n$3\r\nALL\r\n`, of ASCII; undefined while a part is missing. */
function wordsOf(text: string, from: number): { readonly words: string[]; readonly end: number } | undefined {
  let at = text.indexOf('\r\n', from) + 2;
  if (at < 2) return undefined;
  const words: string[] = [];
  for (let i = Number(text.slice(from + 1, at - 2)); i > 0; i--) {
    const begin = text.indexOf('\r\n', at) + 2;
    if (begin < 2) return undefined;
    const end = begin + Number(text.slice(at + 1, begin - 2));
    if (text.length < end + 2) return undefined;
    words.push(text.slice(begin, end));
    at = end + 2;
  }
  return { words, end: at };
}

function playRedis(): (socket: Socket) => void {
  const answer = redisAnswers();
  const answers = new Map<string, string>();
  return (socket) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      let at = 0;
      let out = '';
      for (let found = wordsOf(text, at); found !== undefined; found = wordsOf(text, at)) {
        const command = text.slice(at, found.end);
        const made = answers.get(command) ?? answer(found.words);
        answers.set(command, made);
        out += made;
        at = found.end;
      }
      text = text.slice(at);
      if (out !== '') socket.write(out);
    });
  };
}

async function listen(play: (socket: Socket) => void): Promise<number> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => undefined); // whoever looked has gone
    play(socket);
  });
  server.listen(0, '127.0.0.1', 2048);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

if (process.send !== undefined) {
  process.once('disconnect', () => process.exit());
  const ports: FleetPorts = {
    mariadb: await listen(playMysql('mariadb')),
    mysql: await listen(playMysql('mysql')),
    redis: await listen(playRedis()),
  };
  process.send(ports);
}
