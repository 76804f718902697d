import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { askAgainMs, commandName, grantOf, Refusals } from '../../../exporter/systems/redis/client-refusals.ts';
import { redisError } from '../../../exporter/systems/redis/client.ts';

function reply(message: string): Error {
  const error = new Error(message);
  error.name = 'ReplyError';
  return error;
}

test('commands are named as ACL rules name them', () => {
  assert.equal(commandName('CONFIG', ['GET', 'save']), 'config|get');
  assert.equal(commandName('INFO', ['ALL']), 'info');
  assert.equal(commandName('XLEN', ['a|b']), 'xlen');
  assert.equal(grantOf('config|get', 'watcher'), 'ACL SETUSER watcher +config|get');
  assert.equal(grantOf('info', undefined), 'ACL SETUSER default +info');
});

const refusals: readonly (readonly [string, 'denied' | 'missing' | undefined])[] = [
  ["NOPERM User watcher has no permissions to run the 'config|get' command", 'denied'],
  ["NOPERM this user has no permissions to run the 'config' command or its subcommand", 'denied'],
  ["ERR unknown command 'CONFIG', with args beginning with: 'GET' 'save' ", 'missing'],
  ['ERR unknown command `CONFIG`, with args beginning with: `GET`', 'missing'],
  ["ERR unknown subcommand 'GETX'. Try CONFIG HELP.", 'missing'],
  ['NOPERM No permissions to access a key', undefined],
  ['LOADING Redis is loading the dataset in memory', undefined],
  ['ERR wrong number of arguments', undefined],
];
for (const [message, state] of refusals) {
  test(`${message}: ${state ?? 'is asked again'}`, () => {
    const memory = new Refusals();
    memory.failed('config|get', redisError(reply(message), 'CONFIG'), 1_000);
    assert.equal(memory.commands.get('config|get')?.state, state);
    if (state === undefined) {
      memory.check('config|get', 1_001);
      return;
    }
    assert.throws(
      () => {
        memory.check('config|get', 1_000 + askAgainMs - 1);
      },
      (error) => error instanceof TargetError && error.code === (state === 'denied' ? 'denied' : 'unsupported'),
    );
    memory.check('config|get', 1_000 + askAgainMs);
    memory.check('slowlog|get', 1_001);
  });
}

test('of an error reply of megabytes only the beginning is kept, and it takes no time to look through', () => {
  const memory = new Refusals();
  const long = redisError(reply('NOPERM '.repeat(1_000_000)), 'CONFIG');
  memory.failed('config|get', long, 0);
  assert.equal(long.code, 'denied');
  assert.ok(long.message.length < 1000, `${long.message.length} characters`);
});

test('an error reply that begins with a word that every object of JavaScript has is an error like any other', () => {
  for (const word of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
    const { code, message } = redisError(reply(`${word} x`), 'PING');
    assert.deepEqual([code, message], ['failed', `PING: ${word} x`]);
  }
});

test('other credentials begin anew; the same ones do not', () => {
  const memory = new Refusals();
  memory.loggedInAs('a');
  memory.failed('config|get', new TargetError('denied', "NOPERM x has no permissions to run the 'config|get' command"), 0); // prettier-ignore
  memory.loggedInAs('a');
  assert.throws(() => {
    memory.check('config|get', 1);
  });
  memory.loggedInAs('b');
  memory.check('config|get', 1);
  assert.equal(memory.commands.size, 0);
});

test('INFO is asked at every sweep, so that a grant is seen at once', () => {
  const memory = new Refusals();
  memory.failed('info', new TargetError('denied', "NOPERM x has no permissions to run the 'info' command"), 0);
  memory.check('info', 1);
  assert.equal(memory.commands.get('info')?.state, 'denied');
});

const errors: readonly (readonly [Error, string, RegExp])[] = [
  [reply('NOAUTH Authentication required.'), 'auth', /the inventory has no auth/],
  [reply('WRONGPASS invalid username-password pair or user is disabled.'), 'auth', /WRONGPASS/],
  [reply('ERR invalid password'), 'auth', /invalid password/],
  [reply('NOPERM User x has no permissions'), 'denied', /NOPERM/],
  [reply('DENIED Redis is running in protected mode'), 'denied', /protected mode/],
  [reply("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."), 'failed', /stale-data is no\)/], // prettier-ignore
  [reply('BUSY Redis is busy running a script.'), 'failed', /everybody waits/],
  [reply("ERR unknown command 'X'"), 'unsupported', /unknown/],
  [new Error('Connection is closed.'), 'unreachable', /wants TLS/],
  [Object.assign(new Error('wrong version number'), { code: 'ERR_SSL_WRONG_VERSION_NUMBER' }), 'tls', /version/],
  [Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }), 'refused', /ECONNREFUSED/],
];
test('the classes of failures, with words that say what to do', () => {
  for (const [error, code, text] of errors) {
    const found = redisError(error, 'connect');
    assert.equal(found.code, code, error.message);
    assert.match(found.message, text);
  }
});
