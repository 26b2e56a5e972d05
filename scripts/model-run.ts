import { parseArgs } from 'node:util';
import { verdictText } from '../src/governance/analysis-task.ts';
import { type Analysed, analyseFolder, refusalText, type Watch } from './model-analyse.ts';
import { findModel, withKit } from './model-kit.ts';
import { inputLine, outputLine, outputPictures, pixelStages } from './model-stages.ts';

/**
 * `-- run <model> <dicom folder> [--pictures <folder>]`: one study through every stage, as the server runs it, and what each made of it. Prints
 * no attribute of the patient; pictures show the image itself.
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
    let paths: readonly string[] = [];
    const watch: Watch = {
      headers: (heads, ms) => line('headers', ms, `${heads} instances`),
      gate: (passed, warnings, ms) => {
        paths = passed;
        line('gate', ms, `passed: ${passed.length} of them`);
        for (const warning of warnings) console.log(`  warning  ${verdictText(warning)}`);
      },
      pixels: async (tensors, ms) => {
        line('pixels', ms, `sha256 ${tensors.digest.slice(0, 16)}…`);
        await pixelStages(model.manifest, paths, values.pictures);
        for (const [input, tensor] of Object.entries(tensors.inputs)) console.log(inputLine(input, tensor));
        if (tensors.verdict) console.log(`  ${verdictText(tensors.verdict)}`);
      },
      engine: async (result, ms) => {
        line('model', ms, `run itself ${result.ms.toFixed(1)} ms`);
        for (const [output, tensor] of Object.entries(result.outputs))
          console.log(outputLine(output, tensor));
        if (values.pictures) await outputPictures(result, values.pictures);
      },
      findings: (_, ms) => line('findings', ms, ''),
    };
    return printEnd(await analyseFolder(model, folder, kit, watch));
  });
}

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
