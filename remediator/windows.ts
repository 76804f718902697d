// Hours of a week, by the clock of a named zone: when a policy may act by itself, and when people work.
import type { Window } from './guard.ts';

const minutesOfDay = 1440;
const weekdays = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

/**
 * Where a clock is put forward or back, a time of day is missing or comes twice. For three hours before and after that a
 * moment has two times of day, by the old clock and by the new one: what only one of them has inside is not surely meant.
 * `every`: hours in which the remediator may act by itself, inside by both. `any`: hours in which people work, inside by
 * either. So in that night it rather asks, and rather keeps away; see README.md.
 * @returns the window that holds the moment
 * @throws RangeError for a zone that this machine does not know
 */
export function windowAt(windows: readonly Window[], wallMs: number, by: 'every' | 'any'): Window | undefined {
  for (const timezone of new Set(windows.map((w) => w.timezone))) {
    const own = windows.filter((w) => w.timezone === timezone);
    const found = timesAt(wallMs, timezone).map((minute) => own.find((w) => holds(w, minute)));
    const isInside = by === 'every' ? found.every((w) => w !== undefined) : found.some((w) => w !== undefined);
    if (isInside) return found.find((w) => w !== undefined);
  }
  return undefined;
}

/** The clock of a zone of these windows is put forward or back within three hours: then a moment has two times of day. */
export function isClockChanging(windows: readonly Window[], wallMs: number): boolean {
  return windows.some((w) => timesAt(wallMs, w.timezone).length > 1);
}

/** @param minuteOfWeek since Monday 00:00 */
function holds({ days, fromMinute, toMinute }: Window, minuteOfWeek: number): boolean {
  const day = Math.floor(minuteOfWeek / minutesOfDay) + 1;
  const minute = minuteOfWeek % minutesOfDay;
  if (fromMinute < toMinute) return days.includes(day) && fromMinute <= minute && minute < toMinute;
  // over midnight: the part after it belongs to the day on which it began
  const dayBefore = day === 1 ? 7 : day - 1;
  return (days.includes(day) && minute >= fromMinute) || (days.includes(dayBefore) && minute < toMinute);
}

/** Longer than any clock is put forward or back by, but for a change of the date line. */
const aroundMinutes = 180;

/** Minutes of the week: by the clock that is in force, and by the one before or after a change that is near. */
function timesAt(wallMs: number, timezone: string): readonly number[] {
  const around = aroundMinutes * 60_000;
  const now = minuteOfWeekAt(wallMs, timezone);
  const changeBehind = inWeek(now - minuteOfWeekAt(wallMs - around, timezone) - aroundMinutes);
  const changeAhead = inWeek(minuteOfWeekAt(wallMs + around, timezone) - now - aroundMinutes);
  return [...new Set([now, inWeek(now - changeBehind), inWeek(now + changeAhead)])];
}

const minutesOfWeek = 7 * minutesOfDay;
function inWeek(minutes: number): number {
  return ((minutes % minutesOfWeek) + minutesOfWeek) % minutesOfWeek;
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

function minuteOfWeekAt(wallMs: number, timezone: string): number {
  const parts = new Map(
    formatOf(timezone)
      .formatToParts(wallMs)
      .map((p) => [p.type, p.value]),
  );
  const day = weekdays.indexOf(parts.get('weekday') ?? '');
  return day * minutesOfDay + Number(parts.get('hour')) * 60 + Number(parts.get('minute'));
}
