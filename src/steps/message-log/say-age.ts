/** `3 s`, `12 min`, `5 h`, `2 d`: alerts and page say one age in one way. It imports nothing, because the page reads it too. */
export function sayAge(seconds: number): string {
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 6_000) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} d`;
}
