import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { RegisteredModel } from './check-model.ts';

/** The text of the model's card, where it has one that can be read. */
export async function readCard({
  folder,
  manifest,
}: Pick<RegisteredModel, 'folder' | 'manifest'>): Promise<{ readonly card?: string }> {
  if (manifest.card === undefined) return {};
  try {
    return { card: await readFile(resolve(folder, manifest.card), 'utf8') };
  } catch {
    return {};
  }
}
