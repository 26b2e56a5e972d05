/** Colours when a person looks at a terminal, plain text in a pipe or with NO_COLOR. */
const colours = process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined;
const paint = (code: string) => (text: string) => (colours ? `\x1b[${code}m${text}\x1b[0m` : text);

export const bold = paint('1');
export const dim = paint('2');
export const green = paint('32');
export const yellow = paint('33');
export const cyan = paint('36');
export const red = paint('31');

export const say = (line = ''): void => void process.stdout.write(`${line}\n`);

/** One line of the way: when, what, details, how long. */
export function sayStage(mark: string, atMs: number, stage: string, detail: string, ms: number | null): void {
  const at = dim(`${(atMs / 1_000).toFixed(2).padStart(7)} s`);
  const took = ms === null ? '' : dim(`  ${formatMs(ms)}`);
  say(`${at}  ${mark} ${bold(stage.padEnd(20))} ${detail}${took}`);
}

/** A bar that is redrawn in a terminal; in a pipe only its end is printed. */
export function progress(label: string, done: number, total: number): void {
  if (process.stdout.isTTY !== true) {
    if (done === total) say(`           ${label} ${total}/${total}`);
    return;
  }
  const width = 30;
  const filled = Math.round((width * done) / Math.max(total, 1));
  process.stdout.write(
    `\r           ${label} ${cyan('█'.repeat(filled))}${dim('░'.repeat(width - filled))} ${done}/${total} `,
  );
  if (done === total) process.stdout.write('\n');
}

export const formatMs = (ms: number) =>
  ms < 1_000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${(ms / 1_000).toFixed(2)} s`;
