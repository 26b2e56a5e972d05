interface Answer {
  readonly code: string;
  readonly targetType?: string;
}

/**
 * Finds the parameters that index the same elements already, by their expressions (code → FHIRPath for the type, all of one kind).
 * Saves a fifth of an Observation's index entries (patient, combo-*). Null: nothing else answers `code`.
 */
export function answeredBy(code: string, expressions: ReadonlyMap<string, string>): readonly Answer[] | null {
  const partsOf = new Map([...expressions].map(([other, expression]) => [other, partsIn(expression)]));
  const own = partsOf.get(code) ?? [];
  const answers: Answer[] = [];
  let open = own;
  for (const [other, parts] of [...partsOf].sort(byCode)) {
    // Of two with the same expression the first by name is indexed, so that no circle can arise.
    const same = parts.length === own.length;
    if (other === code || (same && other > code) || !parts.every((part) => own.includes(part))) continue;
    if (!parts.some((part) => open.includes(part))) continue;
    answers.push({ code: other });
    open = open.filter((part) => !parts.includes(part));
  }
  for (const part of open) {
    const limited = limitedAnswer(code, part, partsOf);
    if (!limited) return null;
    answers.push(limited);
  }
  return answers.length > 0 ? answers : null;
}

/** `DiagnosticReport.subject.where(resolve() is Patient)`: a parameter for `DiagnosticReport.subject`, limited to Patient. */
function limitedAnswer(
  code: string,
  part: string,
  partsOf: ReadonlyMap<string, readonly string[]>,
): Answer | null {
  const [, path, targetType] = /^(.*)\.where\(\(?resolve\(\) is ([A-Za-z]+)\)?\)$/.exec(part) ?? [];
  if (!path || !targetType) return null;
  const answers = [...partsOf]
    .sort(byCode)
    .find(([other, parts]) => other !== code && parts.length === 1 && parts[0] === path);
  return answers ? { code: answers[0], targetType } : null;
}

const byCode = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1);

const partsIn = (expression: string): string[] => [...new Set(expression.split(' | ').map(bare))];

/** `(Observation.code)` and `Observation.code` are the same. */
function bare(expression: string): string {
  const text = expression.trim();
  return text.startsWith('(') && text.endsWith(')') && !/[()]/.test(text.slice(1, -1))
    ? text.slice(1, -1)
    : text;
}
