/**
 * Age at a time, as radiologists write it: `12 d` under one month, `7 mo` under two years, then `64 y`. Birth dates may be
 * `1960`, `1960-05` or `1960-05-17` (FHIR date); what is missing counts as the first. null when it cannot be said.
 */
export function ageAt(birthDate: string | null | undefined, time: string | null | undefined): string | null {
  const born = /^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?$/.exec(birthDate ?? '');
  const then = /^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?/.exec(time ?? '');
  if (!born || !then) return null;
  const [bornYear, bornMonth, bornDay] = parts(born);
  const [year, month, day] = parts(then);
  const months = (year - bornYear) * 12 + (month - bornMonth) - (day < bornDay ? 1 : 0);
  if (months < 0) return null;
  if (months >= 24 || born[2] === undefined) return `${Math.floor(months / 12)} y`;
  if (months >= 1 || born[3] === undefined) return `${months} mo`;
  return `${Math.round((Date.UTC(year, month - 1, day) - Date.UTC(bornYear, bornMonth - 1, bornDay)) / DAY_MS)} d`;
}

const DAY_MS = 86_400_000;

const parts = (match: RegExpExecArray): [number, number, number] => [
  Number(match[1]),
  Number(match[2] ?? 1),
  Number(match[3] ?? 1),
];
