// A stand-in for a MySQL server that misbehaves: no real server can be made to send half a packet or a wrong sequence
// number. It speaks protocol 10 as far as log-in and text results go, and then does what the test says.
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html
const columnTypes = { text: 0xfd, long: 0x03, longlong: 0x08, double: 0x05, blob: 0xfc, json: 0xf5 } as const;
export type ColumnType = keyof typeof columnTypes;

export type Cell = string | Buffer | null;

export interface Result {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  readonly type?: ColumnType;
  /** Number of a collation, as the definitions of the columns name it. */
  readonly collation?: number;
}

/** What the stand-in may do instead of an answer: it writes what it likes. */
export type Misdeed = (socket: Socket) => void | Promise<void>;

export type Reply = Result | { readonly errno: number; readonly text: string } | 'ok' | Misdeed;

export interface HostileMysql extends AsyncDisposable {
  readonly port: number;
  /** Statements as they came, over all connections. */
  readonly asked: string[];
  readonly connections: () => number;
}

interface Behaviour {
  /** In the place of the greeting. */
  readonly greet?: Misdeed;
  /** In the place of the answer to the log-in. */
  readonly login?: Misdeed;
  /** `index` counts the statements of one connection from 0. */
  readonly reply: (sql: string, index: number) => Reply;
}

export async function hostileMysql(behaviour: Behaviour): Promise<HostileMysql> {
  const sockets = new Set<Socket>();
  const asked: string[] = [];
  let connections = 0;
  const server: Server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => undefined); // the client destroys connections: that is what is tested
    socket.on('close', () => sockets.delete(socket));
    void (behaviour.greet ?? greet)(socket);
    let index = 0;
    let loggedIn = false;
    let buffered = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      buffered = Buffer.concat([buffered, chunk]);
      while (buffered.length >= 4 && buffered.length >= 4 + buffered.readUIntLE(0, 3)) {
        const body = buffered.subarray(4, 4 + buffered.readUIntLE(0, 3));
        buffered = buffered.subarray(4 + body.length);
        if (!loggedIn) {
          loggedIn = true;
          void (behaviour.login ?? ((s) => void s.write(ok(2))))(socket);
        } else if (body[0] === 3) {
          const sql = body.subarray(1).toString();
          asked.push(sql);
          send(socket, behaviour.reply(sql, index));
          index += 1;
        } else if (body[0] === 1) socket.end();
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    connections: () => connections,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function send(socket: Socket, reply: Reply): void {
  if (typeof reply === 'function') void reply(socket);
  else if (reply === 'ok') socket.write(ok(1));
  else if ('errno' in reply) socket.write(error(1, reply.errno, reply.text));
  else socket.write(Buffer.concat(resultPackets(reply)));
}

export function packet(sequence: number, body: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUIntLE(body.length, 0, 3);
  head[3] = sequence & 255;
  return Buffer.concat([head, body]);
}

/** Length-encoded, as cells and names are. */
export function lengthCoded(data: Buffer): Buffer {
  const { length } = data;
  if (length < 251) return Buffer.concat([Buffer.from([length]), data]);
  const head = Buffer.alloc(length < 65_536 ? 3 : 5);
  head[0] = length < 65_536 ? 0xfc : 0xfe;
  if (length >= 65_536) return Buffer.concat([Buffer.from([0xfe]), eightBytes(length), data]);
  head.writeUInt16LE(length, 1);
  return Buffer.concat([head, data]);
}

function eightBytes(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

export function greeting(version = '10.11.19-MariaDB-stand-in', plugin = 'mysql_native_password'): Buffer {
  // CLIENT_MYSQL | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | PLUGIN_AUTH
  const low = Buffer.from([0x01, 0xa2]);
  const high = Buffer.from([0x08, 0x00]);
  return packet(
    0,
    Buffer.concat([
      Buffer.from([10]),
      Buffer.from(`${version}\0`),
      Buffer.from([9, 0, 0, 0]),
      Buffer.from('abcdefgh\0'),
      low,
      Buffer.from([45, 2, 0]),
      high,
      Buffer.from([21]),
      Buffer.alloc(10),
      Buffer.from('ijklmnopqrst\0'),
      Buffer.from(`${plugin}\0`),
    ]),
  );
}

function greet(socket: Socket): void {
  socket.write(greeting());
}

export function ok(sequence: number, status = 2): Buffer {
  return packet(sequence, Buffer.from([0, 0, 0, status, 0, 0, 0]));
}

export function error(sequence: number, errno: number, text: string): Buffer {
  return packet(sequence, Buffer.concat([Buffer.from([255, errno & 255, errno >> 8]), Buffer.from(`#HY000${text}`)]));
}

function eof(sequence: number, status = 2): Buffer {
  return packet(sequence, Buffer.from([0xfe, 0, 0, status, 0]));
}

export function resultPackets({ columns, rows, type = 'text', collation }: Result, endStatus = 2): Buffer[] {
  let sequence = 0;
  const next = (body: Buffer): Buffer => packet((sequence += 1), body);
  const text = (value: string): Buffer => lengthCoded(Buffer.from(value));
  const charset = Buffer.alloc(2);
  charset.writeUInt16LE(collation ?? (type === 'text' ? 45 : 63));
  return [
    next(Buffer.from([columns.length])),
    ...columns.map((name) =>
      next(
        Buffer.concat([
          text('def'),
          text(''),
          text(''),
          text(''),
          text(name),
          text(name),
          Buffer.from([0x0c, ...charset, 0, 4, 0, 0, columnTypes[type], 0, 0, 0, 0, 0]),
        ]),
      ),
    ),
    eof((sequence += 1)),
    ...rows.map((row) =>
      next(
        Buffer.concat(
          row.map((cell) => (cell === null ? Buffer.from([0xfb]) : lengthCoded(Buffer.from(cell as string)))),
        ),
      ),
    ),
    eof((sequence += 1), endStatus),
  ];
}
