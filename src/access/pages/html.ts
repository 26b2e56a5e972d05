/** Markup that is safe as it stands. */
export class Html {
  constructor(readonly text: string) {}
}

/** A template of markup: whatever is put in is text, unless it is markup made here. */
export function html(parts: TemplateStringsArray, ...values: readonly unknown[]): Html {
  return new Html(parts.map((part, at) => (at === 0 ? part : print(values[at - 1]) + part)).join(''));
}

function print(value: unknown): string {
  if (value === undefined || value === null || value === false) return '';
  if (value instanceof Html) return value.text;
  if (Array.isArray(value)) return value.map(print).join('');
  return String(value).replace(/[&<>"'`]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
