import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { FailureIssue } from '../kernel/errors.ts';
import { checkGraph } from './check-graph.ts';
import { checkManifest } from './check-manifest.ts';
import type { InspectModel, ModelGraph } from './inspect-model.ts';
import type { Manifest } from './manifest.ts';
import { checkFile } from './model-file/check-file.ts';
import { loadFault } from './model-file/load-fault.ts';
import { readManifest } from './read-manifest.ts';

/** A model whose manifest, file and graph belong together. */
export interface RegisteredModel {
  /** `<id>@<version>` */
  readonly ref: string;
  readonly manifest: Manifest;
  /** Absolute path of the folder with the manifest. */
  readonly folder: string;
  /** Absolute path of the ONNX file. */
  readonly file: string;
  /** null: the model runs on another server and its file is not here, so nothing was compared. */
  readonly graph: ModelGraph | null;
}

/** A model that may not run, with everything that is wrong with it. */
export interface ModelRefusal {
  readonly folder: string;
  /** Where the manifest can be read that far. */
  readonly id?: string;
  readonly version?: string;
  readonly faults: readonly FailureIssue[];
  /** Nothing is wrong but that its file is not here: how to get it. */
  readonly get?: string;
}

/** Checks the model in a folder. Never throws for a bad model: all its faults come back together. */
export async function checkModel(
  folder: string,
  inspect: InspectModel,
): Promise<RegisteredModel | ModelRefusal> {
  const read = await readManifest(folder);
  if (read.faults.length > 0) return { folder, faults: read.faults };
  const { manifest, faults } = checkManifest(read.value);
  if (manifest === null) return { folder, ...nameOf(read.value), faults };
  const ref = refOf(manifest);
  const remote = manifest.running.engine?.kind === 'open-inference-protocol';
  if (remote && faults.length === 0 && !(await exists(resolve(folder, manifest.file.path)))) {
    return { ref, manifest, folder: resolve(folder), file: resolve(folder, manifest.file.path), graph: null };
  }
  if (
    manifest.file.get !== undefined &&
    faults.length === 0 &&
    !(await exists(resolve(folder, manifest.file.path)))
  ) {
    const absent = [{ at: '/file/path', text: `the file is not here; to get it: ${manifest.file.get}` }];
    return { folder, id: manifest.id, version: manifest.version, faults: absent, get: manifest.file.get };
  }
  const file = await checkFile(folder, manifest);
  const all = [...faults, ...(await cardFaults(folder, manifest)), ...file.faults];
  let graph: ModelGraph | null = null;
  if (file.faults.length === 0) {
    try {
      graph = await inspect({ ref, path: file.path, manifest });
      all.push(...checkGraph(manifest, graph));
    } catch (error) {
      all.push(loadFault(error));
    }
  }
  if (graph === null || all.length > 0)
    return { folder, id: manifest.id, version: manifest.version, faults: all };
  return { ref, manifest, folder: resolve(folder), file: file.path, graph };
}

/** `<id>@<version>`: how a model is named in handoffs, Tasks and Devices. */
export const refOf = (manifest: Pick<Manifest, 'id' | 'version'>): string =>
  `${manifest.id}@${manifest.version}`;

async function cardFaults(folder: string, { card }: Manifest): Promise<FailureIssue[]> {
  if (card === undefined) return [];
  return (await exists(resolve(folder, card))) ? [] : [{ at: '/card', text: 'there is no such file' }];
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isFile() ?? false;
}

function nameOf(value: unknown): { id?: string; version?: string } {
  const { id, version } = (value ?? {}) as { id?: unknown; version?: unknown };
  return {
    ...(typeof id === 'string' ? { id } : {}),
    ...(typeof version === 'string' ? { version } : {}),
  };
}
