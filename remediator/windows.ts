// Hours of a week, in a named zone: when a policy may act by itself, and when people work.
import type { Window } from './guard.ts';

const minutesOfDay = 1440;
const weekdays = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

/** @throws RangeError for a zone that this machine does not know */
export function isInside(window: Window, wallMs: number): boolean {
  const { day, minute } = localTime(wallMs, window.timezone);
  const { days, fromMinute, toMinute } = window;
  if (fromMinute < toMinute) return days.includes(day) && fromMinute <= minute && minute < toMinute;
  // over midnight: the part after it belongs to the day on which it began
  const dayBefore = day === 1 ? 7 : day - 1;
  return (days.includes(day) && minute >= fromMinute) || (days.includes(dayBefore) && minute < toMinute);
}

export function isTimezone(name: string): boolean {
  try {
    formatOf(name);
    return true;
  } catch {
    return false;
  }
}

/** `Mon-Fri 22:00-06:00 Europe/Berlin`, for people. */
export function windowText({ days, fromMinute, toMinute, timezone }: Window): string {
  const names = days.map((d) => weekdays[d - 1] ?? '?').join(',');
  return `${days.length === 7 ? 'daily' : names} ${clockText(fromMinute)}-${clockText(toMinute)} ${timezone}`;
}

function clockText(minute: number): string {
  return `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timezone: string): Intl.DateTimeFormat {
  const made = formats.get(timezone);
  if (made !== undefined) return made;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: timezone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  formats.set(timezone, format);
  return format;
}

function localTime(wallMs: number, timezone: string): { readonly day: number; readonly minute: number } {
  const parts = new Map(
    formatOf(timezone)
      .formatToParts(wallMs)
      .map((p) => [p.type, p.value]),
  );
  const day = weekdays.indexOf(parts.get('weekday') ?? '') + 1;
  const minute = Number(parts.get('hour')) * 60 + Number(parts.get('minute'));
  return { day, minute: minute % minutesOfDay };
}
