import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState } from '../../families.ts';
import { codeOf } from '../../runtime/errors.ts';
import type { HostClient } from './client.ts';
import { parseLoad, parseMeminfo, parsePressure, parseStat, parseVmstat } from './facts-proc.ts';
import { memoryFamilies, systemFamilies, vmstatFamilies } from './families.ts';

/** Those that alerts are made of have a family of their own. */
const byName = new Map(
  (['memoryTotal', 'memoryAvailable', 'swapTotal', 'swapFree', 'oomKills'] as const).map((key) => [
    systemFamilies[key].name,
    key,
  ]),
);

const pressureStates = ['on', 'off', 'unknown'] as const;

export const hostSystem = collectorOf<HostClient>()({
  name: 'system',
  help: 'Memory, swap, processors and load of the machine.',
  config: z.strictObject({}),
  families: systemFamilies,
  open: { memory: memoryFamilies, vmstat: vmstatFamilies },
  state: () => ({}),
  async collect({ client, emit, call }) {
    const stat = parseStat(await client.proc(call, 'stat'));
    emit.time(call.clock.wallMs() / 1000);
    for (const { cpu, modes, guest } of stat.cpus) {
      for (const [mode, seconds] of modes) emit.cpu(seconds, { cpu, mode });
      for (const [mode, seconds] of guest) emit.guest(seconds, { cpu, mode });
    }
    if (stat.bootTimeSeconds !== undefined) emit.bootTime(stat.bootTimeSeconds);
    if (stat.running !== undefined) emit.running(stat.running);
    if (stat.blocked !== undefined) emit.blocked(stat.blocked);
    const [one, five, fifteen] = parseLoad(await client.proc(call, 'loadavg'));
    emit.load1(one);
    emit.load5(five);
    emit.load15(fifteen);
    const memory = parseMeminfo(await client.proc(call, 'meminfo'));
    const vmstat = parseVmstat(await client.proc(call, 'vmstat'));
    for (const [name, value] of [...memory, ...vmstat]) {
      const declared = byName.get(name);
      if (declared !== undefined) emit[declared](value);
      else if (memory.has(name)) emit.memory(name, value);
      else emit.vmstat(name, value);
    }

    const pressure = async (of: string): Promise<ReturnType<typeof parsePressure>> =>
      parsePressure(await client.proc(call, `pressure/${of}`));
    let state: (typeof pressureStates)[number] = 'on';
    try {
      const [cpu, io, memory] = [await pressure('cpu'), await pressure('io'), await pressure('memory')];
      if (cpu.some !== undefined) emit.cpuWaiting(cpu.some);
      if (io.some !== undefined) emit.ioWaiting(io.some);
      if (io.full !== undefined) emit.ioStalled(io.full);
      if (memory.some !== undefined) emit.memoryWaiting(memory.some);
      if (memory.full !== undefined) emit.memoryStalled(memory.full);
      if (cpu.some === undefined || io.some === undefined || memory.some === undefined) state = 'unknown';
    } catch (error) {
      // ENOENT: built without CONFIG_PSI; EOPNOTSUPP: switched off (Documentation/accounting/psi.rst)
      state = codeOf(error) === 'ENOENT' || codeOf(error) === 'EOPNOTSUPP' ? 'off' : 'unknown';
      if (call.signal.aborted) throw error;
    }
    emitState(
      (value, of) => {
        emit.pressureState(value, { state: of });
      },
      pressureStates,
      state,
    );
  },
  unknown({ emit }) {
    emitState(
      (value, of) => {
        emit.pressureState(value, { state: of });
      },
      pressureStates,
      'unknown',
    );
  },
});
