import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { commandStates, type CommandSeen } from './client-refusals.ts';
import type { RedisClient } from './client.ts';
import { commandFamilies } from './families-replication.ts';

interface State {
  commands: ReadonlyMap<string, CommandSeen>;
}

/** Sends nothing: what became of the commands of the other collectors, up to the last sweep. */
export const commandsCollector = collectorOf<RedisClient>()({
  name: 'commands',
  help: 'Which commands the server lets this user run, of those that the other collectors need.',
  config: z.strictObject({}),
  families: commandFamilies,
  state: (): State => ({ commands: new Map() }),
  collect({ client, emit, state }) {
    state.commands = client.commands;
    emitCommands(emit, state);
    return Promise.resolve();
  },
  unknown({ emit, state }) {
    emitCommands(emit, state);
  },
});

function emitCommands(emit: Emit<typeof commandFamilies>, { commands }: State): void {
  for (const [command, { state }] of commands) {
    emitState(
      (value, of) => {
        emit.state(value, { command, state: of });
      },
      commandStates,
      state,
    );
  }
}
