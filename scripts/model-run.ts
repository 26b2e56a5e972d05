import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { verdictText } from '../src/governance/analysis-task.ts';
import type { RegisteredModel } from '../src/governance/check-model.ts';
import { Failure } from '../src/kernel/errors.ts';
import {
  type Analysed,
  analyseStudy,
  refusalText,
  type StudyFiles,
  studiesIn,
  type Watch,
} from './model-analyse.ts';
import { findModel, type ModelKit, withKit } from './model-kit.ts';
import { inputLine, outputLine, outputPictures, pixelStages } from './model-stages.ts';

/**
 * `-- run <model> <dicom folder> [--pictures <folder>]`: each study of the folder through every stage, as the server runs it, and what each made of
 * it. Prints no attribute of the patient; pictures show the image itself, those of several studies in folders of their own.
 */
export async function runModel(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    options: { pictures: { type: 'string' } },
    allowPositionals: true,
  });
  const [name, folder] = positionals;
  if (name === undefined || folder === undefined) {
    console.error('name a model and a folder with DICOM files');
    return 2;
  }
  return withKit(async (kit) => {
    const model = await findModel(name, kit.settings);
    console.log(`${model.ref}  ${model.manifest.title}`);
    const studies = await readStudies(folder);
    let worst = 0;
    for (const [at, files] of studies.entries()) {
      const several = studies.length > 1;
      if (several) console.log(`\nstudy ${at + 1} of ${studies.length}: ${counted(files.size)}`);
      const own = several && values.pictures ? join(values.pictures, String(at + 1)) : values.pictures;
      worst = Math.max(worst, await runStudy(model, files, kit, own, several));
    }
    return worst;
  });
}

/** Says what is there, and that two files of one instance are one. */
async function readStudies(folder: string): Promise<StudyFiles[]> {
  const start = performance.now();
  let repeated = 0;
  const studies = await studiesIn(folder, () => {
    repeated += 1;
  });
  const instances = studies.reduce((sum, files) => sum + files.size, 0);
  const of = studies.length > 1 ? ` of ${studies.length} studies` : '';
  const left = repeated > 0 ? `; ${repeated} more files have the UID of one of them and were left out` : '';
  line('headers', performance.now() - start, `${counted(instances)}${of}${left}`);
  return studies;
}

/** One that cannot be read ends the command where it is the only one; among several it is said, and the next one follows. */
async function runStudy(
  model: RegisteredModel,
  files: StudyFiles,
  kit: ModelKit,
  pictures: string | undefined,
  several: boolean,
): Promise<number> {
  try {
    return printEnd(await analyseStudy(model, files, kit, watchOf(model, pictures)));
  } catch (error) {
    if (!several || !(error instanceof Failure)) throw error;
    console.log(`${error.code}: ${error.message}`);
    return 1;
  }
}

function watchOf(model: RegisteredModel, pictures: string | undefined): Watch {
  let paths: readonly string[] = [];
  return {
    gate: (passed, warnings, ms) => {
      paths = passed;
      line('gate', ms, `passed: ${passed.length} of them`);
      for (const warning of warnings) console.log(`  warning  ${verdictText(warning)}`);
    },
    pixels: async (tensors, ms) => {
      line('pixels', ms, `sha256 ${tensors.digest.slice(0, 16)}…`);
      await pixelStages(model.manifest, paths, pictures);
      for (const [input, tensor] of Object.entries(tensors.inputs)) console.log(inputLine(input, tensor));
      if (tensors.verdict) console.log(`  ${verdictText(tensors.verdict)}`);
    },
    engine: async (result, ms) => {
      line('model', ms, `run itself ${result.ms.toFixed(1)} ms`);
      for (const [output, tensor] of Object.entries(result.outputs)) console.log(outputLine(output, tensor));
      if (pictures) await outputPictures(result, pictures);
    },
    findings: (_, ms) => line('findings', ms, ''),
  };
}

const counted = (instances: number): string => `${instances} ${instances === 1 ? 'instance' : 'instances'}`;

const line = (stage: string, ms: number, text: string): void =>
  console.log(`${stage.padEnd(9)} ${ms.toFixed(1).padStart(8)} ms  ${text}`);

function printEnd(analysed: Analysed): number {
  if (analysed.kind === 'refused') {
    console.log(`${analysed.stage.padEnd(9)} ${refusalText(analysed)}`);
    return 1;
  }
  for (const { key, presence, score, threshold, value, unit } of analysed.findings) {
    const number = value === null ? `score ${score?.toFixed(5)}` : `${value} ${unit ?? ''}`;
    console.log(
      `  ${key}: ${presence ?? 'measured'}, ${number}${threshold === null ? '' : ` (threshold ${threshold})`}`,
    );
  }
  return 0;
}
