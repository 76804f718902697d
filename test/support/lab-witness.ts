// What a lab left behind, seen from outside: by the folder in a process's environment, command line or open files, never by
// the lab's own books.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Living processes that have to do with the folder. */
export function processesOf(dir: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid && isAlive(pid) && belongsTo(pid, dir));
}

/** A zombie has ended. */
function isAlive(pid: number): boolean {
  const stat = read(`/proc/${pid}/stat`);
  return stat !== '' && !['Z', 'X'].includes(stat.slice(stat.lastIndexOf(')') + 2).charAt(0));
}

function belongsTo(pid: number, dir: string): boolean {
  if ([`/proc/${pid}/environ`, `/proc/${pid}/cmdline`].some((file) => read(file).includes(dir))) return true;
  try {
    if (readlinkSync(`/proc/${pid}/cwd`).startsWith(dir)) return true;
    return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith(dir));
  } catch {
    return false; // ended, or another user's
  }
}

/** Listening TCP ports on that IPv4 address. */
export function portsInUseOn(address: string): number[] {
  // proc(5): addresses are written as one number in the byte order of the machine
  const hex = Buffer.from(address.split('.').map(Number)).reverse().toString('hex').toUpperCase();
  const listening = '0A';
  return read('/proc/net/tcp')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = '', , state]) => local.startsWith(`${hex}:`) && state === listening)
    .map(([, local = '']) => Number.parseInt(local.slice(9), 16));
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
