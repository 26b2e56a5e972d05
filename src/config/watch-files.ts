import { statSync } from 'node:fs';

/** A certificate is renewed days before it ends, so seconds are soon enough. */
export const WATCH_INTERVAL_MS = 5_000;

/**
 * Calls `changed` when one of the files is another than it was. Looks instead of listening: secrets of Kubernetes and Docker are swapped by a
 * symbolic link, of which a watch on the file hears nothing. Gives a function that ends it.
 */
export function watchFiles(
  paths: readonly string[],
  changed: () => void,
  intervalMs = WATCH_INTERVAL_MS,
): () => void {
  let seen = stateOf(paths);
  const timer = setInterval(() => {
    const now = stateOf(paths);
    if (now === seen) return;
    seen = now;
    changed();
  }, intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}

const stateOf = (paths: readonly string[]): string =>
  paths
    .map((path) => {
      const state = statSync(path, { throwIfNoEntry: false });
      return state ? `${state.ino} ${state.size} ${state.mtimeMs}` : 'none';
    })
    .join('|');
