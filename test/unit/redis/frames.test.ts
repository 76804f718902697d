// What a reply says of itself is looked at before the library makes room for it.
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { ReplyFrames } from '../../../exporter/systems/redis/client-frames.ts';
import { limitReplies } from '../../../exporter/systems/redis/client-limit.ts';

const inPieces = (text: string, size: number): string | undefined => {
  const frames = new ReplyFrames();
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) {
    const why = frames.look(bytes.subarray(at, at + size));
    if (why !== undefined) return why;
  }
  return undefined;
};

const sane: readonly string[] = [
  '+PONG\r\n',
  '-ERR no\r\n:12\r\n:-3\r\n',
  '$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n',
  // What lies in a value is no frame
  '$16\r\n\r\n*99999999999\r\n\r\n+OK\r\n',
  `*2\r\n*2\r\n+a\r\n*1\r\n$1\r\nb\r\n*0\r\n`,
  `*1000\r\n${'*2\r\n$1\r\nk\r\n*0\r\n'.repeat(1000)}`,
  `*3000000\r\n${':1\r\n'.repeat(1000)}`,
];
test('replies of a server, in whatever pieces they come', () => {
  for (const text of sane)
    for (const size of [1, 2, 3, 7, 1 << 20]) assert.equal(inPieces(text, size), undefined, text);
  assert.equal(inPieces(sane.slice(0, -1).join('').repeat(3), 5), undefined);
});

for (const [what, text, said] of [
  ['rows of lists', '*33000000\r\n', /more than 4000000 values/],
  ['lists that are announced one in the other', '*3000000\r\n*3000000\r\n', /more than 4000000 values/],
  ['lists without end', '*1\r\n'.repeat(33), /more than 32 lists/],
  ['the types of RESP3, which nobody asked for', '%16000000\r\n', /begins with byte 37/],
  ['another protocol', 'HTTP/1.1 400 Bad Request\r\n\r\n', /begins with byte 72/],
  ['a length that is none', '*1e9\r\n', /no number/],
  ['a length without end', `$${'1'.repeat(30)}`, /no number/],
  ['no length', '*\r\n', /no number/],
  // The library takes a carriage return alone for the end of a line
  ['a line that ends for one reader only', '+\rX*33000000\r\n', /without an end/],
  ['a value that is longer than it says', '$1\r\nab\r\n', /longer than it says/],
  ['no line feed behind a value', '$1\r\na\r*33000000\r\n', /without an end/],
] as const) {
  test(`refused: ${what}`, () => {
    for (const size of [1, 4, 1 << 20]) assert.match(inPieces(text, size) ?? '', said);
  });
}

test('what is refused is seen by nobody else, nor what comes after it', async () => {
  const stream = new PassThrough();
  const told: string[] = [];
  let seen = '';
  limitReplies(stream, (why) => told.push(`${why.code}: ${why.message}`));
  stream.on('data', (chunk: Buffer) => (seen += chunk.toString()));
  for (const piece of ['+OK\r\n', '*33000000\r\n', '+OK\r\n']) {
    stream.write(piece);
    await new Promise(setImmediate);
  }
  assert.equal(seen, '+OK\r\n');
  assert.deepEqual(told, ['protocol: replies of more than 4000000 values']);
});

test('replies that nobody asked for: some words at the door, and no flood of them', async () => {
  const stream = new PassThrough();
  const told: string[] = [];
  let seen = 0;
  const limit = limitReplies(stream, (why) => told.push(why.message));
  stream.on('data', (chunk: Buffer) => (seen += chunk.length));
  const receive = async (text: string): Promise<void> => {
    stream.write(text);
    await new Promise(setImmediate);
  };
  await receive('-DENIED Redis is running in protected mode\r\n'.repeat(2));
  const asked = 500;
  for (let i = 0; i < asked; i++) limit.sent();
  // each is one reply, whatever lies in it
  await receive('*3\r\n:1\r\n*2\r\n$1\r\na\r\n*0\r\n$-1\r\n'.repeat(asked));
  await receive(':1\r\n'.repeat(14));
  assert.deepEqual(told, []);
  const before = seen;
  await receive(':1\r\n'.repeat(1000));
  assert.deepEqual(told, ['replies to nothing that was asked']);
  assert.equal(seen, before, 'the library sees none of it');
});
