export { sayAge } from '../say-age.ts';

/** Local time to the second; the date too unless it is today. */
export function sayTime(iso: string | null): string {
  if (iso === null) return '';
  const date = new Date(iso);
  const two = (n: number) => String(n).padStart(2, '0');
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return new Date().toDateString() === date.toDateString() ? time : `${day} ${time}`;
}

/** Whose time it is: `UTC+01:00`, as this computer has it. */
export function sayZone(date = new Date()): string {
  const minutes = -date.getTimezoneOffset();
  const two = (n: number) => String(Math.floor(n)).padStart(2, '0');
  const size = Math.abs(minutes);
  return minutes === 0 ? 'UTC' : `UTC${minutes < 0 ? '-' : '+'}${two(size / 60)}:${two(size % 60)}`;
}

export function sayBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${(bytes / 1_000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** Statuses that wait for a person. */
const BAD: ReadonlySet<string> = new Set(['held', 'rejected', 'given-up', 'dead', 'unmade', 'refused']);

export const isBad = (status: string): boolean => BAD.has(status);

export const plural = (n: number, one: string): string => `${n} ${one}${n === 1 ? '' : 's'}`;

/** Which hold a deed was about, where its line in the log says so: whose it was, since when and why. '' for another deed. */
export function sayHold({ action, detail }: { readonly action: string; readonly detail: Detail }): string {
  const [of, at, by, reason] = ['held', 'heldAt', 'heldBy', 'heldReason'].map((name) => {
    const value = detail[name];
    return typeof value === 'string' ? value : '';
  });
  if (!of || !at) return '';
  const which = `hold of the ${of} by ${by} since ${sayTime(at)}: ${reason}`;
  return action === 'release' ? `Ended the ${which}` : `It was held already, and stays so: ${which}`;
}

type Detail = Readonly<Record<string, unknown>>;
