/** `3 s`, `12 min`, `5 h`, `2 d`. */
export function sayAge(seconds: number): string {
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 6_000) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} d`;
}

/** Local time to the second; the date too unless it is today. */
export function sayTime(iso: string | null): string {
  if (iso === null) return '';
  const date = new Date(iso);
  const two = (n: number) => String(n).padStart(2, '0');
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return new Date().toDateString() === date.toDateString() ? time : `${day} ${time}`;
}

export function sayBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${(bytes / 1_000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** Statuses that wait for a person. */
const BAD: ReadonlySet<string> = new Set(['held', 'rejected', 'given-up', 'dead', 'unmade', 'refused']);

export const isBad = (status: string): boolean => BAD.has(status);

export const plural = (n: number, one: string): string => `${n} ${one}${n === 1 ? '' : 's'}`;
