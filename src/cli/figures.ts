/** Numbers for people: 1,200,000 rows, 12.3 MB, 4.2 s. */

export function wholeFigure(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function bytesFigure(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? wholeFigure(value) : value.toFixed(1)} ${units[unit]}`;
}

/** 240 ms, 4.2 s, 3 min 5 s, 2 h 10 min. */
export function secondsFigure(seconds: number): string {
  if (seconds < 0.9995) return `${Math.max(0, seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** To a tenth of a millisecond; `started` is of `performance.now()`. */
export function secondsSince(started: number): number {
  return Math.round((performance.now() - started) * 10) / 10_000;
}

/** 1 row, 1,200 rows. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${wholeFigure(count)} ${count === 1 ? one : many}`;
}

export function perSecond(count: number, seconds: number): number {
  return Math.round(count / Math.max(seconds, 0.001));
}
