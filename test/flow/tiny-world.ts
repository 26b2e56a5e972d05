import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DiagnosticReport, Task } from '@medplum/fhirtypes';
import { afterAll, beforeAll, expect } from 'vitest';
import { type FlowWorld, makeWorld, order, read, reportIdOf, stow, taskEnded } from './flow-world.ts';
import { type TestStudy, tinyStudy } from './studies.ts';
import { makeTinyModel, TINY_MODEL } from './tiny-model.ts';

interface TinyWorldOptions {
  readonly settings?: Readonly<Record<string, string>>;
  /** Changes the manifest of the model before the server reads it. */
  readonly manifest?: (text: string) => string;
}

/** For a `describe`: a world whose one model is the tiny one, from before its first test to after its last. */
export function tinyWorld({ settings = {}, manifest }: TinyWorldOptions = {}): FlowWorld {
  let world: FlowWorld;
  let model: Awaited<ReturnType<typeof makeTinyModel>>;
  beforeAll(async () => {
    model = await makeTinyModel();
    if (manifest) {
      const file = join(model.folder, TINY_MODEL, '1.0.0', 'manifest.yaml');
      await writeFile(file, manifest(await readFile(file, 'utf8')));
    }
    world = await makeWorld({ settings: { PRELIM_MODELS: model.folder, ...settings } });
  }, 60_000);
  afterAll(async () => {
    await world?.close();
    await model?.remove();
  });
  return {
    get server() {
      return world.server;
    },
    get ris() {
      return world.ris;
    },
    get sql() {
      return world.sql;
    },
    close: () => world.close(),
  };
}

/** Orders a study, stores it, and waits for the end of its one analysis. */
export async function analyse(world: FlowWorld, study: TestStudy): Promise<Task> {
  expect(await order(world, study)).toBe('AA');
  expect((await stow(world.server, study.files)).status).toBe(200);
  return taskEnded(world, study, 'completed');
}

/** Analyses a study that nobody has seen before. Gives its report. */
export async function written(world: FlowWorld): Promise<DiagnosticReport> {
  const id = reportIdOf(await analyse(world, tinyStudy()));
  return read<DiagnosticReport>(world, `DiagnosticReport/${id}`);
}
