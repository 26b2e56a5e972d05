import { cp, mkdir, stat } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Settings } from '../src/config/settings.ts';
import { checkModel, type ModelRefusal, type RegisteredModel } from '../src/governance/check-model.ts';
import { findModelFolders } from '../src/governance/find-model-folders.ts';
import { inspectApart } from '../src/governance/inspect-apart.ts';
import { inspectOperators } from '../src/governance/inspect-operators.ts';
import { CODE_SYSTEMS } from '../src/kernel/code-systems.ts';
import { Failure } from '../src/kernel/errors.ts';
import { engineModel } from '../src/steps/inference/inference.step.ts';
import { ConceptMaps } from '../src/terminology/concept-maps.ts';
import { dryRun } from './model-dry-run.ts';
import { runGoldenCases } from './model-golden.ts';
import { type ModelKit, withKit } from './model-kit.ts';

/**
 * `-- add <folder>`: the verdict on one model, or on each model under a folder, with all faults at once: manifest, file and external weights,
 * operators, graph against manifest, a dry run, golden cases. What is good is copied to where the server finds it at its next start.
 * Gives 0 when every model may run and every case is within its tolerance, 1 when one is not, 2 when there is none.
 */
export async function addModels(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    options: { check: { type: 'boolean' } },
    allowPositionals: true,
  });
  if (positionals[0] === undefined) {
    console.error('name the folder of a model, with its manifest in it, or a folder of such folders');
    return 2;
  }
  const folders = await findModelFolders(resolve(positionals[0]));
  if (folders === null || folders.length === 0) {
    console.error('there is no manifest in or under this folder');
    return 2;
  }
  return withKit(async (kit) => {
    let wrong = 0;
    for (const folder of folders) {
      const model = await checkModel(folder, inspectApart);
      if ('faults' in model) {
        await printRefusal(model);
        // Weights that are to be fetched are nothing wrong.
        if (model.get === undefined) wrong++;
      } else if (!(await isSound(model, kit))) wrong++;
      else if (!values.check) await takeIn(model, kit.settings);
    }
    return wrong > 0 ? 1 : 0;
  });
}

async function printRefusal({ folder, id, version, faults, get }: ModelRefusal): Promise<void> {
  const kind = get === undefined ? 'REFUSED ' : 'ABSENT  ';
  console.log(`${kind} ${id ?? folder}${version ? `@${version}` : ''}`);
  for (const { at, text } of faults) console.log(`  ${at ?? ''}  ${text}`);
}

async function isSound(model: RegisteredModel, kit: ModelKit): Promise<boolean> {
  const faults = [...(await fileFaults(model)), ...(await serverFaults(model, kit))];
  const dry = faults.length === 0 ? await dryRun(model, kit) : null;
  if (dry?.fault) faults.push(dry.fault);
  console.log(`${faults.length === 0 ? 'MAY RUN ' : 'REFUSED '} ${model.ref}  ${model.manifest.title}`);
  for (const fault of faults) console.log(`  ${fault}`);
  for (const line of dry?.lines ?? []) console.log(`  ${line}`);
  if (faults.length > 0) return false;
  printFindings(model);
  const { cases, passed } = await runGoldenCases(model, kit);
  return passed === cases;
}

async function fileFaults({ graph, file }: RegisteredModel): Promise<string[]> {
  if (graph === null) return [];
  const { opsets, operators, producer, custom } = await inspectOperators(file);
  const sets = Object.entries(opsets).map(([domain, version]) => `${domain} ${version}`);
  const count = Object.values(operators).reduce((sum, times) => sum + times, 0);
  console.log(
    `graph: ${count} nodes of ${Object.keys(operators).length} operators; operator sets ${sets.join(', ')}; made by ${producer || 'nobody says'}`,
  );
  return custom.map((name) => `/file/path  needs the operator ${name}, which onnxruntime-node does not have`);
}

async function serverFaults(model: RegisteredModel, { remote }: ModelKit): Promise<string[]> {
  if (engineModel(model).engine.kind !== 'open-inference-protocol') return [];
  const trouble = await remote.health(engineModel(model)).catch((error: Failure) => error.message);
  return trouble === null ? [] : [`/running/engine  ${trouble}`];
}

function printFindings({ manifest }: RegisteredModel): void {
  const maps = ConceptMaps.shipped();
  for (const { key, label } of manifest.findings) {
    const codes = maps.codesOf(CODE_SYSTEMS.finding, key).filter(({ code }) => code !== null);
    const text = codes.map(({ system, code, match }) => `${system}|${code} (${match})`).join(', ');
    console.log(`  ${key} "${label}": ${text || 'no code in any system: reports carry the text only'}`);
  }
}

const isUnder = (folder: string, parent: string): boolean => {
  const way = relative(resolve(parent), folder);
  return !way.startsWith('..') && !isAbsolute(way);
};

/** Into `<data>/models/<id>/<version>`. A version that is there stays: a changed file is a new version. */
async function takeIn({ folder, file, manifest }: RegisteredModel, settings: Settings): Promise<void> {
  const target = resolve(settings.PRELIM_DATA, 'models', manifest.id, manifest.version);
  if (relative(folder, target) === '') return;
  // A copy would be a second package of the same version, which the server refuses.
  if (settings.PRELIM_MODELS.some((one) => isUnder(folder, one))) {
    console.log('  stays where it is, in a folder of PRELIM_MODELS; start the server again');
    return;
  }
  if (await stat(target).catch(() => null))
    throw new Failure(
      'model.unknown',
      `${manifest.id}@${manifest.version} is taken in already; a changed model is a new version with a new device UID.`,
    );
  if (relative(folder, file).startsWith('..'))
    throw new Failure(
      'model.unknown',
      'The manifest names a file outside its folder: name the folder in PRELIM_MODELS instead.',
    );
  await mkdir(join(target, '..'), { recursive: true });
  await cp(folder, target, { recursive: true });
  console.log(`  taken in: ${target}; start the server again`);
}
