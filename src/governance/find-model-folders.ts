import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { manifestPath } from './read-manifest.ts';

/** `<folder>/<model>/<version>` */
const DEPTH_MAX = 2;

/** Files that show that somebody meant to put a model here. */
const MODEL_FILES = new Set(['.onnx', '.h5', '.keras', '.pt', '.pth', '.tflite', '.ort']);

/**
 * Folders of models under a folder that is a model itself, or holds `<model>` or `<model>/<version>`. A folder with a
 * model file but without manifest is given too, so that it can be refused by name. null: the folder does not exist.
 */
export async function findModelFolders(folder: string): Promise<readonly string[] | null> {
  if (!(await stat(folder).catch(() => null))?.isDirectory()) return null;
  return look(folder, DEPTH_MAX);
}

async function look(folder: string, depth: number): Promise<readonly string[]> {
  if ((await manifestPath(folder)) !== null) return [folder];
  const entries = (await readdir(folder, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1));
  if (entries.some((entry) => entry.isFile() && MODEL_FILES.has(extname(entry.name).toLowerCase())))
    return [folder];
  if (depth === 0) return [];
  const subfolders = entries.filter(
    (entry) => (entry.isDirectory() || entry.isSymbolicLink()) && !entry.name.startsWith('.'),
  );
  const found: string[] = [];
  for (const { name } of subfolders) {
    const path = join(folder, name);
    if ((await stat(path).catch(() => null))?.isDirectory()) found.push(...(await look(path, depth - 1)));
  }
  return found;
}
